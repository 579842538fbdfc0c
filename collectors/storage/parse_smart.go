package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// smartctl is what `smartctl --json --xall` prints (smartmontools 7.0 and later,
// smartctl(8)); absent parts are those that a disk does not tell.
type smartctl struct {
	Version []int `json:"json_format_version"`
	Smart   *struct {
		Exit     *int `json:"exit_status"`
		Messages []struct {
			Text     string `json:"string"`
			Severity string `json:"severity"`
		} `json:"messages"`
	} `json:"smartctl"`
	Device *struct {
		Name     string `json:"name"`
		Info     string `json:"info_name"`
		Type     string `json:"type"`
		Protocol string `json:"protocol"`
	} `json:"device"`
	Devices []struct {
		Name     string `json:"name"`
		Type     string `json:"type"`
		Protocol string `json:"protocol"`
		Fault    string `json:"open_error"`
	} `json:"devices"`
	Model   string `json:"model_name"`
	Product string `json:"scsi_product"`
	Status  *struct {
		Passed *bool `json:"passed"`
	} `json:"smart_status"`
	Attributes *struct {
		Table []struct {
			ID         int    `json:"id"`
			WhenFailed string `json:"when_failed"`
			Flags      struct {
				Prefailure bool `json:"prefailure"`
			} `json:"flags"`
			Raw struct {
				Value int64 `json:"value"`
			} `json:"raw"`
		} `json:"table"`
	} `json:"ata_smart_attributes"`
	ATA *struct {
		SelfTest *struct {
			Status *struct {
				Passed *bool `json:"passed"`
			} `json:"status"`
		} `json:"self_test"`
	} `json:"ata_smart_data"`
	NVMe *struct {
		Critical    int64 `json:"critical_warning"`
		Used        int64 `json:"percentage_used"`
		Spare       int64 `json:"available_spare"`
		Threshold   int64 `json:"available_spare_threshold"`
		MediaErrors int64 `json:"media_errors"`
	} `json:"nvme_smart_health_information_log"`
	Errors map[string]struct {
		Uncorrected int64 `json:"total_uncorrected_errors"`
	} `json:"scsi_error_counter_log"` // of SCSI: read, write, verify
	Grown       *int64 `json:"scsi_grown_defect_list"`
	Temperature *struct {
		Current *int64 `json:"current"`
	} `json:"temperature"`
	Hours *struct {
		Hours *int64 `json:"hours"`
	} `json:"power_on_time"`
}

// The attributes of ATA disks whose raw value all makers count alike (ATA8-ACS
// SMART, smartmontools' drivedb).
const (
	ataReallocated   = 5
	ataPending       = 197
	ataUncorrectable = 198
)

// The bits of smartctl's exit status (smartctl(8), RETURN VALUES).
const (
	exitCommandLine = 1 << 0
	exitOpen        = 1 << 1
	exitCommand     = 1 << 2
	exitFailing     = 1 << 3
	exitPrefail     = 1 << 4
	exitErrorLog    = 1 << 6
	exitSelfTest    = 1 << 7
)

// The bits of NVMe's critical warning (NVM Express Base Specification, SMART/Health).
const (
	nvmeSpare     = 1 << 0
	nvmeHot       = 1 << 1
	nvmeDegraded  = 1 << 2
	nvmeReadOnly  = 1 << 3
	nvmeVolatile  = 1 << 4
	nvmePMRRanged = 1 << 5
)

// ParseSmartctl reads the JSON of smartctl, of one disk or of --scan, whose disks are
// unknown: they were not asked.
func ParseSmartctl(out []byte) ([]evidence.StorageDevice, error) {
	var s smartctl
	if err := json.Unmarshal(out, &s); err != nil {
		return nil, fmt.Errorf("not the output of smartctl --json: %w", err)
	}
	if s.Smart == nil && s.Device == nil && s.Devices == nil {
		return nil, errors.New("not the output of smartctl --json: neither smartctl, device nor devices in it")
	}
	if s.Device == nil {
		var list []evidence.StorageDevice
		for _, d := range s.Devices {
			list = append(list, unknown(short(d.Name), evidence.StorageDisk, d.Type, evidence.StorageNoSMART))
		}
		if len(list) == 0 {
			list = append(list, unknown("disk", evidence.StorageDisk, "", s.why()))
		}
		return unique(list), nil
	}
	return []evidence.StorageDevice{s.disk()}, nil
}

// why is the reason for a disk of which nothing is known.
func (s smartctl) why() string {
	if s.Smart != nil {
		for _, m := range s.Smart.Messages {
			if strings.Contains(m.Text, "Permission denied") || strings.Contains(m.Text, "Operation not permitted") {
				return evidence.StorageNoPermission
			}
		}
	}
	return evidence.StorageNoSMART
}

