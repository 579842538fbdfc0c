package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// mailbox is a real SMTP server that keeps what it accepts.
type mailbox struct {
	mu      sync.Mutex
	mails   []*mail.Message
	bodies  []string
	notices []string // subjects of mails that are no alerts
	answer  error    // to every recipient, nil to accept
	port    int
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	m := &mailbox{}
	srv := smtp.NewServer(m)
	srv.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.port = l.Addr().(*net.TCPAddr).Port
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return m
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return mailSession{m}, nil }

func (m *mailbox) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = err
}

func (m *mailbox) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.mails)
}

// subject is the decoded subject of the n-th mail.
func (m *mailbox) subject(t *testing.T, n int) string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := new(mime.WordDecoder).DecodeHeader(m.mails[n].Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type mailSession struct{ m *mailbox }

func (s mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s mailSession) Reset()                               {}
func (s mailSession) Logout() error                        { return nil }

func (s mailSession) Rcpt(string, *smtp.RcptOptions) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.m.answer
}

func (s mailSession) Data(r io.Reader) error {
	msg, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
	if err != nil {
		return err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(string(body), "A host has enrolled") {
		s.m.notices = append(s.m.notices, subject)
		return nil
	}
	s.m.mails, s.m.bodies = append(s.m.mails, msg), append(s.m.bodies, string(body))
	return nil
}

// receiver is a real HTTP server that keeps the webhooks it gets.
type receiver struct {
	mu     sync.Mutex
	status int
	bodies []string
	heads  []http.Header
	url    string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusOK}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.url = srv.URL + "/hook"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status == http.StatusOK {
		r.bodies, r.heads = append(r.bodies, string(body)), append(r.heads, req.Header)
	}
	w.WriteHeader(r.status)
}

func (r *receiver) set(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

// judged is a world whose provider hears of alerts by mail and webhook.
type judged struct {
	*world
	dsn    string
	mails  *mailbox
	hooks  *receiver
	secret []byte
	before map[string]int // what a log stated once its host was announced, by organisation
}

// enrolled is a host that was announced to those who hear of its organisation.
func (j *judged) enrolled(org store.Org) *host {
	j.t.Helper()
	h := j.world.enrolled(org)
	if _, err := j.srv.Alerts().Once(context.Background()); err != nil {
		j.t.Fatal(err)
	}
	for event, n := range j.stated(org.ID) {
		j.before[org.ID+event] += n
	}
	return h
}

func newJudged(t *testing.T, dsn string) *judged {
	mails, hooks := newMailbox(t), newReceiver(t)
	cfg := testConfig()
	cfg.PublicURL = "https://proof.example"
	cfg.SMTP = server.SMTP{Host: "127.0.0.1", Port: mails.port, From: "Attesto <attesto@proof.example>", TLS: "none"}
	cfg.Webhooks.AllowPrivate = true
	j := &judged{world: newWorldWith(t, dsn, cfg), dsn: dsn, mails: mails, hooks: hooks, before: map[string]int{}}
	j.channel(j.provider.ID, alert.Email, "ops@provider.example", "")
	j.secret = j.channel(j.provider.ID, alert.Webhook, hooks.url, "")
	return j
}

func (j *judged) channel(org, kind, target, party string) []byte {
	j.t.Helper()
	c := alert.Channel{ID: evidence.NewID("c_"), Org: org, Kind: kind, Target: target, Party: party, Created: j.now}
	c.Secret, _ = alert.NewSecret()
	if err := j.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.AddChannel(ctx, c) }); err != nil {
		j.t.Fatal(err)
	}
	return c.Secret
}

// dnsbl seals a look in which the address has a result on the one list.
func (h *host) dnsbl(result string, change ...func(*evidence.Record)) sealed {
	t := h.w.t
	t.Helper()
	a := evidence.DNSBLAnswer{Target: "192.0.2.1", Zone: "bl.example", Result: result, Millis: 4}
	switch result {
	case evidence.Listed:
		a.Codes = []string{"127.0.0.2"}
	case evidence.NoAnswer:
		a.Why = "time-out"
	}
	facts, err := evidence.FactsBlob(evidence.DNSBL{Resolvers: []string{"127.0.0.1:53"},
		Targets: []evidence.DNSBLTarget{{Target: "192.0.2.1", Found: "config"}},
		Lists:   []evidence.DNSBLList{{Zone: "bl.example", Tier: "a", Family: "ip4", Controls: evidence.ControlsPassed}},
		Answers: []evidence.DNSBLAnswer{a}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := h.seal(append(change, func(r *evidence.Record) { r.Items[0].Facts, r.Items[0].Detail = evidence.Sum(facts), evidence.Digest{} })...)
	s.blobs = map[evidence.Digest][]byte{evidence.Sum(facts): facts}
	return s
}

// serves has a host stand for one service alone.
func (j *judged) serves(h *host, service string) {
	j.t.Helper()
	if err := j.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.SetServes(ctx, h.id, []string{service}, nil) }); err != nil {
		j.t.Fatal(err)
	}
}

