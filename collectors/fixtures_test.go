package collectors_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// tried says by which format captured files are read, and what must stand in the
// answer: a regular expression over outcome and facts as JSON, or "error: …".
// The first pattern that fits a file counts. A package's own TestFixtures goes into
// details that cannot be said in one line: it is named by "see".
var tried = []struct{ files, format, says, see string }{
	{"04-dnsbl/recorded/*", "", "", "dnsbl: every query's verdict"},

	{"05-software/apt/bullseye-half-configured/dpkg-status", "dpkg-status", `"broken":1,"brokenNames":\["curl"\]`, ""},
	{"05-software/apt/*/01-dpkg-audit.stdout", "dpkg-audit", `"brokenNames":\["curl"\]`, ""},
	{"05-software/apt/*/dpkg-status*", "dpkg-status", `"broken":0`, ""},
	{"05-software/apt/*/*-apt-get-s-*.stdout", "apt-upgrade", `"refreshed"|"pending"`, "software: every update against expected.json"},
	{"05-software/apt/bullseye-pending/02-apt-list-upgradable.stdout", "apt-list", `"name":"curl","installed":"7.74.0-1.3\+deb11u13","candidate":"7.74.0-1.3\+deb11u16","source":":oldoldstable-security","security":true`, ""},
	{"05-software/apt/*/02-apt-list-upgradable.stdout", "apt-list", `^partial .*"pending":\[\]`, ""}, // proves nothing, and says so
	{"05-software/apt/*/06-apt-cache-policy.stdout", "apt-policy", `"name":"openssl","installed":"1.1.1w-0\+deb11u1","candidate":"1.1.1w-0\+deb11u8","security":true`, ""},
	{"05-software/apt/*/os-release", "os-release", `"id":"debian","version":"11".*"eol":"2026-08-31"`, ""},
	{"05-software/jc/generic_os-release-ubuntu", "os-release", `"id":"ubuntu"`, ""},
	{"05-software/jc/generic_lsb_release-a.out", "lsb-release", `"id":"ubuntu","version":"16.04","name":"Ubuntu 16.04.6 LTS"`, ""},
	{"05-software/jc/centos-7.7_rpm-qai.out", "rpm-qai", `"n":"make","v":"1:3.82-24.el7"`, ""},
	{"05-software/jc/ubuntu-18.04_dpkg-l-columns500.out", "dpkg-list", `"n":"acl","v":"2.2.52-3build1"`, ""},
	{"05-software/scalibr/dpkg_invalid", "dpkg-status", `^error`, ""},
	{"05-software/scalibr/opkg_invalid", "dpkg-status", `^error`, ""},
	{"05-software/scalibr/*_noversion", "dpkg-status", `^partial .*"packages":2`, ""},
	{"05-software/scalibr/*_statusfield", "dpkg-status", `"broken":[1-9]`, ""},
	{"05-software/scalibr/*_transitional*", "dpkg-status", `"name":"dpkg"`, ""},
	{"05-software/syft-dpkg/deinstall", "dpkg-status", `"name":"dpkg"`, "software: deinstalled packages do not count"},
	{"05-software/syft-dpkg/empty", "dpkg-status", `"packages":\[\]`, ""},
	{"05-software/syft-dpkg/*", "dpkg-status", `"packages":\[\{`, ""},
	{"05-software/trivy/apk", "apk-installed", `"n":"musl"`, "software: every package"},
	{"05-software/dnf/*", "dnf-updateinfo", `"security":true`, "software: every advisory"},
	{"05-software/ubuntu-pro/*_malformed.json", "pro-status", `^error`, ""},
	{"05-software/ubuntu-pro/*.json", "pro-status", `"pro":\{"attached":true,"infra":false,"apps":false\}`, ""},
	{"05-software/wordpress/wp-3.8-pt_BR.version.php", "wordpress-version", `"version":"3.8","locale":"pt_BR"`, ""},
	{"05-software/wordpress/wp-5.8.2-he_IL.version.php", "wordpress-version", `"version":"5.8.2","locale":"he_IL"`, ""},
	{"05-software/wordpress/wp-6.5.5-fr_FR.version.php", "wordpress-version", `"version":"6.5.5","locale":"fr_FR"`, ""},
	{"05-software/wordpress/trivy-version.php", "wordpress-version", `"version":"4.9.4-alpha"`, ""},
	{"05-software/wordpress/plugin-akismet.php", "wordpress-plugin", `"v":"5.3"`, ""},

	{"06-hardware/smart/*", "smartctl", `"kind":"disk"`, "storage: SMART's verdict of README.md"},
	{"06-hardware/mdstat/_expected.json", "", "", "storage: the other files' verdicts, from README.md"},
	{"06-hardware/mdstat/*", "mdstat", `"kind":"array"`, "storage: the verdict of README.md"},
	{"06-hardware/zpool/generic_zpool-status-v.out", "zpool-status", `"state":"ok".*"state":"ok".*"state":"ok"`, ""},
	{"06-hardware/zpool/generic_zpool-status-v3.out", "zpool-status", `"state":"failed","reasons":\["missing","data_errors"\]`, ""},
	{"06-hardware/zpool/kstat_*", "zpool-state", `"state":"ok"`, ""},
	{"06-hardware/jc/generic_mdadm-query-container*-member.out", "mdadm-detail", `"state":"ok"`, ""},
	{"06-hardware/jc/generic_mdadm-query-raid1-faulty-with-spare.out", "mdadm-detail", `"state":"rebuilding","reasons":\["missing"\].*"progress":24`, ""},
	{"06-hardware/jc/generic_mdadm-query-raid1-failed-and-flags.out", "mdadm-detail", `"state":"warning","reasons":\["spare_failed"\]`, ""},
	{"06-hardware/jc/generic_mdadm-query-raid1-rebuild*.out", "mdadm-detail", `"state":"rebuilding"`, ""},
	{"06-hardware/jc/generic_mdadm-query-raid1-syncing.out", "mdadm-detail", `"state":"rebuilding"`, ""},
	{"06-hardware/jc/generic_mdadm-query-*.out", "mdadm-detail", `"state":"ok"`, ""},
	{"06-hardware/jc/*_timedatectl*.out", "timedatectl", `"clock":\{`, ""},
	{"06-hardware/netdata/adaptecraid_*", "arcconf", `"state":"ok"`, ""},
	{"06-hardware/netdata/hpssa_ssacli-P400i-unassigned.txt", "ssacli", `"name":"slot 0 battery/capacitor","kind":"controller","form":"raid","state":"failed"`, ""},
	{"06-hardware/netdata/hpssa_*", "ssacli", `"name":"slot 0 controller"`, ""},
	{"06-hardware/netdata/lvm_lvs-report-no-thin.json", "lvs", `^unsupported`, ""},
	{"06-hardware/netdata/megacli_mega-bbu-info-old.txt", "megacli", `"kind":"controller","form":"battery","state":"ok"`, ""},
	{"06-hardware/netdata/megacli_mega-phys-drives-info-no-drives.txt", "megacli", `^unsupported`, ""},
	{"06-hardware/netdata/nvme_v*", "nvme-smart-log", `"form":"nvme","state":"ok"`, ""},
	{"06-hardware/netdata/storcli_*", "storcli", `"model":"ST16000NM001G-2KK103","state":"ok"`, ""},
	{"06-hardware/netdata/zfspool_zpool-list-vdev-logs-cache.txt", "zpool-list", `"name":"rpool","kind":"pool","form":"zfs","state":"degraded"`, ""},
	{"06-hardware/netdata/zfspool_zpool-list.txt", "zpool-list", `"name":"rpool".*"state":"ok".*"name":"zion".*"state":"failed"`, ""},
	{"06-hardware/raidctl/arcconf_*getconfig*", "arcconf", `"state":"ok"`, ""},
	{"06-hardware/raidctl/arcconf_pr156*", "arcconf", `"name":"ld 0","kind":"array","form":"raid","state":"ok"`, ""},
	{"06-hardware/raidctl/arcconf_*getstatus*", "arcconf", `^unsupported`, ""}, // what it is at, not how it is
	{"06-hardware/raidctl/areca_cli64.disk.info-16", "areca", `"name":"disk 16","kind":"disk","form":"raid","state":"failed"`, ""},
	{"06-hardware/raidctl/areca_cli64.rsf.info-2", "areca", `"state":"ok"`, ""},
	{"06-hardware/raidctl/cciss_cciss_vol_status.cache-status", "cciss-vol-status", `"form":"raid 1","state":"ok"`, ""},
	{"06-hardware/raidctl/hpacucli_hpacucli.cn.logicaldrive.all.show", "ssacli", `array A","kind":"array","form":"raid","state":"failed"`, ""},
	{"06-hardware/raidctl/hpacucli_PR193_ctrl-status", "ssacli", `"state":"warning","reasons":\["worn"\]`, ""},
	{"06-hardware/raidctl/hpacucli_*", "ssacli", `"state":"ok"`, ""},
	{"06-hardware/raidctl/megacli_issue123_pdlist", "megacli", `"state":"warning","reasons":\["failing","bad_sectors"\]`, ""},
	{"06-hardware/raidctl/megacli_issue39_batteries.bbustatus.3", "megacli", `"form":"battery","state":"failed"`, ""},
	{"06-hardware/raidctl/megacli_issue91_version", "megacli", `^unsupported`, ""},
	{"06-hardware/raidctl/megacli_*", "megacli", `"state":"ok"`, ""},
	{"06-hardware/raidctl/mpt_*", "mpt-status", `"kind":"array","form":"raid","state":"ok"`, ""},
	{"06-hardware/raidctl/sas2ircu_*display*", "sas2ircu", `"state":"ok"`, ""},
	{"06-hardware/raidctl/smartctl.cciss.0", "smartctl", `^error`, ""}, // text: the agent asks for JSON
	{"06-hardware/raidctl/cciss_issue83_smartctl.out", "smartctl", `^error`, ""},
	{"06-hardware/raidctl/tw_cli_lumpy_info", "tw-cli", `"name":"c0","kind":"controller","form":"raid","state":"degraded"`, ""},
	{"06-hardware/raidctl/tw_cli_2_c0.show.all", "tw-cli", `"form":"raid-5","state":"checking"`, ""},
	{"06-hardware/raidctl/tw_cli_*", "tw-cli", `"state":"ok"`, ""},
	{"06-hardware/proxmox/storage.json", "pve-storage", `"name":"local","form":"dir","state":"available","size":100861726720,"free":15127162880`, ""},
	{"06-hardware/proxmox/tasks.json", "pve-tasks", `"job":"vzdump".*"result":"ok".*"lastEnd":"2026-03-24T11:07:13`, ""},
	{"06-hardware/virsh/domstats0.txt", "virsh-domstats", `"name":"ubuntu","state":"running".*"name":"win11","state":"stopped"`, ""},
	{"06-hardware/passwords/*_shadow.out", "shadow", `"state":"password"`, "accounts: every account's day"},
	{"06-hardware/passwords/*_passwd.out", "passwd", `"name":"root","state":"unknown","admin":true`, ""},
}

