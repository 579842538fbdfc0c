package duties_test

import (
	"strings"
	"testing"

	"github.com/attesto/attesto/server/duties"
)

// Pages write a day or a moment among the arguments as the language does; what only
// looks like one, such as a version, stays.
func TestDatesInMessages(t *testing.T) {
	c, err := duties.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ value, en, it string }{
		{"2026-11-06 23:11 CET", "6 Nov 2026 23:11 CET", "06/11/2026 23:11 CET"}, {"2026-11-06", "6 Nov 2026", "06/11/2026"},
		{"2026-11-06 23:11 +03", "6 Nov 2026 23:11 +03", "06/11/2026 23:11 +03"}, {"2026-13-06", "2026-13-06", "2026-13-06"},
		{"2026-11-06-1+deb12u1", "2026-11-06-1+deb12u1", "2026-11-06-1+deb12u1"}, {"?", "?", "?"},
	} {
		for lang, want := range map[string]string{duties.English: tt.en, duties.Italian: tt.it} {
			m := duties.Message{Key: "stale", Args: map[string]string{"host": "h1", "kind_codes": "backup", "at": tt.value, "limit": "26 h"}}
			if why, _ := c.Shown(lang, m); !strings.Contains(why, want) {
				t.Errorf("%s: %q is written in %q, want %q", lang, tt.value, why, want)
			}
			if why, _ := c.Render(lang, m); !strings.Contains(why, tt.value) {
				t.Errorf("a mail writes %q otherwise: %q", tt.value, why)
			}
		}
	}
}