// settle judges what arrived and what is due, and delivers what that alerts.
func (j *judged) settle() {
	j.t.Helper()
	ctx := context.Background()
	if err := errors.Join(j.srv.Judge().Flush(ctx), j.srv.Judge().Sweep(ctx)); err != nil {
		j.t.Fatal(err)
	}
	if _, err := j.srv.Alerts().Once(ctx); err != nil {
		j.t.Fatal(err)
	}
}

// state is a duty's verdict and reason on a board.
func (j *judged) state(org, duty string) string {
	j.t.Helper()
	list, err := j.store.VerdictsOf(context.Background(), org, duty)
	if err != nil {
		j.t.Fatal(err)
	}
	if len(list) == 0 {
		return "none"
	}
	return fmt.Sprintf("%s %s", list[0].Verdict, list[0].Why.Key)
}

func (j *judged) wants(org, duty, want string) {
	j.t.Helper()
	if got := j.state(org, duty); got != want {
		j.t.Fatalf("%s is %s, want %s", duty, got, want)
	}
}

func (j *judged) told(mails, hooks int) {
	j.t.Helper()
	if m, h := j.mails.count(), j.hooks.count(); m != mails || h != hooks {
		j.t.Fatalf("%d mails and %d webhooks, want %d and %d: %q", m, h, mails, hooks, j.mails.bodies)
	}
}

// stated counts the events in an organisation's log since its host was announced.
func (j *judged) stated(org string) map[string]int {
	j.t.Helper()
	items, err := j.store.ItemsOf(context.Background(), org, "", "workflow", time.Time{}, 1000)
	if err != nil {
		j.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, it := range items {
		counts[it.Reason]++
	}
	for event := range counts {
		if counts[event] -= j.before[org+event]; counts[event] == 0 {
			delete(counts, event)
		}
	}
	return counts
}

func (j *judged) sound() {
	j.t.Helper()
	found, err := j.srv.Check(context.Background(), func(server.Checked) {})
	if err != nil || len(found.Faults) > 0 {
		j.t.Fatalf("the store is not sound: %+v (%v)", found, err)
	}
}

func (j *judged) advance(d time.Duration) { j.now = j.now.Add(d) }

func eachJudged(t *testing.T, fn func(t *testing.T, j *judged)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, dsn string) { fn(t, newJudged(t, dsn)) })
}