// excepted are files that no kind reads, and why.
var excepted = []struct{ files, why string }{
	{"*/README.md", "says what the others show"},
	{"04-dnsbl/zones/*", "what a name server was fed with for the recording"},
	{"04-dnsbl/return-codes.csv", "facts about lists: dnsbl's TestCodes holds them"},
	{"04-dnsbl/rfc5782-test-points.csv", "facts about lists: they are the controls of every run"},
	{"04-dnsbl/rbldnsd-ip4trie-cases.json", "cases of a name server's own matching"},
	{"04-dnsbl/rspamd/*", "another program's configuration, a source of the catalogue"},
	{"04-dnsbl/spamassassin/*", "another program's configuration, a source of the catalogue"},
	{"05-software/clamav/*", "antivirus"}, {"05-software/imunify/*", "antivirus"}, {"05-software/defender/*", "antivirus"},
	{"05-software/apt/*/*.cmd", "how a file beside it was made"},
	{"05-software/apt/*/*.exitcode", "the end of a command, which the agent takes from the system"},
	{"05-software/apt/*/*.stderr", "what a command said on the side: the agent shows its beginning, and parses none"},
	{"05-software/apt/*/expected.json", "the verdict of the files beside it"},
	{"05-software/apt/*/00-apt-get-install.log", "the making of the recording"},
	{"05-software/apt/*/01-apt-get-update.stdout", "the agent never refreshes lists: it reads those that are there, and their age"},
	{"05-software/apt/*/02-apt-get-check.stdout", "dpkg's own database tells of broken packages"},
	{"05-software/apt/*/05-dpkg-query.stdout", "the database itself is read"},
	{"05-software/apt/*/debian_version", "os-release tells more"},
	{"05-software/apt/*/*.log", "the history of packages: no duty asks for it"},
	{"05-software/debian-security-support/*", "lists of a package of Debian by source package: the end of the release's support is judged"},
	{"05-software/distro-info/*", "eol.yaml holds the days, from endoflife.date; its test compares"},
	{"05-software/endoflife/*/*", "the sources of eol.yaml and releases.yaml; documents of the API are read as endoflife"},
	{"05-software/jc/*.json", "another parser's answer"},
	{"05-software/jc/generic_apt_cache_show--standard.out", "packages that could be installed"},
	{"05-software/osv/*", "advisories: updates that wait are the package managers' to tell"},
	{"05-software/plesk/notes.txt", "notes; the forms that it quotes are cases of plesk-version"},
	{"05-software/rpm/*", "databases in binary: rpm itself reads them, and is asked"},
	{"05-software/scalibr/testdata_Packages_epoch", "a database of rpm in binary: rpm itself reads it, and is asked"},
	{"05-software/trivy/db/*", "advisories"}, {"05-software/trivy/golden/*", "advisories"},
	{"05-software/trivy/*.txtar", "archives of several files: their dpkg status is of the kind of syft-dpkg's"},
	{"05-software/wordpress/wpscan-db/*", "advisories under a licence for non-commercial use"},
	{"06-hardware/jc/*.json", "another parser's answer"},
	{"06-hardware/jc/*mdadm-examine*", "one member's own view: the array's is asked, by mdstat or mdadm --detail"},
	{"06-hardware/jc/*", "of a command that no kind runs: the kernel is asked, or systemd by JSON and fields"},
	{"06-hardware/netdata/fail2ban_*", "its log is read by eventlog"}, {"06-hardware/netdata/rspamd_*", "no kind asks rspamd"},
	{"06-hardware/netdata/nvme_nvme-list-empty.json", "a list of names: smartctl --scan is asked"},
	{"06-hardware/raidctl/_expected.json", "the verdict of several outputs together"},
	{"06-hardware/raidctl/*issue90_a", "arcconf's list of controllers"},
	{"06-hardware/raidctl/cciss_cciss-1.11", "a version"}, {"06-hardware/raidctl/*lsscsi*", "a list of names"},
	{"06-hardware/raidctl/dm_*", "lvs tells of RAID volumes"}, {"06-hardware/raidctl/dmraid_*", "firmware RAID of the years before 2010: mdadm has taken it over"},
	{"06-hardware/raidctl/gdth_*", "a driver that Linux dropped in 2019"}, {"06-hardware/raidctl/lsraid_*", "of Linux before 2.6"},
	{"06-hardware/raidctl/metastat_*", "of Solaris"}, {"06-hardware/raidctl/mvcli_*", "a list of blocks without a state"},
	{"06-hardware/zpool/*iostat*", "throughput: no duty asks for it"}, {"06-hardware/zpool/*.json", "another parser's answer"},
	{"06-hardware/zpool/zpool-status.8.examples.txt", "a manual page"},
	{"06-hardware/passwords/*.json", "another parser's answer"}, {"06-hardware/passwords/*_gshadow.out", "passwords of groups, which nobody signs in with"},
	{"06-hardware/passwords/*_chage.out", "localised: its days are read from shadow"},
	{"06-hardware/passwords/Get-ADUser*", "of Windows"}, {"06-hardware/passwords/net-*", "of Windows"},
}

