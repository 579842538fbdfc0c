package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

var (
	mdName   = regexp.MustCompile(`^(md\S*)\s*:\s*(\S.*)$`)
	mdCount  = regexp.MustCompile(`\[(\d+)/(\d+)\]\s+\[([U_]+)\]`)
	mdAction = regexp.MustCompile(`(recovery|resync|reshape|check|repair)\s*=\s*(?:([\d.]+)%|(DELAYED|PENDING|REMOTE))`)
	mdMember = regexp.MustCompile(`\S+\[\d+\]((?:\([A-Z]\))*)`)
)

// ParseMdstat reads /proc/mdstat (md(4), drivers/md/md.c).
func ParseMdstat(text []byte) ([]evidence.StorageDevice, error) {
	var list []evidence.StorageDevice
	var d *evidence.StorageDevice
	known := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "Personalities") || strings.HasPrefix(line, "unused devices") {
			known, d = true, nil
			continue
		}
		if m := mdName.FindStringSubmatch(line); m != nil {
			list = append(list, mdArray(m[1], m[2]))
			d, known = &list[len(list)-1], true
			continue
		}
		if d != nil {
			mdLine(d, line)
		}
	}
	if !known {
		return nil, errors.New("not /proc/mdstat: neither Personalities nor an array in it")
	}
	for i := range list {
		if d := &list[i]; d.Parts == nil && d.State != evidence.StorageFailed && mdRedundant(d.Form) {
			d.State, d.Reasons = evidence.StorageUnknown, []string{evidence.StorageMissing} // cut before its parts were counted
		}
	}
	return unique(list), nil
}

// mdArray reads "active raid1 sdb1[1] sda1[0](F)".
func mdArray(name, rest string) evidence.StorageDevice {
	d := evidence.StorageDevice{Name: clip(name, 200), Kind: evidence.StorageArray, State: evidence.StorageOK}
	fields := strings.Fields(rest)
	for _, f := range fields {
		if strings.HasPrefix(f, "raid") || f == "linear" || f == "multipath" || f == "faulty" {
			d.Form = clip(f, 60)
		}
	}
	failed := strings.Contains(rest, "(F)")
	switch {
	case fields[0] == "inactive" && onlySpares(rest) && !failed: // a container of external metadata (IMSM, DDF) never runs itself
		d.Form = "container"
	case fields[0] == "inactive":
		d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageStopped}
	case fields[0] == "broken", failed && !mdRedundant(d.Form): // since Linux 5.4: a part is gone, and nothing stands in for it
		d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageFaulted}
	case failed:
		d.State, d.Reasons = evidence.StorageWarning, []string{evidence.StorageSpareFailed}
	}
	return d
}

// mdRedundant says whether an array of a level can lose a part: the kernel then counts
// its parts in the line after its name.
func mdRedundant(level string) bool {
	switch level {
	case "raid1", "raid4", "raid5", "raid6", "raid10", "multipath":
		return true
	}
	return false
}

// mdLost says whether more parts are gone than an array of a level can do without. Of
// raid10 it depends on which: as long as some work, the kernel's word is taken.
func mdLost(level string, parts, working int64) bool {
	switch level {
	case "raid4", "raid5":
		return parts-working > 1
	case "raid6":
		return parts-working > 2
	}
	return working == 0
}

func onlySpares(rest string) bool {
	members := mdMember.FindAllStringSubmatch(rest, -1)
	for _, m := range members {
		if !strings.Contains(m[1], "(S)") {
			return false
		}
	}
	return len(members) > 0
}

func mdLine(d *evidence.StorageDevice, line string) {
	if m := mdCount.FindStringSubmatch(line); m != nil {
		parts, _ := strconv.ParseInt(m[1], 10, 32)
		working, _ := strconv.ParseInt(m[2], 10, 32)
		d.Parts, d.Working = &parts, &working
		if working < parts || strings.Contains(m[3], "_") {
			why := evidence.StorageMissing
			if len(d.Reasons) > 0 && d.Reasons[0] == evidence.StorageSpareFailed {
				why = evidence.StorageFaulted
			}
			d.State, d.Reasons = evidence.StorageDegraded, []string{why}
		}
		if parts > 0 && mdLost(d.Form, parts, working) {
			d.State, d.Reasons = evidence.StorageFailed, []string{evidence.StorageFaulted}
		}
	}
	m := mdAction.FindStringSubmatch(line)
	if m == nil {
		return
	}
	if p, err := strconv.ParseFloat(m[2], 64); err == nil && p <= 100 {
		d.Progress = &p
	}
	switch {
	case m[1] == "recovery" && d.State == evidence.StorageDegraded:
		d.State = evidence.StorageRebuilding
	case d.State == evidence.StorageOK && (m[1] == "check" || m[1] == "repair" || m[3] != ""): // one that waits has not begun
		d.State = evidence.StorageChecking
	case d.State == evidence.StorageOK:
		d.State = evidence.StorageRebuilding
	}
}

