package web_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// town is a site with some days of evidence behind it.
type town struct {
	*site
	mail, web, node, vault, erp, files         *host
	mailIndex, nodeIndex, erpIndex, vaultIndex int64 // newest records
	webIndex                                   int64

	notice, vendor        string // cases: with the customer, and the provider's own
	ownAlert, theirsAlert string // open alerts of the customer's and the provider's duties
	channel               string // of the customer's
	fileIndex             int64  // of a statement of the customer's with a file
	walked                string // a user of the customer's who does nothing
}

// seeded fills a site with three days of two parties' hosts: most in order, a
// listed address, a failed backup and an overdue update.
func seeded(s *site) *town {
	now := s.now
	s.now = now.Add(-80 * time.Hour)
	w := &town{site: s}
	w.node = s.enroll(s.provider, "hv1.nordest.example", "sc")
	w.web = s.enroll(s.provider, "web3.nordest.example", "wh")
	w.mail = s.enroll(s.provider, "mx1.nordest.example", "pe")
	w.vault = s.enroll(s.provider, "vault.nordest.example", "bk")
	w.erp = s.enroll(s.customer, "erp.bianchi.example", "sc", "bk")
	w.files = s.enroll(s.customer, "files.bianchi.example", "sc", "bk")
	for at := now.Add(-78 * time.Hour); !at.After(now); at = at.Add(6 * time.Hour) {
		s.now = at
		last := now.Sub(at) < 6*time.Hour
		w.nodeIndex = w.node.sees(whole(software(at, "pve-manager", 0)), whole(health(at, 0.4)), whole(machines(at)), whole(disks(at)), read(at, 0))
		w.webIndex = w.web.sees(whole(software(at, "nginx", 0)), whole(backups(at, "sites", 40, 0)), whole(health(at, 0.6)), whole(services(at)), whole(signIns(at)), read(at, 3))
		w.mailIndex = w.mail.sees(whole(software(at, "postfix", 2)), whole(lists(last)), whole(backups(at, "mailboxes", 60, 0)), whole(health(at, 0.7)), read(at, 9),
			whole(antivirus(at)), look{facts: posted(at), outcome: evidence.Complete, from: at.Add(-6 * time.Hour)})
		w.vaultIndex = w.vault.sees(whole(health(at, 0.9)), whole(restores(at)), whole(software(at, "proxmox-backup", 0)))
		age := time.Duration(0)
		if now.Sub(at) < 30*time.Hour {
			age = 30*time.Hour - now.Sub(at)
		}
		w.erpIndex = w.erp.sees(whole(backups(at, "gestionale", 30, age)),
			look{facts: events(at, 240), outcome: evidence.Partial, reason: "gaps", from: at.Add(-6 * time.Hour),
				gaps:   []evidence.Gap{{What: "/var/log/secure", Why: "permission denied: add the agent's account to the group adm"}},
				detail: map[string]any{"samples": []string{"Failed password for root from 203.0.113.9 port 51514 ssh2"}}},
			whole(software(at, "postgresql", 1)), whole(health(at, 0.5)))
		if now.Sub(at) > 20*time.Hour {
			w.files.sees(whole(backups(at, "archivio", 90, 0)), whole(health(at, 0.3)), look{kind: evidence.KindSoftware, outcome: evidence.Failed, reason: "timeout"})
		}
		if last || at.Sub(now.Add(-78*time.Hour)) < time.Hour {
			s.judge()
		}
	}
	s.now = now
	s.judge()
	for duty, org := range map[string]store.Org{"SC-P3": s.provider, "WH-P1": s.provider, "WH-P5": s.provider} {
		if err := s.srv.ConfirmReview(context.Background(), org.ID, duty, "u_seed"); err != nil {
			s.t.Fatal(err)
		}
	}
	w.people()
	return w
}

