//go:build unix

package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// salted is a host whose files and tools are full of secrets; each is marked by a word
// of its own, salt00 to salt99, so that one that leaks can be told.
var salted = map[string]string{
	"/etc/restic.env":                       "RESTIC_REPOSITORY=rest:https://bob:salt01@backup.example/repo\nRESTIC_PASSWORD=salt02\nAWS_SECRET_ACCESS_KEY=salt03\n",
	"/etc/restic/password":                  "salt04\n",
	"/etc/borgmatic/config.yaml":            "repositories:\n  - path: ssh://bob:salt05@backup.example/./repo\nencryption_passphrase: salt06\nsource_directories: [/home/bob]\n",
	"/etc/cron.d/backup":                    "0 3 * * * root RESTIC_PASSWORD=salt07 restic -r /srv/r backup /home && mysqldump -psalt08 shop\n",
	"/etc/systemd/system/restic.service":    "[Service]\nEnvironment=RESTIC_PASSWORD=salt09 RESTIC_REPOSITORY=/srv/r\nExecStart=/usr/bin/restic backup /home\n",
	"/srv/r/config":                         "salt10",
	"/etc/shadow":                           "root:$6$salt11$salt12salt12salt12:19000:0:99999:7:::\nbob:$y$j9T$salt13:20000:0:90:7:::\n",
	"/etc/passwd":                           "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000:Bob salt14 Rossi:/home/bob:/bin/bash\n",
	"/root/.ssh/id_ed25519":                 "-----BEGIN OPENSSH PRIVATE KEY-----\nsalt15salt15salt15\n-----END OPENSSH PRIVATE KEY-----\n",
	"/home/bob/.ssh/id_rsa":                 "-----BEGIN RSA PRIVATE KEY-----\nsalt16\n-----END RSA PRIVATE KEY-----\n",
	"/home/bob/.my.cnf":                     "[client]\npassword=salt17\n",
	"/etc/postfix/main.cf":                  "inet_interfaces = all\nrelayhost = [mx.example]:587\n",
	"/etc/postfix/sasl_passwd":              "[mx.example]:587 bob:salt18\n",
	"/etc/clamav/freshclam.conf":            "DatabaseDirectory /var/lib/clamav\nHTTPProxyUsername bob\nHTTPProxyPassword salt19\n",
	"/etc/msmtprc":                          "password salt20\n",
	"/etc/pve/priv/token.cfg":               "root@pam!x salt21\n",
	"/etc/pve/priv/storage/pbs.pw":          "salt22\n",
	"/etc/pve/storage.cfg":                  "pbs: main\n\tserver pbs.example\n\tusername bob@pbs\n\tpassword salt23\n",
	"/var/www/html/wp-config.php":           "<?php define('DB_PASSWORD', 'salt24'); define('AUTH_KEY', 'salt25');\n",
	"/var/www/html/wp-includes/version.php": "<?php\n$wp_version = '6.4.1';\n",
	"/etc/os-release":                       "ID=debian\nVERSION_ID=\"12\"\n",
	"/var/lib/dpkg/status":                  "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12\n\n",
	"/etc/apt/auth.conf.d/x.conf":           "machine repo.example login bob password salt26\n",
	"/etc/apt/sources.list":                 "deb https://bob:salt27@repo.example/debian stable main\n",
	"/var/lib/attesto-hooks/x":              "salt28",
	// What hooks and tools tell of backups.
	"/var/lib/attesto/report/1.json": `{"v":1,"job":"handed in","tool":"x","exit":1,"end":"2026-11-20T02:00:00Z","message":"Fatal: rest:https://bob:salt71@backup.example/r: RESTIC_PASSWORD=salt72"}`,
	"/var/log/vzdump/qemu-101.log": "2026-11-20 02:00:01 INFO: Starting Backup of VM 101 (qemu)\n" +
		"2026-11-20 02:00:09 ERROR: Backup of VM 101 failed - command 'pbs --password salt73 https://bob:salt74@pbs.example' failed: exit code 255\n",
	"/var/log/rsnapshot.log": "[2026-11-20T01:00:00] /usr/bin/rsnapshot daily: started\n[2026-11-20T01:00:00] rsync -a rsync://bob:salt75@nas.example/x password=salt76\n" +
		"[2026-11-20T01:00:09] /usr/bin/rsnapshot daily: ERROR: rsync://bob:salt77@nas.example returned 12\n",
	// A mail server, ClamAV, Proxmox, libvirt and WordPress.
	"/usr/sbin/postqueue":                         "",
	"/usr/bin/clamscan":                           "",
	"/usr/bin/imunify-antivirus":                  "",
	"/var/lib/clamav/main.cvd":                    fmt.Sprintf("%-512s", "ClamAV-VDB:16 Sep 2021 08-32 -0400:62:6647427:90:x:x:sigmgr:1631795562"),
	"/var/log/clamav/freshclam.log":               "Mon Nov 23 01:00:00 2026 -> Connecting via http://bob:salt78@proxy.example\nMon Nov 23 01:00:00 2026 -> ERROR: Update failed, password: salt79\n",
	"/var/log/clamav/scan.log":                    "/home/bob/salt80.eml: Eicar-Signature FOUND\n\n----------- SCAN SUMMARY -----------\nInfected files: 1\nScanned files: 9\nEnd Date:   2026:11:20 01:02:03\n",
	"/usr/bin/pvesh":                              "",
	"/run/attesto-hypervisor/resources.json":      `[{"type":"node","node":"pve","status":"online","id":"node/pve"},{"type":"qemu","vmid":101,"node":"pve","status":"running","id":"qemu/101","name":"web","tags":"salt81"}]`,
	"/run/attesto-hypervisor/version.json":        `{"version":"8.2.4","token":"salt82"}`,
	"/run/attesto-hypervisor/ha.json":             `[{"id":"quorum","type":"quorum","status":"OK","comment":"salt83"}]`,
	"/etc/pve/nodes/pve/qemu-server/101.conf":     "description: salt84\nonboot: 1\ncipassword: salt85\nsshkeys: ssh-rsa%20salt86\n[before]\ndescription: salt87\nsnaptime: 1700000000\n",
	"/run/libvirt/libvirt-sock-ro":                "",
	"/etc/nginx/sites-enabled/a":                  "server { root /var/www/html; proxy_set_header Authorization \"Basic salt88\"; }\n",
	"/var/www/html/wp-content/plugins/a/a.php":    "<?php\n/*\nPlugin Name: A\nVersion: 1.2\nLicense Key: salt89\n*/\ndefine('A_SECRET', 'salt90');\n",
	"/var/www/html/wp-content/themes/b/style.css": "/*\nTheme Name: B\nVersion: 3\nDescription: salt91\n*/\n",
	"/var/www/html/.env":                          "DB_PASSWORD=salt92\n",
}

