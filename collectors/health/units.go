package health

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// systemd reports whether the host was booted with systemd, by the sign of
// sd_booted(3).
func systemd(h *host.Host) bool {
	info, err := h.Stat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// readServices reads the failed units and the required services. Without an answer
// of the service manager nothing is claimed.
func (c *collector) readServices(ctx context.Context) (evidence.Units, []evidence.Service, []evidence.Gap) {
	if !systemd(c.host) {
		return evidence.Units{Manager: evidence.ManagerNone}, unknown(c.services), c.noManager()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	units := evidence.Units{Manager: evidence.ManagerSystemd}
	var gaps []evidence.Gap
	out, err := c.systemctl(ctx, "list-units", "--state=failed", "--all", "--plain", "--no-legend", "--output=json")
	if err == nil {
		units.Failed, err = ParseFailedUnits(out)
	}
	if err != nil {
		units.Unread = true
		gaps = append(gaps, evidence.Gap{What: "failed units", Why: err.Error()})
	}
	if more := len(units.Failed) - maxUnits; more > 0 {
		units.Failed = units.Failed[:maxUnits]
		gaps = append(gaps, evidence.Gap{What: fmt.Sprintf("%d more failed units", more), Why: fmt.Sprintf("more than %d failed", maxUnits)})
	}
	watched, more := c.watched(ctx)
	return units, watched, append(gaps, more...)
}

// noManager says what cannot be seen without a service manager: on Windows there is
// one that this version does not read; elsewhere there are no units that could
// fail, but required services cannot be told.
func (c *collector) noManager() []evidence.Gap {
	switch {
	case runtime.GOOS == "windows":
		return []evidence.Gap{{What: "failed services", Why: "services are not read on Windows by this version"}}
	case len(c.services) > 0:
		return []evidence.Gap{{What: "required services", Why: "this host was not booted with systemd (no /run/systemd/system)"}}
	}
	return nil
}

func unknown(names []string) []evidence.Service {
	var list []evidence.Service
	for _, n := range names {
		list = append(list, evidence.Service{Name: n, State: evidence.ServiceUnknown})
	}
	return list
}

func (c *collector) systemctl(ctx context.Context, args ...string) ([]byte, error) {
	res, err := c.host.Run(ctx, host.Command{Name: "systemctl", Args: append([]string{"--no-pager"}, args...), Limit: 4 << 20})
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return nil, errors.New("systemctl is not in PATH")
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("systemd did not answer within %v", patience)
	case err != nil:
		return nil, err
	case res.Cut:
		return nil, errors.New("systemctl printed more than 4 MiB")
	case res.Exit != 0:
		return nil, fmt.Errorf("systemctl ended with code %d: %s", res.Exit, firstLine(res.Stderr))
	}
	return res.Stdout, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.ToValidUTF8(line[:min(len(line), 300)], "")
}

// watched reads the state of the required services.
func (c *collector) watched(ctx context.Context) ([]evidence.Service, []evidence.Gap) {
	if len(c.services) == 0 {
		return nil, nil
	}
	units, err := c.show(ctx, c.services)
	if err != nil {
		return unknown(c.services), []evidence.Gap{{What: "required services", Why: err.Error()}}
	}
	var list []evidence.Service
	var gaps []evidence.Gap
	for i, u := range units {
		s := evidence.Service{Name: c.services[i], State: stateOf(u)}
		switch {
		case u.Load == "not-found":
			gaps = append(gaps, evidence.Gap{What: "service " + s.Name, Why: "no such unit on this host; check collectors.health.services"})
		case s.State == evidence.ServiceRunning && u.Sub == "exited" && len(u.Parts) > 0:
			var err error
			if s.State, err = c.partsState(ctx, u.Parts); err != nil {
				gaps = append(gaps, evidence.Gap{What: "service " + s.Name, Why: err.Error()})
			}
		}
		list = append(list, s)
	}
	return list, gaps
}

// partsState is the state of the worst of the services that a wrapper stands for:
// on Debian, postfix.service and postgresql.service only start others and stay
// "active (exited)" whatever becomes of them.
func (c *collector) partsState(ctx context.Context, parts []string) (string, error) {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p string) bool {
		return !unitName.MatchString(p) || !strings.HasSuffix(p, ".service")
	})
	if len(parts) == 0 {
		return evidence.ServiceRunning, nil
	}
	units, err := c.show(ctx, parts[:min(len(parts), maxUnits)])
	if err != nil {
		return evidence.ServiceUnknown, err
	}
	worst := evidence.ServiceRunning
	for _, u := range units {
		switch stateOf(u) {
		case evidence.ServiceStopped:
			return evidence.ServiceStopped, nil
		case evidence.ServiceUnknown:
			worst = evidence.ServiceUnknown
		}
	}
	return worst, nil
}

func (c *collector) show(ctx context.Context, names []string) ([]Unit, error) {
	out, err := c.systemctl(ctx, append([]string{"show", "-p", "Id,LoadState,ActiveState,SubState,ConsistsOf", "--"}, names...)...)
	if err != nil {
		return nil, err
	}
	units, err := ParseShow(out)
	if err == nil && len(units) != len(names) {
		err = fmt.Errorf("systemctl show gave %d units, asked for %d", len(units), len(names))
	}
	return units, err
}

// stateOf reads ActiveState and SubState (org.freedesktop.systemd1(5)). A service
// that systemd starts again and again is stopped; one that starts is not known
// to run yet.
func stateOf(u Unit) string {
	switch u.Active {
	case "active", "reloading", "refreshing":
		return evidence.ServiceRunning
	case "inactive", "failed", "deactivating", "maintenance":
		return evidence.ServiceStopped
	case "activating":
		if strings.HasPrefix(u.Sub, "auto-restart") {
			return evidence.ServiceStopped
		}
	}
	return evidence.ServiceUnknown
}