func TestListingAlertsOnceAndResolvesOnce(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		j.told(0, 0)

		for range 3 { // listed, and looked at again
			j.advance(time.Hour)
			h.pushes(h.dnsbl(evidence.Listed))
			j.settle()
			j.wants(j.customer.ID, "PE-P3", "breached dnsbl_listed")
			j.wants(j.provider.ID, "PE-P3", "breached dnsbl_listed")
			j.told(1, 1)
		}
		if got, want := j.mails.subject(t, 0), "Breached: PE-P3 Public blacklists checked daily (Provider, host.example: 192.0.2.1)"; got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
		st, err := j.store.Log(context.Background(), j.provider.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"192.0.2.1 of host.example is listed on bl.example (127.0.0.2)", "What to do:", "Log of Provider: ", " entries, root ",
			"https://proof.example/orgs/" + j.provider.ID + "/duties/PE-P3"} {
			if !strings.Contains(j.mails.bodies[0], want) {
				t.Errorf("the mail lacks %q:\n%s", want, j.mails.bodies[0])
			}
		}
		if st.Size == 0 {
			t.Error("empty log")
		}
		j.signed(0)

		j.advance(time.Hour)
		h.pushes(h.dnsbl(evidence.NoAnswer)) // nobody can tell: the alert stays
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "unproven dnsbl_no_answer")
		j.told(1, 1)

		j.advance(time.Hour)
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		j.told(2, 2)
		if got := j.mails.subject(t, 1); !strings.HasPrefix(got, "Resolved: PE-P3") {
			t.Errorf("subject %q", got)
		}
		if a, b := j.mails.mails[0].Header.Get("Message-Id"), j.mails.mails[1].Header.Get("Message-Id"); a == b || !strings.HasSuffix(a, "@proof.example>") {
			t.Errorf("Message-IDs %s and %s", a, b)
		}
		j.settle()
		j.told(2, 2)

		changes, err := j.store.VerdictChanges(context.Background(), j.customer.ID, "PE-P3", time.Time{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		var turns []string
		for _, c := range changes {
			if c.Part == "" {
				turns = append(turns, c.Verdict.String())
			}
		}
		if got := fmt.Sprint(turns); got != "[fulfilled unproven breached fulfilled]" {
			t.Errorf("changes %s", got)
		}
		if got := j.stated(j.provider.ID); got[alert.EventDelivered] != 4 || len(got) != 1 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

// signed checks a webhook's signature as its receiver does.
func (j *judged) signed(n int) {
	j.t.Helper()
	head, body := j.hooks.heads[n], j.hooks.bodies[n]
	var seconds int64
	if _, err := fmt.Sscan(head.Get("webhook-timestamp"), &seconds); err != nil {
		j.t.Fatal(err)
	}
	if got, want := head.Get("webhook-signature"), alert.Sign(j.secret, head.Get("webhook-id"), time.Unix(seconds, 0), []byte(body)); got != want {
		j.t.Errorf("signature %q, want %q", got, want)
	}
	if !strings.Contains(body, `"id":"`+head.Get("webhook-id")+`"`) || !strings.Contains(body, `"duty":"PE-P3"`) || !strings.Contains(body, `"verdict":"breached"`) {
		j.t.Errorf("body %s", body)
	}
}

func TestSilenceAlerts(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		j.serves(h, "pe")
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		for range 27 { // the server is there all the time
			j.advance(time.Hour)
			j.settle()
		}
		j.wants(j.customer.ID, "PE-P3", "unproven stale")
		j.told(1, 1)
		if got, want := j.mails.subject(t, 0), "No longer proven: PE-P3 Public blacklists checked daily (Provider, host.example)"; got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		j.told(2, 2)
	})
}

func TestNeverSeenIsNoAlert(t *testing.T) {
	eachJudged(t, func(_ *testing.T, j *judged) {
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "unproven no_agent")
		j.enrolled(j.provider)
		j.advance(30 * time.Hour)
		j.settle()
		j.told(0, 0)
	})
}

// TestOutageOfTheServerIsNotTheAgents has the server off for two days: agents get
// time to deliver before their silence alerts.
func TestOutageOfTheServerIsNotTheAgents(t *testing.T) {
	eachJudged(t, func(_ *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		j.serves(h, "pe")
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.advance(48 * time.Hour)
		j.restart()
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "unproven stale")
		j.told(0, 0)
		j.advance(16 * time.Minute) // and it stays silent
		j.settle()
		j.told(1, 1)
	})
}

// The server's clock was days ahead for a moment. What was judged then is taken back as soon
// as it is right, and a breach that comes is seen and told.
func TestServersClockWasAhead(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		h := j.enrolled(j.provider)
		j.serves(h, "pe")
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		right := j.now
		j.now = right.Add(20 * time.Hour)
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		j.now = right.Add(60 * time.Hour)
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "unproven stale")
		j.now = right.Add(30 * time.Minute)
		j.settle() // nobody has said yet which clock is right
		j.wants(j.customer.ID, "PE-P3", "unproven stale")
		h.pushes(h.dnsbl(evidence.Listed))
		j.settle()
		for _, org := range []string{j.customer.ID, j.provider.ID} {
			j.wants(org, "PE-P3", "breached dnsbl_listed")
			past, err := j.store.History(ctx, org, "PE-P3", right)
			if err != nil {
				t.Fatal(err)
			}
			for _, turn := range past["PE-P3"].Turns {
				if turn.At.After(j.now) {
					t.Errorf("it turned to %s at %s, which is still to come", turn.Verdict, turn.At)
				}
			}
		}
	})
}

// The server's clock is years behind for a moment, as after a start without a battery: what
// it has judged stays.
func TestServersClockIsBehind(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		j.serves(h, "pe")
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		right, sealed := j.now, h.dnsbl(evidence.Listed)
		j.now = right.AddDate(-4, 0, 0)
		j.settle()
		h.pushes(sealed)
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		past, err := j.store.History(context.Background(), j.customer.ID, "PE-P3", right)
		if err != nil || len(past["PE-P3"].Turns) == 0 {
			t.Errorf("turns are %+v (%v)", past["PE-P3"].Turns, err)
		}
		j.now = right.Add(time.Minute)
		h.pushes(h.dnsbl(evidence.Listed))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "breached dnsbl_listed")
	})
}

