package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/storage"
	"github.com/attesto/attesto/evidence"
)

// said is what a format makes of a text: per device its state and reasons.
func said(t *testing.T, format string, data []byte) string {
	t.Helper()
	i := slices.IndexFunc(storage.Formats(), func(f host.Format) bool { return f.Name == format })
	if i < 0 {
		t.Fatalf("no format %s", format)
	}
	look, err := storage.Formats()[i].Parse(data, time.Now())
	switch {
	case err != nil:
		return "error: " + err.Error()
	case look.Facts == nil:
		return "nothing"
	}
	return tell(look.Facts)
}

func tell(f evidence.Facts) string {
	var out []string
	for _, d := range f.(evidence.Storage).Devices {
		out = append(out, strings.TrimSpace(d.Name+" "+d.State+" "+strings.Join(d.Reasons, ",")))
	}
	return strings.Join(out, "; ")
}

func md(lines string) string {
	return "Personalities : [raid1]\n" + lines + "\nunused devices: <none>\n"
}

func pool(state, disk, errors, files string) string {
	return "  pool: tank\n state: " + state + "\n  scan: scrub repaired 0B in 00:01:02 with 0 errors on Sun Nov  8 00:25:03 2026\nconfig:\n\n" +
		"\tNAME        STATE     READ WRITE CKSUM\n\ttank        " + state + "       0     0     0\n\t  mirror-0  ONLINE       0     0     0\n" +
		"\t    sda     ONLINE       0     0     0\n\t    sdb     " + disk + "       " + errors + "     0     0\n\nerrors: " + files + "\n"
}

const (
	fine = "No known data errors"
	sda  = `"device":{"name":"/dev/sda","type":"sat"},`
	nvme = `"device":{"name":"/dev/nvme0","type":"nvme"},`
)

