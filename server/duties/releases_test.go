package duties_test

import (
	"strings"
	"testing"
)

func TestReleases(t *testing.T) {
	c := fresh(t)
	if r := c.Releases(); r.WordPress["7.1"] != "2026-08-19" || r.Date != "2026-08-22" {
		t.Errorf("built in: %s, 7.1 of %s", r.Date, r.WordPress["7.1"])
	}
	for name, text := range map[string]string{
		"empty":          "",
		"no source":      "date: 2026-11-26\n",
		"no date":        "source: x\n",
		"an unknown key": "source: x\ndate: 2026-11-26\nversions: {}\n",
		"two documents":  "source: x\ndate: 2026-11-26\n---\nwordpress: {\"7.2\": 2026-11-01}\n",
		"no day":         "source: x\ndate: 2026-11-26\nwordpress: {\"7.2\": soon}\n",
		"a plugin's":     "source: x\ndate: 2026-11-26\nplugins: {a: {\"7.2\": 1}}\n",
	} {
		if err := c.Renew([]byte(text)); err == nil || !strings.Contains(err.Error(), "releases") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Renew([]byte("source: x\ndate: 2026-11-26\nwordpress: {\"7.2\": 2026-11-01}\nthemes: {own: {\"1\": 2026-01-01}}\n")); err != nil {
		t.Fatal(err)
	}
	if r := c.Releases(); r.WordPress["7.2"] == "" || r.WordPress["7.1"] == "" || r.Date != "2026-11-26" || r.Themes["own"]["1"] == "" {
		t.Errorf("laid over: %s, %d versions", r.Date, len(r.WordPress))
	}
}