// A host's clock was a day ahead and was set right; then a look of before comes late. What
// was looked at last is what counts, and its facts are read.
func TestNewestLookByCorrectedClocks(t *testing.T) {
	eachJudged(t, func(_ *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		made := func(ago, ahead time.Duration) func(*evidence.Record) {
			return func(r *evidence.Record) {
				at := evidence.At(j.now.Add(ahead - ago))
				r.Items[0].From, r.Items[0].To, r.Clock = at, at, evidence.Clock{Now: evidence.At(j.now.Add(ahead)), ServerDeltaMs: -ahead.Milliseconds()}
			}
		}
		h.pushes(h.dnsbl(evidence.NotListed, made(0, 24*time.Hour)))
		j.advance(time.Hour)
		h.pushes(h.dnsbl(evidence.Listed, made(0, 0)))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "breached dnsbl_listed")
		j.advance(10 * time.Minute)
		h.pushes(h.dnsbl(evidence.NotListed, made(5*time.Hour, 0)))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "breached dnsbl_listed")
	})
}

// restart makes another server on the same store, as after a stop.
func (j *judged) restart() {
	j.t.Helper()
	j.restartWith(func(*server.Config) {})
}

func (j *judged) restartWith(change func(*server.Config)) {
	j.t.Helper()
	cfg := testConfig()
	change(&cfg)
	cfg.SMTP = server.SMTP{Host: "127.0.0.1", Port: j.mails.port, From: "attesto@proof.example", TLS: "none"}
	cfg.Webhooks.AllowPrivate = true
	srv, err := server.New(context.Background(), cfg, server.Deps{Store: j.store, Keys: j.keys, Log: slog.New(slog.DiscardHandler), Version: "test",
		Now: func() time.Time { return j.now }})
	if err != nil {
		j.t.Fatal(err)
	}
	j.srv, j.handler = srv, srv.Handler()
}

// What stands by rules that are over is judged by those in force once a server starts with
// them, also what would hold for months.
func TestNewRulesJudgeWhatStands(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.settle()
		if err := j.srv.State(ctx, server.StatementRequest{Board: j.customer.ID, Duty: "PE-C2", Kind: duties.StatementAttestation, Good: true, Until: j.now.AddDate(0, 0, 89), Text: "A vault.", User: "u_1"}); err != nil {
			t.Fatal(err)
		}
		j.settle()
		j.now = j.now.AddDate(0, 0, 40)
		j.restart() // the outage is over and what it left is judged
		j.settle()
		j.advance(20 * time.Minute)
		j.settle()
		j.wants(j.customer.ID, "PE-C2", "fulfilled attestation_holds")
		own := t.TempDir()
		if err := os.WriteFile(filepath.Join(own, "own.yaml"), []byte("every: {PE-C2: 30}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		j.restartWith(func(c *server.Config) { c.Catalogue = own })
		j.settle()
		j.wants(j.customer.ID, "PE-C2", "unproven attestation_lapsed")
		j.restart()
		j.settle()
		j.wants(j.customer.ID, "PE-C2", "fulfilled attestation_holds")
	})
}

func TestBoardsFollowOrganisations(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.settle()
		later, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Later", Services: []string{"sc", "bk"}})
		if err != nil {
			t.Fatal(err)
		}
		j.settle()
		want := map[string]int{j.provider.ID: 25, j.customer.ID: 17, later.ID: 25}
		for org, n := range want {
			list, err := j.store.Verdicts(ctx, org)
			if err != nil {
				t.Fatal(err)
			}
			whole := 0
			for _, v := range list {
				if v.Part == "" {
					whole++
				}
			}
			if whole != n {
				t.Errorf("%d duties on the board of %s, want %d", whole, org, n)
			}
		}
		// What a board has lost comes back.
		if err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.GiveUpDuty(ctx, later.ID, "BK-C1", j.now, duties.GivenUp())
		}); err != nil {
			t.Fatal(err)
		}
		j.settle()
		if got := j.state(later.ID, "BK-C1"); got != "unproven no_agent" {
			t.Errorf("a duty that was lost from the board: %s", got)
		}
	})
}

