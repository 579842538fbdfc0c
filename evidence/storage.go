package evidence

import (
	"fmt"
	"slices"
)

// Storage says how the host's disks, arrays, pools and remote file systems are.
type Storage struct {
	Devices []StorageDevice `json:"devices"`
}

// The kinds of StorageDevice.
const (
	StorageDisk   = "disk"   // one disk, by its own word (SMART, NVMe)
	StorageArray  = "array"  // RAID
	StoragePool   = "pool"   // ZFS, LVM thin, btrfs
	StorageRemote = "remote" // a file system of another host

	StorageController = "controller" // a RAID controller, its cache or battery
	StorageMultipath  = "multipath"  // a disk of another machine, reached by more than one way
)

// The states of a StorageDevice, worst last but for unknown.
const (
	StorageOK         = "ok"
	StorageChecking   = "checking"   // whole, and being read through
	StorageWarning    = "warning"    // works, with a sign of trouble
	StorageRebuilding = "rebuilding" // not redundant yet
	StorageDegraded   = "degraded"   // works without all of its parts
	StorageFailed     = "failed"     // does not work, or says that it will not
	StorageUnknown    = "unknown"    // nobody can tell
)

// The reasons of a state.
const (
	StorageFailing       = "failing"        // the disk predicts its failure
	StorageBadSectors    = "bad_sectors"    // sectors that cannot be read, or wait to be replaced
	StorageReplaced      = "replaced"       // sectors that were replaced by spare ones
	StorageWorn          = "worn"           // over its rated writes, or out of spare blocks
	StorageHot           = "hot"            // over its own limit of temperature
	StorageReadOnly      = "read_only"      // takes no writes any more
	StorageSelfTest      = "self_test"      // its last test of itself failed
	StorageErrorLog      = "error_log"      // its log holds errors
	StorageMissing       = "missing"        // parts are gone
	StorageFaulted       = "faulted"        // parts have failed
	StorageSpareFailed   = "spare_failed"   // a spare has failed
	StorageDataErrors    = "data_errors"    // data that cannot be read back right
	StorageStopped       = "stopped"        // not running
	StorageFull          = "full"           // at its limit
	StorageNotRedundant  = "not_redundant"  // nothing stands in for a part that fails
	StorageHung          = "hung"           // does not answer
	StorageNoSMART       = "no_smart"       // the disk does not tell
	StorageNoPermission  = "no_permission"  // the agent's account may not ask
	StorageNeverScrubbed = "never_scrubbed" // nobody ever read it through
)

var storageStates = []string{StorageOK, StorageChecking, StorageWarning, StorageRebuilding, StorageDegraded, StorageFailed, StorageUnknown}

var storageReasons = []string{StorageFailing, StorageBadSectors, StorageReplaced, StorageWorn, StorageHot, StorageReadOnly, StorageSelfTest, StorageErrorLog,
	StorageMissing, StorageFaulted, StorageSpareFailed, StorageDataErrors, StorageStopped, StorageFull, StorageNotRedundant, StorageHung, StorageNoSMART,
	StorageNoPermission, StorageNeverScrubbed}

// StorageReasons lists the reasons of a state.
func StorageReasons() []string { return slices.Clone(storageReasons) }

// StorageDevice is one of them. A number that is not known, or that its kind has not,
// is absent.
type StorageDevice struct {
	Name    string   `json:"name"`            // as the host calls it: "sda", "md0", "tank"
	Kind    string   `json:"kind"`            // StorageDisk …
	Form    string   `json:"form,omitempty"`  // "nvme", "sat", "raid1", "raidz2", "zfs", "lvm-thin", "nfs4" …
	Model   string   `json:"model,omitempty"` // of a disk; never its serial number
	State   string   `json:"state"`
	Reasons []string `json:"reasons,omitempty"`

	Hours         *int64   `json:"hours,omitempty"`         // powered on
	Celsius       *int64   `json:"celsius,omitempty"`       // now
	Wear          *int64   `json:"wear,omitempty"`          // percent of rated writes used up; may exceed 100
	Replaced      *int64   `json:"replaced,omitempty"`      // sectors replaced by spare ones
	Pending       *int64   `json:"pending,omitempty"`       // sectors that wait to be replaced
	Uncorrectable *int64   `json:"uncorrectable,omitempty"` // sectors, or errors of media, that cannot be read
	Parts         *int64   `json:"parts,omitempty"`         // of an array or pool: how many it should have
	Working       *int64   `json:"working,omitempty"`       // and how many work
	Errors        *int64   `json:"errors,omitempty"`        // of reading, writing and checksums, summed
	Used          *float64 `json:"used,omitempty"`          // percent
	Meta          *float64 `json:"meta,omitempty"`          // percent of a thin pool's metadata
	Progress      *float64 `json:"progress,omitempty"`      // percent of rebuilding or checking
	Scrubbed      *Time    `json:"scrubbed,omitempty"`      // last read through to its end
}

// MaxStorage bounds the devices of a look.
const MaxStorage = 512

// Kind returns KindStorage.
func (Storage) Kind() Kind { return KindStorage }

// Validate checks words, bounds and that what is not in order says why.
func (s Storage) Validate() error {
	if len(s.Devices) == 0 || len(s.Devices) > MaxStorage {
		return fmt.Errorf("%d devices: want 1 to %d", len(s.Devices), MaxStorage)
	}
	seen := map[string]bool{}
	for _, d := range s.Devices {
		key := d.Kind + " " + d.Name
		if d.Name == "" || len(d.Name) > 200 || len(d.Form) > 60 || len(d.Model) > 200 || seen[key] {
			return fmt.Errorf("device %q: a name of up to 200 bytes, once per kind", d.Name)
		}
		seen[key] = true
		if err := d.validate(); err != nil {
			return fmt.Errorf("device %q: %w", d.Name, err)
		}
	}
	return nil
}

func (d StorageDevice) validate() error {
	if !slices.Contains([]string{StorageDisk, StorageArray, StoragePool, StorageRemote, StorageController, StorageMultipath}, d.Kind) || !slices.Contains(storageStates, d.State) {
		return fmt.Errorf("kind %q, state %q", d.Kind, d.State)
	}
	for _, r := range d.Reasons {
		if !slices.Contains(storageReasons, r) {
			return fmt.Errorf("reason %q", r)
		}
	}
	if d.State != StorageOK && d.State != StorageChecking && d.State != StorageRebuilding && len(d.Reasons) == 0 {
		return fmt.Errorf("%s without a reason", d.State)
	}
	for _, n := range []*int64{d.Hours, d.Wear, d.Replaced, d.Pending, d.Uncorrectable, d.Parts, d.Working, d.Errors} {
		if n != nil && *n < 0 {
			return fmt.Errorf("a count below 0: %d", *n)
		}
	}
	for _, p := range []*float64{d.Used, d.Meta, d.Progress} {
		if p != nil && !(*p >= 0 && *p <= 100) {
			return fmt.Errorf("%g percent", *p)
		}
	}
	return nil
}
