package evidence

import (
	"fmt"
	"slices"
)

// Hypervisor says how the hosts of virtual machines are, what they are stored on, and
// what is known of each guest. Guests' names are pseudonyms or numbers unless the operator
// asks for names.
type Hypervisor struct {
	Hosts  []HyperHost  `json:"hosts"`
	Stores []HyperStore `json:"stores,omitempty"`
	Guests []HyperGuest `json:"guests,omitempty"`
	HA     []HyperHA    `json:"ha,omitempty"`
	// Backups says that the stores of backups were asked: then a guest without a backup
	// has none there.
	Backups bool `json:"backups"`
}

// The states of hosts, stores and guests.
const (
	HyperOnline      = "online"      // of a host
	HyperOffline     = "offline"     // of a host
	HyperMaintenance = "maintenance" // of a host: taken out of use by a person
	HyperAvailable   = "available"   // of a store
	HyperInactive    = "inactive"    // of a store: cannot be reached
	HyperDisabled    = "disabled"    // of a store: switched off by a person
	HyperRunning     = "running"     // of a guest
	HyperStopped     = "stopped"     // of a guest
	HyperPaused      = "paused"      // of a guest, by a person or for an error of its disk
	HyperSuspended   = "suspended"   // of a guest: asleep
	HyperCrashed     = "crashed"     // of a guest
	HyperUnknown     = "unknown"     // of any
)

// The states of what keeps guests running when a host fails.
const (
	HyperHAOK    = "ok"
	HyperHAOff   = "off"   // of a service: kept stopped on purpose
	HyperHABusy  = "busy"  // moving, starting, recovering
	HyperHAError = "error" // no quorum, or a service that could not be kept
)

// HyperHost is a host.
type HyperHost struct {
	Name     string `json:"name"`
	Platform string `json:"platform"` // "proxmox", "libvirt", "vmware"
	Version  string `json:"version,omitempty"`
	State    string `json:"state"`
}

// HyperStore is what guests or backups are stored on.
type HyperStore struct {
	Name  string `json:"name"`
	Host  string `json:"host,omitempty"` // of a store that is one host's own
	Form  string `json:"form,omitempty"` // "dir", "lvmthin", "nfs", "VMFS" …
	State string `json:"state"`
	Size  int64  `json:"size"` // bytes; -1 if not known
	Free  int64  `json:"free"` // bytes; -1 if not known
}

// HyperGuest is a virtual machine or container.
type HyperGuest struct {
	Name      string `json:"name"` // "vm-100", a pseudonym, or the name
	Host      string `json:"host,omitempty"`
	State     string `json:"state"`
	Template  bool   `json:"template,omitempty"`
	Starts    bool   `json:"starts,omitempty"`   // with its host, as configured
	Snapshots int    `json:"snapshots"`          // -1 if not known
	Oldest    *Time  `json:"oldest,omitempty"`   // when the oldest of them was taken
	Backup    *Time  `json:"backup,omitempty"`   // when the newest backup that is stored was taken
	Damaged   bool   `json:"damaged,omitempty"`  // that one's verification failed
	Backups   int    `json:"backups,omitempty"`  // how many are stored
	Verified  *Time  `json:"verified,omitempty"` // the newest backup that was verified and found good
}

// HyperHA is a part of what keeps guests running.
type HyperHA struct {
	Name  string `json:"name"` // "quorum", "vm-100", "cluster …"
	State string `json:"state"`
}

// Bounds of a look.
const (
	MaxHyperHosts  = 256
	MaxHyperStores = 512
	MaxHyperGuests = 3000
)

// Kind returns KindHypervisor.
func (Hypervisor) Kind() Kind { return KindHypervisor }

// Validate checks words and bounds.
func (h Hypervisor) Validate() error {
	if len(h.Hosts)+len(h.Stores)+len(h.Guests) == 0 || len(h.Hosts) > MaxHyperHosts || len(h.Stores) > MaxHyperStores || len(h.Guests) > MaxHyperGuests || len(h.HA) > MaxHyperGuests {
		return fmt.Errorf("%d hosts, %d stores, %d guests, %d of HA: nothing, or over the limits", len(h.Hosts), len(h.Stores), len(h.Guests), len(h.HA))
	}
	seen := map[string]bool{}
	once := func(kind, name string) error {
		if name == "" || len(name) > 200 || seen[kind+"\x00"+name] {
			return fmt.Errorf("%s %q: a name of up to 200 bytes, once", kind, name)
		}
		seen[kind+"\x00"+name] = true
		return nil
	}
	for _, x := range h.Hosts {
		if err := once("host", x.Name); err != nil {
			return err
		}
		if !slices.Contains([]string{HyperOnline, HyperOffline, HyperMaintenance, HyperUnknown}, x.State) || !codeWord(x.Platform, "-") || len(x.Version) > 100 {
			return fmt.Errorf("host %q: state %q, platform %q", x.Name, x.State, x.Platform)
		}
	}
	for _, x := range h.Stores {
		if err := once("store", x.Host+"\x00"+x.Name); err != nil {
			return err
		}
		if !slices.Contains([]string{HyperAvailable, HyperInactive, HyperDisabled, HyperUnknown}, x.State) || len(x.Form) > 60 || x.Size < -1 || x.Free < -1 {
			return fmt.Errorf("store %q: state %q, size %d, free %d", x.Name, x.State, x.Size, x.Free)
		}
	}
	for _, x := range h.Guests {
		if err := once("guest", x.Name); err != nil {
			return err
		}
		if err := x.validate(); err != nil {
			return fmt.Errorf("guest %q: %w", x.Name, err)
		}
	}
	for _, x := range h.HA {
		if err := once("ha", x.Name); err != nil {
			return err
		}
		if !slices.Contains([]string{HyperHAOK, HyperHAOff, HyperHABusy, HyperHAError, HyperUnknown}, x.State) {
			return fmt.Errorf("ha %q: state %q", x.Name, x.State)
		}
	}
	return nil
}

func (g HyperGuest) validate() error {
	switch {
	case !slices.Contains([]string{HyperRunning, HyperStopped, HyperPaused, HyperSuspended, HyperCrashed, HyperUnknown}, g.State):
		return fmt.Errorf("state %q", g.State)
	case g.Snapshots < -1 || g.Backups < 0:
		return fmt.Errorf("%d snapshots, %d backups", g.Snapshots, g.Backups)
	case g.Oldest != nil && g.Snapshots < 1:
		return fmt.Errorf("the oldest of %d snapshots", g.Snapshots)
	case (g.Backup != nil) != (g.Backups > 0):
		return fmt.Errorf("%d backups, and the newest is dated %v", g.Backups, g.Backup)
	case len(g.Host) > 200:
		return fmt.Errorf("host %q", g.Host)
	}
	return nil
}