// silentHere are kinds of which this host shows nothing that could be told, each with the reason.
var silentHere = map[evidence.Kind]string{
	evidence.KindStorage: "every tool fails, and there is no array",
}

// logs are lines with what must not leave: passwords, subjects, tokens, query strings.
func logs(now time.Time) map[string]string {
	at := now.Add(-time.Minute).Format("Jan _2 15:04:05") + " mail "
	web := now.Add(-time.Minute).Format("[02/Jan/2006:15:04:05 -0700]")
	return map[string]string{
		"/var/log/auth.log": at + "sshd[1]: Failed password for invalid user salt30 from 192.0.2.7 port 1 ssh2\n" +
			at + "sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/mysql -psalt31 --password=salt32 -e SELECT\n",
		"/var/log/mail.log": at + "postfix/cleanup[2]: 4ABC: warning: header Subject: salt33 confidential offer from local; from=<bob@example.org>\n" +
			at + "postfix/smtpd[2]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=bob@example.org\n" +
			at + "dovecot: auth-worker(7): conn unix:auth-worker (pid=9,uid=1): auth-worker<1>: sql(bob,192.0.2.7): unknown user (given password: salt35)\n" +
			at + "courieresmtpd: error,relay=::ffff:192.0.2.7,msg=\"535 Authentication failed.\",cmd: AUTH PLAIN salt36salt36\n" +
			at + "exim[9]: 1xWlby-0008Ht-24 <= bob@example.org H=(x) [192.0.2.7] P=esmtpa A=plain:bob S=228 T=\"salt93 offer\"\n" +
			at + "postfix/smtpd[2]: 4ABC: client=x[192.0.2.7], sasl_method=LOGIN, sasl_username=bob@example.org\n",
		"/var/log/nginx/access.log": "192.0.2.7 - - " + web + " \"GET /wp-login.php?token=salt37&q=%27%20or%201 HTTP/1.1\" 200 1 \"https://x.example/?s=salt38\" \"sqlmap\"\n" +
			"192.0.2.7 - - " + web + " \"POST /wp-login.php?pwd=salt39 HTTP/1.1\" 200 1 \"-\" \"-\"\n",
		"/var/log/apache2/error.log": "[" + now.Add(-time.Minute).Format("Mon Jan _2 15:04:05 2006") + "] [:error] [pid 7] [client 192.0.2.7] ModSecurity: Access denied with code 403 (phase 2). [data \"Matched Data: x found within ARGS:pw: salt40\"] [uri \"/\"] [id \"1\"]\n",
	}
}

// saltedTool says secrets on both outputs, as tools do when they fail.
const saltedTool = `#!/bin/sh
echo '{"message":"password is salt50","env":{"RESTIC_PASSWORD":"salt51"},"repository":"rest:https://bob:salt52@backup.example/r","subject":"salt53"}'
echo 'Subject: salt54'
echo '-----BEGIN PRIVATE KEY-----'
echo 'salt55'
echo 'Fatal: wrong password: repository rest:https://bob:salt56@backup.example/r, RESTIC_PASSWORD=salt57 AWS_SECRET_ACCESS_KEY=salt58 token=salt59' >&2
exit 1
`

