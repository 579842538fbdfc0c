package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

func TestPushIsReceiptedAndIdempotent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		first := h.seals(3)
		if got := outcomes(h.pushes(first...)); got != "[ok ok ok]" {
			t.Fatalf("first push: %s", got)
		}
		second := h.seals(300)
		for i := 0; i < len(second); i += 50 {
			for _, r := range h.pushes(second[i : i+50]...) {
				if r.Status != evidence.StatusOK {
					t.Fatalf("record %d: %+v", r.Seq, r.Error)
				}
			}
		}
		if got := outcomes(h.pushes(first[0], first[1], second[299])); got != "[duplicate duplicate duplicate]" {
			t.Fatalf("sent again: %s", got)
		}
		st, err := w.store.Log(context.Background(), w.customer.ID)
		if err != nil || st.Size != 304 {
			t.Fatalf("log of %d entries, want the enrollment and 303 records (%v)", st.Size, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		other := w.enrolled(w.provider)
		tests := []struct {
			name string
			// make gives the records to push, of which the last is the one to look at
			make func(h *host) []sealed
			want string
		}{
			{"hole", func(h *host) []sealed { return h.seals(3)[1:] }, "[gap gap]"},
			{"good one before a hole", func(h *host) []sealed { l := h.seals(3); return []sealed{l[0], l[2]} }, "[ok gap]"},
			{"good ones around a bad one", func(h *host) []sealed {
				l := h.seals(2)
				bad := sealed{flip(t, l[0].env), l[0].blobs}
				return []sealed{l[0], bad, l[1]}
			}, "[ok signature ok]"},
			{"another's key", func(h *host) []sealed { h.key = newKey(t); return h.seals(1) }, "[signature]"},
			{"another organisation", func(h *host) []sealed {
				return []sealed{h.seal(func(r *evidence.Record) { r.Org = w.provider.ID })}
			}, "[foreign]"},
			{"another agent", func(h *host) []sealed {
				return []sealed{h.seal(func(r *evidence.Record) { r.Agent = other.id })}
			}, "[foreign]"},
			{"a blob that nobody names", func(h *host) []sealed {
				s := h.seal()
				s.blobs[evidence.Sum([]byte("{}"))] = []byte("{}")
				return []sealed{s}
			}, "[malformed]"},
			{"a blob of other content", func(h *host) []sealed {
				s := h.seal()
				for d := range s.blobs {
					s.blobs[d] = []byte("{}")
				}
				return []sealed{s}
			}, "[malformed]"},
			{"twice in one push", func(h *host) []sealed { s := h.seal(); return []sealed{s, s} }, "[ok duplicate]"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				h := w.enrolled(w.customer)
				results := h.pushes(tt.make(h)...)
				if got := outcomes(results); got != tt.want {
					t.Fatalf("%s, want %s: %+v", got, tt.want, results[len(results)-1].Error)
				}
				for _, r := range results {
					if r.Error != nil && r.Error.Code == evidence.CodeGap && r.Error.Expect == 0 {
						t.Errorf("gap without the number that is expected: %+v", r.Error)
					}
				}
			})
		}
	})
}

// flip changes one bit of an envelope's signature.
func flip(t *testing.T, env evidence.Envelope) evidence.Envelope {
	t.Helper()
	b := bytes.Clone(env.Bytes())
	i := bytes.Index(b, []byte(`"sig":"`)) + len(`"sig":"`)
	if b[i]++; b[i] == 'Z'+1 || b[i] == 'z'+1 || b[i] == '9'+1 || b[i] == '/'+1 || b[i] == '+'+1 {
		b[i] = 'A'
	}
	bad, err := evidence.ParseEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	return bad
}

func TestForkKeepsBothAndMarksTheAgent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		clone := *h
		if got := outcomes(h.pushes(h.seals(2)...)); got != "[ok ok]" {
			t.Fatal(got)
		}
		results := clone.pushes(clone.seals(3)...)
		if got := outcomes(results); got != "[fork fork fork]" {
			t.Fatalf("the clone's records: %s", got)
		}
		if results[0].Error.Expect != 3 {
			t.Errorf("expects %d, want 3", results[0].Error.Expect)
		}
		ctx := context.Background()
		agent, err := w.store.Agent(ctx, h.id)
		if err != nil || agent.State != store.AgentForked || agent.Seq != 2 {
			t.Fatalf("agent %+v (%v)", agent, err)
		}
		forks, err := w.store.Forks(ctx, w.customer.ID, h.id)
		if err != nil || len(forks) != 3 {
			t.Fatalf("%d forks kept (%v)", len(forks), err)
		}
		if got := outcomes(h.pushes(h.seal())); got != "[ok]" {
			t.Errorf("the first half goes on: %s", got)
		}
	})
}