func TestParsers(t *testing.T) {
	for _, tt := range []struct{ name, format, text, want string }{
		{"array", "mdstat", md("md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [UU]\n"), "md0 ok"},
		{"array without a disk", "mdstat", md("md0 : active raid1 sdb1[1]\n      100 blocks super 1.2 [2/1] [_U]\n"), "md0 degraded missing"},
		{"array with a failed disk", "mdstat", md("md0 : active raid1 sda1[0](F) sdb1[1]\n      100 blocks super 1.2 [2/1] [_U]\n"), "md0 degraded faulted"},
		{"array that recovers", "mdstat", md("md0 : active raid1 sda1[2] sdb1[1]\n      100 blocks super 1.2 [2/1] [_U]\n      [==>..]  recovery = 12.6% (1/2) finish=1.0min speed=1K/sec\n"), "md0 rebuilding missing"},
		{"array that is checked", "mdstat", md("md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [UU]\n      [==>..]  check = 12.6% (1/2) finish=1.0min speed=1K/sec\n"), "md0 checking"},
		{"array that stands still", "mdstat", md("md0 : inactive sda1[0] sdb1[1](S)\n      100 blocks super 1.2\n"), "md0 failed stopped"},
		{"array that stands still with a failed disk", "mdstat", md("md0 : inactive raid1 sda1[0](F) sdb1[1](S)\n      100 blocks super 1.2\n"), "md0 failed stopped"},
		{"stripe that is broken", "mdstat", md("md0 : broken raid0 sda1[0] sdb1[1]\n      100 blocks super 1.2 512k chunks\n"), "md0 failed faulted"},
		{"stripe with a failed disk", "mdstat", md("md0 : active raid0 sda1[0](F) sdb1[1]\n      100 blocks super 1.2 512k chunks\n"), "md0 failed faulted"},
		{"array that lost more than it can", "mdstat", md("md0 : active raid5 sda1[0](F) sdb1[1](F) sdc1[2]\n      100 blocks super 1.2 level 5, 512k chunk, algorithm 2 [3/1] [__U]\n"), "md0 failed faulted"},
		{"array of six with two lost", "mdstat", md("md0 : active raid6 sda1[0] sdb1[1] sdc1[2] sdd1[3]\n      100 blocks super 1.2 level 6, 512k chunk, algorithm 2 [6/4] [UUUU__]\n"), "md0 degraded missing"},
		{"mirror without any disk", "mdstat", md("md0 : active raid1 sda1[0](F) sdb1[1](F)\n      100 blocks super 1.2 [2/0] [__]\n"), "md0 failed faulted"},
		{"mdstat cut", "mdstat", "Personalities : [raid1]\nmd0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [U", "md0 unknown missing"},
		{"no array", "mdstat", md(""), "nothing"},
		{"not mdstat", "mdstat", "hello\n", "error: not /proc/mdstat: neither Personalities nor an array in it"},

		{"pool", "zpool-status", pool("ONLINE", "ONLINE", "0", fine), "tank ok"},
		{"pool with errors of a disk", "zpool-status", pool("ONLINE", "ONLINE", "1.2K", fine), "tank warning data_errors"},
		{"pool with damaged files", "zpool-status", pool("ONLINE", "ONLINE", "0", "Permanent errors have been detected in the following files:"), "tank warning data_errors"},
		{"pool without a disk", "zpool-status", pool("DEGRADED", "UNAVAIL", "0", fine), "tank degraded missing"},
		{"pool with a faulted disk", "zpool-status", pool("DEGRADED", "FAULTED", "0", fine), "tank degraded faulted"},
		{"pool that stopped", "zpool-status", pool("SUSPENDED", "UNAVAIL", "0", fine), "tank failed missing"},
		{"pool that stopped while it resilvered", "zpool-status", strings.Replace(pool("SUSPENDED", "UNAVAIL", "0", fine), "scan: scrub repaired 0B in 00:01:02 with 0 errors on Sun Nov  8 00:25:03 2026", "scan: resilver in progress since Sun Nov  8 00:25:03 2026", 1), "tank failed missing"},
		{"no pools", "zpool-status", "no pools available\n", "nothing"},
		{"pool as JSON", "zpool-status", `{"pools":{"tank":{"name":"tank","state":"DEGRADED","scan_stats":{"function":"SCRUB","state":"FINISHED","errors":"0"},` +
			`"vdevs":{"tank":{"state":"DEGRADED","vdevs":{"sda":{"state":"ONLINE","read_errors":"0"},"sdb":{"state":"REMOVED"}}}},"error_count":"0"}}}`, "tank degraded missing"},
		{"list of pools", "zpool-list", "tank\tONLINE\t61\nold\tFAULTED\t-\n", "tank ok; old failed faulted"},

		{"thin pool", "lvs-json", `{"report":[{"lv":[{"vg_name":"pve","lv_name":"data","lv_attr":"twi-aotz--","data_percent":"61.20"},{"vg_name":"pve","lv_name":"root","lv_attr":"-wi-ao----"}]}]}`, "pve/data ok"},
		{"thin pool that is full", "lvs-json", `{"report":[{"lv":[{"vg_name":"pve","lv_name":"data","lv_attr":"twi-aotzD-","data_percent":"100.00"}]}]}`, "pve/data failed full"},
		{"mirror without a disk", "lvs-json", `{"report":[{"lv":[{"vg_name":"vg","lv_name":"r","lv_attr":"rwi-a-r-p-"}]}]}`, "vg/r degraded missing"},
		{"btrfs", "btrfs-stats", "[/dev/sda].write_io_errs    0\n[/dev/sda].read_io_errs     0\n", "sda ok"},
		{"btrfs with errors", "btrfs-stats", "[/dev/sda].write_io_errs    3\n[/dev/sda].corruption_errs  1\n", "sda warning data_errors"},
		{"btrfs as JSON", "btrfs-stats", `{"device-stats":[{"device":"/dev/sda","write_io_errs":"0","read_io_errs":"0","flush_io_errs":"0","corruption_errs":"2","generation_errs":"0"}]}`, "sda warning data_errors"},

		{"array by mdadm", "mdadm-detail", "/dev/md0:\n        Raid Level : raid1\n      Raid Devices : 2\n             State : active \n    Active Devices : 2\n", "md0 ok"},
		{"array that mdadm rebuilds", "mdadm-detail", "/dev/md0:\n      Raid Devices : 2\n             State : clean, degraded, recovering \n    Rebuild Status : 24% complete\n", "md0 rebuilding missing"},
		{"array with a failed disk by mdadm", "mdadm-detail", "/dev/md0:\n             State : clean, degraded \n    Failed Devices : 1\n", "md0 degraded faulted"},
		{"member of an array that misses another", "mdadm-detail", "/dev/vda1:\n     Raid Level : raid1\n   Raid Devices : 2\n          State : clean\n   Array State : A. ('A' == active, '.' == missing, 'R' == replacing)\n", "vda1 degraded missing"},
		{"member of a whole array", "mdadm-detail", "/dev/vda1:\n     Raid Level : raid1\n   Raid Devices : 2\n          State : clean\n   Array State : AA ('A' == active, '.' == missing, 'R' == replacing)\n", "vda1 ok"},
		{"array that mdadm cannot read", "mdadm-detail", "/dev/md0:\n", "md0 unknown stopped"},
		{"not mdadm", "mdadm-detail", "mdadm: cannot open /dev/md0: Permission denied\n", "error: not the output of mdadm --detail: no line \"/dev/md…:\""},

		{"multipath", "multipath", "mpatha (36001) dm-2 IBM,2145\nsize=10G features='0' hwhandler='1 alua' wp=rw\n|-+- policy='service-time 0' prio=50 status=active\n| `- 1:0:0:0 sdb 8:16 active ready running\n`-+- policy='service-time 0' prio=10 status=enabled\n  `- 2:0:0:0 sdc 8:32 active ready running\n", "mpatha ok"},
		{"multipath without a path", "multipath", "36001 dm-2 IBM,2145\nsize=10G features='0'\n| `- 1:0:0:0 sdb 8:16 active ready running\n  `- 2:0:0:0 sdc 8:32 failed faulty offline\n", "36001 degraded missing"},
		{"multipath without any", "multipath", "mpatha (36001) dm-2 ##,##\nsize=10G\n  `- #:#:#:# - #:# failed undef unknown\n", "mpatha failed missing"},
		{"multipath with one path", "multipath", "mpatha (36001) dm-2 IBM,2145\nsize=10G\n  `- 1:0:0:0 sdb 8:16 active ready running\n", "mpatha warning not_redundant"},
		{"multipath, old form", "multipath", "mpatha (36001) dm-2 IBM,2145\n[size=10G][features=0][hwhandler=0]\n\\_ round-robin 0 [prio=1][active]\n \\_ 1:0:0:0 sdb 8:16  [active][ready]\n \\_ 2:0:0:0 sdc 8:32  [failed][faulty]\n", "mpatha degraded missing"},
		{"no multipath", "multipath", "", "nothing"},
		{"multipath cut", "multipath", "mpatha (36001) dm-2 IBM,2145\n", "error: the output of multipath -ll was cut: no size of a map in it"},

		{"NVMe by nvme", "nvme-smart-log", `{"critical_warning":0,"temperature":310,"avail_spare":100,"spare_thresh":10,"percent_used":3,"power_on_hours":"1,024","media_errors":0}`, "disk ok"},
		{"NVMe by nvme, newer", "nvme-smart-log", `{"critical_warning":{"value":4,"reliability_degraded":1},"avail_spare":100,"spare_thresh":10}`, "disk failed failing"},
		{"NVMe with media errors", "nvme-smart-log", `{"critical_warning":0,"media_errors":2e0,"percent_used":101}`, "disk warning worn,bad_sectors"},
		{"NVMe without an answer", "nvme-smart-log", `{"critical_warning":{}}`, "disk unknown no_smart"},
		{"pool's state", "zpool-state", "SUSPENDED\n", "pool failed faulted"},

		{"storcli", "storcli", `{"Controllers":[{"Command Status":{"Controller":0,"Status":"Success"},"Response Data":{"Virtual Drives":[{"DG/VD":"0/0","TYPE":"RAID1","State":"Dgrd"}],"Drive Information":[{"EID:Slt":"252:0","State":"Onln"},{"EID:Slt":"252:1","State":"Rbld"}]}}]}`, "c0 v0/0 degraded faulted; c0 252:0 ok; c0 252:1 rebuilding"},
		{"storcli, a disk that predicts its failure", "storcli", `{"Controllers":[{"Command Status":{"Controller":1},"Response Data":{"Drive /c1/e8/s2 - Detailed Information":{"Drive /c1/e8/s2 State":{"Media Error Count":3,"S.M.A.R.T alert flagged by drive":"Yes"}}}}]}`, "c1 8:2 warning bad_sectors,failing"},
		{"MegaCli", "megacli", "Adapter 0 -- Virtual Drive Information:\nVirtual Drive: 0 (Target Id: 0)\nRAID Level          : Primary-1, Secondary-0\nState               : Degraded\nEnclosure Device ID: 32\nSlot Number: 1\nFirmware state: Failed\n", "a0 v0 degraded faulted; a0 32:1 failed faulted"},
		{"MegaCli's battery", "megacli", "BBU status for Adapter: 0\nBattery State: Optimal\n  Battery Replacement required            : Yes\n", "a0 battery warning worn"},
		{"ssacli", "ssacli", "\nSmart Array P410 in Slot 1\n   Controller Status: OK\n   Cache Status: Permanently Disabled\n\n   array A (SAS, Unused Space: 0 MB)\n      logicaldrive 1 (2.0 TB, RAID 5, Interim Recovery Mode)\n      physicaldrive 1I:1:1 (port 1I:box 1:bay 1, SAS, 1 TB, Predictive Failure)\n", "slot 1 controller ok; slot 1 cache warning worn; slot 1 ld 1 degraded faulted; slot 1 1I:1:1 warning failing"},
		{"arcconf", "arcconf", "Controllers found: 1\nController information\n   Controller Status                        : Optimal\nLogical device number 0\n   Status of logical device                 : Degraded\n      Device #0\n         Device is a Hard drive\n         State                              : Online\n", "controller ok; ld 0 degraded faulted; device 0 ok"},
		{"tw_cli", "tw-cli", "Unit  UnitType  Status         %RCmpl  %V/I/M  Stripe  Size(GB)  Cache  AVrfy\n------\nu0    RAID-1    REBUILDING     98%     -       -       698.6   W      ON\n\nVPort Status         Unit Size      Type\np0    DEGRADED       u0   1.82 TB   SAS\n", "u0 rebuilding; p0 degraded faulted"},
		{"sas2ircu", "sas2ircu", "LSI Corporation SAS2 IR Configuration Utility.\nIR volume 1\n  RAID level                              : RAID1\n  Status of volume                        : Okay (OKY)\n  Enclosure #                             : 1\n  Slot #                                  : 3\n  State                                   : Failed (FLD)\n", "volume 1 ok; 1:3 failed faulted"},
		{"mpt-status", "mpt-status", "ioc0 vol_id 0 type IM, 2 phy, 73 GB, state DEGRADED, flags ENABLED\nioc0 phy 1 scsi_id 32 ATA  X  J, 74 GB, state MISSING, flags OUT_OF_SYNC\n", "ioc0 vol_id 0 degraded faulted; ioc0 phy 1 failed missing"},
		{"cciss_vol_status", "cciss-vol-status", "/dev/cciss/c0d0: (Smart Array P400i) RAID 1 Volume 0 status: Using interim recovery mode.\n", "/dev/cciss/c0d0 volume 0 degraded faulted"},
		{"cli64", "areca", " #  Name  Disks TotalCap FreeCap DiskChannels State\n 1  Raid Set # 00       15 15000.0GB    0.0GB 123    Rebuilding\nGuiErrMsg<0x00>: Success.\n", "raid set 1 rebuilding"},
		{"storcli, a row and a detail of one disk", "storcli", `{"Controllers":[{"Command Status":{"Controller":1},"Response Data":{"Drive /c1/e8/s2":[{"EID:Slt":"8:2","State":"Onln","Model":"X"}],"Drive /c1/e8/s2 - Detailed Information":{"Drive /c1/e8/s2 State":{"Predictive Failure Count":2}}}}]}`, "c1 8:2 warning failing"},
		{"storcli, a controller and its battery", "storcli", `{"Controllers":[{"Command Status":{"Controller":0},"Response Data":{"Status":{"Controller Status":"Needs Attention"},"BBU_Info":[{"Model":"B","State":"Failed"}]}}]}`, "c0 battery failed faulted; c0 controller warning worn"},
		{"MegaCli, a disk that predicts its failure", "megacli", "Adapter #0\n\nEnclosure Device ID: 8\nSlot Number: 1\nMedia Error Count: 4\nPredictive Failure Count: 2\nFirmware state: Online, Spun Up\n\nEnclosure Device ID: 8\nSlot Number: 2\nMedia Error Count: 0\nPredictive Failure Count: 0\nFirmware state: Online, Spun Up\n", "a0 8:1 warning failing,bad_sectors; a0 8:2 ok"},
		{"MegaCli, a cache without its battery", "megacli", "Adapter 0 -- Virtual Drive Information:\nVirtual Disk: 0 (target id: 0)\nState: Optimal\nDefault Cache Policy: WriteBack, ReadAdaptive, Direct, No Write Cache if Bad BBU\nCurrent Cache Policy: WriteThrough, ReadAdaptive, Direct, No Write Cache if Bad BBU\n", "a0 v0 warning worn"},
		{"MegaCli's battery without a word", "megacli", "BBU status for Adapter: 0\n\nBatteryType: iBBU\n  Battery Pack Missing         : No\n  Battery Replacement required : Yes\n\nBattery state: \n", "a0 battery warning worn"},
		{"MegaCli's battery cut", "megacli", "BBU status for Adapter: 0\n\nBatteryType: iBBU\nVoltage: 4069 mV\n", "a0 battery unknown faulted"},
		{"arcconf, a module of memory", "arcconf", "Controllers found: 1\n   Controller ZMM Information\n   Status                                   : ZMM Optimal\n", "battery ok"},
		{"arcconf, no module of memory", "arcconf", "Controllers found: 1\n   Controller ZMM Information\n   Status                                   : ZMM not installed\n", "nothing"},
		{"tw_cli, an alarm", "tw-cli", "Encl        Status\n-----\n/c0/e0      ALARM-ACTIVATED\n\npwrs0        NOT-INSTALLED  -\npwrs1        FAILED  on\ntemp0            24~C(75~F)\n", "/c0/e0 warning faulted; pwrs1 failed faulted"},
		{"mpt-status, a disk not in step", "mpt-status", "ioc0 vol_id 0 type IM, 2 phy, 68 GB, state DEGRADED, flags ENABLED RESYNC_IN_PROGRESS\nioc0 phy 1 scsi_id 1 X Y, 68 GB, state ONLINE, flags OUT_OF_SYNC\n", "ioc0 vol_id 0 degraded faulted; ioc0 phy 1 rebuilding"},
		{"mpt-status -n", "mpt-status", "ioc:0 vol_id:0 type:IM raidlevel:RAID-1 num_disks:2 size(GB):68 state: OPTIMAL flags: ENABLED\nioc:0 phys_id:1 scsi_id:1 vendor:X size(GB):68 state: MISSING flags: OUT_OF_SYNC sync_state: 70\n", "ioc0 vol_id 0 ok; ioc0 phy 1 failed missing"},
		{"cciss_vol_status, an enclosure and the cache", "cciss-vol-status", "/dev/cciss/c1d0: (Smart Array P800) RAID 1 Volume 0 status: OK. \n/dev/cciss/c1d0: (Smart Array P800) Enclosure MSA70 (S/N: X) on Bus 3, Physical Port 1E status: Temperature problem.\n   Write cache temporarily disabled\n", "/dev/cciss/c1d0 volume 0 ok; /dev/cciss/c1d0 enclosure 1E Bus 3 warning faulted; cache warning worn"},
		{"NVMe whose numbers are text", "nvme-smart-log", `{"critical_warning":"0","temperature":"310","avail_spare":"4","spare_thresh":"5","percent_used":"2"}`, "disk warning worn"},
		{"disk that fails by the exit status", "smartctl-json", `{"smartctl":{"exit_status":8},` + sda + `"smart_status":{"passed":true}}`, "sda failed failing"},
		{"SCSI disk with sectors that it could not read", "smartctl-json", `{"device":{"name":"/dev/sdb","type":"scsi"},"smart_status":{"passed":true},"scsi_error_counter_log":{"read":{"total_uncorrected_errors":2},"write":{"total_uncorrected_errors":1}}}`, "sdb warning bad_sectors"},
		{"not a tool of RAID", "megacli", "bash: MegaCli: programma non trovato\n", "error: not the output of MegaCli"},

		{"disk", "smartctl-json", `{"smartctl":{"exit_status":0},` + sda + `"smart_status":{"passed":true},"ata_smart_attributes":{"table":[{"id":5,"raw":{"value":0}},{"id":197,"raw":{"value":0}}]}}`, "sda ok"},
		{"disk with pending sectors", "smartctl-json", `{` + sda + `"smart_status":{"passed":true},"ata_smart_attributes":{"table":[{"id":197,"raw":{"value":8}}]}}`, "sda warning bad_sectors"},
		{"disk that fails", "smartctl-json", `{"smartctl":{"exit_status":8},` + sda + `"smart_status":{"passed":false}}`, "sda failed failing"},
		{"disk below a threshold now", "smartctl-json", `{` + sda + `"smart_status":{"passed":true},"ata_smart_attributes":{"table":[{"id":5,"when_failed":"now","flags":{"prefailure":true},"raw":{"value":900}}]}}`, "sda failed failing,replaced"},
		{"NVMe out of spare blocks", "smartctl-json", `{` + nvme + `"smart_status":{"passed":true},"nvme_smart_health_information_log":{"critical_warning":1,"percentage_used":104,"available_spare":3,"available_spare_threshold":10}}`, "nvme0 warning worn"},
		{"NVMe that takes no writes", "smartctl-json", `{` + nvme + `"smart_status":{"passed":false},"nvme_smart_health_information_log":{"critical_warning":8}}`, "nvme0 failed failing,read_only"},
		{"disk that may not be asked", "smartctl-json", `{"smartctl":{"exit_status":2,"messages":[{"string":"Smartctl open device: /dev/sda failed: Permission denied"}]}}`, "disk unknown no_permission"},
		{"cut in the middle", "smartctl-json", `{"smartctl":{"exit_status":0},"device":{"na`, "error: not the output of smartctl --json: unexpected end of JSON input"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := said(t, tt.format, []byte(tt.text)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestFixtures holds the parsers against the verdicts that stand beside captured files.
func TestFixtures(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	root = filepath.Join(root, "06-hardware")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (smart|mdstat)/(\S+) \|.*\| ([^|]+) \|$`).FindAllStringSubmatch(string(readme), -1)
	if len(rows) == 0 {
		t.Fatal("no verdicts in README.md")
	}
	for _, m := range rows {
		if m[2] == "_expected.json" {
			continue
		}
		t.Run(m[1]+"/"+m[2], func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(root, m[1], m[2]))
			if err != nil {
				t.Fatal(err)
			}
			got := said(t, map[string]string{"smart": "smartctl-json", "mdstat": "mdstat"}[m[1]], data)
			if want := strings.TrimSpace(m[3]); !agrees(got, want) {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

func agrees(got, want string) bool {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(got, w) })
	}
	bad := has("warning", "degraded", " failed", "rebuilding")
	switch {
	case strings.HasPrefix(want, "SMART FAILED"):
		return has(" failed")
	case strings.Contains(want, "non-zero Reallocated"):
		return has("replaced") && !has(" failed")
	case strings.HasPrefix(want, "SMART passed"):
		return !has(" failed", "unknown", "error:")
	case strings.HasPrefix(want, "no overall status"):
		return has("unknown")
	case strings.HasPrefix(want, "OK -"):
		return !bad && !has("error:", "nothing")
	case strings.HasPrefix(want, "WARNING"), strings.HasPrefix(want, "CRITICAL -"), strings.HasPrefix(want, "several degraded"):
		return bad
	}
	return !has("error:")
}

// machine is a host whose programs are answered from a table.
func machine(t *testing.T, answers map[string]host.Result, files map[string]string) *host.Host {
	t.Helper()
	h := &host.Host{Root: t.TempDir(), Now: time.Now}
	h.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		for prefix, res := range answers {
			if strings.HasPrefix(c.Name+" "+strings.Join(c.Args, " "), prefix) {
				return res, nil
			}
		}
		return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
	}
	files = maps.Clone(files)
	if files == nil {
		files = map[string]string{}
	}
	files["/proc/self/mountinfo"] += "21 1 0:1 / / rw - ext4 /dev/sda1 rw\n"
	for path, text := range files {
		full := h.Path(path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestLooks(t *testing.T) {
	good := host.Result{Stdout: []byte(`{` + sda + `"smart_status":{"passed":true}}`)}
	scan := host.Result{Stdout: []byte(`{"devices":[{"name":"/dev/sda","type":"sat"}]}`)}
	refused := host.Result{Exit: 2, Stdout: []byte(`{"smartctl":{"exit_status":2,"messages":[{"string":"Smartctl open device: /dev/sda failed: Permission denied"}]}}`)}
	array := map[string]string{"/proc/mdstat": md("md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [UU]\n")}
	for _, tt := range []struct {
		name    string
		answers map[string]host.Result
		files   map[string]string
		want    string
		gap     string
	}{
		{"disk and array", map[string]host.Result{"smartctl --json --scan": scan, "smartctl --json --xall": good}, array, "md0 ok; sda ok", ""},
		{"nothing of its own", nil, nil, "nothing", "a container or a virtual machine"},
		{"disk without smartctl", nil, map[string]string{"/sys/block/sda/device/vendor": "ATA"}, "nothing", "smartmontools"},
		{"no permission", map[string]host.Result{"smartctl --json --scan": scan, "smartctl --json --xall": refused}, array, "md0 ok", "smart.conf"},
		{"lvs as nobody", map[string]host.Result{"lvs": {Exit: 5, Stderr: "  WARNING: Running as a non-root user.\n  P_global:aux: open failed: Permission denied\n"}}, array, "md0 ok", "by root only"},
		{"multipath", map[string]host.Result{"multipath -ll": {Stdout: []byte("mpatha (3) dm-0 X,Y\nsize=1G\n `- 1:0:0:0 sdb 8:16 active ready running\n `- 2:0:0:0 sdc 8:32 failed faulty running\n")}}, map[string]string{"/sys/block/dm-0/dm/uuid": "mpath-3\n"}, "mpatha degraded missing", ""},
		{"a controller that may not be asked", map[string]host.Result{"ssacli": {Exit: 1, Stderr: "Error: You need to have administrator rights to continue. must be root"}}, array, "md0 ok", "by root only"},
		{"a controller", map[string]host.Result{"storcli64 /call/vall": {Stdout: []byte(`{"Controllers":[{"Command Status":{"Controller":0},"Response Data":{"Virtual Drives":[{"DG/VD":"0/0","TYPE":"RAID1","State":"Optl"}]}}]}`)}, "storcli64 /call/eall": {Stdout: []byte(`{"Controllers":[]}`)}}, nil, "c0 v0/0 ok", ""},
		{"too much", map[string]host.Result{"zpool status": {Cut: true}}, array, "md0 ok", "printed more than"},
		{"another language", map[string]host.Result{"zpool status": {Stdout: []byte("qualcosa è andato storto\n")}}, array, "md0 ok", "no line"},
		{"pool with its use", map[string]host.Result{"zpool status": {Stdout: []byte(pool("ONLINE", "ONLINE", "0", fine))}, "zpool list": {Stdout: []byte("tank\tONLINE\t61\n")}}, nil, "tank ok", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := storage.Spec().New(func(any) error { return nil }, machine(t, tt.answers, tt.files))
			if err != nil {
				t.Fatal(err)
			}
			look, err := c.Collect(t.Context(), nil)
			got, gaps := "nothing", ""
			if look.Facts != nil {
				got = tell(look.Facts)
			}
			for _, g := range look.Gaps {
				gaps += g.What + ": " + g.Why
			}
			if err != nil {
				gaps += err.Error()
			}
			if got != tt.want || (tt.gap == "") != (gaps == "") || !strings.Contains(gaps, tt.gap) {
				t.Errorf("%s, gaps %q; want %s, %q", got, gaps, tt.want, tt.gap)
			}
		})
	}
}

// A remote file system that hangs holds neither the look nor the next one.
func TestHungMount(t *testing.T) {
	h := machine(t, nil, map[string]string{"/proc/self/mountinfo": "30 21 0:50 / /mnt/nas rw - nfs4 nas:/x rw\n31 21 0:51 / /mnt/gone rw - cifs //s/x rw\n"})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	h.Usage = func(path string) (host.DiskUsage, error) {
		if path == "/mnt/nas" {
			<-release
		}
		return host.DiskUsage{}, errors.New("stale file handle")
	}
	c, err := storage.Spec().New(func(any) error { return nil }, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if look, err := c.Collect(ctx, nil); err == nil {
		t.Errorf("a look that was cut off gave %v", look.Facts)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if look, err := c.Collect(ctx, nil); err == nil && tell(look.Facts) != "/mnt/gone failed hung; /mnt/nas failed hung" {
		t.Errorf("%v", look.Facts)
	}
}

// Tools that hang, all of them, leave what needs no tool, in time and with nothing left behind.
func TestToolsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := machine(t, nil, map[string]string{"/proc/mdstat": md("md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [UU]\n"), "/sys/block/dm-0/dm/uuid": "mpath-3\n"})
		asked := 0
		h.Run = func(ctx context.Context, _ host.Command) (host.Result, error) {
			asked++
			<-ctx.Done()
			return host.Result{}, ctx.Err()
		}
		c, err := storage.Spec().New(func(any) error { return nil }, h)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), storage.Spec().Timeout)
		defer cancel()
		look, err := c.Collect(ctx, nil)
		if err != nil || tell(look.Facts) != "md0 ok" || len(look.Gaps) < 5 || asked < 6 {
			t.Errorf("%v (%v), %d gaps of %d questions", look.Facts, err, len(look.Gaps), asked)
		}
	})
}

// A hundred megabytes of output are cut, and said to be.
func TestFlood(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "zpool"), []byte("#!/bin/sh\nhead -c 100000000 /dev/zero\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	h := machine(t, nil, map[string]string{"/proc/mdstat": md("md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [UU]\n")})
	h.Run = func(ctx context.Context, c host.Command) (host.Result, error) {
		if c.Name != "zpool" {
			return host.Result{}, host.ErrNoProgram
		}
		return host.Exec(ctx, c)
	}
	c, err := storage.Spec().New(func(any) error { return nil }, h)
	if err != nil {
		t.Fatal(err)
	}
	if look, err := c.Collect(t.Context(), nil); err != nil || tell(look.Facts) != "md0 ok" || len(look.Gaps) != 1 || !strings.Contains(look.Gaps[0].Why, "printed more than") {
		t.Errorf("%+v (%v)", look, err)
	}
}

// The real smartctl, asked of what is no disk: it is heard out and says so.
func TestRealSmartctl(t *testing.T) {
	h := host.Real()
	res, err := h.Run(t.Context(), host.Command{Name: "smartctl", Args: []string{"--json", "--xall", "/dev/null"}})
	if errors.Is(err, host.ErrNoProgram) {
		if os.Getenv("CI") == "true" {
			t.Fatal("smartctl is not installed")
		}
		t.Skip("smartctl is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	list, err := storage.ParseSmartctl(res.Stdout)
	if err != nil || len(list) != 1 || list[0].State != evidence.StorageUnknown {
		t.Errorf("%+v (%v) of %s", list, err, res.Stdout)
	}
	scan, err := h.Run(t.Context(), host.Command{Name: "smartctl", Args: []string{"--json", "--scan"}})
	if err != nil || !json.Valid(scan.Stdout) {
		t.Errorf("%s (%v)", scan.Stdout, err)
	}
}

func FuzzFormats(f *testing.F) {
	f.Add([]byte(`{"smartctl":{"exit_status":0},` + sda + `"smart_status":{"passed":true}}`))
	f.Add([]byte(md("md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks super 1.2 [2/2] [UU]\n")))
	f.Add([]byte(pool("ONLINE", "ONLINE", "0", fine)))
	f.Add([]byte("[/dev/sda].write_io_errs    3\n"))
	hosttest.FuzzFormats(f, storage.Formats(), time.Unix(1795446525, 0))
}
