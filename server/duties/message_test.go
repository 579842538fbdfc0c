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

// TestUnknownWords gives what has no words: another language is written in English, a key
// or a code that is not known stands for itself.
func TestUnknownWords(t *testing.T) {
	c := builtin(t)
	m := duties.Message{Key: "never_seen", Args: map[string]string{"host": "h1", "kind_codes": "backup"}}
	english, _ := c.Render(duties.English, m)
	if italian, _ := c.Render(duties.Italian, m); italian == english {
		t.Errorf("in both languages it is %q", english)
	}
	if why, _ := c.Render("de", m); why != english {
		t.Errorf("in German it is %q, want %q", why, english)
	}
	m.Key = "no_such_key"
	if why, cure := c.Render(duties.English, m); why != `{"key":"no_such_key","args":{"host":"h1","kind_codes":"backup"}}` || cure != "" {
		t.Errorf("an unknown key is written %q, %q", why, cure)
	}
	for lang, want := range map[string]string{duties.English: "it took too long", duties.Italian: "ha impiegato troppo tempo", "de": "it took too long"} {
		if got := c.Code(lang, "timeout"); got != want {
			t.Errorf("a code in %s is %q, want %q", lang, got, want)
		}
	}
	if got := c.Code(duties.English, "exit_77"); got != "exit_77" {
		t.Errorf("an unknown code is %q", got)
	}
}