// TestFixturesWalk tries every captured file of the families of these kinds, or says why not.
func TestFixturesWalk(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	formats := map[string]host.Format{}
	for _, spec := range collectors.All() {
		for _, f := range spec.Formats {
			formats[f.Name] = f
		}
	}
	files := 0
	for _, family := range []string{"04-dnsbl", "05-software", "06-hardware"} {
		err := filepath.WalkDir(filepath.Join(root, family), func(file string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			files++
			name, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			t.Run(name, func(t *testing.T) { walkOne(t, formats, file, filepath.ToSlash(name)) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Fatal("no files")
	}
}

func walkOne(t *testing.T, formats map[string]host.Format, file, name string) {
	for _, r := range tried {
		if ok, err := filepath.Match(r.files, name); err != nil || !ok {
			continue
		}
		if r.format == "" {
			return // tried elsewhere
		}
		f, ok := formats[r.format]
		if !ok {
			t.Fatalf("no format %s", r.format)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer(t, f, data); !regexp.MustCompile(r.says).MatchString(got) {
			t.Errorf("as %s: %.1500s\nwant %s", r.format, got, r.says)
		}
		return
	}
	for _, x := range excepted {
		if ok, err := filepath.Match(x.files, name); err == nil && ok {
			return
		}
	}
	t.Error("neither tried nor excepted: add it to one of the lists of this test")
}

// answer is outcome and facts as attesto-agent explain would print them.
func answer(t *testing.T, f host.Format, data []byte) string {
	look, err := f.Parse(data, time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC))
	if err != nil {
		return "error: " + err.Error()
	}
	outcome := "complete"
	switch {
	case look.Unsupported:
		outcome = "unsupported"
	case len(look.Gaps) > 0:
		outcome = "partial"
	}
	if look.Facts != nil {
		if _, err := evidence.FactsBlob(look.Facts, look.Gaps); err != nil {
			t.Error(err)
		}
	}
	b, err := json.Marshal(look.Facts)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", outcome, b))
}