// people adds what people said: a notice, a vendor notice, a statement with a file.
func (w *town) people() {
	ctx := context.Background()
	file, err := server.NewStatedFile("restore.txt", []byte("3 files restored, hashes equal\n"))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.notice, err = w.srv.OpenCase(ctx, server.CaseRequest{Org: w.customer.ID, Workflow: "notice", Service: "sc", Title: "Disk of erp is nearly full",
		Text: "93 % used since this morning.", User: "u_seed"}); err != nil {
		w.t.Fatal(err)
	}
	if w.vendor, err = w.srv.OpenCase(ctx, server.CaseRequest{Org: w.provider.ID, Workflow: "vendor", Service: "wh", Title: "Panel shows other users' backups", User: "u_seed"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.srv.State(ctx, server.StatementRequest{Board: w.customer.ID, Duty: "SC-C7", Kind: duties.StatementAttestation, Good: true, Until: w.now.Add(170 * 24 * time.Hour),
		Text: "Restored the virtual machine to the test network with the provider.", File: file, User: "u_seed"}); err != nil {
		w.t.Fatal(err)
	}
	list, err := w.store.Statements(ctx, w.customer.ID, "SC-C7", 1)
	if err != nil || len(list) != 1 {
		w.t.Fatalf("statements %v (%v)", list, err)
	}
	w.fileIndex = list[0].Index
	for org, to := range map[string]*string{w.customer.ID: &w.ownAlert, w.provider.ID: &w.theirsAlert} {
		open, err := w.store.Alerts(ctx, org, true, 50)
		i := slices.IndexFunc(open, func(a alert.Alert) bool { return a.Part != duties.ProofWorkflow }) // what is done for one customer is not shown to another
		if err != nil || i < 0 {
			w.t.Fatalf("no open alert of %s (%v)", org, err)
		}
		*to = open[i].ID
	}
	w.channel = evidence.NewID("c_")
	if err := w.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddChannel(ctx, alert.Channel{ID: w.channel, Org: w.customer.ID, Kind: alert.Email, Target: "ced@bianchi.example", Created: w.now})
	}); err != nil {
		w.t.Fatal(err)
	}
	w.judge()
}

func whole(f evidence.Facts) look { return look{facts: f, outcome: evidence.Complete} }

// read is a look at the logs of the last six hours.
func read(at time.Time, failed int64) look {
	return look{facts: events(at, failed), outcome: evidence.Complete, from: at.Add(-6 * time.Hour)}
}

func stamp(t time.Time) *evidence.Time {
	at := evidence.At(t)
	return &at
}

func lists(listed bool) evidence.DNSBL {
	f := evidence.DNSBL{Resolvers: []string{"127.0.0.1:53"}, Targets: []evidence.DNSBLTarget{{Target: "192.0.2.25", Found: "postfix"},
		{Target: "2001:db8::25", Found: "interface"}, {Target: "nordest.example", Found: "config"}}}
	tiers := map[string]string{"zen.spamhaus.org": "a", "bl.spamcop.net": "a", "b.barracudacentral.org": "a", "psbl.surriel.com": "b",
		"dnsbl-1.uceprotect.net": "b", "ix.dnsbl.manitu.net": "b", "all.s5h.net": "c", "bl.mailspike.net": "b"}
	for _, zone := range []string{"zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org", "psbl.surriel.com", "dnsbl-1.uceprotect.net",
		"ix.dnsbl.manitu.net", "all.s5h.net", "bl.mailspike.net"} {
		l := evidence.DNSBLList{Zone: zone, Tier: tiers[zone], Family: "ip4", Controls: evidence.ControlsPassed}
		a := evidence.DNSBLAnswer{Target: "192.0.2.25", Zone: zone, Result: evidence.NotListed, Millis: 21}
		switch {
		case zone == "bl.spamcop.net" && listed:
			a.Result, a.Codes, a.Text = evidence.Listed, []string{"127.0.0.2"}, "Blocked - see https://www.spamcop.net/bl.shtml?192.0.2.25"
		case zone == "all.s5h.net":
			l.Controls, l.Why = evidence.ControlsNoAnswer, "no answer in 5s"
			a.Result, a.Why = evidence.NoAnswer, "no answer in 5s"
		}
		f.Lists, f.Answers = append(f.Lists, l), append(f.Answers, a)
	}
	f.Lists = append(f.Lists, evidence.DNSBLList{Zone: "zen.spamhaus.org", Tier: "a", Family: "ip6", Controls: evidence.ControlsPassed},
		evidence.DNSBLList{Zone: "dbl.spamhaus.org", Tier: "a", Family: "domain", Controls: evidence.ControlsPassed})
	f.Answers = append(f.Answers, evidence.DNSBLAnswer{Target: "2001:db8::25", Zone: "zen.spamhaus.org", Result: evidence.NotListed, Millis: 30},
		evidence.DNSBLAnswer{Target: "nordest.example", Zone: "dbl.spamhaus.org", Result: evidence.NotListed, Millis: 28})
	return f
}