// TestDaysWithoutTheServer has a host look once, then nobody judges for six days: the days
// are unproven from when the look no longer proves, not from when somebody judges again.
// If the server was off, it is the cause.
func TestDaysWithoutTheServer(t *testing.T) {
	for _, off := range []bool{true, false} {
		eachJudged(t, func(t *testing.T, j *judged) {
			ctx := context.Background()
			day := time.Date(2026, 6, 1, 0, 0, 0, 0, j.customer.Location())
			j.now = day.Add(10 * time.Hour)
			j.shop()
			provider, customer := j.enrolled(j.provider), j.enrolled(j.customer)
			provider.pushes(provider.dnsbl(evidence.NotListed))
			customer.pushes(customer.backups(evidence.BackupOK))
			j.settle()
			if err := j.srv.ConfirmReview(ctx, j.customer.ID, "BK-C1", "u_1"); err != nil {
				t.Fatal(err)
			}
			j.settle()
			j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "notice", Service: "sc", Title: "Disk nearly full", User: "u_ops"})
			j.now = day.AddDate(0, 0, 6).Add(8 * time.Hour)
			if off {
				j.restart()
			}
			provider.pushes(provider.dnsbl(evidence.NotListed))
			j.settle()
			j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
			cause := duties.CauseAgentOff
			if off {
				cause = duties.CauseServer
			}
			for _, of := range []store.Board{{Org: j.provider.ID, Duty: "PE-P3"}, {Org: j.customer.ID, Duty: "PE-P3"}, {Org: j.customer.ID, Duty: "BK-C1"}} {
				if got, sum := j.days(of.Org, of.Duty, day, 6); got != "fuuuuu" || len(sum.Gaps) != 1 || sum.Gaps[0].Cause != cause {
					t.Errorf("off %t, %s: days %s, %+v; want fuuuuu, the cause %s", off, of.Duty, got, sum, cause)
				}
			}
			board, err := j.store.Verdicts(ctx, j.customer.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range board {
				if d, _ := j.srv.Catalogue().Duty(v.Duty); d.Party == duties.Provider && !v.Due.IsZero() {
					t.Errorf("%s of the provider would be judged as a duty of the customer at %s", v.Duty, v.Due)
				}
			}
			changes, err := j.store.VerdictChanges(ctx, j.customer.ID, "PE-P3", day, 50)
			if err != nil {
				t.Fatal(err)
			}
			lapsed := map[string]bool{}
			for _, c := range changes {
				if c.Verdict == duties.Unproven && c.Was != nil && c.At.Equal(day.Add(36*time.Hour+time.Millisecond)) {
					lapsed[c.Part] = true
				}
			}
			if !lapsed[""] || !lapsed["dnsbl"] {
				t.Errorf("a look of ten holds for 26 hours: %+v", changes)
			}
		})
	}
}

// TestFailureIsAcknowledged has a backup fail after a review and run well an hour later:
// the day is not proven until somebody looks again.
func TestFailureIsAcknowledged(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	j.now = time.Date(2026, 6, 1, 8, 0, 0, 0, j.customer.Location())
	j.shop()
	h := j.enrolled(j.customer)
	for _, step := range []struct{ result, want string }{{evidence.BackupOK, "unproven review_never"}, {"", "fulfilled backup_good"},
		{evidence.BackupFailed, "breached backup_failed"}, {evidence.BackupOK, "unproven review_failed"}, {"", "fulfilled backup_good"}} {
		j.advance(time.Hour)
		if step.result != "" {
			h.pushes(h.backups(step.result))
		} else if err := j.srv.ConfirmReview(ctx, j.customer.ID, "SC-C5", "u_1"); err != nil {
			t.Fatal(err)
		}
		j.settle()
		j.wants(j.customer.ID, "SC-C5", step.want)
	}
	out, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: j.now.Add(-4 * time.Hour), Org: j.customer.ID, Duty: "SC-C5", DryRun: true})
	if err != nil || len(out.Changed) > 0 {
		t.Errorf("told again: %+v (%v)", out.Changed, err)
	}
}

