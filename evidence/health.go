package evidence

import "fmt"

// Health is an hour of samples of the host, one each five minutes, and its
// state at the last of them.
type Health struct {
	Samples []Sample  `json:"samples"` // oldest first
	Disks   []Disk    `json:"disks"`
	Units   Units     `json:"units"`
	BootAt  *Time     `json:"bootAt,omitempty"`
	CPUs    int       `json:"cpus"`              // logical; 0 if unknown
	Memory  int64     `json:"memory"`            // bytes of RAM; 0 if unknown
	Swap    int64     `json:"swap"`              // bytes of swap
	Watched []Service `json:"watched,omitempty"` // services that the config requires
	// Clock is how the host's clock is kept.
	Clock *HostClock `json:"clock,omitempty"`
	// Week is the host's last seven days by hours, oldest first; it is told once a day.
	Week []HealthHour `json:"week,omitempty"`
}

// The sources of a clock's offset.
const (
	ClockKernel = "kernel" // what the kernel is still to correct
	ClockNTP    = "ntp"    // a time server's answer
)

// HostClock is how the host's clock is kept.
type HostClock struct {
	Synced string `json:"synced"` // yes, no, unknown: whether somebody disciplines it
	// OffsetMillis is what must be added to the clock to be right; absent: not known.
	OffsetMillis *float64 `json:"offset,omitempty"`
	From         string   `json:"from,omitempty"` // ClockKernel or ClockNTP
	Zone         string   `json:"zone,omitempty"` // "Europe/Rome"
}

// HealthHour is an hour of samples: the mean of CPU, the highest of the others. A
// figure that could not be read is -1.
type HealthHour struct {
	At   Time    `json:"t"` // its beginning
	CPU  float64 `json:"c"` // percent
	Mem  float64 `json:"m"` // percent
	Load float64 `json:"l"`
	Disk float64 `json:"d"` // of the fullest file system, percent
	Net  float64 `json:"n"` // received and sent by all interfaces, MiB
}

// maxWeek bounds the hours of a week, and the one under way.
const maxWeek = 7*24 + 1

// Sample is the host at one moment. A figure that could not be read is -1.
type Sample struct {
	At       Time    `json:"at"`
	CPU      float64 `json:"cpu"`    // busy share since the last sample, percent of all CPUs; of a moment for the first
	Load1    float64 `json:"load1"`  // load average of one minute; -1 on Windows, which has none
	MemUsed  float64 `json:"mem"`    // percent, not counting reclaimable cache
	SwapUsed float64 `json:"swap"`   // percent; 0 without swap
	UptimeS  int64   `json:"uptime"` // seconds since boot
}

// Disk is one mounted local file system.
type Disk struct {
	Mount      string  `json:"mount"`
	FS         string  `json:"fs"`
	Size       int64   `json:"size"`                 // bytes; 0 if unreadable
	UsedPct    float64 `json:"used"`                 // percent of what an ordinary user can use; -1 if unreadable
	InodesPct  float64 `json:"inodes"`               // percent; -1 if unreadable, or the file system has no such limit
	ReadOnly   bool    `json:"readOnly,omitempty"`   // the file system itself, as after an error
	Unreadable bool    `json:"unreadable,omitempty"` // the file system did not answer, or not in time
}

// The service managers of Units.
const (
	ManagerSystemd = "systemd"
	ManagerWindows = "windows"
	ManagerNone    = "none" // the host has none that the agent can ask
)

// Units is the state of the service manager.
type Units struct {
	Manager string `json:"manager"`
	// Unread says that the manager did not answer: an empty Failed then means nothing.
	Unread bool     `json:"unread,omitempty"`
	Failed []string `json:"failed,omitempty"` // names of units in the state "failed", sorted
}

// The states of a Service.
const (
	ServiceRunning = "running"
	ServiceStopped = "stopped"
	ServiceUnknown = "unknown" // the manager was not there, did not answer, or is about to start it
)