// backups are two jobs; age makes the first one's newest point older.
func backups(at time.Time, name string, days int, age time.Duration) evidence.Backup {
	night := time.Date(at.Year(), at.Month(), at.Day(), 2, 10, 0, 0, time.UTC)
	if night.After(at) {
		night = night.AddDate(0, 0, -1)
	}
	job := func(name string, days int) evidence.BackupJob {
		j := evidence.BackupJob{Job: name, Tool: "restic", Result: evidence.BackupOK, RunFrom: evidence.FromUnit, Source: evidence.FromRepository,
			LastStart: stamp(night.Add(-10 * time.Minute)), LastEnd: stamp(night), LastSuccess: stamp(night), NewestRestorable: stamp(night),
			OldestRestorable: stamp(night.AddDate(0, 0, 1-days)), Points: days, ExpectedMinutes: 1440, Bytes: 48_318_382_080, Files: 212_400,
			Encryption: "aes-256", Integrity: evidence.Integrity{Result: evidence.BackupOK, At: stamp(night.Add(-50 * time.Hour)), Depth: "data"}, Paths: 2}
		for d := days - 1; d >= 0; d-- {
			j.Day = append(j.Day, evidence.BackupDay{Day: night.AddDate(0, 0, -d).Format(time.DateOnly), Points: 1})
		}
		return j
	}
	first, second := job(name, days), job(name+"-db", days)
	if age > 0 {
		first.Result, first.Reasons = evidence.BackupFailed, []string{evidence.ReasonNoSpace}
		first.Errors = 3
	}
	return evidence.Backup{Jobs: []evidence.BackupJob{first, second}}
}

func software(at time.Time, product string, pending int) evidence.Software {
	f := evidence.Software{
		OS:       evidence.OSRelease{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)", EOL: "2028-06-30", RegularEOL: "2026-06-10", EOLFrom: "endoflife.date 2026-11"},
		Kernel:   evidence.Kernel{Running: "6.1.0-40-amd64", Installed: "6.1.0-40-amd64"},
		Managers: []evidence.Manager{{Name: "dpkg", Packages: 4, Refreshed: stamp(at.Add(-3 * time.Hour)), Security: true}},
		Packages: []evidence.Package{{Manager: "dpkg", Name: "base-files", Version: "12.4+deb12u11"}, {Manager: "dpkg", Name: "libssl3", Version: "3.0.16-1~deb12u1"},
			{Manager: "dpkg", Name: "openssh-server", Version: "1:9.2p1-2+deb12u6"}, {Manager: "dpkg", Name: product, Version: "3.7.11-0+deb12u1"}},
		Products: []evidence.Product{{Name: product, Version: "3.7.11", From: evidence.FromDistribution}},
		Reboot:   evidence.Reboot{Needed: evidence.No},
		Web: &evidence.Web{Roots: 2, Sites: []evidence.Site{
			{ID: "site-5f1c09ab2e", App: evidence.SiteWordPress, Version: "6.8.3", Locale: "it_IT", Files: evidence.FilesChanged, Changed: 2,
				Plugins: []evidence.SitePart{{Name: "akismet", Version: "5.3"}, {Name: "contact-form-7", Version: "5.9.8"}}, Themes: []evidence.SitePart{{Name: "twentytwentyfour", Version: "1.2"}}},
			{ID: "site-91be22d7c0", App: evidence.SiteWordPress, Version: "7.1", Files: evidence.FilesNotChecked, Unread: true},
		}},
	}
	for i := range pending {
		names := []string{"libssl3", "openssh-server"}
		f.Pending = append(f.Pending, evidence.Update{Manager: "dpkg", Name: names[i%2], Installed: "3.0.16-1~deb12u1", Candidate: "3.0.17-1~deb12u2",
			Source: "Debian-Security:12/stable-security", Security: i == 0, Since: stamp(at.Add(-11 * 24 * time.Hour))})
	}
	return f
}

