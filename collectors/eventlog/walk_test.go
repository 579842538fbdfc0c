package eventlog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/evidence"
)

// unread are files of others' collections that say nothing that this kind reads,
// each with its reason. A key that ends with / or - stands for all that begin so.
var unread = map[string]string{
	"README.md": "describes the files", "fail2ban/COPYING": "a licence", "crowdsec/LICENSE": "a licence", "loghub/LICENSE": "a licence",
	"fail2ban/testcase-journal.log": "samples of a journal's fields for that program's own test",
	"fail2ban/3proxy.log":           "a proxy that no duty speaks of",
	"fail2ban/counter-strike.log":   "a game",
	"fail2ban/grafana.log":          "stamps inside key=value pairs are not read",
	"fail2ban/monitorix.log":        "a page of graphs that no duty speaks of",
	"fail2ban/openhab.log":          "months in another language; home automation",
	"fail2ban/squid.log":            "a proxy that no duty speaks of",
	"fail2ban/screensharingd.log":   "a stamp with the year in the middle; macOS",
	"fail2ban/sshd-journal.1st.log": "the stamps are left out there; its labels are tried",
	"fail2ban/stunnel.log":          "stamps of stunnel are not read",
	"fail2ban/apache-pass.log":      "pages as a password, which nobody else knows to be one",
	"fail2ban/assp.log":             "stamps of ASSP are not read",
	"fail2ban/centreon.log":         "its own log, with bars between the fields",
	"fail2ban/cowrie.log":           "JSON of a trap",
	"fail2ban/domino-smtp.log":      "Domino's own log",
	"fail2ban/freeswitch.log":       "telephony is no duty's",
	"fail2ban/guacamole.log":        "lines without a time",
	"fail2ban/mssql-auth.log":       "Windows",
	"fail2ban/oracleims.log":        "XML of a mail server that nobody here has",
	"fail2ban/portsentry.log":       "its own log; what it writes to syslog is read",
	"fail2ban/scanlogd.log":         "who looks at ports has not been refused anything",
	"fail2ban/squirrelmail.log":     "stamps of SquirrelMail are not read",
	"fail2ban/sshd-journal.2nd.log": "the stamps are left out there; its labels are tried",
	"fail2ban/tine20.log":           "the time stands in the middle of the line",
	"crowdsec/cve-2023-23397/":      "Windows", "crowdsec/exchange-": "Windows", "crowdsec/iis-xml-logs/": "Windows", "crowdsec/windows-logs/": "Windows",
	"crowdsec/nextcloud-logs/":             "JSON of an application that no duty speaks of",
	"crowdsec/teleport-impossible-travel/": "JSON of an application that no duty speaks of",
	"crowdsec/webmin-logs/":                "Webmin's own log; what it writes to syslog is read",
	"loghub/Thunderbird":                   "a supercomputer's stamps before those of syslog", "loghub/Windows": "Windows",
	"loghub/Apache.templates.csv": "says how lines are put together, not what they mean", "loghub/Linux.templates.csv": "as above", "loghub/OpenSSH.templates.csv": "as above",
	"loghub/Apache.lines1-1000.log_structured.csv": "the same lines taken apart into words", "loghub/Linux.lines1-1000.log_structured.csv": "as above", "loghub/OpenSSH.lines1-1000.log_structured.csv": "as above",
	"plaso/apt_history.log": "read by the kind software", "plaso/utmp_": "binary; logins are read from the journal and auth.log", "plaso/security.log": "macOS",
	"wazuh/SonicWall": "a firewall appliance", "wazuh/checkpoint_smart1": "a firewall appliance", "wazuh/cisco_asa": "a firewall appliance", "wazuh/junos": "a firewall appliance",
	"wazuh/cisco_ios": "a router", "wazuh/paloalto": "a firewall appliance", "wazuh/sysmon": "Windows", "wazuh/test_": "made up to test that program", "wazuh/unbound": "answers of a resolver",
	"wazuh/squid_rules": "a proxy that no duty speaks of", "wazuh/nextcloud": "JSON of an application that no duty speaks of", "wazuh/cimserver": "a server that no duty speaks of", "wazuh/mcafee": "Windows", "wazuh/macos": "macOS",
	"wazuh/netscreen": "a firewall appliance", "wazuh/owlh": "JSON of a network monitor", "wazuh/panda_paps": "an antivirus console of Windows", "wazuh/oscap": "results of a scanner, no log",
	"postfix-grok/":              "says how messages are taken apart, not what they mean; postfix.1st of fail2ban says that",
	"journald/verify.txt":        "what journalctl --verify said of the files beside it",
	"journald/system.journal.gz": "read by journalctl in TestFixturesJournal", "journald/tampered.journal.gz": "as above", "journald/truncated.journal.gz": "as above",
}

