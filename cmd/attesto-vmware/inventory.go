package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// inventory is what is printed; the agent's collector "hypervisor" reads it.
type inventory struct {
	V          int         `json:"v"`
	Hosts      []esx       `json:"hosts"`
	Datastores []datastore `json:"datastores"`
	VMs        []machine   `json:"vms"`
	Clusters   []cluster   `json:"clusters"`
	Backups    bool        `json:"backups"`
}

type esx struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Connection  string `json:"connection"`
	Power       string `json:"power"`
	Maintenance bool   `json:"maintenance"`
	Overall     string `json:"overall"`
}

type datastore struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Accessible  bool   `json:"accessible"`
	Maintenance string `json:"maintenance"`
	Capacity    int64  `json:"capacity"` // bytes
	Free        int64  `json:"free"`     // bytes
}

type machine struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Host       string      `json:"host"`
	Power      string      `json:"power"`
	Connection string      `json:"connection"`
	Template   bool        `json:"template"`
	Snapshots  []time.Time `json:"snapshots"`
	Backup     *time.Time  `json:"backup"`
}

type cluster struct {
	Name    string `json:"name"`
	HA      bool   `json:"ha"`
	Overall string `json:"overall"`
	Issues  int    `json:"issues"`
}

// inventory logs in, reads and logs out.
func (c config) inventory(ctx context.Context) (inv inventory, err error) {
	u, err := soap.ParseURL(c.Server)
	if err != nil || u == nil || u.Scheme != "https" {
		return inv, fmt.Errorf("server %q: want an address such as https://vcenter.example/sdk", c.Server)
	}
	u.User = nil
	sc := soap.NewClient(u, false)
	if c.Thumbprint != "" {
		sc.SetThumbprint(u.Host, c.Thumbprint)
	}
	if c.CAFile != "" {
		if err := sc.SetRootCAs(c.CAFile); err != nil {
			return inv, fmt.Errorf("ca_file: %w", err)
		}
	}
	client, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return inv, fmt.Errorf("asking %s: %w", u.Host, err)
	}
	sessions := session.NewManager(client)
	if err := sessions.Login(ctx, url.UserPassword(c.User, c.password)); err != nil {
		return inv, fmt.Errorf("logging in at %s: %w", u.Host, err)
	}
	defer func() { err = errors.Join(err, sessions.Logout(context.WithoutCancel(ctx))) }()
	r := reader{ctx: ctx, client: client, attribute: c.Attribute, inv: inventory{V: 1, Hosts: []esx{}, Datastores: []datastore{}, VMs: []machine{}, Clusters: []cluster{}}}
	for _, step := range []func() error{r.hosts, r.datastores, r.clusters, r.machines} {
		if err := step(); err != nil {
			return inv, fmt.Errorf("reading the inventory of %s: %w", u.Host, err)
		}
	}
	return r.inv, nil
}

// reader gathers the inventory by views of the whole tree.
type reader struct {
	ctx       context.Context
	client    *vim25.Client
	attribute string
	inv       inventory
	names     map[types.ManagedObjectReference]string // of hosts
}

func (r *reader) retrieve(kind string, properties []string, into any) error {
	v, err := view.NewManager(r.client).CreateContainerView(r.ctx, r.client.ServiceContent.RootFolder, []string{kind}, true)
	if err != nil {
		return err
	}
	defer func() { _ = v.Destroy(context.WithoutCancel(r.ctx)) }() // goes with the session
	return v.Retrieve(r.ctx, []string{kind}, properties, into)
}

func (r *reader) hosts() error {
	var list []mo.HostSystem
	if err := r.retrieve("HostSystem", []string{"name", "runtime", "overallStatus", "summary.config.product"}, &list); err != nil {
		return err
	}
	r.names = map[types.ManagedObjectReference]string{}
	for _, h := range list {
		e := esx{Name: h.Name, Connection: string(h.Runtime.ConnectionState), Power: string(h.Runtime.PowerState), Maintenance: h.Runtime.InMaintenanceMode, Overall: string(h.OverallStatus)}
		if p := h.Summary.Config.Product; p != nil {
			e.Version = p.Version
		}
		r.names[h.Self] = h.Name
		r.inv.Hosts = append(r.inv.Hosts, e)
	}
	return nil
}

