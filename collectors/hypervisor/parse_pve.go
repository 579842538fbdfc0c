package hypervisor

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

// number reads what Proxmox VE writes as a number, a text or, for switches, a truth.
type number float64

// UnmarshalJSON takes 1, "1" and true.
func (n *number) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	switch text {
	case "true":
		*n = 1
	case "false", "null", "":
		*n = 0
	default:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", text)
		}
		*n = number(f)
	}
	return nil
}

func (n number) count() int64 {
	if !(n >= 0 && n < 1e18) {
		return -1
	}
	return int64(n)
}

// pveResource is an element of `pvesh get /cluster/resources --output-format json`
// (pve-manager PVE/API2/Cluster.pm, "resources").
type pveResource struct {
	Type     string  `json:"type"` // node, qemu, lxc, storage, pool, sdn
	ID       string  `json:"id"`
	Node     string  `json:"node"`
	Status   string  `json:"status"`
	VMID     number  `json:"vmid"`
	Name     string  `json:"name"`
	Template number  `json:"template"`
	Storage  string  `json:"storage"`
	Plugin   string  `json:"plugintype"`
	Shared   number  `json:"shared"`
	MaxDisk  *number `json:"maxdisk"`
	Disk     *number `json:"disk"`
}

// ParsePVEResources reads the cluster's list of nodes, storages and guests.
func ParsePVEResources(out []byte) (Inventory, error) {
	var list []pveResource
	if err := json.Unmarshal(out, &list); err != nil {
		return Inventory{}, fmt.Errorf("not the output of pvesh get /cluster/resources: %w", err)
	}
	var inv Inventory
	known := len(list) == 0
	for _, r := range list {
		known = known || strings.Contains(r.ID, "/") && r.Type != ""
		switch r.Type {
		case "node":
			inv.Hosts = append(inv.Hosts, evidence.HyperHost{Name: r.Node, Platform: "proxmox", State: pveNode(r.Status)})
		case "storage":
			inv.Stores = append(inv.Stores, r.store())
		case "qemu", "lxc", "openvz":
			if r.VMID.count() > 0 {
				inv.Guests = append(inv.Guests, Guest{HyperGuest: evidence.HyperGuest{Name: pveGuest(r.VMID), Host: r.Node, State: pvePower(r.Status), Template: r.Template != 0, Snapshots: -1}, Own: r.Name})
			}
		}
	}
	if !known {
		return Inventory{}, errors.New("not the output of pvesh get /cluster/resources: no element with type and id")
	}
	return inv, nil
}

func pveGuest(id number) string { return "vm-" + strconv.FormatInt(id.count(), 10) }

func (r pveResource) store() evidence.HyperStore {
	s := evidence.HyperStore{Name: r.Storage, Form: r.Plugin, Size: -1, Free: -1, State: evidence.HyperUnknown}
	if r.Shared == 0 {
		s.Host = r.Node
	}
	switch r.Status {
	case "available", "active":
		s.State = evidence.HyperAvailable
	case "inactive", "offline":
		s.State = evidence.HyperInactive
	case "disabled":
		s.State = evidence.HyperDisabled
	}
	if r.MaxDisk != nil && r.Disk != nil && *r.MaxDisk > 0 {
		s.Size = r.MaxDisk.count()
		s.Free = max(0, s.Size-r.Disk.count())
	}
	return s
}

func pveNode(status string) string {
	switch status {
	case "online":
		return evidence.HyperOnline
	case "offline":
		return evidence.HyperOffline
	}
	return evidence.HyperUnknown
}

// pvePower puts the words of qm and pct for a guest's status into a state.
func pvePower(status string) string {
	switch status {
	case "running":
		return evidence.HyperRunning
	case "stopped":
		return evidence.HyperStopped
	case "paused":
		return evidence.HyperPaused
	case "suspended", "prelaunch":
		return evidence.HyperSuspended
	case "internal-error", "io-error", "guest-panicked":
		return evidence.HyperCrashed
	}
	return evidence.HyperUnknown
}

