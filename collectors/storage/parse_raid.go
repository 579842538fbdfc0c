package storage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// raidWords are the states that the makers' tools print for volumes, disks, batteries
// and controllers, in lower case. The longest beginning counts: "online, spun up".
var raidWords = map[string]string{
	"ok": evidence.StorageOK, "okay": evidence.StorageOK, "optimal": evidence.StorageOK, "optl": evidence.StorageOK, "opt": evidence.StorageOK,
	"online": evidence.StorageOK, "onln": evidence.StorageOK, "normal": evidence.StorageOK, "good": evidence.StorageOK, "ready": evidence.StorageOK, "rdy": evidence.StorageOK,
	"hotspare": evidence.StorageOK, "hot spare": evidence.StorageOK, "hot-spare": evidence.StorageOK, "global hot": evidence.StorageOK, "dedicated hot": evidence.StorageOK,
	"spare": evidence.StorageOK, "standby": evidence.StorageOK, "sby": evidence.StorageOK, "ghs": evidence.StorageOK, "dhs": evidence.StorageOK, "hsp": evidence.StorageOK,
	"ugood": evidence.StorageOK, "unconfigured(good)": evidence.StorageOK, "unconfigured": evidence.StorageOK, "jbod": evidence.StorageOK, "raw": evidence.StorageOK,
	"assigned": evidence.StorageOK, "functional": evidence.StorageOK, "operational": evidence.StorageOK, "unassigned": evidence.StorageOK, "free": evidence.StorageOK,
	"verify": evidence.StorageChecking, "initializ": evidence.StorageChecking, "init": evidence.StorageChecking, "check": evidence.StorageChecking, "charging": evidence.StorageChecking,
	"rebuild": evidence.StorageRebuilding, "rbld": evidence.StorageRebuilding, "recover": evidence.StorageRebuilding, "reconstruct": evidence.StorageRebuilding,
	"migrat": evidence.StorageRebuilding, "copyback": evidence.StorageRebuilding, "cpybck": evidence.StorageRebuilding, "expand": evidence.StorageRebuilding, "transforming": evidence.StorageRebuilding,
	"resync": evidence.StorageRebuilding, "waiting for rebuild": evidence.StorageRebuilding, "building": evidence.StorageRebuilding,
	"degraded": evidence.StorageDegraded, "dgrd": evidence.StorageDegraded, "pdgd": evidence.StorageDegraded, "partially": evidence.StorageDegraded, "interim": evidence.StorageDegraded,
	"impacted": evidence.StorageDegraded, "sub-optimal": evidence.StorageDegraded, "suboptimal": evidence.StorageDegraded, "incomplete": evidence.StorageDegraded,
	"failed": evidence.StorageFailed, "fail": evidence.StorageFailed, "offline": evidence.StorageFailed, "offln": evidence.StorageFailed, "ofln": evidence.StorageFailed, "ubad": evidence.StorageFailed,
	"unconfigured(bad)": evidence.StorageFailed, "missing": evidence.StorageFailed, "msng": evidence.StorageFailed, "dead": evidence.StorageFailed, "inoperable": evidence.StorageFailed,
	"device-error": evidence.StorageFailed, "ecc-error": evidence.StorageFailed, "not-supported": evidence.StorageFailed, "bad": evidence.StorageFailed, "non operational": evidence.StorageFailed,
	"predictive": evidence.StorageWarning, "using interim": evidence.StorageDegraded, "permanently": evidence.StorageWarning, "currently expanding": evidence.StorageRebuilding, "degraded(low": evidence.StorageWarning, "temporarily": evidence.StorageWarning, "recharging": evidence.StorageChecking, "learning": evidence.StorageChecking,
	"degraded(need": evidence.StorageWarning, "needs attention": evidence.StorageWarning, "weakbat": evidence.StorageWarning, "fault": evidence.StorageFailed, "error": evidence.StorageFailed, "lost": evidence.StorageFailed, "smart": evidence.StorageWarning,
}

// raidOf makes a device of what a controller's tool says of it.
func raidOf(kind, name, form, word string) evidence.StorageDevice {
	d := evidence.StorageDevice{Name: clip(name, 200), Kind: kind, Form: clip(form, 60), State: evidence.StorageUnknown}
	word = strings.ToLower(strings.TrimSpace(word))
	best := ""
	for w, state := range raidWords {
		if strings.HasPrefix(word, w) && len(w) > len(best) {
			best, d.State = w, state
		}
	}
	switch d.State {
	case evidence.StorageFailed, evidence.StorageDegraded, evidence.StorageUnknown:
		d.Reasons = []string{evidence.StorageFaulted}
		if best == "missing" || best == "msng" {
			d.Reasons = []string{evidence.StorageMissing}
		}
	case evidence.StorageWarning:
		d.Reasons = []string{evidence.StorageFailing}
		if kind == evidence.StorageController {
			d.Reasons = []string{evidence.StorageWorn}
		}
	}
	return d
}

// worse raises a device to a warning for a reason.
func worse(d *evidence.StorageDevice, reason string) {
	if d.State == evidence.StorageOK || d.State == evidence.StorageChecking {
		d.State = evidence.StorageWarning
	}
	if d.State == evidence.StorageWarning && !slices.Contains(d.Reasons, reason) {
		d.Reasons = append(d.Reasons, reason)
	}
}

