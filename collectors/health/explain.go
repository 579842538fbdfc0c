package health

import (
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Formats lists what this kind can read.
func Formats() []host.Format {
	return []host.Format{
		{Name: "systemd-failed", Title: "systemctl list-units --state=failed, as JSON or as a table", Parse: explainFailed},
		{Name: "systemd-show", Title: "systemctl show -p Id,LoadState,ActiveState,SubState,ConsistsOf UNIT…", Parse: explainShow},
		{Name: "timedatectl", Title: "timedatectl, or timedatectl show", Parse: clockFormat(ParseTimedatectl)},
		{Name: "chronyc-tracking", Title: "chronyc tracking", Parse: clockFormat(ParseChronyTracking)},
		{Name: "mountinfo", Title: "/proc/self/mountinfo: which file systems are watched", Parse: explainMounts},
	}
}

// blank are facts in which nothing but the units was read.
func blank(at time.Time) evidence.Health {
	return evidence.Health{
		Samples: []evidence.Sample{{At: evidence.At(at), CPU: -1, Load1: -1, MemUsed: -1, SwapUsed: -1, UptimeS: -1}},
		Disks:   []evidence.Disk{},
		Units:   evidence.Units{Manager: evidence.ManagerSystemd, Unread: true},
	}
}

func explained(f evidence.Health) (host.Look, error) {
	return host.Look{Facts: f, Gaps: []evidence.Gap{{What: "the rest of the host", Why: "only the file was read"}}}, f.Validate()
}

func explainFailed(data []byte, at time.Time) (host.Look, error) {
	failed, err := ParseFailedUnits(data)
	if err != nil {
		return host.Look{}, err
	}
	f := blank(at)
	f.Units.Unread, f.Units.Failed = false, failed
	return explained(f)
}

func explainShow(data []byte, at time.Time) (host.Look, error) {
	units, err := ParseShow(data)
	if err != nil {
		return host.Look{}, err
	}
	f := blank(at)
	for _, u := range units {
		f.Watched = append(f.Watched, evidence.Service{Name: u.ID, State: stateOf(u)})
	}
	return explained(f)
}

func clockFormat(parse func([]byte) (evidence.HostClock, error)) func([]byte, time.Time) (host.Look, error) {
	return func(data []byte, at time.Time) (host.Look, error) {
		c, err := parse(data)
		if err != nil {
			return host.Look{}, err
		}
		f := blank(at)
		f.Clock = &c
		return explained(f)
	}
}

func explainMounts(data []byte, at time.Time) (host.Look, error) {
	mounts, err := host.ParseMountInfo(data)
	if err != nil {
		return host.Look{}, err
	}
	f := blank(at)
	for _, m := range chooseMounts(mounts) {
		f.Disks = append(f.Disks, diskOf(m, usage{err: errSilent}))
	}
	return explained(f)
}