// attacks are what CrowdSec's scenarios say of a log, in our rules; "-" where nothing
// is to be found.
var attacks = map[string]string{
	"CVE-2017-9841": "web_attack web_probe", "CVE-2021-4034": "exploit_of_the_system", "CVE-2022-35914": "web_attack web_probe", "CVE-2022-41697": "web_probe",
	"CVE-2022-44877": "web_attack", "CVE-2023-22515": "web_attack", "CVE-2023-4911": "exploit_of_the_system", "CVE-2024-38475": "web_attack", "CVE-2025-0108": "web_attack",
	"apache2-http-sensitive-files": "web_probe", "apache2-malformed": "web_malformed", "auditd-logs": "-", "auditd-postexploit-rm": "audit_files_removed",
	"bind9-logs": "name_server_refused", "bind9-syslog": "name_server_refused", "cpanel-bf": "panel_login_failed", "cpanel_bf_attempt": "panel_login_failed",
	"dovecot-logs": "mail_password_wrong sasl_failed", "dovecot-spam": "mail_password_wrong sasl_failed", "dovecot-time-based-bf-user-enum": "sasl_failed",
	"exim-bf": "sasl_failed", "exim-spam": "mail_refused", "hestiacp-logs": "panel_login_failed", "home-assistant": "app_login_failed",
	"http-bf-wordpress-bf": "web_login_tried", "http-dos-bypass-cache": "-", "http-dos-random-uri": "-", "http-generic-test": "web_probe", "http-technology-probing": "web_probe",
	"http-wordpress_user-enum": "wordpress_probe", "iptables-scan-multi-port": "network_blocked", "litespeed-admin-bf": "panel_login_failed", "litespeed-logs": "panel_login_failed",
	"mailscanner-blacklisted": "mail_refused", "mailscanner-logs": "mail_refused", "mariadb-logs": "database_login_failed", "modsecurity": "waf_denied waf_warning",
	"modsecurity-logs-nginx": "waf_denied waf_warning", "mysql-bf": "database_login_failed", "nginx-bad-user-agent": "web_scanner", "nginx-http-backdoor": "web_probe",
	"nginx-http-malformed": "web_malformed", "nginx-http-path-traversal": "web_attack", "nginx-http-sqli-probing": "web_attack", "nginx-http-xss-probing": "web_attack",
	"nginx-mail-logs": "web_auth_failed", "nginx-proxy-manager-malformed": "web_malformed", "nginx_http-logs": "-", "openvpn": "vpn_refused", "pgsql-logs": "database_login_failed",
	"postfix-honeypot-users": "sasl_failed", "postfix-non-smtp": "mail_malformed", "postfix-sasl-bf": "sasl_failed", "postscreen-logs": "mail_malformed",
	"proftpd-logs": "ftp_login_failed", "proxmox-backup-auth-bf": "panel_login_failed", "proxmox-bf": "panel_login_failed", "proxmox-logs": "panel_login_failed panel_login_ok",
	"smb-bf": "file_server_login_failed", "ssh-generic-test": "ssh_invalid_user", "ssh-time-based-bf": "ssh_invalid_user", "sshd-bad-keyexchange-bf": "ssh_bad_client",
	"sshd-logs": "ssh_login_failed ssh_invalid_user ssh_refused", "sshd-refused-conn": "ssh_refused", "sshd_banner_exchange": "ssh_bad_client", "sympa_ww-http-scan": "app_login_failed",
	"synology-dsm-logs": "pam_failed", "syslog-logs": "ssh_invalid_user", "vsftpd-bf": "ftp_login_failed", "whitelists": "ssh_invalid_user", "wireguard-auth": "network_blocked",
	"zimbra-logs":    "mail_login_failed",
	"CVE-2019-18935": "web_probe", "CVE-2022-26134": "web_attack", "CVE-2022-40684": "web_probe", "CVE-2022-42889": "web_attack", "CVE-2022-46169": "web_probe",
	"CVE-2023-22518": "web_probe", "CVE-2024-0012": "web_attack web_probe", "amavis-blocked": "malware_found", "amavis-logs": "malware_found",
	"apache-cve-2021-41773": "web_attack", "apache-http-probing": "web_attack web_malformed", "apache_log4j2_cve-2021-44228": "web_attack",
	"auditd-postexploit-exec-from-net": "audit_run_from_tmp", "auditd-suid-crash": "exploit_of_the_system", "bind9-refused": "name_server_refused",
	"bitwarden-bf": "app_login_failed", "bitwarden-logs": "app_login_failed", "bunkerweb-bad-user-agent": "web_scanner", "bunkerweb-http-malformed": "web_malformed",
	"bunkerweb-http-path-traversal": "web_attack", "bunkerweb-http-sensitive-files": "web_probe", "configserver-lfd-logs": "address_banned",
	"cpanel-logs": "panel_login_failed", "cve-2021-42013": "web_attack", "cve-2023-49103": "web_probe", "cve_2022_37042": "web_probe", "dovecot-slow-bf": "sasl_failed",
	"dovecot-slow-bf-no-overlap": "sasl_failed", "dovecot-slow-bf-user-enum": "sasl_failed", "dovecot-time-based-bf": "sasl_failed",
	"exim-logs": "mail_refused sasl_failed", "exim-syslog-logs": "mail_refused sasl_failed", "f5-big-ip-cve-2020-5902": "web_attack",
	"fortinet-cve-2018-13379": "web_attack", "geoip-enrich": "ssh_invalid_user", "gitea-bf": "app_login_failed", "gitea-logs": "app_login_failed",
	"grafana_cve-2021-43798": "web_attack web_malformed", "hestiacp-bf": "panel_login_failed", "http-admin-interface-probing": "web_probe", "http-cve-probing": "web_probe",
	"http-wordpress_wpconfig": "web_probe", "iptables-logs": "network_blocked", "ipv6-postoverflow": "web_scanner",
	"litespeed-http-sensitive-files": "web_probe", "mailscanner-highscore-spam": "mail_refused", "mariadb-bf": "database_login_failed", "mikrotik-bf": "app_login_failed",
	"mikrotik-logs": "app_login_failed", "modsecurity-logs": "waf_denied waf_warning", "modsecurity-nginx": "waf_warning", "mysql-logs": "database_login_failed",
	"netgear_rce": "web_attack web_probe", "nginx-cve-2021-41773": "web_attack web_malformed web_probe", "nginx-http-generic-bf": "web_auth_failed",
	"nginx-http-open-proxy": "web_malformed", "nginx-http-sensitive-files": "web_probe", "nginx-http-w00twoot": "web_probe", "nginx-mail-bf": "web_auth_failed",
	"nginx-proxy-manager-logs": "web_auth_failed", "nginx_req_limit_exceeded": "web_limited", "openvpn-bf": "vpn_refused", "opnsense-sshd": "ssh_invalid_user",
	"pam-logs": "account_locked pam_failed", "postfix-helo": "mail_refused", "postfix-logs": "mail_malformed mail_refused sasl_failed", "postfix-relay": "mail_refused",
	"postfix-spam": "mail_refused sasl_failed", "proftpd-bf": "ftp_login_failed", "proftpd-user-enum": "ftp_login_failed", "proxmox-backup-auth-logs": "panel_login_failed",
	"pulse-secure-sslvpn-cve-2019-11510": "web_attack", "pureftpd-bf": "ftp_login_failed ftp_login_ok", "pureftpd-logs": "ftp_login_failed ftp_login_ok",
	"sap-probing": "web_probe", "segfault-logs": "exploit_of_the_system", "spring4shell_cve-2022-22965": "web_attack", "ssh-bf": "ssh_invalid_user",
	"ssh-slow-bf": "ssh_invalid_user", "ssh-timeout": "ssh_bad_client", "sshd-impossible-travel": "ssh_login_ok", "sshd-impossible-travel-user": "ssh_login_ok",
	"sshd-invalid-bf": "ssh_left_without_login", "sshd-logs-fp": "-", "sshd-success-logs": "ssh_login_ok", "sympa_ww-logs": "app_login_failed",
	"synology-dsm-bf": "pam_failed", "thinkphp-cve-2018-20062": "web_attack", "vaultwarden-bf": "app_login_failed", "vaultwarden-logs": "app_login_failed",
	"vmware-cve-2022-22954": "web_attack", "vmware-vcenter-vmsa-2021-0027": "web_attack", "vsftpd-logs": "ftp_login_failed ftp_login_ok",
	"wireguard-logs": "network_blocked", "zimbra-bf": "mail_login_failed",
}