// TestDayOfItsOwn has a host look and a person review every other day only, each time
// within what is fresh: a day without a look, or without a review, ends unproven.
func TestDayOfItsOwn(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		zone := j.customer.Location()
		day := time.Date(2026, 6, 1, 0, 0, 0, 0, zone)
		j.now = day
		j.shop()
		provider, customer := j.enrolled(j.provider), j.enrolled(j.customer)
		for at := day; at.Before(day.AddDate(0, 0, 6)); at = at.Add(20 * time.Minute) {
			j.now = at.Add(11 * time.Minute)
			n, clock := at.Day(), at.Format("15:04")
			if n%2 == 1 && (clock == "00:20" || clock == "22:40") {
				provider.pushes(provider.dnsbl(evidence.NotListed))
			}
			if at.Hour()%8 == 1 && at.Minute() == 0 {
				customer.pushes(customer.backups(evidence.BackupOK))
			}
			if n%2 == 1 && clock == "01:20" {
				if err := j.srv.ConfirmReview(ctx, j.customer.ID, "BK-C1", "u_1"); err != nil {
					t.Fatal(err)
				}
			}
			if at.Hour()%6 == 0 || at.Hour() == 23 {
				j.settle()
			} else if err := j.srv.Judge().Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		j.now = day.AddDate(0, 0, 6)
		j.settle()
		for duty, org := range map[string]string{"PE-P3": j.provider.ID, "BK-C1": j.customer.ID} {
			if got, sum := j.days(org, duty, day, 6); got != "fufufu" || sum.Expected != 6 || sum.Covered != 3 {
				t.Errorf("%s: days %s, %d of %d", duty, got, sum.Covered, sum.Expected)
			}
		}
	})
}

// TestServiceGivenUp has a customer give up a service for four days and take it again:
// the days between do not apply, those before stay as they were, and it is judged anew.
func TestServiceGivenUp(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		day := time.Date(2026, 6, 1, 0, 0, 0, 0, j.customer.Location())
		j.now = day
		h := j.enrolled(j.provider)
		set := func(services ...string) {
			o, err := j.store.Org(ctx, j.customer.ID)
			if err != nil {
				t.Fatal(err)
			}
			if o.Services = services; j.srv.SetOrg(ctx, o, "u_1") != nil {
				t.Fatal("the services were not taken")
			}
		}
		wants := func(org, duty, want string, expected, covered int) {
			t.Helper()
			if got, sum := j.days(org, duty, day, len(want)); got != want || sum.Expected != expected || sum.Covered != covered {
				t.Errorf("%s: days %s, %d of %d covered; want %s, %d of %d", duty, got, sum.Covered, sum.Expected, want, covered, expected)
			}
		}
		for n := range 8 * 4 {
			j.now = day.Add(time.Duration(n) * 6 * time.Hour)
			h.pushes(h.dnsbl(evidence.NotListed))
			switch n {
			case 8:
				set("sc")
			case 24:
				set("pe")
			}
			j.settle()
			if n == 20 {
				wants(j.customer.ID, "PE-P3", "ffxxx", 2, 2)
				wants(j.customer.ID, "PE-C2", "uuxxx", 2, 0)
			}
		}
		wants(j.customer.ID, "PE-P3", "ffxxxxf", 3, 3)
		wants(j.customer.ID, "PE-C2", "uuxxxxu", 3, 0)
		wants(j.provider.ID, "PE-P3", "fffffff", 7, 7)
		changes, err := j.store.VerdictChanges(ctx, j.customer.ID, "PE-P3", day, 20)
		if err != nil {
			t.Fatal(err)
		}
		var turns []string
		for _, c := range changes {
			if c.Part == "" {
				turns = append(turns, fmt.Sprint(c.At.Sub(day), " ", c.Verdict, " ", c.Why.Key))
			}
		}
		if want := "[144h0m0s fulfilled dnsbl_clean 48h0m0s not_applicable service_given_up"; !strings.HasPrefix(fmt.Sprint(turns), want) {
			t.Errorf("turns %v, want %s", turns, want)
		}
	})
}

func TestReviewIsLoggedAndJudged(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.settle()
		j.wants(j.customer.ID, "PE-P6", "unproven no_agent")
		if err := j.srv.ConfirmReview(ctx, j.customer.ID, "PE-P6", "u_1"); err != nil {
			t.Fatal(err)
		}
		list, err := j.store.VerdictsOf(ctx, j.customer.ID, "PE-P6")
		if err != nil {
			t.Fatal(err)
		}
		parts := map[string]duties.Verdict{}
		for _, v := range list {
			parts[v.Part] = v.Verdict
		}
		if parts["review"] != duties.Fulfilled || parts["eventlog"] != duties.Unproven || parts[""] != duties.Unproven {
			t.Errorf("verdicts %v", parts)
		}
		if got := j.stated(j.provider.ID); got["review.confirmed"] != 1 {
			t.Errorf("the provider's log states %v", got)
		}
		reviews, err := j.store.Reviews(ctx, j.provider.ID, "PE-P6", 10)
		if err != nil || len(reviews) != 1 || reviews[0].User != "u_1" {
			t.Fatalf("reviews %+v (%v)", reviews, err)
		}
		for range 3 {
			j.advance(24 * time.Hour)
			j.settle()
		}
		list, err = j.store.VerdictsOf(ctx, j.customer.ID, "PE-P6")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			if v.Part == "review" && v.Why.Key != "review_old" {
				t.Errorf("after three days: %s", v.Why)
			}
		}
		if err := j.srv.ConfirmReview(ctx, j.customer.ID, "PE-P99", "u_1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("review of an unknown duty: %v", err)
		}
		j.sound()
	})
}