func (s smartctl) disk() evidence.StorageDevice {
	d := evidence.StorageDevice{Name: short(s.Device.Name), Kind: evidence.StorageDisk, Form: clip(s.Device.Type, 60), Model: clip(s.Model, 200)}
	if d.Model == "" {
		d.Model = clip(s.Product, 200)
	}
	if s.Device.Info != "" && strings.Contains(s.Device.Info, "[") { // a disk behind a controller shares its name
		d.Name = short(strings.NewReplacer("[", "", "]", "", " ", "-").Replace(strings.SplitN(s.Device.Info, " [SAT]", 2)[0]))
	}
	if s.Temperature != nil {
		d.Celsius = s.Temperature.Current
	}
	if s.Hours != nil && s.Hours.Hours != nil && *s.Hours.Hours >= 0 {
		d.Hours = s.Hours.Hours
	}
	var bad, signs []string
	s.attributes(&d, &bad, &signs)
	s.nvme(&d, &bad, &signs)
	for _, e := range s.Errors {
		if n := e.Uncorrected; n > 0 {
			if d.Uncorrectable != nil {
				n += *d.Uncorrectable
			}
			d.Uncorrectable = &n
			signs = append(signs, evidence.StorageBadSectors)
		}
	}
	if s.Grown != nil && *s.Grown >= 0 {
		d.Replaced = s.Grown
		if *s.Grown > 0 {
			signs = append(signs, evidence.StorageReplaced)
		}
	}
	exit := 0
	if s.Smart != nil && s.Smart.Exit != nil {
		exit = *s.Smart.Exit
	}
	if s.ATA != nil && s.ATA.SelfTest != nil && s.ATA.SelfTest.Status != nil && s.ATA.SelfTest.Status.Passed != nil && !*s.ATA.SelfTest.Status.Passed || exit&exitSelfTest != 0 {
		signs = append(signs, evidence.StorageSelfTest)
	}
	if exit&exitErrorLog != 0 {
		signs = append(signs, evidence.StorageErrorLog)
	}
	if exit&exitPrefail != 0 && s.Attributes == nil { // else the table says which
		bad = append(bad, evidence.StorageFailing)
	}
	known := s.Status != nil && s.Status.Passed != nil
	switch {
	case known && !*s.Status.Passed, exit&exitFailing != 0:
		d.State, d.Reasons = evidence.StorageFailed, append([]string{evidence.StorageFailing}, bad...)
	case len(bad) > 0:
		d.State, d.Reasons = evidence.StorageFailed, bad
	case !known:
		d.State, d.Reasons = evidence.StorageUnknown, []string{s.why()}
	case len(signs) > 0:
		d.State = evidence.StorageWarning
	default:
		d.State = evidence.StorageOK
	}
	if d.State != evidence.StorageUnknown {
		d.Reasons = append(d.Reasons, signs...)
	}
	d.Reasons = distinct(d.Reasons)
	return d
}

func (s smartctl) attributes(d *evidence.StorageDevice, bad, signs *[]string) {
	if s.Attributes == nil {
		return
	}
	for _, a := range s.Attributes.Table {
		n := a.Raw.Value & 0xffffffff // makers keep other things above
		switch a.ID {
		case ataReallocated:
			if d.Replaced = &n; n > 0 {
				*signs = append(*signs, evidence.StorageReplaced)
			}
		case ataPending:
			if d.Pending = &n; n > 0 {
				*signs = append(*signs, evidence.StorageBadSectors)
			}
		case ataUncorrectable:
			if d.Uncorrectable = &n; n > 0 {
				*signs = append(*signs, evidence.StorageBadSectors)
			}
		}
		switch {
		case a.WhenFailed == "now" && a.Flags.Prefailure:
			*bad = append(*bad, evidence.StorageFailing)
		case a.WhenFailed == "now":
			*signs = append(*signs, evidence.StorageWorn)
		}
	}
}

func (s smartctl) nvme(d *evidence.StorageDevice, bad, signs *[]string) {
	n := s.NVMe
	if n == nil {
		return
	}
	if n.Used >= 0 {
		d.Wear = &n.Used
	}
	if n.MediaErrors >= 0 {
		d.Uncorrectable = &n.MediaErrors
	}
	if n.Critical&(nvmeDegraded|nvmeVolatile|nvmePMRRanged) != 0 {
		*bad = append(*bad, evidence.StorageFailing)
	}
	if n.Critical&nvmeReadOnly != 0 {
		*bad = append(*bad, evidence.StorageReadOnly)
	}
	if n.Critical&nvmeSpare != 0 || n.Threshold > 0 && n.Spare < n.Threshold || n.Used >= 100 {
		*signs = append(*signs, evidence.StorageWorn)
	}
	if n.Critical&nvmeHot != 0 {
		*signs = append(*signs, evidence.StorageHot)
	}
	if n.MediaErrors > 0 {
		*signs = append(*signs, evidence.StorageBadSectors)
	}
}

func unknown(name, kind, form, why string) evidence.StorageDevice {
	return evidence.StorageDevice{Name: name, Kind: kind, Form: clip(form, 60), State: evidence.StorageUnknown, Reasons: []string{why}}
}

// short is a device's name without its folder.
func short(path string) string {
	if name := clip(strings.TrimPrefix(path, "/dev/"), 200); name != "" {
		return name
	}
	return "disk"
}

func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// unique keeps the first of devices that share a name, and at most as many as facts
// hold.
func unique(list []evidence.StorageDevice) []evidence.StorageDevice {
	seen := map[string]bool{}
	var out []evidence.StorageDevice
	for _, d := range list {
		if key := d.Kind + " " + d.Name; !seen[key] && len(out) < evidence.MaxStorage {
			seen[key] = true
			out = append(out, d)
		}
	}
	return out
}