// foreign are tests of CrowdSec on logs of applications, appliances and clouds that no duty
// speaks of, or in forms without a time that is read.
const foreign = ` http-dos-invalid-http-versions CVE-2024-9474 actual-budget-whitelist adguardhome-bf adguardhome-logs apache-guacamole-logs apache-guacamole_bf apache-guacamole_user_enum
	apache2-logs apereo-cas-audit-logs apereo-cas-bf apereo-cas-slow-bf apiscp-bf asterisk-bf asterisk-logs asterisk-syslogs asterisk-user-enum
	audiobookshelf-bf audiobookshelf-logs auditd-base64-exec authelia-bf authelia-logs authentik-bf authentik-logs aws-alb-http-bad-user-agent
	aws-alb-logs aws-bf aws-cloudfront-logs aws-cloudtrail aws-cloudtrail-postexploit aws-nwo-login baikal-bf baikal-logs base-upsun-generic-test
	base-upsun-httplog-logs baserow-logs bookstack-bf bookstack-logs bunkerweb-logs caddy-basic-auth-bf caddy-coraza caddy-crs-anomaly-score caddy-logs
	calibre-web-bf calibre-web-logs calibre-web-whitelist cef-logs charon-ipsec-bf charon-ipsec-logs charon-ipsec-slow-bf couchdb-logs cowrie-logs
	cowrie_telnet-bf cri-logs docker-logs dockge-bf dockge-logs dropbear-logs emby-bf emby-logs endlessh-logs endlessh-syslogs envoy-http-bad-user-agent
	envoy-http-crawl-non_statics envoy-logs fastly-logs filebrowser-logs fireflyiii-bf fireflyiii-logs fortinet-vpn-bf freeswitch freeswitch-acl-reject
	freeswitch-bf freeswitch-user-enumeration gitlab-bf gitlab-logs gotify-bf gotify-logs grafana-bf grafana-logs haproxy-logs haproxy-nextcloud-whitelist
	harbor-bf harbor-logs http-dos-switching-ua http-magento-bf http-wordpress-scan immich-bf immich-logs jellyfin-bf jellyfin-logs jellyfin-syslog-bf
	jellyfin-syslog-logs jellyfin-whitelist jellyseerr-bf jellyseerr-logs jellyseerr-whitelist jira_cve-2021-26086 joplin-server-bf joplin-server-logs
	k8s-audit-pod-exec-file k8s-audit-priv-pod-file kasm kasm-bruteforce keycloak-bf keycloak-logs keycloak-slow-bf laurel-base64-exec laurel-logs
	laurel-suid-crash lemonldap-ng-bf lemonldap-ng-logs litellm-logs magento-ccs magento-ccs-by-as magento-ccs-by-country magento-extension-logs
	mailcow-f2b-bans mailcow-f2b-feed mailu-admin-bf mailu-admin-logs mealie-bf mealie-logs meshcentral-bf meshcentral-logs mikrotik-scan-multi_ports
	miniflux-bf miniflux-logs mongodb-bf mongodb-logs mssql-text-logs navidrome-bf navidrome-logs nextcloud-bf nextcloud-whitelist nginx_http-catch-npm
	npmplus-logs ntfy-bf ntfy-logs odoo-bf_user-enum odoo-logs ombi-bf ombi-logs openappsec opensearch-dashboard-bf opensearch-dashboard-logs
	opnsense-gui-auth overseerr-bf overseerr-logs overseerr-whitelist palo-alto-threat paperless-ngx-bf paperless-ngx-logs pf-logs pf-scan-multi-port
	pfsense-gui-auth pfsense-rfc5424-filterlog pfsense-rfc5424-nginx pgsql-user-enum prowlarr-bf prowlarr-logs prowlarr-nonsyslog-logs
	proxmox-iptables-logs pterodactyl-wings pterodactyl-wings-bf qbittorrent-bf qbittorrent-logs radarr-bf radarr-logs radarr-nonsyslog-logs redmine-bf
	redmine-logs rocketchat-whitelist sabnzbd-bf sabnzbd-logs sftpgo-bf sftpgo-impossible-travel sftpgo-logs smb-logs sonarr-bf sonarr-logs
	sonarr-nonsyslog-logs sshesame stirling-pdf-bf stirling-pdf-logs supabase-docker-pgsql-logs supavisor-logs suricata-eve-detect suricata-logs-evelog
	suricata-logs-fastlog tcpdump-logs tcpudp-flood-traefik teamspeak-bf technitium-bf technitium-logs teleport-bf teleport-logs thehive-bf thehive-logs
	traefik_base-http-scenario traefik_clf traefik_json unifi-cef unifi-logs uptime-kuma-bf uptime-kuma-logs webmin-bf windows-bf zoneminder-bf
	zoneminder-logs zoneminder_cve-39285 zoneminder_cve-39290 zoneminder_cve-39291 zoraxy-http-bad-user-agent zoraxy-http-logs `