func TestDeliveryIsTriedAgain(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		j.mails.set(&smtp.SMTPError{Code: 451, Message: "try again later"})
		j.hooks.set(http.StatusServiceUnavailable)
		h.pushes(h.dnsbl(evidence.Listed))
		j.settle()
		j.told(0, 0)
		j.settle() // not due yet
		if got := j.stated(j.provider.ID); got[alert.EventFailed] != 2 {
			t.Fatalf("the log states %v", got)
		}
		// Resolved before anybody was told: both are told, in order.
		j.advance(10 * time.Second)
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.told(0, 0)
		j.mails.set(nil)
		j.hooks.set(http.StatusOK)
		j.advance(2 * time.Minute)
		j.settle()
		j.told(2, 2)
		if a, b := j.mails.subject(t, 0), j.mails.subject(t, 1); !strings.HasPrefix(a, "Breached") || !strings.HasPrefix(b, "Resolved") {
			t.Errorf("mails %q, then %q", a, b)
		}
		if got := j.stated(j.provider.ID); got[alert.EventFailed] != 2 || got[alert.EventDelivered] != 4 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

func TestRefusalIsFinal(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		j.mails.set(&smtp.SMTPError{Code: 550, Message: "no such user"})
		j.hooks.set(http.StatusGone)
		h.pushes(h.dnsbl(evidence.Listed))
		j.settle()
		j.mails.set(nil)
		j.hooks.set(http.StatusOK)
		for range 3 {
			j.advance(time.Hour)
			j.settle()
		}
		j.told(0, 0)
		open, err := j.store.OpenAlerts(context.Background(), j.provider.ID, "PE-P3")
		if err != nil || len(open) != 1 {
			t.Fatalf("open alerts %+v (%v)", open, err)
		}
		list, err := j.store.Deliveries(context.Background(), open[0].ID)
		if err != nil || len(list) != 2 {
			t.Fatalf("deliveries %+v (%v)", list, err)
		}
		for _, d := range list {
			if d.State != "refused" || d.Attempts != 1 || d.Error == "" {
				t.Errorf("delivery %+v", d)
			}
		}
		if got := j.stated(j.provider.ID); got[alert.EventRefused] != 2 || len(got) != 1 {
			t.Errorf("the log states %v", got)
		}
	})
}

// TestLeaseOfADeadServer claims and never settles, as a server that died does:
// after the lease the delivery is made, with the same id.
func TestLeaseOfADeadServer(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		h := j.enrolled(j.provider)
		h.pushes(h.dnsbl(evidence.Listed))
		if err := j.srv.Judge().Flush(ctx); err != nil {
			t.Fatal(err)
		}
		claim := func() (ids []string) {
			if err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
				list, err := tx.ClaimDeliveries(ctx, j.now, alert.Lease, 10)
				ids = nil
				for _, d := range list {
					ids = append(ids, d.ID)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return ids
		}
		if ids := claim(); len(ids) != 2 {
			t.Fatalf("claimed %v", ids)
		}
		if ids := claim(); len(ids) != 0 {
			t.Fatalf("claimed twice: %v", ids)
		}
		j.settle()
		j.told(0, 0)
		j.advance(alert.Lease)
		j.settle()
		j.told(1, 1)
	})
}

// TestClaimsOfManyServers has several servers claim at once: nothing is delivered
// twice.
func TestClaimsOfManyServers(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		for i := range 20 {
			j.channel(j.provider.ID, alert.Email, fmt.Sprintf("p%d@provider.example", i), "")
		}
		h := j.enrolled(j.provider)
		h.pushes(h.dnsbl(evidence.Listed))
		if err := j.srv.Judge().Flush(ctx); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			wg.Go(func() { _, errs[i] = j.srv.Alerts().Once(ctx) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		j.told(21, 1)
		j.sound()
	})
}

