package web_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
)

// site is a real server on an empty database, with a provider and two customers.
type site struct {
	t               testing.TB
	dsn             string
	srv             *server.Server
	store           *store.Store
	keys            server.Keys
	http            *httptest.Server
	now             time.Time
	provider        store.Org
	customer, other store.Org
	people          map[string]person
}

// person is somebody who signs in.
type person struct {
	email, password, org, role string
}

func newSite(t testing.TB, dsn string) *site {
	t.Helper()
	cfg := server.DefaultConfig()
	cfg.Name = "proof.example"
	return newSiteWith(t, dsn, cfg)
}

func newSiteWith(t testing.TB, dsn string, cfg server.Config) *site {
	t.Helper()
	s := emptySite(t, dsn, cfg)
	s.provider = s.addOrg(store.Org{Kind: store.Provider, Name: "Nordest Hosting"})
	s.customer = s.addOrg(store.Org{Kind: store.Customer, Name: "Officine Bianchi", Services: []string{"sc", "wh", "pe", "bk"}})
	s.other = s.addOrg(store.Org{Kind: store.Customer, Name: "Studio Verdi", Services: []string{"pe"}})
	return s
}

// emptySite is a server on which nobody is.
func emptySite(t testing.TB, dsn string, cfg server.Config) *site {
	t.Helper()
	ctx, quiet := context.Background(), slog.New(slog.DiscardHandler)
	st, err := store.Open(ctx, dsn, quiet)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := server.OpenKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dsn: dsn, store: st, keys: keys, now: time.Now(), people: map[string]person{}}
	s.start(cfg)
	s.http = httptest.NewServer(s.srv.Handler())
	t.Cleanup(func() {
		s.http.Close()
		stopped, stop := context.WithCancel(ctx)
		stop()
		if err := s.srv.Run(stopped); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// start makes the site's server, anew with another configuration where it has one.
func (s *site) start(cfg server.Config) {
	s.t.Helper()
	cfg.Limits = server.Limits{PushesPerSecond: 1e6, PushBurst: 1e6}
	var err error
	if s.srv, err = server.New(context.Background(), cfg, server.Deps{Store: s.store, Keys: s.keys, Log: s.quiet(), Version: "1.0.0", Now: func() time.Time { return s.now }}); err != nil {
		s.t.Fatal(err)
	}
}

func (*site) quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (s *site) addOrg(o store.Org) store.Org {
	s.t.Helper()
	o, err := s.srv.AddOrg(context.Background(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

var names = map[string]string{store.RoleAdmin: "Anna Bianchi", store.RoleOperator: "Olga Ferri", store.RoleViewer: "Vera Neri", store.RoleAuditor: "Aldo Conti"}

// add makes a person with a role in an organisation.
func (s *site) add(org store.Org, role string) person {
	s.t.Helper()
	p := person{email: role + "@" + strings.TrimPrefix(strings.ToLower(org.ID), "o_") + ".example", org: org.ID, role: role}
	if known, ok := s.people[p.email]; ok {
		return known
	}
	var err error
	if p.password, err = s.srv.AddUser(context.Background(), server.UserRequest{Email: p.email, Name: names[role], Org: org.ID, Role: role}); err != nil {
		s.t.Fatal(err)
	}
	s.people[p.email] = p
	return p
}

// extra makes another viewer of an organisation.
func (s *site) extra(org store.Org, email string) person {
	s.t.Helper()
	p := person{email: email, org: org.ID, role: store.RoleViewer}
	var err error
	if p.password, err = s.srv.AddUser(context.Background(), server.UserRequest{Email: email, Name: "Extra", Org: org.ID, Role: store.RoleViewer}); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// apiToken makes a token for scripts.
func (s *site) apiToken(org store.Org, write bool) string {
	s.t.Helper()
	var may []string
	if write {
		may = store.Scopes()
	}
	text, err := s.srv.AddAPIToken(context.Background(), org.ID, "test", time.Hour, may...)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// browser is a client with cookies that follows no redirect by itself.
func (s *site) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// signedIn is a browser in which a person has signed in.
func (s *site) signedIn(p person) *http.Client {
	s.t.Helper()
	c := s.browser()
	res, body := s.send(c, "POST", "/signin", url.Values{"email": {p.email}, "password": {p.password}}, nil)
	if res.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("signing in as %s: status %d: %s", p.email, res.StatusCode, body)
	}
	return c
}

// send makes a request as a browser of this site would.
func (s *site) send(c *http.Client, method, path string, form url.Values, header map[string]string) (*http.Response, string) {
	s.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.http.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(b)
}

func (s *site) get(c *http.Client, path string) (*http.Response, string) {
	s.t.Helper()
	return s.send(c, "GET", path, nil, nil)
}

// judge has everything judged as of now.
func (s *site) judge() {
	s.t.Helper()
	if err := s.srv.Judge().Sweep(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	if err := s.srv.Judge().Flush(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// host is an enrolled agent, written from the contract alone.
type host struct {
	s        *site
	key      *evidence.FileKey
	org      string
	id, push string
	known    evidence.Head
	seq      uint64
	backlog  int // that it says waits behind a push
	prev     evidence.Digest
}

func newKey(t testing.TB) *evidence.FileKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := evidence.NewFileKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ask posts to the agents' API; the answer is decoded into out.
func (s *site) ask(path, token string, body, out any) {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(b))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res := httptest.NewRecorder()
	s.srv.Handler().ServeHTTP(res, req)
	if res.Code != http.StatusOK {
		s.t.Fatalf("POST %s: status %d: %s", path, res.Code, res.Body)
	}
	if err := evidence.DecodeAnswer(res.Body.Bytes(), out); err != nil {
		s.t.Fatal(err)
	}
}

// enroll adds a host to an organisation.
func (s *site) enroll(org store.Org, name string, services ...string) *host {
	t := s.t
	t.Helper()
	token, err := s.srv.AddToken(context.Background(), server.TokenRequest{Org: org.ID, Services: services, Uses: 1, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var offer evidence.EnrollOffer
	s.ask(evidence.PathEnrollBegin, "", evidence.EnrollBegin{ID: token.ID}, &offer)
	root, err := evidence.ParsePublicKey(offer.RootKey)
	if err != nil {
		t.Fatal(err)
	}
	env, err := evidence.ParseEnvelope([]byte(offer.Keyset))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := evidence.OpenKeyset(env, root)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := keys.Log(offer.Origin)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{s: s, key: newKey(t), org: offer.Org}
	if h.known, err = trusted.OpenCheckpoint([]byte(offer.Checkpoint)); err != nil {
		t.Fatal(err)
	}
	witness, ok := newKey(t).Private().Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("no Ed25519 key")
	}
	env, err = evidence.SealEnrollment(h.key, evidence.Enrollment{Org: offer.Org, Token: token.ID, Nonce: offer.Nonce,
		Witness: base64.StdEncoding.EncodeToString(witness), Hostname: name, Machine: evidence.Sum([]byte(name + org.ID)),
		OS: "linux/amd64", Version: "1.0.0", Clock: evidence.Clock{Now: evidence.At(s.now)}, KeyProtection: "file"})
	if err != nil {
		t.Fatal(err)
	}
	mac, err := token.MACKey()
	if err != nil {
		t.Fatal(err)
	}
	var done evidence.Enrolled
	s.ask(evidence.PathEnroll, "", evidence.EnrollFinish{Envelope: string(env.Bytes()), MAC: evidence.EnrollMAC(mac, env)}, &done)
	h.id, h.push, h.prev = done.Agent, done.PushToken, env.StatementDigest()
	return h
}

// look is one item that a host sends.
type look struct {
	facts   evidence.Facts // nil for a look that failed
	kind    evidence.Kind  // of one that failed
	outcome evidence.Outcome
	reason  string
	gaps    []evidence.Gap
	detail  any
	from    time.Time
}

// sees seals looks into one record and pushes it; it returns the log index.
func (h *host) sees(looks ...look) int64 {
	t := h.s.t
	t.Helper()
	at := evidence.At(h.s.now)
	blobs := map[string][]byte{}
	r := evidence.Record{Org: h.org, Agent: h.id, Seq: h.seq + 1, Prev: h.prev, Log: h.known,
		Clock: evidence.Clock{Now: at, Synced: true, ServerDeltaMs: 12}, Collector: evidence.Build{Name: "attesto-agent", Version: "1.0.0"}}
	for _, l := range looks {
		if l.facts != nil {
			l.kind = l.facts.Kind()
		}
		facts, err := evidence.FactsBlob(l.facts, l.gaps)
		if err != nil {
			t.Fatal(err)
		}
		it := evidence.Item{Kind: l.kind, Schema: 1, From: at, To: at, Outcome: l.outcome, Reason: l.reason, Facts: evidence.Sum(facts)}
		if !l.from.IsZero() {
			it.From = evidence.At(l.from)
		}
		blobs[it.Facts.String()] = facts
		if l.detail != nil {
			detail, err := evidence.DetailBlob(l.detail)
			if err != nil {
				t.Fatal(err)
			}
			it.Detail = evidence.Sum(detail)
			blobs[it.Detail.String()] = detail
		}
		r.Items = append(r.Items, it)
	}
	env, err := evidence.Seal(h.key, r)
	if err != nil {
		t.Fatal(err)
	}
	var answer evidence.PushAnswer
	h.s.ask(evidence.PathRecords, h.push, evidence.Push{Known: evidence.KnownHead{Size: h.known.Size}, Backlog: h.backlog,
		Records: []evidence.PushRecord{{Envelope: string(env.Bytes()), Blobs: blobs}}}, &answer)
	if len(answer.Results) != 1 || answer.Results[0].Error != nil {
		t.Fatalf("pushing: %+v", answer.Results)
	}
	h.seq, h.prev = r.Seq, env.StatementDigest()
	st, err := h.s.store.Log(context.Background(), h.org)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size - 1
}

// spoil changes a SQLite database behind the server's back.
func (s *site) spoil(statement string, args ...any) {
	s.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.dsn, "sqlite:"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	res, err := db.ExecContext(context.Background(), statement, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		s.t.Fatalf("%d rows were changed (%v)", n, err)
	}
}
