package duties_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// A figure that the list states can be made stricter and no looser: each row has the
// loosest that a duty takes, and what it does not.
func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		duty, part, name string
		takes, refuses   float64
	}{
		{"WH-P1", "backup", "retention", 35, 34}, {"WH-P1", "backup", "retention", 36, 0}, {"PE-P1", "backup", "retention", 60, 59},
		{"WH-P1", "backup", "hole", 8, 9}, {"PE-P1", "backup", "hole", 1, 0}, {"WH-P1", "backup", "interval", 24, 25},
		{"SC-C1", "accounts", "age", 90, 91}, {"WH-C1", "accounts", "age", 1, 0}, {"PE-C1", "accounts", "age", 90, 730},
		{"SC-C1", "accounts", "length", 6, 5}, {"BK-C4", "accounts", "length", 6, 0},
		{"WH-P1", "backup", "fresh", 26, 27}, {"PE-P2", "antivirus", "fresh", 26, 72}, {"SC-P1", "software", "fresh", 26, 26.5}, {"PE-C6", "signal", "fresh", 26, 27},
		{"SC-P2", "health", "fresh", 90, 91}, {"SC-P2", "health", "hole", 15, 16}, {"PE-P5", "endpoints", "hole", 15, 120}, {"SC-P2", "hypervisor", "fresh", 90, 120},
		{"SC-P3", "eventlog", "window", 24, 23}, {"PE-C6", "mail", "window", 24, 6}, {"SC-P3", "review", "ack", 24, 25},
		{"PE-P3", "dnsbl", "answered", 100, 99}, {"SC-P1", "software", "reboot", 0, 1}, {"BK-C3", "restore", "age", 62, 63},
		{"SC-C2", "accounts", "remote", 1, 0}, {"BK-C5", "accounts", "secrets", 1, 0}, {"BK-C6", "restore", "decrypted", 1, 0}, {"SC-C7", "attestation", "cosigned", 1, 0},
		{"SC-P4", "workflow", "abuse_suspended", 168, 8784}, {"SC-P5", "workflow", "notice_told", 72, 73}, {"PE-P9", "workflow", "account_purged", 1, 1.5},
		{"PE-P10", "workflow", "export_handed", 744, 745}, {"SC-C3", "workflow", "notice_acted", 168, 169},
	} {
		p := paramOf(t, builtin(t), tt.duty, tt.part, tt.name)
		if err := p.Allows(tt.takes); err != nil {
			t.Errorf("%s, %s: %v", tt.duty, tt.name, err)
		}
		err := p.Allows(tt.refuses)
		if err == nil || !strings.Contains(err.Error(), "the duty leaves open: for anything looser its party signs a waiver") || !strings.Contains(err.Error(), p.Range()) {
			t.Errorf("%s, %s at %g: error %v", tt.duty, tt.name, tt.refuses, err)
		}
	}
	// What the list leaves open stays open.
	for _, tt := range []struct {
		duty, part, name string
		takes            float64
	}{{"SC-C8", "eventlog", "fresh", 72}, {"SC-C6", "vmbackup", "age", 62}, {"BK-P1", "health", "hole", 120}, {"SC-C5", "backup", "retention", 0}} {
		if err := paramOf(t, builtin(t), tt.duty, tt.part, tt.name).Allows(tt.takes); err != nil {
			t.Errorf("%s, %s: %v", tt.duty, tt.name, err)
		}
	}
}

// No number is in any range, and what is asked with yes or no takes nothing between.
func TestAllows(t *testing.T) {
	p := paramOf(t, builtin(t), "WH-P1", "backup", "grace")
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if p.Allows(v) == nil {
			t.Errorf("%g was taken", v)
		}
	}
	flag := paramOf(t, builtin(t), "PE-P3", "dnsbl", "tier_b")
	for v, want := range map[float64]string{0: "", 1: "", 0.5: "0.5 is neither 1 (yes) nor 0 (no)", 2: "2 is neither 1 (yes) nor 0 (no)"} {
		if err := flag.Allows(v); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%g: error %v, want %q", v, err, want)
		}
	}
	for range_, p := range map[string]duties.Param{
		"0 to 48 hours": p, "1 (yes) alone": paramOf(t, builtin(t), "BK-C6", "restore", "decrypted"), "0 days alone": paramOf(t, builtin(t), "SC-P1", "software", "reboot"),
		"0 to 4": paramOf(t, builtin(t), "SC-P3", "review", "severity"),
	} {
		if got := p.Range(); got != range_ {
			t.Errorf("range %q, want %q", got, range_)
		}
	}
}

// A daily duty of the list has no look older than a day and two hours in its favour,
// whatever was set.
func TestLooserThanTheListCountsAsNotSet(t *testing.T) {
	c := builtin(t)
	for _, d := range c.Duties() {
		if d.Every != 24*time.Hour || d.SetByYou {
			continue
		}
		for _, p := range d.Parts {
			if f, ok := p.Params["fresh"]; ok && f.Unit == duties.UnitHours && (f.Max != 26 || f.Default > f.Max) {
				t.Errorf("%s, %s: fresh up to %s", d.ID, p.Name, fmt.Sprint(f.Max))
			}
		}
	}
}

func paramOf(t *testing.T, c *duties.Catalogue, duty, part, name string) duties.Param {
	t.Helper()
	d, _ := c.Duty(duty)
	for _, p := range d.Parts {
		if param, ok := p.Params[name]; ok && p.Name == part {
			return param
		}
	}
	t.Fatalf("%s has no %s of %s", duty, name, part)
	return duties.Param{}
}

// An operator bounds the figures of a duty of its own; each bound that cannot be is named.
func TestOwnBounds(t *testing.T) {
	duty := func(bounds string) string {
		return "duties:\n  - {id: BK-P100, title: {en: a, it: a}, cadence: daily, parts: [check backup],\n     bounds: {backup: " + bounds + "}}\n"
	}
	c, err := duties.With(map[string][]byte{"own.yaml": []byte(duty("{grace: {max: 10}, retention: {max: 90}}"))}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]float64{"grace": 10, "retention": 90} {
		if p := paramOf(t, c, "BK-P100", "backup", name); p.Allows(most) != nil || p.Allows(most+1) == nil {
			t.Errorf("%s: %s", name, p.Range())
		}
	}
	err = reads(duty("{grace: {max: 3}, hole: {min: 9}}"))
	for _, want := range []string{"own.yaml:3: duty BK-P100: bounds: part backup: grace: the default: 4 hours is outside 0 to 3 hours", "part backup: hole: the default: 8 days is outside 9 to 400 days"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Whether both parties sign a restore test is a figure of the duties that such a test
// proves, and of no other that is stated.
func TestSignaturesAreAskedOfRestoreTestsAlone(t *testing.T) {
	var have []string
	for _, d := range builtin(t).Duties() {
		for _, p := range d.Parts {
			if _, ok := p.Params["cosigned"]; ok {
				have = append(have, d.ID)
			}
		}
	}
	if got := strings.Join(have, " "); got != "SC-C7 WH-C6 BK-C3" {
		t.Errorf("asked of %s", got)
	}
}