// Not every scenario is a rule here: of floods by their rate a web server's own limit
// speaks (web_limited).

func reasonFor(name string) string {
	for key, why := range unread {
		if key == name || strings.HasPrefix(name, key) && (strings.ContainsAny(key[len(key)-1:], "/-_") || strings.HasPrefix(key, "wazuh/") || strings.HasPrefix(key, "loghub/")) {
			return why
		}
		if stem, ok := strings.CutSuffix(key, ".log"); ok && name == stem+".labels.jsonl" && labelledSets[path.Base(strings.TrimSuffix(stem, ".1st"))].rules == "" {
			return why
		}
	}
	return ""
}

// TestFixturesLinuxLogs walks others' collection of logs: every file of it is tried
// against what its collection says, or stands in unread with a reason.
func TestFixturesLinuxLogs(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder; the samples in testdata are tried by TestSamples")
	}
	root = filepath.Join(root, "01-linux-logs")
	tried, excepted := map[string]int{}, map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		family, _, _ := strings.Cut(name, "/")
		if reasonFor(name) != "" {
			excepted[family]++
			return nil
		}
		t.Run(name, func(t *testing.T) { tryFile(t, name, path) })
		tried[family]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range []string{"fail2ban", "crowdsec", "wazuh", "ossec", "loghub", "plaso", "journald", "syslog-ng-patterndb"} {
		t.Logf("fixtures 01-linux-logs/%s: %d files tried, %d excepted", family, tried[family], excepted[family])
		if tried[family] == 0 {
			t.Errorf("no file of %s was tried", family)
		}
	}
}

