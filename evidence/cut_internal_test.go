package evidence

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func cutSamples(t testing.TB) [][]byte {
	t.Helper()
	at := At(time.Date(2026, 11, 23, 3, 0, 2, 118e6, time.UTC))
	r := Record{Org: "o_aaaaaaaaaaaaaaaaaaaaaaaaaa", Agent: "a_bbbbbbbbbbbbbbbbbbbbbbbbbb", Seq: 1042, Prev: Sum([]byte("1041")),
		Log: Head{Origin: "prova.example.it/t/o_aaaaaaaaaaaaaaaaaaaaaaaaaa/1", Size: 52311}, Clock: Clock{Now: at, Synced: true, MaxErrorMs: -1, BootID: "b", UptimeMs: 7, ServerDeltaMs: -41},
		Items: []Item{{Kind: "backup", Schema: 1, From: at, To: at, Outcome: Complete, Facts: Sum([]byte("f")), Detail: Sum([]byte("d"))},
			{Kind: "software", Schema: 2, From: at, To: at, Outcome: Partial, Reason: "apt locked", Facts: Sum([]byte("g"))}},
		Collector: Build{"attesto-agent", "1.0.0", Sum([]byte("binary"))}}
	plain, err := r.Statement()
	if err != nil {
		t.Fatal(err)
	}
	r.Collector.Version = "1.0 <é\"\\>"
	quoted, err := r.Statement()
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{plain, quoted}
}

// What agents write goes the quick way, and both ways read the same.
func TestCutStatement(t *testing.T) {
	for i, b := range cutSamples(t) {
		quick, ok := cutStatement(b)
		if ok != (i == 0) {
			t.Errorf("sample %d: quick %v", i, ok)
		}
		careful, err := parseStatement[recordJSON](b, PredicateEvidence)
		if err != nil || ok && !reflect.DeepEqual(quick, careful) {
			t.Errorf("sample %d: %+v, %+v, %v", i, quick, careful, err)
		}
	}
}

func TestParseTime(t *testing.T) {
	for s, want := range map[string]bool{"2026-11-23T03:00:02.118Z": true, "2024-02-29T23:59:59.999Z": true, "2026-02-29T00:00:00.000Z": false, "2026-11-23T24:00:00.000Z": false,
		"2026-11-23T03:60:02.118Z": false, "2026-11-23T03:00:60.118Z": false, "1969-12-31T23:59:59.999Z": false, "2026-11-23T03:00:02.118z": false, "2026-11-23 03:00:02.118Z": false,
		"2026-13-01T00:00:00.000Z": false, "2026-00-01T00:00:00.000Z": false, "2026-11-23T03:00:02.11Z": false, "": false, "+026-11-23T03:00:02.118Z": false} {
		got, ok := parseTime(s)
		if ok != want || ok && got.Format(timeLayout) != s {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
}

// FuzzCut holds the quick way to the careful one: it may give up, never differ.
func FuzzCut(f *testing.F) {
	for _, b := range cutSamples(f) {
		f.Add(b)
	}
	f.Add([]byte(`{"v":1,"time":"2026-11-23T03:00:05.123Z","type":"evidence","agent":"a_x","seq":1042,"prev":"","stmt":"","env":""}`))
	files, _ := filepath.Glob("testdata/vectors/*/*.json")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if quick, ok := cutStatement(b); ok {
			careful, err := parseStatement[recordJSON](b, PredicateEvidence)
			if err != nil {
				t.Fatalf("the careful way refuses: %v", err)
			}
			// A missing list and an empty one are refused alike later.
			if len(quick.Subject) > 0 && len(quick.Predicate.Items) > 0 && !reflect.DeepEqual(quick, careful) {
				t.Fatalf("%+v, %+v", quick, careful)
			}
		}
		if quick, ok := cutEntry(b); ok {
			var careful Entry
			if err := unmarshalExact(b, &careful); err != nil || quick != careful {
				t.Fatalf("%+v, %+v, %v", quick, careful, err)
			}
		}
	})
}
