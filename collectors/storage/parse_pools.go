package storage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// ParseZpoolList reads `zpool list -Hp -o name,health,capacity`, or what `zpool list`
// prints with its head (zpool-list(8)).
func ParseZpoolList(out []byte) ([]evidence.StorageDevice, error) {
	var list []evidence.StorageDevice
	columns := []string{"NAME", "HEALTH", "CAP"}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 2 && fields[0] == "NAME":
			columns = fields
			continue
		case len(fields) < len(columns) || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			continue // a part of a pool (-v)
		}
		at := func(name string) string {
			if i := slices.Index(columns, name); i >= 0 {
				return fields[i]
			}
			return ""
		}
		d := zpool(at("NAME"))
		if zpoolState(&d, at("HEALTH")); d.State == evidence.StorageUnknown {
			return nil, fmt.Errorf("pool %q has the health %q: want zpool list -Hp -o name,health,capacity", d.Name, at("HEALTH"))
		}
		if p, err := strconv.ParseFloat(strings.TrimSuffix(at("CAP"), "%"), 64); err == nil && p >= 0 && p <= 100 {
			d.Used = &p
		}
		zpoolSettle(&d)
		list = append(list, d)
	}
	if len(list) == 0 && strings.TrimSpace(string(out)) != "" && !strings.Contains(string(out), "no pools available") && !strings.HasPrefix(string(out), "NAME") {
		return nil, errors.New("not the output of zpool list")
	}
	return unique(list), nil
}

// lvsReport is `lvs --reportformat json` (lvmreport(7)); numbers are text.
type lvsReport struct {
	Report []struct {
		LV []struct {
			VG     string `json:"vg_name"`
			Name   string `json:"lv_name"`
			Attr   string `json:"lv_attr"`
			Data   string `json:"data_percent"`
			Meta   string `json:"metadata_percent"`
			Health string `json:"lv_health_status"`
			Layout string `json:"lv_layout"`
		} `json:"lv"`
	} `json:"report"`
}

// ParseLVS reads `lvs --reportformat json -o vg_name,lv_name,lv_attr,data_percent,
// metadata_percent,lv_health_status`: thin pools and RAID volumes; others have no state
// of their own. The ninth letter of lv_attr is the volume's health (lvs(8)).
func ParseLVS(out []byte) ([]evidence.StorageDevice, error) {
	var r lvsReport
	if err := json.Unmarshal(out, &r); err != nil || r.Report == nil {
		return nil, fmt.Errorf("not the output of lvs --reportformat json: %w", cmp.Or(err, errors.New("no report")))
	}
	list := []evidence.StorageDevice{}
	for _, part := range r.Report {
		for _, v := range part.LV {
			if v.Attr == "" {
				continue
			}
			d := evidence.StorageDevice{Name: clip(v.VG+"/"+v.Name, 200), Kind: evidence.StoragePool, State: evidence.StorageOK}
			switch v.Attr[0] {
			case 't':
				d.Form = "lvm-thin"
				d.Used, d.Meta = percent(v.Data), percent(v.Meta)
			case 'r', 'R', 'm', 'M':
				d.Kind, d.Form = evidence.StorageArray, "lvm-raid"
				d.Progress = nil
			default:
				continue
			}
			lvHealth(&d, v.Attr, v.Health)
			list = append(list, d)
		}
	}
	return unique(list), nil
}

func lvHealth(d *evidence.StorageDevice, attr, words string) {
	health := byte('-')
	if len(attr) >= 9 {
		health = attr[8]
	}
	switch {
	case health == 'p' || words == "partial":
		d.State, d.Reasons = evidence.StorageDegraded, []string{evidence.StorageMissing}
	case health == 'r' || words == "refresh needed":
		d.State, d.Reasons = evidence.StorageDegraded, []string{evidence.StorageFaulted}
	case health == 'm' || words == "mismatches exist":
		d.State, d.Reasons = evidence.StorageWarning, []string{evidence.StorageDataErrors}
	case health == 'F' || words == "failed":
		d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageFaulted}
	case health == 'D' || words == "out_of_data":
		d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageFull}
	case health == 'M' || words == "metadata_read_only":
		d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageReadOnly}
	case health == 'X':
		d.State, d.Reasons = evidence.StorageUnknown, []string{evidence.StorageNoPermission}
	}
}

func percent(s string) *float64 {
	p, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || p < 0 || p > 100 {
		return nil
	}
	return &p
}

// btrfsStats is `btrfs --format json device stats PATH` (btrfs-device(8), since 5.14).
type btrfsStats struct {
	Stats []struct {
		Device     string `json:"device"`
		Write      int64  `json:"write_io_errs,string"`
		Read       int64  `json:"read_io_errs,string"`
		Flush      int64  `json:"flush_io_errs,string"`
		Corruption int64  `json:"corruption_errs,string"`
		Generation int64  `json:"generation_errs,string"`
	} `json:"device-stats"`
}

var btrfsNames = map[string]bool{"write_io_errs": true, "read_io_errs": true, "flush_io_errs": true, "corruption_errs": true, "generation_errs": true}

// ParseBtrfsStats reads the counters of a btrfs' devices, as JSON or as text
// ("[/dev/sda].write_io_errs   0"). They only ever grow, until somebody resets them.
func ParseBtrfsStats(out []byte) ([]evidence.StorageDevice, error) {
	errorsOf, missing := map[string]int64{}, map[string]bool{}
	if trimmed := strings.TrimSpace(string(out)); strings.HasPrefix(trimmed, "{") {
		var s btrfsStats
		if err := json.Unmarshal([]byte(trimmed), &s); err != nil || s.Stats == nil {
			return nil, fmt.Errorf("not the output of btrfs --format json device stats: %w", cmp.Or(err, errors.New("no device-stats")))
		}
		for _, d := range s.Stats {
			errorsOf[d.Device] += max(0, d.Write) + max(0, d.Read) + max(0, d.Flush) + max(0, d.Corruption) + max(0, d.Generation)
		}
	} else {
		for line := range strings.Lines(trimmed) {
			name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "["), "].")
			fields := strings.Fields(rest)
			if !ok || len(fields) != 2 || !btrfsNames[fields[0]] {
				continue
			}
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err == nil && n >= 0 {
				errorsOf[name] += n
			}
			missing[name] = strings.Contains(name, "devid:") || name == ""
		}
	}
	if len(errorsOf) == 0 {
		return nil, errors.New("not the output of btrfs device stats")
	}
	var list []evidence.StorageDevice
	for name, n := range errorsOf {
		d := evidence.StorageDevice{Name: short(name), Kind: evidence.StoragePool, Form: "btrfs", State: evidence.StorageOK, Errors: &n}
		if n > 0 {
			d.State, d.Reasons = evidence.StorageWarning, []string{evidence.StorageDataErrors}
		}
		if missing[name] {
			d.State, d.Reasons = evidence.StorageDegraded, []string{evidence.StorageMissing}
		}
		list = append(list, d)
	}
	return unique(sorted(list)), nil
}

func sorted(list []evidence.StorageDevice) []evidence.StorageDevice {
	host.SortFunc(list, func(a, b evidence.StorageDevice) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return list
}
