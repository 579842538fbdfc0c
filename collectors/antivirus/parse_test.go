package antivirus_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

const (
	licence = `{"expiration":null,"id":"SECRETID","license":{"status":true,"license_type":"imunify360"},"license_type":"imunify360","status":true,"strategy":"PRIMARY_IDS","version":"8.8.6-1"}`
	malware = `{"max_count":3,"items":[{"file":"/home/a/x.php","malicious":true,"status":"found","cleaned_at":null,"username":"a"},{"status":"cleanup_done","malicious":true,"cleaned_at":1700000000},{"status":"found","malicious":false}],"license":{"status":true}}`
	scans   = `{"max_count":3,"items":[{"scanid":"a","completed":1790000000,"started":1789999990,"error":null,"total_resources":7,"total_malicious":2},{"completed":null,"started":1790000100},{"completed":1790000050,"error":"killed"}]}`
)

func TestFreshclam(t *testing.T) {
	start := "ClamAV update process started at Sun Nov 22 21:31:00 2026\n"
	for _, tc := range []struct{ name, text, result, reason string }{
		{"good", freshLog, "ok", ""},
		{"without stamps, old words", start + "daily.cld is up to date (version: 27800, sigs: 2066, f-level: 90, builder: x)\n", "ok", ""},
		{"after a download", start + "daily.cvd updated (version: 27801, sigs: 2066, f-level: 90, builder: x)\nClamd successfully notified about the update.\n", "ok", ""},
		{"only main", start + "main.cvd database is up-to-date (version: 63, sigs: 1, f-level: 90, builder: x)\n", "unknown", ""},
		{"cut in the middle", start + "Downloading daily-278", "unknown", ""},
		{"no network", start + "ERROR: remote_cvdhead: Download failed (7) ERROR:  Message: Couldn't connect to server\nERROR: Update failed for database: daily\nERROR: Database update process failed: HTTP GET failed\nERROR: Update failed.\n", "failed", "unreachable"},
		{"cut off", start + "WARNING: Your ClamAV installation is OUTDATED!\nWARNING: FreshClam received error code 403 from the ClamAV Content Delivery Network (CDN).\n", "failed", "blocked"},
		{"told to wait", start + "WARNING: FreshClam received error code 429 from the ClamAV Content Delivery Network (CDN).\nWARNING: You are on cool-down until after: 2026-11-23 21:31:00\n", "failed", "limited"},
		{"cut off, old words", start + "Sun Nov 22 21:31:00 2026 -> ^Your ClamAV installation is OUTDATED!\nSun Nov 22 21:31:01 2026 -> ^getfile: Unknown response from database.clamav.net (IP: 192.0.2.1): HTTP/1.1 403 Forbidden\nSun Nov 22 21:31:02 2026 -> !Update failed. Your network may be down or none of the mirrors listed in /etc/freshclam.conf is working.\n", "failed", "blocked"},
		{"put into place", start + "ERROR: Database update process failed: Test failed\nERROR: Update failed.\n", "failed", "broken"},
		{"the last known run counts", start + "ERROR: Update failed.\n" + start + "daily.cld database is up-to-date (version: 27800, sigs: 1, f-level: 90, builder: x)\n" + start + "Downloading", "ok", ""},
		{"good, then bad", freshLog + start + "ERROR: Update failed.\n", "failed", "broken"},
	} {
		u := explain(t, "freshclam-log", tc.text).Products[0].Update
		if u.Result != tc.result || u.Reason != tc.reason || u.At == nil {
			t.Errorf("%s: %+v", tc.name, u)
		}
		if tc.name == "good, then bad" && u.Good == nil {
			t.Errorf("%s: forgot the good run: %+v", tc.name, u)
		}
	}
}

func TestImunify(t *testing.T) {
	p := explain(t, "imunify-status", licence).Products[0]
	if p.Licence != evidence.Yes || p.Engine != "8.8.6-1" {
		t.Errorf("%+v", p)
	}
	for _, ended := range []string{`{"status":false}`, `{"license":{"status":false}}`, `{"status":true,"license":{"status":true,"expiration":1600000000}}`} {
		if p := explain(t, "imunify-status", ended).Products[0]; p.Licence != evidence.No {
			t.Errorf("%s: %+v", ended, p)
		}
	}
	if p := explain(t, "imunify-malware", malware).Products[0]; *p.Threats != 1 {
		t.Errorf("%d threats", *p.Threats)
	}
	if p := explain(t, "imunify-scans", scans).Products[0]; p.Scan == nil || p.Scan.At.Unix() != 1_790_000_000 || *p.Scan.Infected != 2 || *p.Scan.Seconds != 10 {
		t.Errorf("%+v", p.Scan)
	}
}

