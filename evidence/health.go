package evidence

import "fmt"

// Health is an hour of samples of the host, one each five minutes, and its
// state at the last of them.
type Health struct {
	Samples []Sample  `json:"samples"` // oldest first
	Disks   []Disk    `json:"disks"`
	Units   Units     `json:"units"`
	BootAt  *Time     `json:"bootAt,omitempty"`
	CPUs    int       `json:"cpus"`
	Memory  int64     `json:"memory"`            // bytes of RAM
	Swap    int64     `json:"swap"`              // bytes of swap
	Watched []Service `json:"watched,omitempty"` // services that the config requires
}

// Sample is the host at one moment.
type Sample struct {
	At       Time    `json:"at"`
	CPU      float64 `json:"cpu"`    // busy share since the last sample, percent of all CPUs; -1 if unknown
	Load1    float64 `json:"load1"`  // -1 where the system has no load average
	MemUsed  float64 `json:"mem"`    // percent, not counting reclaimable cache
	SwapUsed float64 `json:"swap"`   // percent
	UptimeS  int64   `json:"uptime"` // seconds since boot
}

// Disk is one mounted local file system.
type Disk struct {
	Mount      string  `json:"mount"`
	FS         string  `json:"fs"`
	Size       int64   `json:"size"`   // bytes
	UsedPct    float64 `json:"used"`   // percent of what an ordinary user can use
	InodesPct  float64 `json:"inodes"` // percent; -1 where the file system has no such limit
	ReadOnly   bool    `json:"readOnly,omitempty"`
	Unreadable bool    `json:"unreadable,omitempty"` // the file system did not answer in time
}

// Units is the state of the service manager.
type Units struct {
	Manager string   `json:"manager"` // "systemd", "windows", or "none"
	Failed  []string `json:"failed,omitempty"`
}

// Service is a service that the host's config says must run.
type Service struct {
	Name  string `json:"name"`
	State string `json:"state"` // "running", "stopped", "unknown"
}

// Kind returns KindHealth.
func (Health) Kind() Kind { return KindHealth }

// Validate checks ranges and that samples are in order.
func (h Health) Validate() error {
	for i, s := range h.Samples {
		if s.CPU > 100.5 || s.MemUsed < 0 || s.MemUsed > 100 || s.SwapUsed < 0 || s.SwapUsed > 100 {
			return fmt.Errorf("sample %d: cpu %g, memory %g, swap %g percent", i, s.CPU, s.MemUsed, s.SwapUsed)
		}
		if i > 0 && s.At.Before(h.Samples[i-1].At.Time) {
			return fmt.Errorf("sample %d is before the one it follows", i)
		}
	}
	for _, d := range h.Disks {
		if d.Mount == "" || d.UsedPct > 100.5 || d.Size < 0 {
			return fmt.Errorf("disk %q: used %g percent of %d bytes", d.Mount, d.UsedPct, d.Size)
		}
	}
	return nil
}