// What two records name is owed to both, comes to both at once, and lies beside
// both; a request erases it from both, a term from the one only whose it is.
func TestBlobOfTwoRecords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		first := h.seal()
		var facts, detail evidence.Digest
		again := func(r *evidence.Record) { r.Items[0].Facts, r.Items[0].Detail = facts, detail }
		for d, b := range first.blobs {
			if bytes.Contains(b, []byte(`"facts"`)) {
				facts = d
			} else {
				detail = d
			}
		}
		second := h.seal(again)
		for i, r := range h.pushes(sealed{env: first.env}, sealed{env: second.env}) {
			if len(r.Missing) != 2 {
				t.Errorf("record %d: missing %v", i+1, r.Missing)
			}
		}
		for d, b := range first.blobs {
			if _, refusal := w.call("PUT", evidence.PathBlobs+d.String(), h.push, b, nil); refusal != nil {
				t.Fatal(refusal)
			}
		}
		has := func(seq int64, d evidence.Digest) bool {
			b, err := w.store.Blob(ctx, w.placeOf(h, seq, d))
			if err != nil {
				t.Fatal(err)
			}
			return b.Data != nil
		}
		if !has(1, facts) || !has(2, facts) || !has(1, detail) || !has(2, detail) {
			t.Error("a record lacks what came")
		}
		if faults := w.sound(); faults != "" {
			t.Errorf("once it came:\n%s", faults)
		}
		w.now = w.now.AddDate(0, 0, 60)
		third := h.seal(again)
		third.blobs = first.blobs
		h.pushes(third)
		w.now = w.now.AddDate(0, 0, 40)
		if n, err := w.srv.Retain(ctx); err != nil || n != 2 {
			t.Errorf("%d erased, want the details of two records (%v)", n, err)
		}
		if has(1, detail) || has(2, detail) || !has(3, detail) {
			t.Error("not the details of the first two records were erased")
		}
		if faults := w.sound(); faults != "" {
			t.Errorf("after the term of two:\n%s", faults)
		}
		for _, d := range []evidence.Digest{facts, detail} {
			if _, err := w.srv.EraseBlobs(ctx, h.org, []evidence.Digest{d, d}, "request", ""); err != nil {
				t.Fatal(err)
			}
		}
		if has(1, facts) || has(2, facts) || has(3, facts) || has(3, detail) {
			t.Error("a record still has what was erased")
		}
		if faults := w.sound(); faults != "" {
			t.Errorf("after erasing all:\n%s", faults)
		}
		if code, out := verdict(t, w.export()); code != 0 {
			t.Errorf("export: exit %d:\n%s", code, out)
		}
	})
}

func TestMissingBlobComesLater(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h, stranger := w.enrolled(w.customer), w.enrolled(w.customer)
		s := h.seal()
		results := h.pushes(sealed{env: s.env})
		if got := outcomes(results); got != "[ok]" || len(results[0].Missing) != 2 {
			t.Fatalf("%s, missing %v", got, results[0].Missing)
		}
		for d, b := range s.blobs {
			path := evidence.PathBlobs + d.String()
			for _, tt := range []struct {
				name, token string
				body        []byte
				want        evidence.Code
			}{
				{"another agent's", stranger.push, b, evidence.CodeForeign},
				{"other content", h.push, []byte(`{"salt":"00","gaps":[],"facts":null}`), evidence.CodeMalformed},
				{"no token", "", b, evidence.CodeBadToken},
				{"the blob", h.push, b, ""},
				{"again", h.push, b, ""},
			} {
				_, refusal := w.call("PUT", path, tt.token, tt.body, nil)
				if (refusal == nil) != (tt.want == "") || refusal != nil && refusal.Code != tt.want {
					t.Errorf("%s: %v, want %q", tt.name, refusal, tt.want)
				}
			}
			got, err := w.store.Blob(context.Background(), w.placeOf(h, 1, d))
			if err != nil || !bytes.Equal(got.Data, b) {
				t.Errorf("stored blob %q (%v)", got.Data, err)
			}
		}
		if results := h.pushes(s); outcomes(results) != "[duplicate]" || len(results[0].Missing) != 0 {
			t.Errorf("sent again: %+v", results)
		}
		if wants, err := w.store.Wants(context.Background(), w.customer.ID); err != nil || len(wants) != 0 {
			t.Errorf("still wanted: %v (%v)", wants, err)
		}
	})
}