// Service is a service that the host's config says must run.
type Service struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// Kind returns KindHealth.
func (Health) Kind() Kind { return KindHealth }

// Validate checks words and ranges, that there is a sample, that samples are in
// order, and that what was not read claims nothing.
func (h Health) Validate() error {
	if len(h.Samples) == 0 {
		return fmt.Errorf("no sample")
	}
	for i, s := range h.Samples {
		if err := s.validate(); err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
		if i > 0 && s.At.Before(h.Samples[i-1].At.Time) {
			return fmt.Errorf("sample %d is before the one it follows", i)
		}
	}
	if h.CPUs < 0 || h.Memory < 0 || h.Swap < 0 {
		return fmt.Errorf("%d CPUs, %d bytes of RAM, %d of swap", h.CPUs, h.Memory, h.Swap)
	}
	if err := h.validateWeek(); err != nil {
		return err
	}
	for i, d := range h.Disks {
		if err := d.validate(); err != nil {
			return fmt.Errorf("disk %d: %w", i, err)
		}
	}
	return h.validateServices()
}

func (h Health) validateWeek() error {
	if c := h.Clock; c != nil {
		if c.Synced != Yes && c.Synced != No && c.Synced != Unknown || len(c.Zone) > 60 || (c.OffsetMillis == nil) != (c.From == "") || c.From != "" && c.From != ClockKernel && c.From != ClockNTP {
			return fmt.Errorf("clock: synced %q, offset from %q, zone %q", c.Synced, c.From, c.Zone)
		}
	}
	if len(h.Week) > maxWeek {
		return fmt.Errorf("%d hours of a week", len(h.Week))
	}
	for i, w := range h.Week {
		if !percent(w.CPU) || !percent(w.Mem) || !percent(w.Disk) || w.Load < 0 && w.Load != -1 || w.Net < 0 && w.Net != -1 || i > 0 && !w.At.After(h.Week[i-1].At.Time) {
			return fmt.Errorf("hour %d of the week: %+v", i, w)
		}
	}
	return nil
}

func (s Sample) validate() error {
	if s.At.IsZero() {
		return fmt.Errorf("no time")
	}
	if !percent(s.CPU) || !percent(s.MemUsed) || !percent(s.SwapUsed) {
		return fmt.Errorf("cpu %g, memory %g, swap %g: want percent, or -1", s.CPU, s.MemUsed, s.SwapUsed)
	}
	if s.Load1 < 0 && s.Load1 != -1 || s.UptimeS < -1 {
		return fmt.Errorf("load %g, uptime %d", s.Load1, s.UptimeS)
	}
	return nil
}

func (d Disk) validate() error {
	if d.Mount == "" || d.Size < 0 || !percent(d.UsedPct) || !percent(d.InodesPct) {
		return fmt.Errorf("%q (%q): used %g percent of %d bytes, %g of inodes", d.Mount, d.FS, d.UsedPct, d.Size, d.InodesPct)
	}
	if d.Unreadable != (d.UsedPct == -1) {
		return fmt.Errorf("%q: unreadable is %t, used %g percent", d.Mount, d.Unreadable, d.UsedPct)
	}
	return nil
}

func (h Health) validateServices() error {
	switch h.Units.Manager {
	case ManagerSystemd, ManagerWindows, ManagerNone:
	default:
		return fmt.Errorf("service manager %q", h.Units.Manager)
	}
	if (h.Units.Unread || h.Units.Manager == ManagerNone) && len(h.Units.Failed) > 0 {
		return fmt.Errorf("%d failed units of a service manager that was not read", len(h.Units.Failed))
	}
	for _, s := range h.Watched {
		switch s.State {
		case ServiceRunning, ServiceStopped, ServiceUnknown:
		default:
			return fmt.Errorf("service %q is %q", s.Name, s.State)
		}
	}
	return nil
}

// percent accepts -1 for unknown. Rounding may go a little over 100.
func percent(v float64) bool { return v == -1 || v >= 0 && v <= 100.5 }