func tryFile(t *testing.T, name, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	family, rest, _ := strings.Cut(name, "/")
	switch {
	case strings.HasSuffix(name, ".labels.jsonl"):
		tryLabels(t, strings.TrimSuffix(filepath.Base(name), ".labels.jsonl"), data)
	case family == "crowdsec":
		test, _, _ := strings.Cut(rest, "/")
		tryAttack(t, test, filepath.Base(name), data, filepath.Dir(path))
	case family == "wazuh":
		tryLevels(t, data)
	case family == "ossec":
		tryOSSEC(t, data)
	case family == "syslog-ng-patterndb":
		tryPatternDB(t, data)
	case strings.HasSuffix(name, "json.txt"):
		tryReadable(t, "journal-json", data)
	case strings.HasSuffix(name, "export.txt"), strings.HasSuffix(name, ".export"):
		tryReadable(t, "journal-export", data)
	default:
		tryReadable(t, "syslog", data)
	}
}

// tryReadable holds that a log is read, and that nothing but a known rest of it is not.
func tryReadable(t *testing.T, as string, data []byte) evidence.EventLog {
	t.Helper()
	l, err := format(t, as)(data, now)
	if err != nil {
		t.Fatal(err)
	}
	f := l.Facts.(evidence.EventLog)
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, g := range l.Gaps {
		t.Logf("gap: %s: %s", g.What, g.Why)
	}
	return f
}

