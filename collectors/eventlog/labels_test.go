package eventlog_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/collectors/host"
)

// labelled says which of our rules speak of the same as a set of lines that others
// labelled, and on which parts of lines we differ, each with its reason.
type labelled struct {
	rules  string
	except map[string]string
}

var sshdExcept = map[string]string{
	"Bye Bye":              "a client that leaves has not tried a password by that alone",
	"Auth fail":            "what a client says when it leaves is its own text",
	"Connection closed by": "counted by that filter as the end of an earlier line",
	"account is locked":    "a refusal by the configuration, without an address",
	"Disconnecting: Too many authentication failures for root": "counted here by itself, without an address; there with the line that follows",
	"ssh2: from 10.10.1.2":                   "protocol 2 writes nothing after a password's line: all before the last address is the user's name",
	"[sshd] User root":                       "no syslog tag",
	"kernel:":                                "sshd does not write the kernel's stamp",
	"does not map back to the address":       "an oddity that we count and they do not",
	"Accepted p":                             "that filter forgets failures by it",
	"Normal Shutdown, Thank you for playing": "what a client says when it leaves is its own text",
	"Too many authentication failures":       "counted here by itself, without an address in old versions",
	"Connection reset by":                    noLogin, "Disconnected from": noLogin, "kex_exchange_identification": noLogin, "Read from socket failed": noLogin,
	"Unable to negotiate a key exchange": noLogin, "no matching mac found": noLogin,
	"pam_unix(sshd:auth)": "that filter counts PAM's line only with what follows it",
}

const noLogin = "a connection that ends without a login is no failed one"

const sshRules = "ssh_login_failed ssh_invalid_user ssh_refused ssh_too_many_tries ssh_left_without_login ssh_bad_client ssh_login_ok pam_failed"

var labelledSets = map[string]labelled{
	"apache-auth":          {rules: "web_auth_failed web_denied web_malformed web_limited", except: map[string]string{"[evasive20:": "that filter takes it or not, as it was told"}},
	"apache-badbots":       {rules: "web_scanner"},
	"apache-nohome":        {rules: "web_probe"},
	"apache-botsearch":     {rules: "web_probe"},
	"apache-fakegooglebot": {rules: "web_probe", except: map[string]string{"Googlebot/2.1": "by its name alone it may be the real one"}},
	"apache-modsecurity":   {rules: "waf_denied waf_warning"},
	"apache-noscript":      {rules: "web_probe"},
	"apache-overflows":     {rules: "web_attack web_malformed"},
	"apache-shellshock":    {rules: "web_attack"},
	"asterisk": {rules: "app_login_failed", except: map[string]string{
		"rejected because extension": "a call that is refused is no login", "SecurityEvent=": "telephony is no duty's; its own event log is not read",
		"hacking attempt": "as above", "] NOTICE[": "as above", "NOTICE[566]": "without a time", "[Jan ": "no year, in brackets", "[Jun ": "no year, in brackets", "asterisk[": "as above"}},
	"bitwarden":         {rules: "app_login_failed"},
	"courier-auth":      {rules: "mail_login_failed"},
	"dante":             {rules: "app_login_failed"},
	"drupal-auth":       {rules: "app_login_failed"},
	"gitlab":            {rules: "app_login_failed"},
	"groupoffice":       {rules: "app_login_failed"},
	"horde":             {rules: "mail_login_failed"},
	"lighttpd-auth":     {rules: "web_auth_failed"},
	"monit":             {rules: "app_login_failed", except: map[string]string{"[PDT ": "stamps behind a zone's name are not read", "[CEST ": "as above"}},
	"nagios":            {rules: "app_login_failed"},
	"nginx-bad-request": {rules: "web_malformed"},
	"nginx-forbidden":   {rules: "web_denied"},
	"nsd":               {rules: "name_server_refused", except: map[string]string{"[13872": "stamps of seconds alone in brackets are not read", "[13873": "as above"}},
	"openvpn":           {rules: "vpn_refused", except: map[string]string{"SIGUSR1[soft,connection-reset]": "the end of a connection is no refusal"}},
	"php-url-fopen":     {rules: "web_attack"},
	"pure-ftpd":         {rules: "ftp_login_failed"},
	"recidive":          {rules: "address_banned", except: map[string]string{"[recidive] Ban": "a ban all the same"}},
	"sieve":             {rules: "mail_login_failed"},
	"softethervpn":      {rules: "app_login_failed", except: map[string]string{"<SECURITY_LOG>": "a tag of its own"}},
	"solid-pop3d":       {rules: "mail_login_failed"},
	"suhosin":           {rules: "web_attack"},
	"traefik-auth":      {rules: "web_auth_failed", except: map[string]string{" - - [18/Nov/2018": "no name was tried", " - username [18/Nov/2018:21:34:30": "that filter was told to count visits without a name"}},
	"vaultwarden":       {rules: "app_login_failed"},
	"wuftpd":            {rules: "ftp_login_failed pam_failed"},
	"xrdp":              {rules: "app_login_failed", except: map[string]string{"[20220407-": "stamps of xrdp's own log are not read", "loginjector": "as above"}},
	"zoneminder":        {rules: "app_login_failed"},
	"courier-smtp":      {rules: "mail_login_failed mail_refused"},
	"cyrus-imap":        {rules: "mail_login_failed"},
	"directadmin":       {rules: "panel_login_failed"},
	"dovecot": {rules: "sasl_failed mail_password_wrong pam_failed", except: map[string]string{
		"@400000004c91b044": "multilog's stamps (TAI64N) are not read", "no auth attempts": noLogin, "before auth was ready": noLogin, "didn't finish SASL": noLogin, "TLS handshak": noLogin}},
	"dropbear":          {rules: "dropbear_failed"},
	"ejabberd-auth":     {rules: "app_login_failed", except: map[string]string{"I(<0.1440.0>": "the time stands in the line before"}},
	"exim-spam":         {rules: "mail_refused"},
	"exim":              {rules: "sasl_failed mail_refused mail_malformed", except: map[string]string{"no MAIL in SMTP": noLogin, "no host name found": noLogin, "no IP address found": noLogin}},
	"froxlor-auth":      {rules: "panel_login_failed"},
	"gssftpd":           {rules: "ftp_login_failed"},
	"haproxy-http-auth": {rules: "web_auth_failed"},
	"kerio":             {rules: "mail_login_failed mail_refused mail_malformed"},
	"mongodb-auth":      {rules: "-", except: map[string]string{"end connection": "that filter joins two lines; the first says it (database_login_failed)"}},
	"murmur":            {rules: "app_login_failed", except: map[string]string{"<W>": "stamps behind <W> are not read"}},
	"mysqld-auth":       {rules: "database_login_failed"},
	"named-refused":     {rules: "name_server_refused"},
	"nginx-botsearch":   {rules: "web_probe"},
	"nginx-http-auth":   {rules: "web_auth_failed", except: map[string]string{") while SSL handshaking": noLogin, "SSL_read() failed": noLogin}},
	"nginx-limit-req":   {rules: "web_limited"},
	"openwebmail":       {rules: "app_login_failed"},
	"pam-generic":       {rules: "pam_failed", except: map[string]string{"pop(pam_unix)[4920]": "it is a failed authentication; that filter does not know its form"}},
	"perdition":         {rules: "mail_login_failed"},
	"phpmyadmin-syslog": {rules: "panel_login_failed"},
	"postfix": {rules: "sasl_failed mail_refused mail_malformed", except: map[string]string{
		"12 08:58:35 srv postfix/smtpd[29306]": "that filter was told to count errors alone there", "lost connection after": noLogin, "does not resolve to": noLogin, "Invalid authentication mechanism": "no password was tried"}},
	"proftpd":         {rules: "ftp_login_failed"},
	"proxmox":         {rules: "panel_login_failed"},
	"qmail":           {rules: "mail_refused"},
	"roundcube-auth":  {rules: "mail_login_failed"},
	"routeros-auth":   {rules: "app_login_failed"}, //nolint:misspell // a product
	"screensharingd":  {rules: "app_login_failed", except: map[string]string{"Oct 27 2015": "a stamp with the year in the middle is not read"}},
	"selinux-ssh":     {rules: "audit_login_failed"},
	"sendmail-auth":   {rules: "mail_login_failed"},
	"sendmail-reject": {rules: "mail_refused", except: map[string]string{"did not issue MAIL": noLogin, "lost input channel": noLogin, ", nrcpts=0,": noLogin}},
	"slapd":           {rules: "app_login_failed", except: map[string]string{"err=49": "the address stands in an earlier line"}},
	"sogo-auth":       {rules: "mail_login_failed"},
	"sshd-journal":    {rules: sshRules, except: sshdExcept},
	"sshd":            {rules: sshRules, except: sshdExcept},
	"uwimap-auth":     {rules: "mail_login_failed"},
	"vsftpd":          {rules: "ftp_login_failed pam_failed"},
	"webmin-auth":     {rules: "panel_login_failed"},
	"xinetd-fail":     {rules: "connection_refused"},
	"znc-adminlog":    {rules: "app_login_failed"},
}

