package agent

import (
	"strings"

	"github.com/attesto/attesto/collectors/host"
)

// Role is what the host does for others, as far as its files tell, and the services
// whose duties it then proves: sc (server), wh (web hosting), pe (mail), bk (backup).
type Role struct {
	Role     string   `json:"role"` // mail server, web host, hypervisor, backup server, plain server
	Why      string   `json:"why"`  // what was found
	Services []string `json:"services"`
}

// sign is one thing that shows a role: a file that is there, where unless does not say
// that it serves this host alone.
type sign struct {
	path, what string
	unless     func(h *host.Host) bool
}

var roleSigns = []struct {
	role    string
	service string
	signs   []sign
}{
	{"mail server", "pe", []sign{
		{"/etc/postfix/main.cf", "Postfix", postfixIsLocal}, {"/etc/exim4/update-exim4.conf.conf", "Exim", eximIsLocal},
		{"/etc/exim/exim.conf", "Exim", nil}, {"/etc/exim.conf", "Exim", nil}, {"/etc/dovecot/dovecot.conf", "Dovecot", nil},
		{"/opt/kerio/mailserver", "Kerio Connect", nil}, {"/var/qmail/bin/qmail-smtpd", "qmail", nil}, {"/opt/zimbra", "Zimbra", nil}, {"/opt/smartermail", "SmarterMail", nil},
	}},
	{"web host", "wh", []sign{
		{"/usr/local/psa/version", "Plesk", nil}, {"/usr/local/cpanel/version", "cPanel", nil}, {"/usr/local/directadmin", "DirectAdmin", nil}, {"/usr/local/lsws", "LiteSpeed", nil},
		{"/usr/sbin/apache2", "Apache", nil}, {"/usr/sbin/httpd", "Apache", nil}, {"/usr/sbin/nginx", "nginx", nil}, {"/usr/bin/caddy", "Caddy", nil},
	}},
	{"hypervisor", "sc", []sign{
		{"/usr/bin/pveversion", "Proxmox VE", nil}, {"/usr/sbin/libvirtd", "libvirt", nil}, {"/usr/sbin/virtqemud", "libvirt", nil}, {"/etc/xensource-inventory", "XenServer", nil}, {"/usr/sbin/xenstored", "Xen", nil},
	}},
	{"backup server", "bk", []sign{
		{"/usr/sbin/proxmox-backup-manager", "Proxmox Backup Server", nil}, {"/usr/sbin/bareos-dir", "Bareos director", nil}, {"/usr/sbin/bacula-dir", "Bacula director", nil},
		{"/usr/sbin/bareos-sd", "Bareos storage", nil}, {"/usr/sbin/bacula-sd", "Bacula storage", nil}, {"/usr/local/bin/rest-server", "restic's rest-server", nil}, {"/opt/veeam/transport", "Veeam repository", nil},
		{"/usr/local/cbs", "Ahsay CBS", nil}, {"/usr/sbin/urbackupsrv", "UrBackup", nil}, {"/usr/share/backuppc", "BackupPC", nil},
	}},
}

// Roles says what a host is for, from files that anyone may see; without any sign it is
// a plain server. It looks on Linux's paths: elsewhere every host is a plain server.
func Roles(h *host.Host) []Role {
	roles := []Role{}
	for _, r := range roleSigns {
		var found []string
		for _, s := range r.signs {
			if _, err := h.Stat(s.path); err == nil && (s.unless == nil || !s.unless(h)) && !strings.Contains(strings.Join(found, ", "), s.what) {
				found = append(found, s.what)
			}
		}
		if len(found) > 0 {
			services := []string{"sc"}
			if r.service != "sc" {
				services = append(services, r.service)
			}
			roles = append(roles, Role{r.role, strings.Join(found, ", "), services})
		}
	}
	if len(roles) == 0 {
		roles = append(roles, Role{"plain server", "no mail, web, virtualisation or backup service was found", []string{"sc"}})
	}
	return roles
}

// Suggested are the services of all roles together, in the catalogue's order.
func Suggested(roles []Role) []string {
	has := map[string]bool{}
	for _, r := range roles {
		for _, s := range r.Services {
			has[s] = true
		}
	}
	out := []string{}
	for _, s := range []string{"sc", "wh", "pe", "bk"} {
		if has[s] {
			out = append(out, s)
		}
	}
	return out
}

// postfixIsLocal says that Postfix takes no mail from outside (postconf(5),
// inet_interfaces), as Debian installs it for the host's own messages.
func postfixIsLocal(h *host.Host) bool {
	b, err := h.ReadFile("/etc/postfix/main.cf", 1<<20)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "inet_interfaces" {
			return onlyLoopback(value)
		}
	}
	return false
}

// eximIsLocal says the same of Debian's Exim (update-exim4.conf(8)).
func eximIsLocal(h *host.Host) bool {
	b, err := h.ReadFile("/etc/exim4/update-exim4.conf.conf", 1<<20)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, "=")
		value = strings.Trim(strings.TrimSpace(value), `'"`)
		if key == "dc_eximconfig_configtype" && (value == "local" || value == "none") || key == "dc_local_interfaces" && onlyLoopback(value) {
			return true
		}
	}
	return false
}

func onlyLoopback(list string) bool {
	words := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(" \t\n,;", r) })
	for _, w := range words {
		if w != "loopback-only" && w != "localhost" && w != "::1" && w != "[::1]" && !strings.HasPrefix(w, "127.") {
			return false
		}
	}
	return len(words) > 0
}
