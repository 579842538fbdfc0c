package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/host"
)

func TestRoles(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    map[string]string
		roles    string
		services string
	}{
		{"nothing", nil, "plain server", "sc"},
		{"mail for itself", map[string]string{"/etc/postfix/main.cf": "myhostname = x\ninet_interfaces = loopback-only\n"}, "plain server", "sc"},
		{"mail for itself, by Exim", map[string]string{"/etc/exim4/update-exim4.conf.conf": "dc_eximconfig_configtype='smarthost'\ndc_local_interfaces='127.0.0.1 ; ::1'\n"}, "plain server", "sc"},
		{"mail for others", map[string]string{"/etc/postfix/main.cf": "inet_interfaces = all\n", "/etc/dovecot/dovecot.conf": ""}, "mail server", "sc pe"},
		{"Plesk", map[string]string{"/usr/local/psa/version": "18", "/usr/sbin/nginx": "", "/usr/sbin/apache2": "", "/etc/postfix/main.cf": "inet_interfaces = all\n"}, "mail server, web host", "sc wh pe"},
		{"Proxmox", map[string]string{"/usr/bin/pveversion": "", "/usr/sbin/proxmox-backup-manager": ""}, "hypervisor, backup server", "sc bk"},
	} {
		h := &host.Host{Root: t.TempDir(), Now: time.Now}
		for path, text := range c.files {
			full := filepath.Join(h.Root, path)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		roles := agent.Roles(h)
		var names []string
		for _, r := range roles {
			names = append(names, r.Role)
			if r.Why == "" {
				t.Errorf("%s: %s without a reason", c.name, r.Role)
			}
		}
		if got := strings.Join(names, ", "); got != c.roles || !slices.Equal(agent.Suggested(roles), strings.Fields(c.services)) {
			t.Errorf("%s: %s with %v, want %s with %s", c.name, got, agent.Suggested(roles), c.roles, c.services)
		}
	}
}