// ParsePVEStorage reads `pvesh get /nodes/NODE/storage --output-format json`.
func ParsePVEStorage(out []byte) (Inventory, error) {
	var list []struct {
		Storage string  `json:"storage"`
		Type    string  `json:"type"`
		Active  *number `json:"active"`
		Enabled *number `json:"enabled"`
		Total   *number `json:"total"`
		Avail   *number `json:"avail"`
		Used    *number `json:"used"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return Inventory{}, fmt.Errorf("not the output of pvesh get /nodes/NODE/storage: %w", err)
	}
	var inv Inventory
	for _, r := range list {
		if r.Storage == "" || r.Active == nil {
			return Inventory{}, errors.New("not the output of pvesh get /nodes/NODE/storage: an element without storage or active")
		}
		s := evidence.HyperStore{Name: r.Storage, Form: r.Type, Size: -1, Free: -1, State: evidence.HyperInactive}
		switch {
		case r.Enabled != nil && *r.Enabled == 0:
			s.State = evidence.HyperDisabled
		case *r.Active != 0:
			s.State = evidence.HyperAvailable
		}
		if r.Total != nil && r.Used != nil && *r.Total > 0 { // as full as Proxmox says: what is kept for root counts as free
			s.Size = r.Total.count()
			s.Free = max(0, s.Size-r.Used.count())
		}
		inv.Stores = append(inv.Stores, s)
	}
	return inv, nil
}

// ParsePVEHA reads `pvesh get /cluster/ha/status/current --output-format json` and `pvesh
// get /cluster/status` (pve-ha-manager PVE/API2/HA/Status.pm; its services' states in
// the manual, "HA Manager").
func ParsePVEHA(out []byte) ([]evidence.HyperHA, error) {
	var list []struct {
		Type    string  `json:"type"`
		ID      string  `json:"id"`
		SID     string  `json:"sid"`
		State   string  `json:"state"`
		Status  string  `json:"status"`
		Quorate *number `json:"quorate"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("not the output of pvesh get /cluster/ha/status/current: %w", err)
	}
	var ha []evidence.HyperHA
	known := len(list) == 0
	for _, e := range list {
		switch e.Type {
		case "quorum", "cluster":
			state := evidence.HyperUnknown
			if e.Quorate != nil {
				state = map[bool]string{true: evidence.HyperHAOK, false: evidence.HyperHAError}[*e.Quorate != 0]
			}
			ha, known = append(ha, evidence.HyperHA{Name: "quorum", State: state}), true
		case "service":
			ha, known = append(ha, evidence.HyperHA{Name: haName(e.SID, e.ID), State: haState(e.State, e.Status)}), true
		case "master", "lrm", "node", "fencing":
			known = true
			if strings.Contains(e.Status, "old timestamp") || strings.Contains(e.Status, "unable to read") {
				ha = append(ha, evidence.HyperHA{Name: e.Type + " " + strings.TrimPrefix(e.ID, e.Type+":"), State: evidence.HyperHAError})
			}
		}
	}
	if !known {
		return nil, errors.New("not the output of pvesh get /cluster/ha/status/current: no element of a known type")
	}
	return ha, nil
}

// haName makes "vm-100" of "vm:100" and "ct:100".
func haName(sid, id string) string {
	if sid == "" {
		sid = strings.TrimPrefix(id, "service:")
	}
	if _, number, ok := strings.Cut(sid, ":"); ok {
		return "vm-" + number
	}
	return sid
}

func haState(state, status string) string {
	if state == "" { // before 6.0: "vm:100 (pve1, started)"
		if m := haStatus.FindStringSubmatch(status); m != nil {
			state = m[1]
		}
	}
	switch state {
	case "started":
		return evidence.HyperHAOK
	case "stopped", "disabled", "ignored", "request_stop":
		return evidence.HyperHAOff
	case "error", "fence", "recovery":
		return evidence.HyperHAError
	case "migrate", "relocate", "freeze", "starting", "request_start", "request_start_balance", "queued":
		return evidence.HyperHABusy
	}
	return evidence.HyperUnknown
}

var haStatus = regexp.MustCompile(`\([^,)]*, (\w+)\)`)

// ParsePVESnapshots reads `pvesh get /nodes/NODE/qemu/ID/snapshot --output-format json`. The
// element "current" is the guest as it is, no snapshot.
func ParsePVESnapshots(out []byte) (count int, oldest time.Time, err error) {
	var list []struct {
		Name string `json:"name"`
		Time number `json:"snaptime"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return 0, oldest, fmt.Errorf("not the output of pvesh get …/snapshot: %w", err)
	}
	for _, s := range list {
		switch s.Name {
		case "":
			return 0, oldest, errors.New("not the output of pvesh get …/snapshot: an element without a name")
		case "current":
			continue
		}
		count++
		if t := time.Unix(s.Time.count(), 0).UTC(); s.Time > 0 && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	return count, oldest, nil
}

// Settings are what a guest's file of settings says.
type Settings struct {
	Name      string
	Starts    bool
	Template  bool
	Snapshots int
	Oldest    time.Time
}

// ParsePVESettings reads /etc/pve/nodes/NODE/qemu-server/ID.conf or lxc/ID.conf (qm(1) and
// pct(1), "Configuration"): the guest itself first, then a section for each snapshot,
// with its time. Sections whose name has a colon are none.
func ParsePVESettings(text []byte) Settings {
	var s Settings
	section, snapshot := "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.Trim(line, "[]")
			snapshot = !strings.Contains(section, ":") && !strings.EqualFold(section, "pending")
			if snapshot {
				s.Snapshots++
			}
			continue
		}
		k, v, ok := strings.Cut(line, ":")
		if v = strings.TrimSpace(v); !ok || strings.HasPrefix(line, "#") {
			continue
		}
		switch {
		case section == "" && (k == "name" || k == "hostname"):
			s.Name = v
		case section == "" && k == "onboot":
			s.Starts = v == "1"
		case section == "" && k == "template":
			s.Template = v == "1"
		case snapshot && k == "snaptime":
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > 0 && n < 1e11 {
				if t := time.Unix(n, 0).UTC(); s.Oldest.IsZero() || t.Before(s.Oldest) {
					s.Oldest = t
				}
			}
		}
	}
	return s
}

