package web_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chromedp/chromedp"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/bundle"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// hostileLines are the lines of a collection of hostile strings.
func hostileLines(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("ATTESTO_FIXTURES")
	if dir == "" {
		t.Skip("ATTESTO_FIXTURES is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "10-hostile", "*", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of hostile strings in %s (%v)", dir, err)
	}
	var lines []string
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimRight(line, "\r\n"); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.ToValidUTF8(line, "?"))
			}
		}
	}
	return lines
}

// cutTo shortens a text to some bytes, at a letter.
func cutTo(s string, n int) string {
	for len(s) > n || !utf8.ValidString(s) {
		s = s[:min(n, len(s)-1)]
		n = len(s)
	}
	return s
}

// pagesOf has hostile lines wherever people and hosts can put text, and returns the
// pages that show them.
func pagesOf(t *testing.T, s *site, lines []string) []string {
	t.Helper()
	next := 0
	line := func(most int) string {
		next++
		return cutTo(lines[next%len(lines)], most)
	}
	org := s.addOrg(store.Org{Kind: store.Customer, Name: "Verdi " + line(100), Services: []string{"sc", "wh", "pe", "bk"}})
	base := "/orgs/" + org.ID
	paths := []string{"/", base + "/board", base + "/agents", base + "/alerts", base + "/cases", base + "/settings", base + "/duties/SC-C5", base + "/duties/SC-C8", base + "/duties/BK-C1", base + "/duties/PE-P3"}
	for len(paths) < 40 && next < len(lines)+40 {
		h := s.enroll(org, "host "+line(150), "sc", "wh", "pe", "bk")
		var gaps []evidence.Gap
		for range 60 {
			gaps = append(gaps, evidence.Gap{What: line(2000), Why: line(2000)})
		}
		f, e, b, v := lists(true), events(s.now, 240), software(s.now, "nginx", 2), health(s.now, 0.5)
		for i := range f.Answers {
			f.Answers[i].Why, f.Answers[i].Text = line(500), line(500)
		}
		e.Sources[1].Source, b.OS.Name, b.Kernel.Running = "/var/log/"+line(150), line(100), line(100)
		v.Disks[0].Mount, v.Units.Failed = "/"+line(150), []string{line(150), line(150)}
		detail := map[string]any{"samples": []string{line(2000), strings.Repeat(line(100)+" ", 8000)}}
		at := h.sees(look{facts: f, outcome: evidence.Partial, reason: "gaps", gaps: gaps, detail: detail}, look{facts: e, outcome: evidence.Partial, reason: "gaps", gaps: gaps},
			look{facts: v, outcome: evidence.Complete}, look{facts: b, outcome: evidence.Complete}, whole(backups(s.now, "gestionale", 30, 30*time.Hour)))
		paths = append(paths, path("%s/records/%d", base, at))
		id, err := s.srv.OpenCase(context.Background(), server.CaseRequest{Org: org.ID, Workflow: "notice", Service: "sc", Title: cutTo("Case "+line(100), 110), Text: line(3000), User: "u_seed"})
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, base+"/cases/"+id)
	}
	s.judge()
	return paths
}

// Lines that others collected to break programs are shown as text and do nothing, on
// every page, in a real browser, and in what is exported.
func TestFixtureHostileTextIsInert(t *testing.T) {
	lines := hostileLines(t)
	s := newSite(t, storetest.SQLite(t))
	paths := pagesOf(t, s, lines)
	b := newTab(t)
	b.as(view{1280, 900, "light", "en"})
	b.signIn(s.http.URL, s.add(s.provider, store.RoleAdmin))
	for _, p := range paths {
		b.open(s.http.URL+p, 200)
		b.fits(p)
		alien, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(() => {
			const own = new Set("A ARTICLE ASIDE BODY BR BUTTON CODE DATALIST DD DETAILS DIV DL DT FIELDSET FIGCAPTION FIGURE FOOTER FORM H1 H2 H3 HEAD HEADER HTML IMG INPUT LABEL LEGEND LI LINK MAIN META NAV NOSCRIPT OL OPTION P PATH PRE RECT SCRIPT SECTION SELECT SPAN STRONG SUMMARY SVG TABLE TBODY TD TEXT TEXTAREA TH THEAD TIME TITLE TR UL LINE POLYLINE CIRCLE G".split(" "));
			return [...document.querySelectorAll("*")].filter(e => !own.has(e.tagName.toUpperCase()) || [...e.attributes].some(a => /^on|^style$/.test(a.name) ||
				["src", "href", "action"].includes(a.name) && !/^(\/(?!\/)|[?#])/.test(a.value)) ||
				e.tagName === "SCRIPT" && !e.src.startsWith(location.origin + "/static/") || e.tagName === "IMG" && !e.src.startsWith(location.origin + "/static/")).map(e => e.outerHTML.slice(0, 200)).join("\n");
		})()`))
		b.must(err)
		if alien != "" {
			t.Errorf("%s has what no template has:\n%s", p, alien)
		}
	}
	b.calm("hostile lines")
	t.Logf("fixtures 10-hostile: %d lines on %d pages", len(lines), len(paths))

	org := strings.Split(paths[1], "/")[2]
	_, err := s.srv.Export(t.Context(), bundle.Request{Org: org, From: s.now.AddDate(0, 0, -1), To: s.now.AddDate(0, 0, 1), Detail: true}, func(name string, data []byte) error {
		if strings.Contains(name, "..") || filepath.IsAbs(name) {
			t.Errorf("the export has a file %q", name)
		}
		if name == "index.html" {
			if n := strings.Count(strings.ToLower(string(data)), "<script"); n != 2 {
				t.Errorf("the page of the export has %d scripts, want 2", n)
			}
			return os.WriteFile(filepath.Join(t.TempDir(), "index.html"), data, 0o600)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