// tryLabels reads lines that other projects labelled: ours must match what they
// match, with the same address, and nothing else.
func tryLabels(t *testing.T, name string, data []byte) {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".1st"), ".2nd")
	set, known := labelledSets[name]
	if !known {
		t.Fatalf("nobody said which rules speak of %s: add it to labelledSets", name)
	}
	engine := eventlog.NewEngine(builtin(t))
	found, quiet, excepted := 0, 0, 0
	for line := range bytes.Lines(data) {
		var l struct {
			Line  string `json:"log"`
			Match bool   `json:"match"`
			Host  string `json:"host"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		hit, address := set.match(engine, l.Line)
		right := hit == l.Match && (!hit || address == "" || l.Host == "" || address == l.Host)
		reason := ""
		for part, why := range set.except {
			if strings.Contains(l.Line, part) {
				reason = why
			}
		}
		switch {
		case right && l.Match:
			found++
		case right:
			quiet++
		case reason != "":
			excepted++
		default:
			t.Errorf("matched %v with address %q, labelled %v with %q: %s", hit, address, l.Match, l.Host, l.Line)
		}
	}
	t.Logf("%d matched and %d left alone as labelled, %d differ for a stated reason", found, quiet, excepted)
	if found+quiet+excepted == 0 {
		t.Error("no line was tried")
	}
}

func (set labelled) match(engine *eventlog.Engine, line string) (hit bool, address string) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	e, err := eventlog.ParseSyslog([]byte(line), at)
	if err != nil { // some sets leave the stamp of syslog out
		if e, err = eventlog.ParseSyslog([]byte("Jan  1 00:00:00 "+line), at); err != nil {
			return false, ""
		}
	}
	for _, m := range engine.Match(e) {
		if slices.Contains(strings.Fields(set.rules), m.Rule.ID) {
			hit, address = true, m.Address
		}
	}
	return hit, address
}

func format(t *testing.T, name string) func([]byte, time.Time) (host.Look, error) {
	t.Helper()
	for _, f := range eventlog.Spec().Formats {
		if f.Name == name {
			return f.Parse
		}
	}
	t.Fatalf("no format %s", name)
	return nil
}
