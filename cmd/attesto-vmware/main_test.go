package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"

	"github.com/attesto/attesto/collectors/hypervisor"
	"github.com/attesto/attesto/evidence"
)

// vcenter is VMware's own simulator of a vCenter, over TLS, in this process.
func vcenter(t *testing.T) (*simulator.Server, *govmomi.Client) {
	t.Helper()
	model := simulator.VPX()
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(model.Remove)
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword("reader", "Zq8-secret")}
	model.Service.TLS = new(tls.Config) // with the simulator's own certificate
	s := model.Service.NewServer()
	t.Cleanup(s.Close)
	c, err := govmomi.NewClient(t.Context(), s.URL, true)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// write makes the helper's configuration.
func write(t *testing.T, s *simulator.Server, more string) string {
	t.Helper()
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("Zq8-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(s.Certificate().Raw)
	var hex []string
	for _, b := range sum {
		hex = append(hex, fmt.Sprintf("%02X", b))
	}
	file := filepath.Join(dir, "vmware.yaml")
	text := fmt.Sprintf("server: https://%s/sdk\nuser: reader\npassword_file: %s\nthumbprint: '%s'\n%s", s.URL.Host, password, strings.Join(hex, ":"), more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func asked(t *testing.T, file string) (int, string, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"--config", file}, &out, &errs)
	if strings.Contains(out.String()+errs.String(), "Zq8-secret") {
		t.Error("the password was printed")
	}
	return code, out.String(), errs.String()
}

// What the simulator holds is what the agent's collector makes of the answer.
func TestInventory(t *testing.T) {
	s, c := vcenter(t)
	ctx := t.Context()
	vms, err := find.NewFinder(c.Client).VirtualMachineList(ctx, "/DC0/vm/*")
	if err != nil || len(vms) < 2 {
		t.Fatal(len(vms), err)
	}
	task, err := vms[0].CreateSnapshot(ctx, "before", "", false, false)
	if err == nil {
		err = task.Wait(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	if task, err = vms[1].PowerOff(ctx); err == nil {
		err = task.Wait(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	fields, err := object.GetCustomFieldsManager(c.Client)
	if err != nil {
		t.Fatal(err)
	}
	def, err := fields.Add(ctx, "NB_LAST_BACKUP", "VirtualMachine", nil, nil)
	if err == nil {
		err = fields.Set(ctx, vms[0].Reference(), def.Key, "Fri Nov 20 10:00:00 2026 +0000,policy")
	}
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := asked(t, write(t, s, "backup_attribute: NB_LAST_BACKUP\n"))
	if code != 0 {
		t.Fatal(code, errs)
	}
	var inv inventory
	if err := json.Unmarshal([]byte(out), &inv); err != nil {
		t.Fatal(err)
	}
	read, err := hypervisor.ParseVMware([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Hosts) != 4 || len(read.Stores) != 1 || len(read.Guests) != 4 || len(read.HA) != 1 || !read.Backups {
		t.Fatalf("%d hosts, %d stores, %d guests, %d clusters, backups %v: want 4, 1, 4, 1, true", len(read.Hosts), len(read.Stores), len(read.Guests), len(read.HA), read.Backups)
	}
	if h := read.Hosts[0]; h.State != evidence.HyperOnline || h.Version == "" {
		t.Errorf("%+v", h)
	}
	if d := read.Stores[0]; d.State != evidence.HyperAvailable || d.Size <= 0 || d.Free < 0 {
		t.Errorf("%+v", d)
	}
	for _, g := range read.Guests {
		switch g.Name {
		case "vmware-" + vms[0].Reference().Value:
			if g.Snapshots != 1 || time.Since(g.Oldest.Time) > time.Hour || g.Backup == nil || g.Backup.Format(time.DateOnly) != "2026-11-20" || g.State != evidence.HyperRunning {
				t.Errorf("%+v", g)
			}
		case "vmware-" + vms[1].Reference().Value:
			if g.State != evidence.HyperStopped || g.Backup != nil {
				t.Errorf("%+v", g)
			}
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	s, _ := vcenter(t)
	good := write(t, s, "")
	for name, tt := range map[string]struct{ from, to, want string }{
		"another certificate": {"thumbprint: '", "thumbprint: '00", "thumbprint"},
		"no trust":            {"thumbprint", "#thumbprint", "certificate"},
		"plain HTTP":          {"https://", "http://", "https://"},
		"another user":        {"user: reader", "user: other", "logging in"},
		"a typo":              {"user:", "usr:", "usr"},
		"no password":         {"password_file: /", "password_file: /nowhere/", "password's file"},
		"no attribute":        {"user: reader", "user: reader\nbackup_attribute: none", "no such attribute"},
		"a short timeout":     {"user: reader", "user: reader\ntimeout: 1ms", "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(good)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "a.yaml")
			if err := os.WriteFile(file, bytes.Replace(text, []byte(tt.from), []byte(tt.to), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			if code, out, errs := asked(t, file); code != 1 || out != "" || !strings.Contains(errs, tt.want) {
				t.Errorf("exit %d, %q, %q: want 1 and %q", code, out, errs, tt.want)
			}
		})
	}
	cfg, err := readConfig(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cfg.PasswordFile, 0o644); err != nil { //nolint:gosec // that is the case
		t.Fatal(err)
	}
	if code, _, errs := asked(t, good); code != 1 || !strings.Contains(errs, "chmod 0600") {
		t.Errorf("%d %s", code, errs)
	}
	if code := run(context.Background(), []string{"--bad"}, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
		t.Errorf("exit %d for a bad flag", code)
	}
}