func events(at time.Time, failed int64) evidence.EventLog {
	f := evidence.EventLog{RuleSet: "a91f2c", Rules: 14, Sources: []evidence.LogSource{
		{Source: "journald", Lines: 18211, Bytes: 2_418_332, From: stamp(at.Add(-6 * time.Hour)), To: stamp(at), Whole: true},
		{Source: "/var/log/auth.log", Lines: 911, Bytes: 99_120, From: stamp(at.Add(-6 * time.Hour)), To: stamp(at), Whole: failed < 100}}}
	if failed > 0 {
		f.Hits = append(f.Hits, evidence.RuleHit{Rule: "ssh_login_failed", Severity: evidence.SeverityMedium, Count: failed, First: evidence.At(at.Add(-5 * time.Hour)),
			Last: evidence.At(at.Add(-time.Minute)), Over: failed > 100, Limit: 100, Networks: 31})
		f.Hits = append(f.Hits, evidence.RuleHit{Rule: "sudo_used", Severity: evidence.SeverityInfo, Count: 4, First: evidence.At(at.Add(-4 * time.Hour)), Last: evidence.At(at.Add(-2 * time.Hour))})
	}
	return f
}

func health(at time.Time, busy float64) evidence.Health {
	f := evidence.Health{CPUs: 8, Memory: 32 << 30, Swap: 4 << 30, BootAt: stamp(at.Add(-41 * 24 * time.Hour)),
		Disks: []evidence.Disk{{Mount: "/", FS: "ext4", Size: 120 << 30, UsedPct: 41, InodesPct: 8}, {Mount: "/srv", FS: "xfs", Size: 4 << 40, UsedPct: 60 + busy*35, InodesPct: 1}},
		Units: evidence.Units{Manager: evidence.ManagerSystemd}}
	if busy > 0.8 {
		f.Units.Failed = []string{"backup-prune.service"}
	}
	for i := range 12 {
		f.Samples = append(f.Samples, evidence.Sample{At: evidence.At(at.Add(time.Duration(i-12) * 5 * time.Minute)), CPU: busy * float64(30+5*(i%4)),
			Load1: busy * 4, MemUsed: 30 + busy*40, SwapUsed: 1, UptimeS: 41 * 86400})
	}
	return f
}

