package server_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

func TestEnroll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		ctx := context.Background()
		h := w.enrolled(w.customer)
		agent, err := w.store.Agent(ctx, h.id)
		if err != nil || agent.Org != w.customer.ID || agent.Name != "host.example" || agent.State != store.AgentActive {
			t.Fatalf("%+v (%v)", agent, err)
		}
		rec, err := w.store.Record(ctx, w.customer.ID, 1, agent.EnrollIndex)
		if err != nil || rec.Type != evidence.EntryEnrollment || rec.Agent != h.id || rec.Stmt != h.prev {
			t.Fatalf("record of the enrollment: %+v (%v)", rec, err)
		}
		if h.known.Size != 1 {
			t.Errorf("log of %d entries", h.known.Size)
		}
		second := w.newHost()
		second.machine = h.machine
		token := w.token(w.provider.ID, 1)
		offer, _ := second.begin(token)
		if refusal := second.finish(token, second.statement(token, offer)); refusal != nil {
			t.Errorf("the same machine in another organisation: %v", refusal)
		}
	})
}

func TestEnrollRefusals(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		first := w.enrolled(w.customer)
		tests := []struct {
			name string
			try  func(h *host) *evidence.Error
			want evidence.Code
		}{
			{"unknown token", func(h *host) *evidence.Error {
				_, refusal := h.begin(evidence.NewToken(w.keys.Root.Public()))
				return refusal
			}, evidence.CodeEnrollToken},
			{"token with a NUL", func(h *host) *evidence.Error {
				token := evidence.NewToken(w.keys.Root.Public())
				token.ID += "\x00"
				_, refusal := h.begin(token)
				return refusal
			}, evidence.CodeEnrollToken},
			{"host with a NUL", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				offer, _ := h.begin(token)
				said := h.statement(token, offer)
				said.Hostname = "host\x00"
				return h.finish(token, said)
			}, evidence.CodeMalformed},
			{"expired token", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				w.now = w.now.Add(2 * time.Hour)
				_, refusal := h.begin(token)
				return refusal
			}, evidence.CodeEnrollToken},
			{"token expires meanwhile", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				w.now = w.now.Add(59 * time.Minute)
				offer, _ := h.begin(token)
				w.now = w.now.Add(2 * time.Minute)
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeEnrollToken},
			{"token used up", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				other := w.newHost()
				offer, _ := other.begin(token)
				if refusal := other.finish(token, other.statement(token, offer)); refusal != nil {
					return refusal
				}
				offer, _ = h.begin(token)
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeEnrollToken},
			{"wrong secret", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				offer, _ := h.begin(token)
				token.Secret[0] ^= 1
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeEnrollToken},
			{"nonce of another token", func(h *host) *evidence.Error {
				token, other := w.token(w.customer.ID, 1), w.token(w.customer.ID, 1)
				offer, _ := h.begin(other)
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeEnrollToken},
			{"nonce too old", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				offer, _ := h.begin(token)
				w.now = w.now.Add(11 * time.Minute)
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeEnrollToken},
			{"nonce used twice", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 2)
				offer, _ := h.begin(token)
				other := w.newHost()
				if refusal := other.finishOf(token, offer, h); refusal != nil {
					return refusal
				}
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeEnrollToken},
			{"another organisation", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				offer, _ := h.begin(token)
				offer.Org = w.provider.ID
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeForeign},
			{"key of another agent", func(h *host) *evidence.Error {
				token := w.token(w.provider.ID, 1)
				offer, _ := h.begin(token)
				h.key = first.key
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeKeyInUse},
			{"machine of another agent", func(h *host) *evidence.Error {
				token := w.token(w.customer.ID, 1)
				offer, _ := h.begin(token)
				h.machine = first.machine
				return h.finish(token, h.statement(token, offer))
			}, evidence.CodeMachineInUse},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				before, err := w.store.Agents(context.Background(), w.customer.ID)
				if err != nil {
					t.Fatal(err)
				}
				h := w.newHost()
				refusal := tt.try(h)
				if refusal == nil || refusal.Code != tt.want {
					t.Fatalf("%v, want %s", refusal, tt.want)
				}
				after, err := w.store.Agents(context.Background(), w.customer.ID)
				if err != nil || h.id != "" || len(after) > len(before)+1 {
					t.Errorf("%d agents before, %d after (%v)", len(before), len(after), err)
				}
			})
		}
	})
}

// finishOf enrolls with an offer that another host took.
func (h *host) finishOf(token evidence.Token, offer evidence.EnrollOffer, taker *host) *evidence.Error {
	h.trusted, h.known = taker.trusted, taker.known
	return h.finish(token, h.statement(token, offer))
}