var asserted = regexp.MustCompile(`GetValue\(\) == "([0-9a-f.:]+)"`)

// tryAttack holds that a recorded attack is seen, and that each address that the
// scenario asserts stands in the samples where they are enough to hold all.
func tryAttack(t *testing.T, test, file string, data []byte, folder string) {
	if !strings.HasSuffix(file, ".log") {
		return // what the log beside it must give: read with it
	}
	want, known := attacks[test]
	if strings.Contains(" "+strings.Join(strings.Fields(foreign), " ")+" ", " "+test+" ") || strings.HasPrefix(test, "template_") {
		return
	}
	if !known {
		t.Fatalf("nobody said what %s must give: add it to attacks", test)
	}
	l, err := format(t, "syslog")(data, now)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, h := range l.Facts.(evidence.EventLog).Hits {
		if h.Severity != evidence.SeverityInfo || strings.Contains(want, h.Rule) {
			got[h.Rule] = true
		}
	}
	if want == "-" {
		delete(got, "web_probe") // single requests among ordinary ones
		if len(got) > 0 {
			t.Errorf("%v in it, want nothing", got)
		}
		return
	}
	for _, rule := range strings.Fields(want) {
		if !got[rule] {
			t.Errorf("%s not in %v", rule, got)
		}
	}
	scenario, err := os.ReadFile(filepath.Join(folder, "scenario.assert"))
	if err != nil {
		return // only a parser's truth stands beside it
	}
	all, distinct := fmt.Sprint(l.Detail.(eventlog.Detail).Samples), map[string]bool{}
	for _, m := range asserted.FindAllStringSubmatch(string(scenario), -1) {
		distinct[m[1]] = true
	}
	for address := range distinct {
		if len(distinct) <= 3 && bytes.Contains(data, []byte(address)) && !strings.Contains(all, address) && !strings.Contains(want, "exploit") {
			t.Errorf("%s is in no sample of %s", address, all)
		}
	}
}

// tryLevels reads Wazuh's tests: what it calls security relevant (level 5 and more)
// must be seen here, but for the lines that differences names.
func tryLevels(t *testing.T, data []byte) {
	engine := eventlog.NewEngine(builtin(t))
	seen := 0
	for line := range bytes.Lines(data) {
		var s struct {
			Section, Alert string
			Logs           []struct {
				Log  string
				Must bool `json:"must_match_rule"`
			}
		}
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		for _, l := range s.Logs {
			seen++
			relevant := l.Must && (len(s.Alert) > 1 || s.Alert >= "5")
			if hit := matches(engine, l.Log); relevant && len(hit) == 0 && !different(l.Log) {
				t.Errorf("level %s (%s), no rule here: %s", s.Alert, s.Section, l.Log)
			}
		}
	}
	if seen == 0 {
		t.Error("no line in it")
	}
}

