package hypervisor

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// virshStates are libvirt's numbers for a domain's state (libvirt-domain.h,
// virDomainState).
var virshStates = []string{evidence.HyperUnknown, evidence.HyperRunning, evidence.HyperRunning, evidence.HyperPaused, evidence.HyperRunning, evidence.HyperStopped, evidence.HyperCrashed, evidence.HyperSuspended}

// ParseVirshStats reads `virsh domstats --state`: a block "Domain: 'NAME'" each, with its
// state as a number, which is the same in every language.
func ParseVirshStats(out []byte) (Inventory, error) {
	var inv Inventory
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		_, quoted, ok := strings.Cut(line, ": '") // the word before it is translated
		if name, end := strings.CutSuffix(quoted, "'"); ok && end && name != "" && !strings.Contains(line, "=") {
			inv.Guests = append(inv.Guests, Guest{Own: name, HyperGuest: evidence.HyperGuest{State: evidence.HyperUnknown, Snapshots: -1}})
			continue
		}
		k, v, _ := strings.Cut(line, "=")
		if n, err := strconv.Atoi(v); k == "state.state" && err == nil && n >= 0 && n < len(virshStates) && len(inv.Guests) > 0 {
			inv.Guests[len(inv.Guests)-1].State = virshStates[n]
		}
	}
	if len(inv.Guests) == 0 && strings.TrimSpace(string(out)) != "" {
		return Inventory{}, errors.New("not the output of virsh domstats: no line Domain: 'NAME'")
	}
	return inv, nil
}

var (
	virshRow  = regexp.MustCompile(`^\s*(\d+|-)\s{2,}(\S.*?)\s{2,}(\S.*?)\s*$`)
	virshRule = regexp.MustCompile(`^-{10,}\s*$`)
)

// ParseVirshList reads `virsh list --all`. A domain without a number does not run; of the
// words for the others only those of C are known.
func ParseVirshList(out []byte) (Inventory, error) {
	words := map[string]string{"running": evidence.HyperRunning, "idle": evidence.HyperRunning, "blocked": evidence.HyperRunning, "in shutdown": evidence.HyperRunning, "dying": evidence.HyperRunning,
		"paused": evidence.HyperPaused, "pmsuspended": evidence.HyperSuspended, "crashed": evidence.HyperCrashed, "shut off": evidence.HyperStopped}
	var inv Inventory
	table := false
	for line := range strings.Lines(string(out)) {
		if virshRule.MatchString(line) {
			table = true
			continue
		}
		m := virshRow.FindStringSubmatch(line)
		if !table || m == nil {
			continue
		}
		state, known := words[m[3]]
		switch {
		case known:
		case m[1] == "-":
			state = evidence.HyperStopped
		default:
			state = evidence.HyperUnknown
		}
		inv.Guests = append(inv.Guests, Guest{Own: m[2], HyperGuest: evidence.HyperGuest{State: state, Snapshots: -1}})
	}
	if !table {
		return Inventory{}, errors.New("not the output of virsh list: no table in it")
	}
	return inv, nil
}

var virshSnapshot = regexp.MustCompile(`\s(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})\s`)

// ParseVirshSnapshots reads `virsh snapshot-list DOMAIN`: a row each, with its time.
func ParseVirshSnapshots(out []byte) (count int, oldest time.Time, err error) {
	table := false
	for line := range strings.Lines(string(out)) {
		if virshRule.MatchString(line) {
			table = true
			continue
		}
		if !table || strings.TrimSpace(line) == "" {
			continue
		}
		count++
		m := virshSnapshot.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if t, err := time.Parse("2006-01-02 15:04:05 -0700", m[1]); err == nil && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	if !table {
		return 0, oldest, errors.New("not the output of virsh snapshot-list: no table in it")
	}
	return count, oldest, nil
}

// ParseVirshPool reads `virsh pool-info --bytes POOL`, as the C locale has it.
func ParseVirshPool(out []byte) (evidence.HyperStore, error) {
	f := map[string]string{}
	for line := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(line, ":")
		f[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	if f["Name"] == "" || f["State"] == "" {
		return evidence.HyperStore{}, errors.New("not the output of virsh pool-info: no Name or no State")
	}
	s := evidence.HyperStore{Name: f["Name"], Form: "libvirt", State: evidence.HyperUnknown, Size: -1, Free: -1}
	switch f["State"] {
	case "running":
		s.State = evidence.HyperAvailable
	case "inactive", "degraded", "inaccessible":
		s.State = evidence.HyperInactive
	}
	size, err := strconv.ParseInt(f["Capacity"], 10, 64)
	free, err2 := strconv.ParseInt(f["Available"], 10, 64)
	if err == nil && err2 == nil && size > 0 && free >= 0 {
		s.Size, s.Free = size, free
	}
	return s, nil
}

var virshVersion = regexp.MustCompile(`(?m)^[^:\n]*hypervisor: (.{1,80}?)\s*$`)

// ParseVirshVersion reads `virsh version`: "Running hypervisor: QEMU 7.2.0".
func ParseVirshVersion(out []byte) string {
	if m := virshVersion.FindStringSubmatch(string(out)); m != nil {
		return m[1]
	}
	return ""
}
