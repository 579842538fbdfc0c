package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// asked makes a token as requested.
func (w *world) asked(q server.TokenRequest) evidence.Token {
	w.t.Helper()
	if q.Uses == 0 {
		q.Uses = 1
	}
	if q.Org == "" {
		q.Org = w.customer.ID
	}
	q.TTL = time.Hour
	t, err := w.srv.AddToken(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// tries enrolls a new host with a token.
func (w *world) tries(token evidence.Token) (*host, *evidence.Error) {
	w.t.Helper()
	h := w.newHost()
	offer, refusal := h.begin(token)
	if refusal == nil {
		refusal = h.finish(token, h.statement(token, offer))
	}
	return h, refusal
}

// A token that holds for some networks lets in hosts from there only. The test's
// requests come from 192.0.2.1.
func TestTokenForNetworks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		for _, tt := range []struct {
			from []string
			ok   bool
		}{{[]string{"192.0.2.0/24"}, true}, {[]string{"198.51.100.0/24", "192.0.2.1"}, true}, {[]string{"198.51.100.0/24"}, false}, {[]string{"2001:db8::/32"}, false}} {
			token := w.asked(server.TokenRequest{From: tt.from})
			_, refusal := w.tries(token)
			if (refusal == nil) != tt.ok || refusal != nil && (refusal.Code != evidence.CodeEnrollToken || !strings.Contains(refusal.Message, "192.0.2.1")) {
				t.Errorf("%v: %v", tt.from, refusal)
			}
			if row, err := w.store.EnrollToken(context.Background(), token.ID); err != nil || (row.Uses == 1) != tt.ok {
				t.Errorf("%v: %d uses (%v)", tt.from, row.Uses, err)
			}
		}
		for _, bad := range []string{"192.0.2.0/33", "mail.example", ""} {
			if _, err := w.srv.AddToken(context.Background(), server.TokenRequest{Org: w.customer.ID, Uses: 1, TTL: time.Hour, From: []string{bad}}); err == nil {
				t.Errorf("a token for the network %q", bad)
			}
		}
	})
}

// What an agent that waits sends is refused and nothing of it is lost; approved, it
// proves.
func TestApproval(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w, ctx := newWorld(t, dsn), context.Background()
		h, refusal := w.tries(w.asked(server.TokenRequest{Hold: true}))
		if refusal != nil {
			t.Fatal(refusal)
		}
		row, err := w.store.Agent(ctx, h.id)
		if err != nil || row.Standing() != store.AgentWaiting || row.From != "192.0.2.1" {
			t.Fatalf("%+v (%v)", row, err)
		}
		list := h.seals(2)
		body := evidence.Push{Known: evidence.KnownHead{Size: h.known.Size}, Records: []evidence.PushRecord{list[0].wire(), list[1].wire()}}
		if _, refusal := w.call("POST", evidence.PathRecords, h.push, body, nil); refusal == nil || refusal.Code != evidence.CodePending {
			t.Fatalf("a push of an agent that waits: %v", refusal)
		}
		if _, err := w.srv.ApproveAgent(ctx, h.id, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.srv.ApproveAgent(ctx, h.id, ""); err == nil || !strings.Contains(err.Error(), "is active") {
			t.Errorf("approved twice: %v", err)
		}
		h.known.Size = 0 // the approval is an entry as well
		if got := outcomes(h.pushes(list...)); got != "[ok ok]" {
			t.Errorf("after the approval: %s", got)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("check: %v", faults)
		}
	})
}

// Many hosts in an hour wait for approval, unless their token was made for many.
func TestRush(t *testing.T) {
	w, ctx := newWorld(t, storetest.SQLite(t)), context.Background()
	standing := func(token evidence.Token) string {
		h, refusal := w.tries(token)
		if refusal != nil {
			t.Fatal(refusal)
		}
		a, err := w.store.Agent(ctx, h.id)
		if err != nil {
			t.Fatal(err)
		}
		return a.Standing()
	}
	for i := range 20 {
		if got := standing(w.asked(server.TokenRequest{})); got != store.AgentActive {
			t.Fatalf("agent %d is %s", i, got)
		}
	}
	if got := standing(w.asked(server.TokenRequest{Uses: 20})); got != store.AgentWaiting {
		t.Errorf("the next one is %s", got)
	}
	if got := standing(w.asked(server.TokenRequest{Uses: 21})); got != store.AgentActive {
		t.Errorf("one of a fleet is %s", got)
	}
	if got := standing(w.asked(server.TokenRequest{Org: w.provider.ID})); got != store.AgentActive {
		t.Errorf("one of another organisation is %s", got)
	}
	w.now = w.now.Add(2 * time.Hour)
	if got := standing(w.asked(server.TokenRequest{})); got != store.AgentActive {
		t.Errorf("two hours later: %s", got)
	}
}

// A host that was set up anew takes its own place.
func TestReplacedAgent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w, ctx := newWorld(t, dsn), context.Background()
		old, stranger := w.enrolled(w.customer), w.enrolled(w.provider)
		for _, q := range []server.TokenRequest{{Replaces: stranger.id}, {Replaces: "a_nobody"}, {Replaces: old.id, Uses: 2}} {
			q.Org, q.TTL = w.customer.ID, time.Hour
			q.Uses = max(q.Uses, 1)
			if _, err := w.srv.AddToken(ctx, q); err == nil {
				t.Errorf("a token for %+v", q)
			}
		}
		token := w.asked(server.TokenRequest{Replaces: old.id})
		next := w.newHost()
		next.machine = old.machine
		offer, refusal := next.begin(token)
		if refusal == nil {
			refusal = next.finish(token, next.statement(token, offer))
		}
		if refusal != nil {
			t.Fatal(refusal)
		}
		was, err := w.store.Agent(ctx, old.id)
		if err != nil || was.State != store.AgentRevoked {
			t.Errorf("the old agent is %s (%v)", was.State, err)
		}
		is, err := w.store.Agent(ctx, next.id)
		if err != nil || is.Replaces != old.id {
			t.Errorf("the new agent replaces %q (%v)", is.Replaces, err)
		}
		st, err := w.store.Log(ctx, w.customer.ID)
		if err != nil {
			t.Fatal(err)
		}
		custody, err := w.store.Custody(ctx, w.customer.ID, st.ID)
		if err != nil || !slices.ContainsFunc(custody, func(r store.Record) bool { return r.Type == evidence.EntryRevocation }) {
			t.Errorf("no revocation in the log (%v)", err)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("check: %v", faults)
		}
	})
}

// Those whom an organisation's mail reaches hear of each new agent, and whether it
// waits; nobody else does.
func TestNewAgentIsAnnounced(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	if _, refusal := j.tries(j.asked(server.TokenRequest{Org: j.provider.ID})); refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := j.tries(j.asked(server.TokenRequest{Org: j.provider.ID, Hold: true})); refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal := j.tries(j.asked(server.TokenRequest{Org: j.customer.ID})); refusal != nil {
		t.Fatal(refusal)
	}
	j.settle()
	j.mails.mu.Lock()
	defer j.mails.mu.Unlock()
	slices.Sort(j.mails.notices)
	want := []string{"An agent waits for approval: host.example (Provider)", "New agent: host.example (Provider)"}
	if !slices.Equal(j.mails.notices, want) {
		t.Errorf("notices %q, want %q", j.mails.notices, want)
	}
}
