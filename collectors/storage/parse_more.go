package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// ParseMdadmDetail reads mdadm --detail, of one array or several, or --examine of its
// members, whose own state says nothing of the array's (mdadm(8)).
func ParseMdadmDetail(out []byte) ([]evidence.StorageDevice, error) {
	var list []evidence.StorageDevice
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), ":"); ok && strings.HasPrefix(name, "/dev/") {
			list = append(list, evidence.StorageDevice{Name: clip(short(name), 200), Kind: evidence.StorageArray, State: evidence.StorageUnknown, Reasons: []string{evidence.StorageStopped}})
			continue
		}
		key, value, ok := strings.Cut(line, " : ")
		if !ok || len(list) == 0 {
			continue
		}
		mdadmField(&list[len(list)-1], strings.TrimSpace(key), strings.TrimSpace(value))
	}
	if len(list) == 0 {
		return nil, errors.New("not the output of mdadm --detail: no line \"/dev/md…:\"")
	}
	return unique(list), nil
}

func mdadmField(d *evidence.StorageDevice, key, value string) {
	n, err := strconv.ParseInt(value, 10, 32)
	count := func(to **int64) {
		if err == nil && n >= 0 {
			*to = &n
		}
	}
	switch key {
	case "Raid Level":
		d.Form = clip(value, 60)
		if value == "container" { // of external metadata; it has no state of its own
			d.State, d.Reasons = evidence.StorageOK, nil
		}
	case "Raid Devices":
		count(&d.Parts)
	case "Active Devices":
		count(&d.Working)
	case "State":
		mdadmState(d, value)
	case "Array State": // of --examine: "A. ('A' == active, '.' == missing, 'R' == replacing)"
		members, _, _ := strings.Cut(value, " ")
		working := int64(strings.Count(members, "A") + strings.Count(members, "R"))
		if d.Working = &working; strings.Contains(members, ".") && (d.State == evidence.StorageOK || d.State == evidence.StorageUnknown) {
			d.State, d.Reasons = evidence.StorageDegraded, []string{evidence.StorageMissing}
		}
	case "Failed Devices":
		if err == nil && n > 0 && d.State == evidence.StorageOK {
			d.State, d.Reasons = evidence.StorageWarning, []string{evidence.StorageSpareFailed}
		} else if err == nil && n > 0 && d.State == evidence.StorageDegraded {
			d.Reasons = []string{evidence.StorageFaulted}
		}
	case "Rebuild Status", "Resync Status", "Reshape Status", "Check Status":
		if p, err := strconv.ParseFloat(strings.TrimSuffix(strings.Fields(value + " x")[0], "%"), 64); err == nil && p >= 0 && p <= 100 {
			d.Progress = &p
		}
	}
}

// mdadmState reads "clean, degraded, recovering".
func mdadmState(d *evidence.StorageDevice, value string) {
	has := map[string]bool{}
	for word := range strings.SplitSeq(value, ",") {
		has[strings.Fields(word + " -")[0]] = true
	}
	switch {
	case has["FAILED"], has["broken"]:
		d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageFaulted}
	case has["degraded"] && (has["recovering"] || has["reshaping"] || has["resyncing"]):
		d.State, d.Reasons = evidence.StorageRebuilding, []string{evidence.StorageMissing}
	case has["degraded"]:
		d.State, d.Reasons = evidence.StorageDegraded, []string{evidence.StorageMissing}
	case has["checking"]:
		d.State, d.Reasons = evidence.StorageChecking, nil
	case has["resyncing"], has["recovering"], has["reshaping"]:
		d.State, d.Reasons = evidence.StorageRebuilding, nil
	case has["clean"], has["active"], has["active-idle"], has["write-pending"]:
		d.State, d.Reasons = evidence.StorageOK, nil
	case has["inactive"], has["Not"], has["clear"]:
		d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageStopped}
	}
}

// nvmeLog is `nvme smart-log -o json` (nvme-smart-log(1)). critical_warning is a
// number, or since 2.11 an object with its "value"; counters may be too large for an
// integer and then come as floats or text.
type nvmeLog struct {
	Critical    json.RawMessage `json:"critical_warning"`
	Temperature json.RawMessage `json:"temperature"` // Kelvin
	Spare       json.RawMessage `json:"avail_spare"`
	Threshold   json.RawMessage `json:"spare_thresh"`
	Used        json.RawMessage `json:"percent_used"`
	Hours       json.RawMessage `json:"power_on_hours"`
	MediaErrors json.RawMessage `json:"media_errors"`
}

