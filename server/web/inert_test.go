package web_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
	"github.com/attesto/attesto/server/web"
)

// hostile is text as somebody would send it who wants a page to do or to say
// something else.
const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>'; DROP TABLE org;--{{.Org}}` + "\u202egnp.exe\u2066\x1b[31m\u200b"

// hostileTown has such text wherever the contract takes any.
func hostileTown(t *testing.T) (*site, []string) {
	s := newSite(t, storetest.SQLite(t))
	org := s.addOrg(store.Org{Kind: store.Customer, Name: "Rossi " + hostile, Services: []string{"sc", "wh", "pe", "bk"}})
	h := s.enroll(org, "host "+hostile, "sc", "wh", "pe", "bk")
	long := strings.Repeat("A", 200_000)
	f := lists(true)
	for i := range f.Answers {
		if f.Answers[i].Result != evidence.NotListed {
			f.Answers[i].Why, f.Answers[i].Text = "why "+hostile, "text "+hostile
		}
	}
	f.Targets[0].Found = hostile
	e := events(s.now, 240)
	e.Hits[0].Rule, e.Sources[1].Source = hostile, "/var/log/"+hostile
	e.Hits = append(e.Hits, evidence.RuleHit{Rule: long, Severity: evidence.SeverityHigh, Count: 1, First: evidence.At(s.now), Last: evidence.At(s.now)})
	v := health(s.now, 0.5)
	v.Disks[0].Mount, v.Units.Failed = "/"+hostile, []string{hostile}
	v.Watched = []evidence.Service{{Name: hostile, State: evidence.ServiceStopped}}
	b := software(s.now, "nginx", 2)
	b.OS.Name, b.Kernel.Running = hostile, hostile
	b.Reboot = evidence.Reboot{Needed: evidence.Yes, Why: []string{hostile, long}}
	gaps := []evidence.Gap{{What: "what " + hostile, Why: "why " + hostile}, {What: long, Why: long}}
	detail := map[string]any{"samples": []string{hostile, long}}
	at := h.sees(look{facts: f, outcome: evidence.Partial, reason: "gaps", gaps: gaps, detail: detail}, look{facts: e, outcome: evidence.Partial, reason: "gaps", gaps: gaps, detail: detail},
		look{facts: v, outcome: evidence.Complete, detail: detail}, look{facts: b, outcome: evidence.Complete}, whole(backups(s.now, "archivio città", 30, 0)))
	s.judge()
	base := "/orgs/" + org.ID
	return s, []string{"/", base + "/board", base + "/duties/SC-C8", base + "/duties/WH-C7", base + "/duties/PE-P3", base + "/agents", base + "/alerts", base + "/nothing",
		path("%s/records/%d", base, at), path("%s/records/%d", base, at-1)}
}

var tag = regexp.MustCompile(`<[a-zA-Z/!][^>]*>`)

func TestHostileTextIsInert(t *testing.T) {
	s, paths := hostileTown(t)
	c := s.signedIn(s.add(s.provider, store.RoleAdmin))
	shown := 0
	for _, lang := range []string{"en", "it"} {
		for _, p := range paths {
			res, body := s.send(c, "GET", p, nil, map[string]string{"Accept-Language": lang})
			if res.StatusCode != http.StatusOK && !strings.HasSuffix(p, "/nothing") {
				t.Fatalf("%s: status %d", p, res.StatusCode)
			}
			if len(body) > 1<<20 {
				t.Errorf("%s has %d bytes", p, len(body))
			}
			for _, r := range body {
				if strings.ContainsRune("\u202e\u2066\x1b\u200b\x00", r) || r == utf8.RuneError {
					t.Fatalf("%s has the rune %U", p, r)
				}
			}
			for _, found := range tag.FindAllString(body, -1) {
				if strings.Contains(found, "onerror") && !strings.Contains(found, html.EscapeString("<img")) || strings.HasPrefix(found, "<img src=x") {
					t.Errorf("%s has the tag %q", p, found)
				}
			}
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
				t.Errorf("%s has a script from outside", p)
			}
			if strings.Contains(body, `\u202Egnp.exe`) {
				shown++
			}
		}
	}
	if shown < 10 {
		t.Errorf("the text is shown on %d pages only: the test proves little", shown)
	}
	if _, body := s.send(c, "POST", "/signin", map[string][]string{"email": {hostile}, "password": {hostile}, "next": {hostile}}, nil); strings.Contains(body, "<img src=x") {
		t.Error("the sign-in page repeats a script")
	}
}

func TestInertSpellsOut(t *testing.T) {
	for in, want := range map[string]string{"plain\ttext\nè ✓ 日本": "plain\ttext\nè ✓ 日本", "a\u202eb": `a\u202Eb`, "\x1b[0m": `\u001B[0m`, "\u0085": `\u0085`,
		"x\ufeffy": `x\uFEFFy`, "\U000E0041": `\uE0041`, "\u00ad": `\u00AD`, "": ""} {
		if got := string(web.Inert([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