var (
	zpoolKey    = regexp.MustCompile(`^\s{0,8}(pool|state|status|action|see|scan|scrub|errors|config): ?(.*)$`)
	zpoolVdev   = regexp.MustCompile(`^\t?\s+(\S+)\s+(ONLINE|DEGRADED|FAULTED|OFFLINE|UNAVAIL|REMOVED|AVAIL|INUSE|SUSPENDED)(?:\s+(\S+)\s+(\S+)\s+(\S+))?`)
	zpoolScrub  = regexp.MustCompile(`^(?:scrub|scrub repaired|resilvered).* with (\d+) errors on (\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4})`)
	zpoolDone   = regexp.MustCompile(`([\d.]+)% done`)
	zpoolRepair = regexp.MustCompile(`^resilver in progress`)
)

// ParseZpoolStatus reads `zpool status`, as JSON (-j, OpenZFS 2.3) or as text
// (zpool-status(8)).
func ParseZpoolStatus(out []byte, zone *time.Location) ([]evidence.StorageDevice, error) {
	if trimmed := strings.TrimSpace(string(out)); strings.HasPrefix(trimmed, "{") {
		return parseZpoolJSON([]byte(trimmed), zone)
	}
	if strings.Contains(string(out), "no pools available") {
		return nil, nil
	}
	var list []evidence.StorageDevice
	var d *evidence.StorageDevice
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if m := zpoolKey.FindStringSubmatch(line); m != nil {
			if m[1] == "pool" {
				list = append(list, zpool(m[2]))
				d = &list[len(list)-1]
			}
			if d != nil {
				zpoolField(d, m[1], strings.TrimSpace(m[2]), zone)
			}
			continue
		}
		if m := zpoolVdev.FindStringSubmatch(line); m != nil && d != nil && m[1] != d.Name {
			zpoolPart(d, m[2], m[3:6])
		}
	}
	if len(list) == 0 {
		return nil, errors.New("not the output of zpool status: no line \"pool:\"")
	}
	for i := range list {
		zpoolSettle(&list[i])
	}
	return unique(list), nil
}

func zpool(name string) evidence.StorageDevice {
	return evidence.StorageDevice{Name: clip(strings.TrimSpace(name), 200), Kind: evidence.StoragePool, Form: "zfs", State: evidence.StorageUnknown}
}

// zpoolField reads one of the head's lines.
func zpoolField(d *evidence.StorageDevice, key, value string, zone *time.Location) {
	switch key {
	case "state":
		zpoolState(d, value)
	case "scan", "scrub":
		zpoolScan(d, value, zone)
	case "errors":
		if value != "" && value != "No known data errors" {
			d.Reasons = append(d.Reasons, evidence.StorageDataErrors)
		}
	}
}

func zpoolState(d *evidence.StorageDevice, state string) {
	switch state {
	case "ONLINE":
		d.State = evidence.StorageOK
	case "DEGRADED":
		d.State = evidence.StorageDegraded
	case "FAULTED", "UNAVAIL", "SUSPENDED", "REMOVED", "OFFLINE":
		d.State = evidence.StorageFailed
	default:
		d.State = evidence.StorageUnknown
	}
}

func zpoolScan(d *evidence.StorageDevice, value string, zone *time.Location) {
	if m := zpoolScrub.FindStringSubmatch(value); m != nil {
		if t, err := time.ParseInLocation(time.ANSIC, m[2], zone); err == nil && strings.HasPrefix(value, "scrub") {
			at := evidence.At(t)
			d.Scrubbed = &at
		}
		if m[1] != "0" {
			d.Reasons = append(d.Reasons, evidence.StorageDataErrors)
		}
	}
	if zpoolRepair.MatchString(value) && d.State != evidence.StorageFailed {
		d.State = evidence.StorageRebuilding
	}
	if m := zpoolDone.FindStringSubmatch(value); m != nil {
		if p, err := strconv.ParseFloat(m[1], 64); err == nil && p <= 100 {
			d.Progress = &p
		}
	}
}