// different are lines of others on which we differ, each with its reason.
func different(line string) bool {
	for part, why := range map[string]string{
		"[error] [client ": "the stamp is left out there",
		"Audit log: ":      "", "yadda": "made up, without the form of nginx",
		"W3SVC": "IIS", "Der Socket ist nicht verbunden": "a server's own trouble, in another language",
		"update.bad.phishing": "routine", "PHP Notice:": "a program's own fault", "Postponed keyboard-interactive": "a question, not a refusal",
		"client 217.148.39.3#1036: query (cache)": "cut off", "cimserver[": "a server that no duty speaks of",
		"Failed none for root": "asks which ways there are", "183.106.179.x": "no address", " - 80 - 31.3.3.7 ": "IIS", "/CFIDE/adminapi/": "IIS",
	} {
		if strings.Contains(line, part) && (why != "") && (part != "[error] [client " || strings.HasPrefix(line, part)) {
			return true
		}
	}
	return false
}

func matches(engine *eventlog.Engine, line string) []string {
	e, err := eventlog.ParseSyslog([]byte(strings.TrimSpace(line)), now)
	if err != nil {
		return nil
	}
	var ids []string
	for _, m := range engine.Match(e) {
		ids = append(ids, m.Rule.ID)
	}
	return ids
}

var ossecLevel = regexp.MustCompile(`Level: '(\d+)'`)

// tryOSSEC reads OSSEC's own tests: levels from 4 on that speak of Linux servers.
func tryOSSEC(t *testing.T, data []byte) {
	engine := eventlog.NewEngine(builtin(t))
	elsewhere := []string{"cimserver", "mysqld ended", "cachefsd", "source port zero"} // Solaris, and a database's end that systemd reports
	for line := range bytes.Lines(data) {
		var c struct {
			Log  string
			Want string `json:"expected_logtest_output"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		level := ossecLevel.FindStringSubmatch(c.Want)
		if level == nil || len(level[1]) == 1 && level[1] < "4" || slices.ContainsFunc(elsewhere, func(s string) bool { return strings.Contains(c.Log, s) }) {
			continue
		}
		if len(matches(engine, c.Log)) == 0 {
			t.Errorf("level %s, no rule here: %s", level[1], c.Log)
		}
	}
}

// tryPatternDB reads syslog-ng's examples: what it calls a violation must be seen.
func tryPatternDB(t *testing.T, data []byte) {
	engine := eventlog.NewEngine(builtin(t))
	violations := 0
	for line := range bytes.Lines(data) {
		var c struct{ Program, Message, Class string }
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		if c.Class != "violation" {
			continue
		}
		violations++
		if len(engine.Match(eventlog.Event{Time: now, Program: c.Program, Message: []byte(c.Message), Repeat: 1})) == 0 {
			t.Errorf("a violation, no rule here: %s: %s", c.Program, c.Message)
		}
	}
	if violations == 0 {
		t.Error("no violation in it")
	}
}

func unzip(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFixturesJournal reads others' journal files by the real journalctl: an intact one
// gives its findings, one that is cut off is never "nothing found".
func TestFixturesJournal(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder; TestRealJournal writes journals of its own")
	}
	for _, c := range []struct {
		file  string
		sound bool
	}{{"system", true}, {"tampered", false}, {"truncated", false}} {
		t.Run(c.file, func(t *testing.T) {
			j := newJournal(t, "verify: true")
			data := unzip(t, filepath.Join(root, "01-linux-logs/journald", c.file+".journal.gz"))
			j.do(os.WriteFile(filepath.Join(j.dir, "system.journal"), data, 0o600))
			j.now = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)
			f, gaps := j.damagedLook()
			for _, s := range f.Sources {
				if s.Source == "journald" && s.Whole != c.sound {
					t.Errorf("whole %v, gaps %v", s.Whole, gaps)
				}
			}
			if !c.sound && len(gaps) == 0 {
				t.Error("no gap for a damaged journal")
			}
			t.Logf("%d hits, %d sources, gaps %v", len(f.Hits), len(f.Sources), gaps)
		})
	}
}

// damagedLook looks at a journal that may not be readable at all.
func (j *journal) damagedLook() (evidence.EventLog, []evidence.Gap) {
	j.t.Helper()
	l, err := j.c.Collect(j.t.Context(), nil)
	if err != nil {
		return evidence.EventLog{}, append(l.Gaps, evidence.Gap{What: "look", Why: err.Error()})
	}
	f, _ := l.Facts.(evidence.EventLog)
	return f, l.Gaps
}