func path(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// services are a site that answers and a mail service whose certificate ends soon.
func services(at time.Time) evidence.Endpoints {
	up := evidence.Probe{At: evidence.At(at), Result: evidence.ProbeUp, Code: 200, Millis: 38}
	chain := func(name string, days int) *evidence.TLS {
		return &evidence.TLS{Version: "TLS 1.3", Chain: []evidence.Certificate{{Subject: name, Issuer: "R11", From: evidence.At(at.AddDate(0, 0, days-90)),
			Until: evidence.At(at.AddDate(0, 0, days)), SHA256: evidence.Sum([]byte(name))}}}
	}
	return evidence.Endpoints{Endpoints: []evidence.Endpoint{
		{Name: "https://www.nordest.example/", Proto: evidence.ProtoHTTPS, Found: evidence.EndpointConfigured, Probes: []evidence.Probe{up}, TLS: chain("www.nordest.example", 71)},
		{Name: "smtp port 25", Proto: evidence.ProtoSMTP, Found: evidence.EndpointListening, Probes: []evidence.Probe{up}, TLS: chain("web3.nordest.example", 20)},
		{Name: "tcp://10.0.0.5:3306", Proto: evidence.ProtoTCP, Found: evidence.EndpointConfigured,
			Probes: []evidence.Probe{{At: evidence.At(at), Result: evidence.ProbeUp, Millis: 1}}},
	}}
}

// antivirus are a product that is current and one that nobody renews.
func antivirus(at time.Time) evidence.Antivirus {
	level, waiting, age := int64(90), int64(2), int64(4)
	return evidence.Antivirus{Products: []evidence.AntivirusProduct{
		{Name: "clamav", Engine: "1.4.3", Supported: "2027-08-15", Served: "2028-08-15", Listed: "2026-11-23", Running: evidence.Yes, RealTime: evidence.No,
			Definitions: []evidence.Definitions{{Name: "bytecode", Version: "339", Built: stamp(at.AddDate(-1, 0, 0)), Level: &level},
				{Name: "daily", Version: "27801", Decides: true, Built: stamp(at.Add(-9 * time.Hour)), Level: &level}},
			Loaded: &evidence.Definitions{Name: "daily", Version: "27801", Decides: true, Built: stamp(at.Add(-9 * time.Hour))},
			Update: evidence.AntivirusUpdate{Result: evidence.UpdateOK, At: stamp(at.Add(-time.Hour)), Good: stamp(at.Add(-time.Hour))},
			Scan:   &evidence.AntivirusScan{At: stamp(at.Add(-30 * time.Hour)), Files: &level, Infected: &waiting}},
		{Name: "imunify", Engine: "8.8.6", Licence: evidence.No, RealTime: evidence.Unknown, Threats: &waiting, NeverScans: true,
			Definitions: []evidence.Definitions{{Name: "signatures", Decides: true, Days: &age}},
			Update:      evidence.AntivirusUpdate{Result: evidence.UpdateFailed, Reason: evidence.UpdateUnreachable}},
	}}
}

// posted is a mail server of whose accounts one shows signs.
func posted(at time.Time) evidence.Mail {
	return evidence.Mail{Days: 30, Seen: 212, Messages: 3120, Recipients: 9871, Sent: 8003, Deferred: 1402, Bounced: 466,
		Queue: &evidence.MailQueue{System: "postfix", Messages: 1411, Deferred: 1380, Held: 2, Bytes: 18 << 20, Oldest: stamp(at.Add(-20 * time.Hour)),
			Reasons: []evidence.MailReason{{Reason: evidence.MailUnreachable, Count: 40}, {Reason: evidence.MailBlocked, Count: 1900}},
			Senders: []evidence.MailSender{{Name: "account-3f19c0aa71be", Messages: 1290, Recipients: 5160}, {Name: "account-0b6c51e2d977", Messages: 12, Recipients: 12}}},
		Sources: []evidence.LogSource{{Source: "journald", Lines: 92_110, Bytes: 14 << 20, Whole: true}, {Source: "/var/log/exim4/mainlog", Lines: 12, Bytes: 900}},
		Accounts: []evidence.MailAccount{
			{Name: "account-3f19c0aa71be", Messages: 2101, Recipients: 8404, Peak: 4000, Usual: 40, Logins: 2110, Failures: 31, Networks: 9, Done: 5000, Bounced: 410, Queued: 1290,
				Signs: []evidence.MailSign{{Sign: evidence.SignRate, Strength: 3, Count: 4000, Usual: 40, At: evidence.At(at)}, {Sign: evidence.SignQueue, Strength: 2, Count: 91, Usual: -1, At: evidence.At(at)}}},
			{Name: "account-0b6c51e2d977", Messages: 30, Recipients: 41, Peak: 12, Usual: -1, Logins: 30, Networks: 1, Done: 41, Bounced: 1}}}
}

// machines are a cluster with a full store, a forgotten snapshot and a guest without backup.
func machines(at time.Time) evidence.Hypervisor {
	return evidence.Hypervisor{
		Backups: true,
		Hosts:   []evidence.HyperHost{{Name: "hv1", Platform: "proxmox", Version: "8.2.4", State: evidence.HyperOnline}, {Name: "hv2", Platform: "proxmox", State: evidence.HyperMaintenance}},
		Stores: []evidence.HyperStore{{Name: "local", Host: "hv1", Form: "dir", State: evidence.HyperAvailable, Size: 4 << 40, Free: 300 << 30},
			{Name: "pbs", Form: "pbs", State: evidence.HyperInactive, Size: -1, Free: -1}},
		Guests: []evidence.HyperGuest{{Name: "vm-100", Host: "hv1", State: evidence.HyperRunning, Starts: true, Snapshots: 2, Oldest: stamp(at.AddDate(0, 0, -40)), Backup: stamp(at.Add(-9 * time.Hour)), Backups: 14},
			{Name: "vm-101", Host: "hv1", State: evidence.HyperStopped, Snapshots: -1}, {Name: "vm-900", Host: "hv1", State: evidence.HyperStopped, Template: true}},
		HA: []evidence.HyperHA{{Name: "quorum", State: evidence.HyperHAOK}},
	}
}

// restores are a sample that came back and one that could not be tried.
func restores(at time.Time) evidence.Restore {
	return evidence.Restore{Tests: []evidence.RestoreTest{
		{Job: "mailboxes", Tool: "restic", Result: evidence.BackupOK, At: stamp(at.Add(-2 * time.Hour)), LastGood: stamp(at.Add(-2 * time.Hour)), Point: stamp(at.Add(-9 * time.Hour)),
			Millis: 4100, Held: 212400, Files: 20, Bytes: 48_318_382, Compared: 12, Encryption: "aes256"},
		{Job: "sites", Tool: "borg", Result: evidence.BackupFailed, Reasons: []string{evidence.RestoreDiffers}, At: stamp(at.Add(-time.Hour)), Point: stamp(at.Add(-9 * time.Hour)),
			Millis: 900, Held: 5000, Files: 19, Bytes: 1000, Encryption: "none"},
		{Job: "old", Tool: "borg", Result: evidence.BackupUnknown, Reasons: []string{evidence.ReasonUnreachable}, At: stamp(at.Add(-time.Hour)), Encryption: "unknown"}}}
}

// disks are one that is well, one that is worn, an array that lost a part and a share that hangs.
func disks(at time.Time) evidence.Storage {
	n := func(v int64) *int64 { return &v }
	p := func(v float64) *float64 { return &v }
	return evidence.Storage{Devices: []evidence.StorageDevice{
		{Name: "nvme0n1", Kind: evidence.StorageDisk, Form: "nvme", Model: "SAMSUNG MZQL21T9HCJR-00A07", State: evidence.StorageOK, Hours: n(21_408), Celsius: n(38), Wear: n(12)},
		{Name: "sda", Kind: evidence.StorageDisk, Form: "sat", Model: "ST4000NM0035", State: evidence.StorageWarning, Reasons: []string{evidence.StorageReplaced, evidence.StorageSelfTest},
			Hours: n(52_117), Celsius: n(44), Replaced: n(16), Pending: n(2)},
		{Name: "md0", Kind: evidence.StorageArray, Form: "raid1", State: evidence.StorageDegraded, Reasons: []string{evidence.StorageMissing}, Parts: n(2), Working: n(1)},
		{Name: "tank", Kind: evidence.StoragePool, Form: "raidz2", State: evidence.StorageChecking, Parts: n(6), Working: n(6), Used: p(71.4), Progress: p(38.25), Scrubbed: stamp(at.AddDate(0, 0, -33))},
		{Name: "/srv/share", Kind: evidence.StorageRemote, Form: "nfs4", State: evidence.StorageUnknown, Reasons: []string{evidence.StorageHung}}}}
}

// signIns are accounts of which one has no password, and a key that others can read.
func signIns(at time.Time) evidence.Accounts {
	n := func(v int) *int { return &v }
	return evidence.Accounts{Accounts: []evidence.Account{
		{Name: "root", State: evidence.AccountLocked, Admin: true},
		{Name: "account-4f8d21b07c55", State: evidence.AccountPassword, Admin: true, Changed: stamp(at.AddDate(0, 0, -61)), MaxDays: n(90)},
		{Name: "account-9ae01c33d2f4", State: evidence.AccountPassword, Changed: stamp(at.AddDate(-3, 0, 0)), Must: true, Expired: true},
		{Name: "account-c07755ee1a90", State: evidence.AccountEmpty}},
		Policy: evidence.PasswordPolicy{MinLength: n(12), MaxDays: n(90), Quality: true}, Remote: &evidence.RemoteLogin{Root: "keys"},
		Sudo:    &evidence.Sudo{Rules: 3, Free: []evidence.SudoFree{{Who: "account-4f8d21b07c55", All: true}, {Who: "%backup"}}},
		Secrets: []evidence.SecretFile{{Kind: "ssh_host_key", Count: 3}, {Kind: "tls", Count: 4, Open: 1}}}
}