// zpoolPart counts a part of a pool with its errors.
func zpoolPart(d *evidence.StorageDevice, state string, counts []string) {
	if d.Errors == nil {
		var errors, parts, working int64
		d.Errors, d.Parts, d.Working = &errors, &parts, &working
	}
	for _, c := range counts {
		*d.Errors += zpoolCount(c)
	}
	if state == "AVAIL" {
		return // a spare
	}
	*d.Parts++
	switch state {
	case "ONLINE", "INUSE":
		*d.Working++
	case "FAULTED", "DEGRADED":
		d.Reasons = append(d.Reasons, evidence.StorageFaulted)
	default:
		d.Reasons = append(d.Reasons, evidence.StorageMissing)
	}
}

// zpoolCount reads "0", "12" or "1.20K".
func zpoolCount(s string) int64 {
	unit := int64(1)
	for suffix, n := range map[string]int64{"K": 1e3, "M": 1e6, "G": 1e9} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = rest, n
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n > 1e9 {
		return 0
	}
	return int64(n * float64(unit))
}

// zpoolSettle puts what was read of a pool together.
func zpoolSettle(d *evidence.StorageDevice) {
	if d.State == evidence.StorageOK && d.Errors != nil && *d.Errors > 0 {
		d.Reasons = append(d.Reasons, evidence.StorageDataErrors)
	}
	d.Reasons = distinct(d.Reasons)
	if d.State == evidence.StorageOK && len(d.Reasons) > 0 {
		d.State = evidence.StorageWarning
	}
	if len(d.Reasons) == 0 && (d.State == evidence.StorageDegraded || d.State == evidence.StorageFailed || d.State == evidence.StorageUnknown) {
		d.Reasons = []string{evidence.StorageFaulted}
	}
	if d.State == evidence.StorageOK && d.Scrubbed == nil && d.Progress == nil {
		d.Reasons = nil
	}
}

type zpoolJSON struct {
	Pools map[string]struct {
		Name  string `json:"name"`
		State string `json:"state"`
		Scan  *struct {
			Function string `json:"function"`
			State    string `json:"state"`
			End      string `json:"end_time"`
			Errors   string `json:"errors"`
		} `json:"scan_stats"`
		Vdevs  map[string]zpoolJSONVdev `json:"vdevs"`
		Errors string                   `json:"error_count"`
	} `json:"pools"`
}

type zpoolJSONVdev struct {
	State    string                   `json:"state"`
	Read     string                   `json:"read_errors"`
	Write    string                   `json:"write_errors"`
	Checksum string                   `json:"checksum_errors"`
	Vdevs    map[string]zpoolJSONVdev `json:"vdevs"`
}

func parseZpoolJSON(out []byte, zone *time.Location) ([]evidence.StorageDevice, error) {
	var s zpoolJSON
	if err := json.Unmarshal(out, &s); err != nil || s.Pools == nil {
		return nil, fmt.Errorf("not the output of zpool status -j: %w", errors.Join(err, errors.New("no pools")))
	}
	var list []evidence.StorageDevice
	for name, p := range s.Pools {
		d := zpool(name)
		zpoolState(&d, p.State)
		if p.Scan != nil {
			zpoolScanJSON(&d, p.Scan.Function, p.Scan.State, p.Scan.End, zone)
			if n := zpoolCount(p.Scan.Errors); n > 0 {
				d.Reasons = append(d.Reasons, evidence.StorageDataErrors)
			}
		}
		if zpoolCount(p.Errors) > 0 {
			d.Reasons = append(d.Reasons, evidence.StorageDataErrors)
		}
		for _, root := range p.Vdevs {
			zpoolWalk(&d, root.Vdevs, 0)
		}
		zpoolSettle(&d)
		list = append(list, d)
	}
	return unique(sorted(list)), nil
}

func zpoolScanJSON(d *evidence.StorageDevice, function, state, end string, zone *time.Location) {
	if function == "RESILVER" && state == "SCANNING" && d.State != evidence.StorageFailed {
		d.State = evidence.StorageRebuilding
	}
	if function == "SCRUB" && state == "FINISHED" {
		if t, err := time.ParseInLocation("Mon Jan _2 15:04:05 2006", strings.TrimSpace(strings.TrimSuffix(strings.ReplaceAll(end, " AM ", " "), " UTC")), zone); err == nil {
			at := evidence.At(t)
			d.Scrubbed = &at
		}
	}
}

func zpoolWalk(d *evidence.StorageDevice, vdevs map[string]zpoolJSONVdev, depth int) {
	if depth > 8 {
		return
	}
	for _, v := range vdevs {
		state := v.State
		if state == "HEALTHY" {
			state = "ONLINE"
		}
		zpoolPart(d, state, []string{v.Read, v.Write, v.Checksum})
		zpoolWalk(d, v.Vdevs, depth+1)
	}
}