// TestWhoHears routes an alert to the party whose duty it is, and to those of the
// other who want to hear, in their language.
func TestWhoHears(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		hosting, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Sito", Services: []string{"wh"}, Lang: "it"})
		if err != nil {
			t.Fatal(err)
		}
		post, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Posta", Services: []string{"pe"}, Lang: "it"})
		if err != nil {
			t.Fatal(err)
		}
		j.channel(hosting.ID, alert.Email, "a@sito.example", alert.HearsBoth) // has no e-mail service
		j.channel(post.ID, alert.Email, "a@posta.example", alert.HearsBoth)
		j.channel(post.ID, alert.Email, "b@posta.example", "") // own duties only
		h := j.enrolled(j.provider)
		h.pushes(h.dnsbl(evidence.Listed))
		j.settle()
		j.told(2, 1)
		var got []string
		for i, m := range j.mails.mails {
			got = append(got, m.Header.Get("To")+" "+strings.Fields(j.mails.subject(t, i))[0])
		}
		if all := strings.Join(got, ", "); !strings.Contains(all, "<a@posta.example> Violato:") || !strings.Contains(all, "<ops@provider.example> Breached:") {
			t.Errorf("told %s", all)
		}
		if got := j.stated(post.ID); got[alert.EventDelivered] != 1 {
			t.Errorf("the log of who was told states %v", got)
		}
	})
}

func TestRevokedAgentEndsItsAlerts(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		h.pushes(h.dnsbl(evidence.Listed))
		j.settle()
		j.told(1, 1)
		if _, err := j.srv.RevokeAgent(context.Background(), h.id, "retired", "", time.Time{}); err != nil {
			t.Fatal(err)
		}
		j.advance(time.Minute)
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "unproven no_agent")
		j.told(2, 2)
	})
}

// TestOneMailForSeveralDuties has one host prove software for four duties: what is
// wrong with it is one mail, and one webhook per alert.
func TestOneMailForSeveralDuties(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		h.pushes(h.software("2020-01-01"))
		j.settle()
		j.told(1, 4)
		for _, id := range []string{"SC-P1", "WH-P2", "PE-P4", "BK-P2"} {
			if !strings.Contains(j.mails.bodies[0], id+" ") {
				t.Errorf("the mail lacks %s:\n%s", id, j.mails.bodies[0])
			}
		}
		if got := j.mails.subject(t, 0); !strings.Contains(got, " +3 (Provider, host.example)") {
			t.Errorf("subject %q", got)
		}
		j.advance(time.Hour)
		h.pushes(h.software("2099-01-01"))
		j.settle()
		j.told(2, 8)
		if got := j.stated(j.provider.ID); got[alert.EventDelivered] != 16 || len(got) != 1 {
			t.Errorf("the log states %v", got)
		}
	})
}

// software seals a look at a host whose system is supported until a day.
func (h *host) software(eol string) sealed {
	t := h.w.t
	t.Helper()
	at := evidence.At(h.w.now)
	facts, err := evidence.FactsBlob(evidence.Software{OS: evidence.OSRelease{ID: "debian", Version: "12", Name: "Debian 12", EOL: eol},
		Managers: []evidence.Manager{{Name: "dpkg", Packages: 1, Refreshed: &at, Security: true}}, Packages: []evidence.Package{},
		Pending: []evidence.Update{}, Products: []evidence.Product{}, Reboot: evidence.Reboot{Needed: evidence.No}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := h.seal(func(r *evidence.Record) {
		r.Items[0].Kind, r.Items[0].Facts, r.Items[0].Detail = evidence.KindSoftware, evidence.Sum(facts), evidence.Digest{}
	})
	s.blobs = map[evidence.Digest][]byte{evidence.Sum(facts): facts}
	return s
}

// TestFactsPerNeed has two duties of one batch read the same looks, one the newest and one
// those of two days: which of them is judged first makes no difference.
func TestFactsPerNeed(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		h := j.enrolled(j.provider)
		for range 3 {
			h.pushes(h.dnsbl(evidence.NotListed))
			j.advance(time.Hour)
		}
		newest, all := duties.Need{Kind: evidence.KindDNSBL}, duties.Need{Kind: evidence.KindDNSBL, Facts: 48 * time.Hour}
		a := store.Agent{ID: h.id, Org: j.provider.ID}
		for _, tt := range []struct {
			needs []duties.Need
			want  []int
		}{{[]duties.Need{newest, all}, []int{1, 3}}, {[]duties.Need{all, newest}, []int{3, 1}}} {
			if got, err := j.srv.Judge().FactsFor(ctx, a, tt.needs...); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v looks with facts, want %v (%v)", got, tt.want, err)
			}
		}
	})
}