// A refused enrollment uses up neither token nor nonce.
func TestRefusedEnrollmentCostsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		first, h := w.enrolled(w.customer), w.newHost()
		token := w.token(w.customer.ID, 1)
		offer, _ := h.begin(token)
		h.machine = first.machine
		if refusal := h.finish(token, h.statement(token, offer)); refusal == nil {
			t.Fatal("the machine enrolled twice")
		}
		h.machine = evidence.Sum([]byte("another"))
		if refusal := h.finish(token, h.statement(token, offer)); refusal != nil {
			t.Fatal(refusal)
		}
	})
}

// A host that did not see the answer sends the same enrollment again.
func TestEnrollAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h, token := w.newHost(), w.token(w.customer.ID, 1)
		offer, _ := h.begin(token)
		env, err := evidence.SealEnrollment(h.key, h.statement(token, offer))
		if err != nil {
			t.Fatal(err)
		}
		if refusal := h.send(token, env); refusal != nil {
			t.Fatal(refusal)
		}
		lost, id := h.push, h.id
		w.now = w.now.Add(20 * time.Hour)
		if refusal := h.send(token, env); refusal != nil || h.id != id || h.push == lost {
			t.Fatalf("agent %s, was %s: %v", h.id, id, refusal)
		}
		if _, refusal := w.call("POST", evidence.PathRecords, lost, evidence.Push{}, nil); refusal == nil || refusal.Code != evidence.CodeBadToken {
			t.Errorf("the push token that was lost: %v", refusal)
		}
		h.pushes(h.seal())
		if refusal := h.send(token, env); refusal == nil || refusal.Code != evidence.CodeKeyInUse {
			t.Errorf("after the first record: %v", refusal)
		}
	})
}

// The last use of a token goes to one of the hosts that race for it.
func TestLastUseIsTakenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		token := w.token(w.customer.ID, 3)
		hosts := make([]*host, 8)
		offers := make([]evidence.EnrollOffer, len(hosts))
		for i := range hosts {
			hosts[i] = w.newHost()
			offers[i], _ = hosts[i].begin(token)
		}
		var wg sync.WaitGroup
		refusals := make([]*evidence.Error, len(hosts))
		for i, h := range hosts {
			wg.Go(func() { refusals[i] = h.finish(token, h.statement(token, offers[i])) })
		}
		wg.Wait()
		ok := 0
		for _, r := range refusals {
			switch {
			case r == nil:
				ok++
			case r.Code != evidence.CodeEnrollToken:
				t.Error(r)
			}
		}
		if ok != 3 {
			t.Errorf("%d hosts enrolled with a token of three uses", ok)
		}
	})
}

// The table of nonces is bounded per token, and what expired makes room.
func TestNoncesAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		token := w.token(w.customer.ID, 1)
		begun := 0
		for range 100 {
			res, refusal := w.call("POST", evidence.PathEnrollBegin, "", evidence.EnrollBegin{ID: token.ID}, nil)
			if refusal == nil {
				begun++
				continue
			}
			if refusal.Code != evidence.CodeRate || res.Code != http.StatusTooManyRequests || res.Header().Get("Retry-After") == "" {
				t.Fatalf("status %d: %v", res.Code, refusal)
			}
			break
		}
		if begun == 0 || begun > 20 {
			t.Errorf("%d nonces for one use", begun)
		}
		w.now = w.now.Add(11 * time.Minute)
		h := w.newHost()
		offer, refusal := h.begin(token)
		if refusal == nil {
			refusal = h.finish(token, h.statement(token, offer))
		}
		if refusal != nil {
			t.Fatal(refusal)
		}
	})
}

func TestEnrollBodies(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	for _, path := range []string{evidence.PathEnrollBegin, evidence.PathEnroll} {
		for _, body := range []string{"", "{", `{"x":1}`, `[]`, `{"envelope":"{}"}`} {
			res, refusal := w.call("POST", path, "", []byte(body), nil)
			if refusal == nil || refusal.Code != evidence.CodeMalformed && refusal.Code != evidence.CodeEnrollToken || res.Code >= 500 {
				t.Errorf("%s with %q: status %d, %v", path, body, res.Code, refusal)
			}
		}
	}
}

// A second start needs the same keys and the same name.
func TestKeysAndNameAreBound(t *testing.T) {
	dsn := storetest.SQLite(t)
	w := newWorld(t, dsn)
	ctx := context.Background()
	if _, err := server.New(ctx, testConfig(), server.Deps{Store: w.store, Keys: w.keys, Log: discard}); err != nil {
		t.Errorf("the same again: %v", err)
	}
	other := testConfig()
	other.Name = "other.example"
	if _, err := server.New(ctx, other, server.Deps{Store: w.store, Keys: w.keys, Log: discard}); err == nil {
		t.Error("another name was taken")
	}
	keys, err := server.OpenKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.New(ctx, testConfig(), server.Deps{Store: w.store, Keys: keys, Log: discard}); err == nil {
		t.Error("other keys were taken")
	}
}