// raidLines reads a tool's text line by line; read returns the device that a line
// speaks of, or none.
func raidLines(tool string, out []byte, known *regexp.Regexp, read func(line string, last *evidence.StorageDevice) (evidence.StorageDevice, bool)) ([]evidence.StorageDevice, error) {
	var list []evidence.StorageDevice
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		var last *evidence.StorageDevice
		if len(list) > 0 {
			last = &list[len(list)-1]
		}
		if d, ok := read(line, last); ok && len(list) < evidence.MaxStorage {
			list = append(list, d)
		}
	}
	if len(list) == 0 && !known.Match(out) {
		return nil, fmt.Errorf("not the output of %s", tool)
	}
	return unique(list), nil
}

// storcliRow is a row of `storcli /cALL/vALL show J` or `/cALL/eALL/sALL show J`
// (StorCLI reference manual; perccli prints the same).
type storcliRow struct {
	DG    string `json:"DG/VD"`
	Type  string `json:"TYPE"`
	State string `json:"State"`
	Slot  string `json:"EID:Slt"`
	Model string `json:"Model"`
}

// ParseStorcli reads the JSON of storcli and perccli: volumes and disks.
func ParseStorcli(out []byte) ([]evidence.StorageDevice, error) {
	var s struct {
		Controllers []struct {
			Command struct {
				Controller json.Number `json:"Controller"`
				Status     string      `json:"Status"`
			} `json:"Command Status"`
			Data map[string]json.RawMessage `json:"Response Data"`
		} `json:"Controllers"`
	}
	if err := json.Unmarshal(out, &s); err != nil || s.Controllers == nil {
		return nil, fmt.Errorf("not the output of storcli with J: %w", errors.Join(err, errors.New("no Controllers")))
	}
	var list []evidence.StorageDevice
	for i, c := range s.Controllers {
		name := "c" + c.Command.Controller.String()
		if name == "c" {
			name = fmt.Sprintf("c%d", i)
		}
		for key, raw := range c.Data {
			list = append(list, storcliRows(name, key, raw)...)
		}
	}
	list = sorted(list)
	for i := range list { // a disk's row and its detail tell of one disk: the worse counts
		if i > 0 && list[i-1].Kind == list[i].Kind && list[i-1].Name == list[i].Name {
			storcliJoin(&list[i-1], &list[i])
		}
	}
	return unique(list), nil
}

// storcliJoin lets both tell what either of them knows.
func storcliJoin(a, b *evidence.StorageDevice) {
	if a.State == evidence.StorageOK {
		a, b = b, a
	}
	for _, why := range b.Reasons {
		worse(a, why)
	}
	a.Model = cmp.Or(a.Model, b.Model)
	a.Uncorrectable = cmp.Or(a.Uncorrectable, b.Uncorrectable)
	*b = *a
}

// storcliStatus reads "Status" of a controller, as `storcli /cALL show all J` prints it.
func storcliStatus(controller string, raw json.RawMessage) []evidence.StorageDevice {
	var status struct {
		Controller string `json:"Controller Status"`
	}
	if json.Unmarshal(raw, &status) != nil || status.Controller == "" {
		return nil
	}
	return []evidence.StorageDevice{raidOf(evidence.StorageController, controller+" controller", "raid", status.Controller)}
}

func storcliRows(controller, key string, raw json.RawMessage) []evidence.StorageDevice {
	var rows []storcliRow
	if json.Unmarshal(raw, &rows) != nil {
		if key == "Status" {
			return storcliStatus(controller, raw)
		}
		var detail map[string]map[string]any
		if disk, ok := strings.CutSuffix(strings.TrimPrefix(key, "Drive "), " - Detailed Information"); ok && json.Unmarshal(raw, &detail) == nil {
			return storcliDetail(disk, detail)
		}
		return nil
	}
	var list []evidence.StorageDevice
	for _, r := range rows {
		switch {
		case r.State == "":
		case key == "BBU_Info" || key == "Cachevault_Info":
			list = append(list, raidOf(evidence.StorageController, controller+" battery", "battery", r.State))
		case r.Slot != "":
			d := raidOf(evidence.StorageDisk, controller+" "+strings.TrimSpace(r.Slot), "raid", r.State)
			d.Model = clip(r.Model, 200)
			list = append(list, d)
		case r.DG != "":
			list = append(list, raidOf(evidence.StorageArray, controller+" v"+r.DG, strings.ToLower(r.Type), r.State))
		}
	}
	return list
}

// storcliDetail reads the error counts of one disk, "/c0/e252/s0".
func storcliDetail(disk string, detail map[string]map[string]any) []evidence.StorageDevice {
	parts := strings.FieldsFunc(disk, func(r rune) bool { return r == '/' })
	if len(parts) != 3 {
		return nil
	}
	d := evidence.StorageDevice{Name: clip(parts[0]+" "+parts[1][1:]+":"+parts[2][1:], 200), Kind: evidence.StorageDisk, Form: "raid", State: evidence.StorageOK}
	state := detail["Drive "+disk+" State"]
	if n, ok := state["Media Error Count"].(float64); ok && n > 0 && n < 1e15 {
		count := int64(n)
		d.Uncorrectable = &count
		worse(&d, evidence.StorageBadSectors)
	}
	n, _ := state["Predictive Failure Count"].(float64)
	if n > 0 || state["S.M.A.R.T alert flagged by drive"] == "Yes" {
		worse(&d, evidence.StorageFailing)
	}
	if d.State == evidence.StorageOK {
		return nil // its row says the rest
	}
	return []evidence.StorageDevice{d}
}
