package hypervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
)

// vmware is what attesto-vmware prints: one vCenter's or ESXi's inventory, in the words
// of VMware's API (HostSystem.runtime, Datastore.summary, VirtualMachine.runtime,
// ClusterComputeResource).
type vmware struct {
	V     int `json:"v"` // 1
	Hosts []struct {
		Name        string `json:"name"`
		Version     string `json:"version"`
		Connection  string `json:"connection"` // connected, disconnected, notResponding
		Power       string `json:"power"`      // poweredOn, poweredOff, standBy, unknown
		Maintenance bool   `json:"maintenance"`
		Overall     string `json:"overall"` // green, yellow, red, gray
	} `json:"hosts"`
	Datastores []struct {
		Name        string `json:"name"`
		Type        string `json:"type"`
		Accessible  bool   `json:"accessible"`
		Maintenance string `json:"maintenance"` // normal, enteringMaintenance, inMaintenance
		Capacity    int64  `json:"capacity"`
		Free        int64  `json:"free"`
	} `json:"datastores"`
	VMs []struct {
		ID         string      `json:"id"` // of the managed object
		Name       string      `json:"name"`
		Host       string      `json:"host"`
		Power      string      `json:"power"`      // poweredOn, poweredOff, suspended
		Connection string      `json:"connection"` // connected, disconnected, orphaned, inaccessible, invalid
		Template   bool        `json:"template"`
		Snapshots  []time.Time `json:"snapshots"`
		Backup     *time.Time  `json:"backup"` // of an attribute that the backup product keeps, if the helper was told which
	} `json:"vms"`
	Clusters []struct {
		Name    string `json:"name"`
		HA      bool   `json:"ha"` // switched on
		Overall string `json:"overall"`
		Issues  int    `json:"issues"` // that vCenter lists of it
	} `json:"clusters"`
	Backups bool `json:"backups"` // an attribute was named
}

// ParseVMware reads what the helper attesto-vmware prints, strictly: both are of one
// version.
func ParseVMware(out []byte) (Inventory, error) {
	var v vmware
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return Inventory{}, fmt.Errorf("not the output of attesto-vmware: %w", err)
	}
	if v.V != 1 {
		return Inventory{}, errors.New("not the output of attesto-vmware, or of another version: want v 1")
	}
	inv := Inventory{Backups: v.Backups}
	for _, h := range v.Hosts {
		x := evidence.HyperHost{Name: h.Name, Platform: "vmware", Version: h.Version, State: evidence.HyperUnknown}
		switch {
		case h.Maintenance:
			x.State = evidence.HyperMaintenance
		case h.Connection == "connected" && h.Power == "poweredOn":
			x.State = evidence.HyperOnline
		case h.Connection == "notResponding", h.Connection == "disconnected", h.Power == "poweredOff", h.Power == "standBy":
			x.State = evidence.HyperOffline
		}
		inv.Hosts = append(inv.Hosts, x)
	}
	for _, d := range v.Datastores {
		x := evidence.HyperStore{Name: d.Name, Form: d.Type, State: evidence.HyperInactive, Size: -1, Free: -1}
		switch {
		case d.Maintenance != "" && d.Maintenance != "normal":
			x.State = evidence.HyperDisabled
		case d.Accessible:
			x.State = evidence.HyperAvailable
		}
		if d.Accessible && d.Capacity > 0 && d.Free >= 0 {
			x.Size, x.Free = d.Capacity, d.Free
		}
		inv.Stores = append(inv.Stores, x)
	}
	for _, m := range v.VMs {
		g := Guest{Own: m.Name, HyperGuest: evidence.HyperGuest{Name: "vmware-" + m.ID, Host: m.Host, Template: m.Template, State: vmwarePower(m.Power, m.Connection), Snapshots: len(m.Snapshots)}}
		for _, s := range m.Snapshots {
			if t := at(s); t != nil && (g.Oldest == nil || t.Before(g.Oldest.Time)) {
				g.Oldest = t
			}
		}
		if m.Backup != nil {
			g.backup(Backup{Taken: *m.Backup})
		}
		inv.Guests = append(inv.Guests, g)
	}
	for _, c := range v.Clusters {
		inv.HA = append(inv.HA, evidence.HyperHA{Name: "cluster " + c.Name, State: vmwareHA(c.HA, c.Overall)})
	}
	return inv, nil
}

func vmwarePower(power, connection string) string {
	switch {
	case connection != "" && connection != "connected":
		return evidence.HyperUnknown
	case power == "poweredOn":
		return evidence.HyperRunning
	case power == "poweredOff":
		return evidence.HyperStopped
	case power == "suspended":
		return evidence.HyperSuspended
	}
	return evidence.HyperUnknown
}

func vmwareHA(on bool, overall string) string {
	switch {
	case !on:
		return evidence.HyperHAOff
	case overall == "red":
		return evidence.HyperHAError
	case overall == "gray":
		return evidence.HyperUnknown
	}
	return evidence.HyperHAOK
}