// ParseNVMe reads `nvme smart-log -o json` of one disk.
func ParseNVMe(out []byte) ([]evidence.StorageDevice, error) {
	var s nvmeLog
	if err := json.Unmarshal(out, &s); err != nil || s.Critical == nil {
		return nil, fmt.Errorf("not the output of nvme smart-log -o json: %w", errors.Join(err, errors.New("no critical_warning")))
	}
	var object struct {
		Value *float64 `json:"value"`
	}
	critical := nvmeNumber(s.Critical)
	if critical == nil && json.Unmarshal(s.Critical, &object) == nil && object.Value != nil {
		n := int64(*object.Value)
		critical = &n
	}
	d := evidence.StorageDevice{Name: "disk", Kind: evidence.StorageDisk, Form: "nvme", State: evidence.StorageOK}
	if critical == nil {
		d.State, d.Reasons = evidence.StorageUnknown, []string{evidence.StorageNoSMART}
		return []evidence.StorageDevice{d}, nil
	}
	nvmeCritical(&d, *critical)
	if k := nvmeNumber(s.Temperature); k != nil && *k > 200 && *k < 600 {
		c := *k - 273
		d.Celsius = &c
	}
	if n := nvmeNumber(s.Used); n != nil && *n <= 1000 {
		if d.Wear = n; *n >= 100 {
			worse(&d, evidence.StorageWorn)
		}
	}
	if spare, least := nvmeNumber(s.Spare), nvmeNumber(s.Threshold); spare != nil && least != nil && *spare < *least {
		worse(&d, evidence.StorageWorn)
	}
	d.Hours = nvmeNumber(s.Hours)
	if d.Uncorrectable = nvmeNumber(s.MediaErrors); d.Uncorrectable != nil && *d.Uncorrectable > 0 {
		worse(&d, evidence.StorageBadSectors)
	}
	return []evidence.StorageDevice{d}, nil
}

// nvmeCritical reads the bits of the critical warning (NVMe base specification,
// SMART / Health Information log page).
func nvmeCritical(d *evidence.StorageDevice, bits int64) {
	if bits&1 != 0 {
		worse(d, evidence.StorageWorn)
	}
	if bits&2 != 0 {
		worse(d, evidence.StorageHot)
	}
	if bits&16 != 0 {
		worse(d, evidence.StorageFailing)
	}
	if bits&4 != 0 {
		d.State, d.Reasons = evidence.StorageFailed, append(d.Reasons, evidence.StorageFailing)
	}
	if bits&(8|32) != 0 {
		d.State, d.Reasons = evidence.StorageFailed, append(d.Reasons, evidence.StorageReadOnly)
	}
	d.Reasons = distinct(d.Reasons)
}

func nvmeNumber(raw json.RawMessage) *int64 {
	f, err := strconv.ParseFloat(strings.ReplaceAll(strings.Trim(string(raw), `" `), ",", ""), 64)
	if err != nil || f < 0 || f > 1e15 {
		return nil
	}
	n := int64(f)
	return &n
}

var (
	mpathHead = regexp.MustCompile(`^(?:(?:create|reload|rename|switchpg|resize|reject|undef): )?(\S+)(?: \(\S+\))? (dm-\d+) (.*)$`)
	mpathPath = regexp.MustCompile(`\d+:\d+:\d+:\d+\s+(\S+)\s+(\d+:\d+|##:##|-:-)\s+(\S+)(?:\s+(\S+))?`)
	mpathSize = regexp.MustCompile(`^size=\S+`)
)

// ParseMultipath reads `multipath -ll` (multipath(8)): maps, and per path the states of
// device mapper, path checker and kernel.
func ParseMultipath(out []byte) ([]evidence.StorageDevice, error) {
	var list []evidence.StorageDevice
	sized := false
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if m := mpathPath.FindStringSubmatch(line); m != nil && len(list) > 0 {
			d := &list[len(list)-1]
			*d.Parts++
			if m[3] == "active" && m[4] == "ready" || m[3] == "active" && m[4] == "ghost" || m[3] == "[active][ready]" || m[3] == "[active][ghost]" {
				*d.Working++
			}
			continue
		}
		if m := mpathHead.FindStringSubmatch(line); m != nil {
			var parts, working int64
			list = append(list, evidence.StorageDevice{Name: clip(m[1], 200), Kind: evidence.StorageMultipath, Form: "multipath", State: evidence.StorageOK, Parts: &parts, Working: &working})
			continue
		}
		sized = sized || mpathSize.MatchString(line)
	}
	if len(list) == 0 && strings.TrimSpace(string(out)) != "" {
		return nil, errors.New("not the output of multipath -ll: no map in it")
	}
	if len(list) > 0 && !sized && !strings.Contains(string(out), "[size=") {
		return nil, errors.New("the output of multipath -ll was cut: no size of a map in it")
	}
	for i := range list {
		d := &list[i]
		switch {
		case *d.Working == 0:
			d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageMissing}
		case *d.Working < *d.Parts:
			d.State, d.Reasons = evidence.StorageDegraded, []string{evidence.StorageMissing}
		case *d.Parts == 1:
			d.State, d.Reasons = evidence.StorageWarning, []string{evidence.StorageNotRedundant}
		}
	}
	return unique(list), nil
}

// ParseZpoolState reads /proc/spl/kstat/zfs/POOL/state, one word.
func ParseZpoolState(out []byte) ([]evidence.StorageDevice, error) {
	d := zpool("pool")
	word := strings.TrimSpace(string(out))
	if zpoolState(&d, word); d.State == evidence.StorageUnknown {
		return nil, fmt.Errorf("not a state of a pool: %q", clip(word, 40))
	}
	zpoolSettle(&d)
	return []evidence.StorageDevice{d}, nil
}