func (r *reader) datastores() error {
	var list []mo.Datastore
	if err := r.retrieve("Datastore", []string{"summary"}, &list); err != nil {
		return err
	}
	for _, d := range list {
		s := d.Summary
		r.inv.Datastores = append(r.inv.Datastores, datastore{Name: s.Name, Type: s.Type, Accessible: s.Accessible, Maintenance: s.MaintenanceMode, Capacity: s.Capacity, Free: s.FreeSpace})
	}
	return nil
}

func (r *reader) clusters() error {
	var list []mo.ClusterComputeResource
	if err := r.retrieve("ClusterComputeResource", []string{"name", "configurationEx", "overallStatus", "configIssue"}, &list); err != nil {
		return err
	}
	for _, c := range list {
		x := cluster{Name: c.Name, Overall: string(c.OverallStatus), Issues: len(c.ConfigIssue)}
		if ex, ok := c.ConfigurationEx.(*types.ClusterConfigInfoEx); ok && ex.DasConfig.Enabled != nil {
			x.HA = *ex.DasConfig.Enabled
		}
		r.inv.Clusters = append(r.inv.Clusters, x)
	}
	return nil
}

func (r *reader) machines() error {
	key, err := r.attributeKey()
	if err != nil {
		return err
	}
	var list []mo.VirtualMachine
	if err := r.retrieve("VirtualMachine", []string{"name", "runtime", "summary.config.template", "snapshot", "customValue"}, &list); err != nil {
		return err
	}
	for _, v := range list {
		m := machine{ID: v.Self.Value, Name: v.Name, Power: string(v.Runtime.PowerState), Connection: string(v.Runtime.ConnectionState), Template: v.Summary.Config.Template, Snapshots: []time.Time{}}
		if v.Runtime.Host != nil {
			m.Host = r.names[*v.Runtime.Host]
		}
		if v.Snapshot != nil {
			m.Snapshots = taken(v.Snapshot.RootSnapshotList, m.Snapshots)
		}
		for _, value := range v.CustomValue {
			if s, ok := value.(*types.CustomFieldStringValue); ok && r.inv.Backups && s.Key == key {
				m.Backup = backupTime(s.Value)
			}
		}
		r.inv.VMs = append(r.inv.VMs, m)
	}
	return nil
}

// attributeKey finds the attribute that holds the time of backups, if one is named.
func (r *reader) attributeKey() (int32, error) {
	if r.attribute == "" {
		return 0, nil
	}
	m, err := object.GetCustomFieldsManager(r.client)
	if err != nil {
		return 0, fmt.Errorf("backup_attribute: %w: an ESXi host alone keeps no attributes", err)
	}
	fields, err := m.Field(r.ctx)
	if err != nil {
		return 0, fmt.Errorf("backup_attribute: %w", err)
	}
	i := slices.IndexFunc(fields, func(f types.CustomFieldDef) bool { return f.Name == r.attribute })
	if i < 0 {
		return 0, fmt.Errorf("backup_attribute %q: no such attribute", r.attribute)
	}
	r.inv.Backups = true
	return fields[i].Key, nil
}

func taken(tree []types.VirtualMachineSnapshotTree, list []time.Time) []time.Time {
	for _, s := range tree {
		list = taken(s.ChildSnapshotList, append(list, s.CreateTime.UTC()))
	}
	return list
}

// backupTime reads the time that a backup product wrote: ISO 8601, or NetBackup's
// "Fri Nov 20 10:00:00 2026 +0000,POLICY". Without a zone it is nothing to rest on.
func backupTime(s string) *time.Time {
	s, _, _ = strings.Cut(s, ",")
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 -0700", "Mon Jan 2 15:04:05 2006 -0700", "Mon Jan _2 15:04:05 2006 -0700", time.RFC1123Z} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			t = t.UTC()
			return &t
		}
	}
	return nil
}

func readSmall(file string) (*bytes.Buffer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxFile)
	}
	return bytes.NewBuffer(b), nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimRight(s, "\r")
}