const saltedConfig = `
server: ""
collectors:
  backup: {reports: /var/lib/attesto/report, repositories: [{name: nightly, tool: restic, repository: /srv/r, env_file: /etc/restic.env}, {name: web, tool: restic, repository: "rest:https://bob:salt60@backup.example/r", password_file: /etc/restic/password}]}
  restore: {repositories: [{name: nightly, tool: restic, repository: /srv/r, env_file: /etc/restic.env}], interval: 1h}
  dnsbl: {addresses: [192.0.2.1], spamhaus_key: salt61salt61salt61salt61aa}
  endpoints: {discover: false, targets: ["https://bob:salt62@127.0.0.1:1/x?token=salt63"]}
`

var saltWord = regexp.MustCompile(`salt[0-9][0-9]`)

// TestNoSecretLeaves runs every kind over the salted host, through the whole agent: no
// secret stands in a record, in the spool, in the log, or in what collect prints.
func TestNoSecretLeaves(t *testing.T) {
	r := newRig(t, collectors.All()...)
	root, bin := t.TempDir(), t.TempDir()
	put := func(path, text string) {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range salted {
		put(path, text)
	}
	for path, text := range logs(time.Now()) {
		put(path, text)
	}
	t.Setenv("PATH", bin)
	t.Setenv("SOME_PASSWORD", "salt70") // of the agent's own environment
	config := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(config, []byte(saltedConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := agent.LoadConfig(config, true)
	if err != nil {
		// Credentials in an address may be refused; then the error must not repeat them.
		if saltWord.MatchString(err.Error()) {
			t.Fatalf("the config's error repeats a secret: %v", err)
		}
		t.Fatal(err)
	}
	cfg.StateDir = r.cfg.StateDir
	r.cfg = cfg.Over(r.srv)
	var mu sync.Mutex // kinds look at the same time
	asked := 0
	r.h = &host.Host{Root: root, Now: time.Now, MachineKey: []byte("k"), Resolvers: []string{"127.0.0.1:1"},
		Addrs: func() ([]netip.Addr, error) { return nil, nil },
		Run: func(ctx context.Context, c host.Command) (host.Result, error) {
			c.Name = filepath.Base(c.Name)
			mu.Lock()
			defer mu.Unlock()
			asked++
			if err := os.WriteFile(filepath.Join(bin, c.Name+".new"), []byte(saltedTool), 0o755); err != nil { //nolint:gosec // a program
				return host.Result{}, err
			}
			if err := os.Rename(filepath.Join(bin, c.Name+".new"), filepath.Join(bin, c.Name)); err != nil {
				return host.Result{}, err
			}
			return host.Exec(ctx, c)
		}}
	r.enroll()
	if err := r.once(bounded(t, 2*time.Minute)); err != nil {
		t.Logf("run --once: %v", err) // a look may fail here; it must only keep quiet
		search(t, "the error", []byte(err.Error()))
	}
	results, err := agent.Collect(bounded(t, 2*time.Minute), r.cfg, r.h, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(collectors.All()) {
		t.Errorf("%d kinds looked, of %d", len(results), len(collectors.All()))
	}
	for _, res := range results {
		line, err := res.JSON()
		if err != nil {
			t.Fatal(err)
		}
		search(t, "collect --json "+string(res.Kind), line)
		search(t, "the cursor of "+string(res.Kind), res.Next)
		var text bytes.Buffer
		res.Print(&text, agent.Plain)
		search(t, "collect "+string(res.Kind), text.Bytes())
		if res.Facts == nil && silentHere[res.Kind] == "" {
			t.Errorf("%s tells nothing of this host (%v): its secrets are not tried", res.Kind, res.Gaps)
		}
	}
	for name, blob := range r.srv.blobs {
		search(t, "blob "+name, blob)
	}
	for _, rec := range r.srv.all() {
		search(t, "a record", fmt.Appendf(nil, "%+v", rec))
	}
	search(t, "the log", []byte(r.log.String()))
	err = filepath.WalkDir(r.cfg.StateDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		search(t, "the spool's "+d.Name(), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if asked < 5 || len(r.srv.blobs) == 0 {
		t.Errorf("%d programs asked, %d blobs: too few to prove anything", asked, len(r.srv.blobs))
	}
}

// search looks for the salt as it is and in base64.
func search(t *testing.T, where string, b []byte) {
	t.Helper()
	for _, word := range saltWord.FindAllString(string(b), -1) {
		at := bytes.Index(b, []byte(word))
		t.Errorf("%s holds %s: …%s…", where, word, b[max(0, at-80):min(len(b), at+40)])
	}
	if bytes.Contains(b, []byte("c2FsdD")) { // base64 of "salt" and a digit
		t.Errorf("%s holds a secret in base64", where)
	}
}
