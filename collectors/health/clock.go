package health

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/beevik/ntp"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// ntpPatience bounds one question to a time server.
const ntpPatience = 3 * time.Second

// clock says how the host's clock is kept: by the kernel's word, and by a time server
// where the config names one.
func (c *collector) clock(gaps *[]evidence.Gap) *evidence.HostClock {
	out := &evidence.HostClock{Synced: evidence.Unknown, Zone: c.host.Zone()}
	k, err := c.host.KernelClock()
	switch {
	case err == nil:
		out.Synced = evidence.No
		if k.Synced {
			out.Synced = evidence.Yes
			ms := millis(k.Offset)
			out.OffsetMillis, out.From = &ms, evidence.ClockKernel
		}
	case !errors.Is(err, host.ErrUnknown):
		*gaps = append(*gaps, evidence.Gap{What: "the clock", Why: err.Error()})
	}
	if c.ntp == "" {
		return out
	}
	answer, err := ntp.QueryWithOptions(c.ntp, ntp.QueryOptions{Timeout: ntpPatience})
	if err == nil {
		err = answer.Validate()
	}
	if err != nil {
		*gaps = append(*gaps, evidence.Gap{What: "time server " + c.ntp, Why: err.Error()})
		return out
	}
	ms := millis(answer.ClockOffset)
	out.OffsetMillis, out.From = &ms, evidence.ClockNTP
	return out
}

func millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*1000) / 1000
}

var (
	timedateZone   = regexp.MustCompile(`(?m)^\s*(?:Time zone: |Timezone=)(\S+)`)
	timedateSynced = regexp.MustCompile(`(?m)^\s*(?:NTP synchronized: |System clock synchronized: |NTPSynchronized=)(yes|no)`)
)

// ParseTimedatectl reads timedatectl, of whatever age, and timedatectl show.
func ParseTimedatectl(out []byte) (evidence.HostClock, error) {
	c := evidence.HostClock{Synced: evidence.Unknown}
	zone, synced := timedateZone.FindSubmatch(out), timedateSynced.FindSubmatch(out)
	if zone == nil && synced == nil {
		return c, errors.New("not the output of timedatectl: neither a time zone nor whether the clock is synchronised")
	}
	if zone != nil && len(zone[1]) <= 60 {
		c.Zone = strings.ToValidUTF8(string(zone[1]), "?")
	}
	if synced != nil {
		c.Synced = string(synced[1])
	}
	return c, nil
}

var (
	chronyOffset = regexp.MustCompile(`(?m)^System time\s*: ([\d.]+) seconds (fast|slow) of NTP time`)
	chronyLeap   = regexp.MustCompile(`(?m)^Leap status\s*: (.+?)\s*$`)
)

// ParseChronyTracking reads chronyc tracking (chronyc(1)).
func ParseChronyTracking(out []byte) (evidence.HostClock, error) {
	leap, offset := chronyLeap.FindSubmatch(out), chronyOffset.FindSubmatch(out)
	if leap == nil {
		return evidence.HostClock{}, errors.New("not the output of chronyc tracking: no line \"Leap status\"")
	}
	c := evidence.HostClock{Synced: evidence.Yes}
	if string(leap[1]) == "Not synchronised" {
		c.Synced = evidence.No
	}
	if offset != nil {
		d, err := time.ParseDuration(string(offset[1]) + "s")
		if err != nil {
			return c, fmt.Errorf("chronyc tracking: %w", err)
		}
		ms := millis(d)
		if string(offset[2]) == "fast" { // an offset says what to add
			ms = -ms
		}
		c.OffsetMillis, c.From = &ms, evidence.ClockNTP
	}
	return c, nil
}