func TestDefender(t *testing.T) {
	p := explain(t, "defender-status", `{"AMEngineVersion":"1.1","AMProductVersion":"4","AMServiceEnabled":true,"AntivirusEnabled":true,"RealTimeProtectionEnabled":false,"OnAccessProtectionEnabled":true,
	 "AMRunningMode":"Normal","AntivirusSignatureAge":3,"AntivirusSignatureLastUpdated":"\/Date(1795000000000)\/","AntivirusSignatureVersion":"1.2","QuickScanAge":4294967295,"FullScanAge":4294967295,"QuickScanEndTime":null}`).Products[0]
	if p.RealTime != evidence.No || p.Running != evidence.Yes || !p.NeverScans || p.Definitions[0].Built.Unix() != 1_795_000_000 || *p.Definitions[0].Days != 3 {
		t.Errorf("%+v", p)
	}
	p = explain(t, "defender-status", "AMProductVersion : 4\nAMRunningMode : SxS Passive Mode\nAntivirusSignatureAge : 0\nQuickScanAge : 2\nFullScanAge : 4294967295\n").Products[0]
	if !p.Passive || p.RealTime != evidence.Unknown || p.NeverScans || p.Scan.At.Day() != 21 {
		t.Errorf("%+v", p)
	}
	wide := []byte{0xff, 0xfe} // as PowerShell 5 writes it into a file
	for _, c := range "AMProductVersion : 4\r\nAMRunningMode : Normal\r\nAntivirusSignatureAge : 9\r\n" {
		wide = append(wide, byte(c), 0)
	}
	if p = explain(t, "defender-status", string(wide)).Products[0]; len(p.Definitions) != 1 || *p.Definitions[0].Days != 9 {
		t.Errorf("%+v", p)
	}
}

func TestFormatsRefuseRubbish(t *testing.T) {
	for name, bad := range map[string][]string{
		"clamav-db":       {"", "ClamAV-VDB:1:2:3", strings.Repeat(" ", 512), strings.Repeat("x:", 256), header(1, 1)[:511]},
		"clamav-version":  {"", "Motore antivirus 1.4", "ClamAV"},
		"freshclam-log":   {"", "Aggiornamento finito\n"},
		"clamscan-log":    {"", "----------- SCAN SUMMARY -----------\nEngine version: 1\n"},
		"imunify-status":  {"", "OK", "[]", "{}", `{"status":"yes"}`},
		"imunify-malware": {"", "{}", `{"items":{}}`},
		"imunify-scans":   {"", "{}", `{"items":3}`},
		"defender-status": {"", "Nome : x", "{", `{"a":1}`},
		"antivirus-json":  {"", "[]", `{"engin":"1"}`, `{"realTime":"on"}`, `{"update":{"result":"failed"}}`, `{} {}`, `{"threats":-1}`, `{"served":"soon"}`},
	} {
		for _, text := range bad {
			if l, err := format(t, name).Parse([]byte(text), now); err == nil {
				t.Errorf("%s took %q: %+v", name, text, l.Facts)
			}
		}
	}
}

// The captured headers agree with the values that stand beside them; documents that are
// no answer to a question about the state are refused.
func TestFixtures(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, "05-software", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var truth []struct{ File, Version, FLevel, Epoch string }
	if err := json.Unmarshal([]byte(read("clamav/headers.json")), &truth); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, w := range truth {
		if w.File == "" {
			continue // one header without its file
		}
		d := explain(t, "clamav-db", read("clamav/"+w.File)).Products[0].Definitions[0]
		if d.Version != w.Version || strconv.FormatInt(d.Built.Unix(), 10) != w.Epoch || strconv.FormatInt(*d.Level, 10) != w.FLevel {
			t.Errorf("%s: %+v, want %+v", w.File, d, w)
		}
		tried++
	}
	if tried == 0 {
		t.Error("no database was tried")
	}
	t.Logf("fixtures 05-software/clamav: %d databases tried", tried)
	fresh := explain(t, "defender-status", read("defender/MpComputerStatus.fresh-2021-08.txt")).Products[0]
	if *fresh.Definitions[0].Days != 0 || fresh.RealTime != evidence.Yes || fresh.Running != evidence.Yes || fresh.Scan == nil {
		t.Errorf("fresh: %+v", fresh)
	}
	stale := explain(t, "defender-status", read("defender/MpComputerStatus.stale-867d.partial.txt")).Products[0]
	if *stale.Definitions[0].Days != 867 || stale.RealTime != evidence.Unknown || stale.Definitions[0].Built.Format("2006-01-02") != "2021-08-22" {
		t.Errorf("stale: %+v", stale)
	}
	files, err := filepath.Glob(filepath.Join(root, "05-software/imunify/*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files (%v)", err)
	}
	for _, file := range files { // notifications, hooks and systemctl's words: not the state
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"imunify-status", "imunify-malware", "imunify-scans"} {
			if l, err := format(t, name).Parse(b, now); err == nil {
				t.Errorf("%s as %s: %+v", file, name, l.Facts)
			}
		}
	}
}