func TestWholeRequestRefused(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	h := w.enrolled(w.customer)
	many := evidence.Push{}
	for range evidence.MaxBatch + 1 {
		many.Records = append(many.Records, evidence.PushRecord{})
	}
	text, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, token string
		body        []byte
		status      int
		want        evidence.Code
	}{
		{"no token", "", []byte(`{}`), http.StatusUnauthorized, evidence.CodeBadToken},
		{"unknown token", "p_x", []byte(`{}`), http.StatusUnauthorized, evidence.CodeBadToken},
		{"no JSON", h.push, []byte(`hello`), http.StatusBadRequest, evidence.CodeMalformed},
		{"unknown key", h.push, []byte(`{"kown":{}}`), http.StatusBadRequest, evidence.CodeMalformed},
		{"key twice", h.push, []byte(`{"records":[],"records":[]}`), http.StatusBadRequest, evidence.CodeMalformed},
		{"negative size", h.push, []byte(`{"known":{"size":-1}}`), http.StatusBadRequest, evidence.CodeMalformed},
		{"too many records", h.push, text, http.StatusBadRequest, evidence.CodeMalformed},
		{"too large", h.push, bytes.Repeat([]byte(" "), evidence.MaxBatchBody+1), http.StatusRequestEntityTooLarge, evidence.CodeTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, refusal := w.call("POST", evidence.PathRecords, tt.token, tt.body, nil)
			if refusal == nil || refusal.Code != tt.want || res.Code != tt.status {
				t.Fatalf("status %d, %v; want %d, %s", res.Code, refusal, tt.status, tt.want)
			}
			if res.Body.Len() > 2048 {
				t.Errorf("answer of %d bytes", res.Body.Len())
			}
		})
	}
	t.Run("a record that is no record", func(t *testing.T) {
		good := h.seal()
		raw, err := json.Marshal(good.wire())
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("\\u0001é", 9000)
		body := fmt.Appendf(nil, `{"records":[{"envelope":"%s"},{"blobs":{"zz":"AA=="}},{"envelope":"x","blobs":{"00":5}},7,%s]}`, long, raw)
		var answer evidence.PushAnswer
		res, refusal := w.call("POST", evidence.PathRecords, h.push, body, &answer)
		if refusal != nil {
			t.Fatal(refusal)
		}
		if got := outcomes(answer.Results); got != "[malformed malformed malformed malformed ok]" || res.Body.Len() > 8192 {
			t.Fatalf("%s in %d bytes", got, res.Body.Len())
		}
	})
}

func TestRateLimit(t *testing.T) {
	cfg := testConfig()
	cfg.Limits = server.Limits{PushesPerSecond: 0.5, PushBurst: 3}
	w := newWorldWith(t, storetest.SQLite(t), cfg)
	h, other := w.enrolled(w.customer), w.enrolled(w.customer)
	for range 3 {
		h.pushes(h.seal())
	}
	res, refusal := w.call("POST", evidence.PathRecords, h.push, evidence.Push{}, nil)
	if refusal == nil || refusal.Code != evidence.CodeRate || res.Code != http.StatusTooManyRequests || res.Header().Get("Retry-After") != "2" {
		t.Fatalf("status %d, Retry-After %q, %v", res.Code, res.Header().Get("Retry-After"), refusal)
	}
	other.pushes(other.seal())
	w.now = w.now.Add(2e9)
	h.pushes(h.seal())
}

// An agent whose known log is longer than ours shows that our database is older
// than what we once confirmed: nothing may be added to it.
func TestLongerLogAtTheAgent(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	h := w.enrolled(w.customer)
	var answer evidence.PushAnswer
	body := evidence.Push{Known: evidence.KnownHead{Size: 99}, Records: []evidence.PushRecord{h.seal().wire()}}
	if _, refusal := w.call("POST", evidence.PathRecords, h.push, body, &answer); refusal != nil {
		t.Fatal(refusal)
	}
	if got := outcomes(answer.Results); got != "[unavailable]" || answer.Checkpoint == "" {
		t.Fatalf("%s with checkpoint %q", got, answer.Checkpoint)
	}
}

func TestCosignaturesAreKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h, other := w.enrolled(w.customer), w.enrolled(w.customer)
		h.pushes(h.seal())
		h.pushes(h.seal())
		other.witness = newKey(t).Private() // not the one that it enrolled
		other.pushes(other.seal())
		ctx := context.Background()
		st, err := w.store.Log(ctx, w.customer.ID)
		if err != nil {
			t.Fatal(err)
		}
		list, err := w.store.Cosignatures(ctx, st.ID, 0, 100)
		if err != nil || len(list) != 2 {
			t.Fatalf("%d cosignatures (%v)", len(list), err)
		}
		for _, c := range list {
			if c.Agent != h.id {
				t.Errorf("cosignature of %s was taken", c.Agent)
			}
		}
	})
}

// Eight hosts push to one log at once, and one of them sends everything twice.
func TestConcurrentPushes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		const rounds, size = 6, 5
		var wg sync.WaitGroup
		for range 8 {
			h := w.enrolled(w.customer)
			wg.Go(func() {
				for range rounds {
					list := h.seals(size)
					both := append(append([]sealed{}, list...), list...)
					if got := outcomes(h.pushes(both...)); got != "[ok ok ok ok ok duplicate duplicate duplicate duplicate duplicate]" {
						t.Errorf("pushed: %s", got)
					}
				}
			})
		}
		wg.Wait()
		st, err := w.store.Log(context.Background(), w.customer.ID)
		if err != nil || st.Size != 8+8*rounds*size {
			t.Fatalf("log of %d entries, want %d (%v)", st.Size, 8+8*rounds*size, err)
		}
	})
}

// A record that a second copy of the server, on the same database, takes at the
// same time is there once.
func TestTwoServersOneDatabase(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		a := newWorld(t, dsn)
		st, err := store.Open(context.Background(), dsn, discard)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		guard, err := store.OpenGuard(context.Background(), filepath.Join(t.TempDir(), "second.db")) // each its own
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = guard.Close() }()
		second, err := server.New(context.Background(), testConfig(), server.Deps{Store: st, Guard: guard, Keys: a.keys, Log: discard})
		if err != nil {
			t.Fatal(err)
		}
		b := *a
		b.srv, b.handler = second, second.Handler()
		h := a.enrolled(a.customer)
		for range 10 {
			twin := *h
			twin.w = &b
			list := h.seals(4)
			var wg sync.WaitGroup
			results := make([][]evidence.PushResult, 2)
			wg.Go(func() { results[0] = h.pushes(list...) })
			wg.Go(func() { results[1] = twin.pushes(list...) })
			wg.Wait()
			for i := range list {
				one, other := results[0][i].Status, results[1][i].Status
				if one == other || one == evidence.StatusRejected || other == evidence.StatusRejected {
					t.Fatalf("record %d: %s here, %s there", i, one, other)
				}
			}
		}
	})
}

func TestAcceptedIsTold(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	var told []string
	w.srv.OnAccepted(func(org string, kinds []evidence.Kind) { told = append(told, fmt.Sprint(org == w.customer.ID, kinds)) })
	h := w.enrolled(w.customer)
	s := h.seal()
	h.pushes(s)
	h.pushes(s)
	if got := fmt.Sprint(told); got != "[true [dnsbl]]" {
		t.Fatalf("told %s", got)
	}
}

func TestWorkflowIsLogged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		ctx := context.Background()
		index, err := w.srv.AppendWorkflow(ctx, evidence.Workflow{Org: w.customer.ID, Event: "alert.delivered", Duty: "PE-P3"}, map[string]string{"to": "a@example.com"})
		if err != nil || index != 0 {
			t.Fatalf("index %d (%v)", index, err)
		}
		rec, err := w.store.Record(ctx, w.customer.ID, 1, index)
		if err != nil || rec.Type != evidence.EntryWorkflow || len(rec.Blobs) != 1 || len(rec.Items) != 1 || rec.Items[0].Reason != "alert.delivered" {
			t.Fatalf("%+v (%v)", rec, err)
		}
		env, err := evidence.ParseEnvelope(rec.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		said, err := evidence.OpenWorkflow(env, w.keys.Server.Public())
		if err != nil || said.Duty != "PE-P3" {
			t.Fatalf("%+v (%v)", said, err)
		}
		if _, err := w.srv.AppendWorkflow(ctx, evidence.Workflow{Org: "o_x", Event: "x"}, 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown organisation: %v", err)
		}
	})
}
