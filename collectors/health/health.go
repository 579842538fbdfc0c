// Package health samples the host every five minutes: CPU, memory, load, disks,
// failed units and required services. It reports an hour of samples at once, and
// at once when the state of the host changes.
package health

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Services must run; names as systemctl takes them, ".service" may be left out.
	Services []string `yaml:"services"`
	// NTP is a time server that is asked how far the clock is off.
	NTP string `yaml:"ntp"`
}

const (
	every   = 5 * time.Minute
	timeout = 30 * time.Second
	// hour is how many samples are reported together.
	hour = 12
	// diskFull is the share of space or inodes, in percent, from which on a file
	// system is news. Ours: the server judges by its own parameter.
	diskFull = 95
	// patience bounds the wait for a file system or the service manager.
	patience = 5 * time.Second
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindHealth,
		Title:   "CPU, memory, disks, services",
		OS:      []string{"linux", "windows"},
		Needs:   host.NeedExec,
		Every:   every,
		Timeout: timeout,
		New:     newCollector,
		Detect:  detect,
		Formats: Formats(),
		About: host.About{
			Reads: []string{
				"CPU, memory, swap, load, uptime and bytes of traffic from `/proc`",
				"space and inodes of mounted file systems",
				"failed units and those that must run, from systemd",
				"how the clock is kept, from the kernel (`adjtimex`), and from a time server where one is named; the time zone",
			},
			Sends: []string{
				"a sample every five minutes, file systems with their use, failed units by name",
				"once a day the last week by hours: CPU, memory, load, the fullest file system, traffic",
			},
			Never: []string{
				"names and arguments of processes",
				"names of files",
			},
			Needs: []string{
				"nothing beyond the agent's own user",
			},
		},
	}
}

type collector struct {
	services []string
	ntp      string
	host     *host.Host

	mu   sync.Mutex
	hung map[string]bool // file systems that were asked and have not answered since
}

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	if strings.ContainsAny(cfg.NTP, " /\t") {
		return nil, fmt.Errorf("health: ntp %q: want the name of a time server", cfg.NTP)
	}
	c := &collector{host: h, ntp: cfg.NTP, hung: map[string]bool{}}
	for _, name := range cfg.Services {
		if !unitName.MatchString(name) {
			return nil, fmt.Errorf("health: service %q: want the name of a unit, such as postfix or mariadb.service", name)
		}
		if !strings.Contains(name, ".") {
			name += ".service"
		}
		c.services = append(c.services, name)
	}
	if len(c.services) > maxUnits {
		return nil, fmt.Errorf("health: %d services: want at most %d", len(c.services), maxUnits)
	}
	return c, nil
}

// Collect takes one sample. Facts come with the first look, when an hour of
// samples is full, and when the state differs from the last look's; else the
// sample only goes into the cursor.
func (c *collector) Collect(ctx context.Context, past []byte) (host.Look, error) {
	now := evidence.At(c.host.Now())
	before, gaps := readCursor(past, now)
	facts := evidence.Health{}
	sample, counters := c.sample(ctx, now, before, &facts, &gaps)
	facts.Samples = append(before.Samples, sample)
	var more []evidence.Gap
	facts.Disks, more = c.disks(ctx)
	gaps = append(gaps, more...)
	facts.Units, facts.Watched, more = c.readServices(ctx)
	gaps = append(gaps, more...)
	facts.Clock = c.clock(&gaps)
	if err := ctx.Err(); err != nil {
		return host.Look{}, fmt.Errorf("looking at the host: %w", err)
	}

	next := cursor{V: cursorVersion, CPU: counters, State: state(facts, gaps), Week: before.Week}
	traffic, err := c.host.Traffic(ctx)
	if err != nil {
		traffic = -1 // the hours then say that it is not known
	}
	next.Week.add(sample, facts.Disks, traffic)
	look := host.Look{Gaps: gaps, To: now.Time}
	if next.State == before.State && len(facts.Samples) < hour {
		next.Samples = facts.Samples
	} else {
		facts.Week = next.Week.tell(now.Time)
		look.Facts = facts
		if len(facts.Samples) > 1 {
			look.From = facts.Samples[0].At.Time
		}
	}
	look.Next, err = next.encode()
	return look, err
}

func detect(_ context.Context, h *host.Host) host.Detection {
	found := "CPU, memory, disks"
	if systemd(h) {
		found += ", systemd"
	}
	return host.Detection{Useful: true, Found: found}
}