// ParsePVEContent reads `pvesh get /nodes/NODE/storage/STORE/content --content backup
// --output-format json`: the backups that a store holds.
func ParsePVEContent(out []byte) ([]Backup, error) {
	var list []struct {
		Volume   string `json:"volid"`
		VMID     number `json:"vmid"`
		Time     number `json:"ctime"`
		Content  string `json:"content"`
		Verified *struct {
			State string `json:"state"`
		} `json:"verification"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("not the output of pvesh get …/content: %w", err)
	}
	var backups []Backup
	for _, e := range list {
		switch {
		case e.Volume == "":
			return nil, errors.New("not the output of pvesh get …/content: an element without volid")
		case e.Content != "" && e.Content != "backup", e.VMID.count() <= 0, e.Time <= 0:
			continue // no backup of a guest
		}
		b := Backup{Guest: pveGuest(e.VMID), Taken: time.Unix(e.Time.count(), 0).UTC()}
		b.Verified = e.Verified != nil && e.Verified.State == "ok"
		b.Damaged = e.Verified != nil && e.Verified.State == "failed"
		backups = append(backups, b)
	}
	return backups, nil
}

// ParsePVEVersion reads `pvesh get /version --output-format json`.
func ParsePVEVersion(out []byte) (string, error) {
	var v struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(out, &v); err != nil || v.Version == "" || len(v.Version) > 100 {
		return "", errors.New("not the output of pvesh get /version")
	}
	return v.Version, nil
}
