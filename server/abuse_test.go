package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/smtp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/abuse"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// arf is a report of spam as mail providers send it (RFC 5965).
const arf = "From: <fbl@watch.example>\r\nSubject: FW: Offers\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/report; report-type=feedback-report; boundary=\"part\"\r\n\r\n" +
	"--part\r\nContent-Type: text/plain\r\n\r\nSpam.\r\n" +
	"--part\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: Watch/1.0\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\n" +
	"--part\r\nContent-Type: message/rfc822\r\n\r\nFrom: <someone@shop.example>\r\nSubject: Offers\r\n\r\nBuy.\r\n--part--\r\n"

// mailed starts the server with an address for reports and returns what sends it one, and
// what stops the server.
func (w *world) mailed(t *testing.T, listen string) (send func(mail string) error, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		end()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	res, err := http.Get("http://" + l.Addr().String() + "/healthz") // answered once it serves, mail too
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	send = func(mail string) error {
		return smtp.SendMail(listen, nil, "fbl@watch.example", []string{"abuse@proof.example"}, []byte(mail))
	}
	return send, stop
}

// A report that comes by mail opens a case with the provider, which names the hosts that
// may be meant; the same one again opens none. The provider passes it on to the customer,
// who sees nothing of it before.
func TestReportsByMail(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Reports = server.Reports{Address: "abuse@proof.example", Listen: free.Addr().String(), From: []string{"127.0.0.1"}}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	j := &judged{world: newWorldWith(t, storetest.SQLite(t), cfg), before: map[string]int{}}
	ctx := context.Background()
	j.shop()
	other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"bk"}, Lang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	h := j.enrolled(j.customer)
	h.pushes(h.dnsbl(evidence.NotListed))
	send, stop := j.mailed(t, cfg.Reports.Listen)
	for range 2 {
		if err := send(arf); err != nil {
			t.Fatal(err)
		}
	}
	if err := send("From: a@b.example\r\n\r\nStop it!\r\n"); err == nil || !strings.HasPrefix(err.Error(), "554") {
		t.Errorf("words of a person: %v", err)
	}
	stop() // its loops read the clock, which goes on now
	list, err := j.store.Cases(ctx, "", time.Time{})
	if err != nil || len(list) != 1 || list[0].Org != j.provider.ID || list[0].Title != "abuse: 192.0.2.1, shop.example" || list[0].OpenedBy != "" {
		t.Fatalf("cases %+v (%v)", list, err)
	}
	if got := j.stated(j.provider.ID); got["case.opened"] != 1 || got["case.reported"] != 1 {
		t.Errorf("the log states %v", got)
	}
	c := list[0]
	j.advance(25 * time.Hour)
	j.settle()
	j.wants(j.provider.ID, map[string]string{"sc": "SC-P4", "wh": "WH-P7"}[c.Service], "breached case_overdue")
	for _, org := range []string{j.customer.ID, other.ID} { // nobody knows yet whether it concerns them
		board, err := j.store.Verdicts(ctx, org)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range board {
			if text := fmt.Sprint(v); strings.Contains(text, c.Title) {
				t.Errorf("the board of %s shows the report: %s", org, text)
			}
		}
	}
	blob, err := j.store.Blob(ctx, store.Place{Org: c.Org, Log: c.Log, Index: c.Index, SHA: c.Data})
	if err != nil || !strings.Contains(string(blob.Data), `"hosts":["host.example (Shop)"]`) || !strings.Contains(string(blob.Data), "report.eml") {
		t.Errorf("words %s (%v)", blob.Data, err)
	}

	pass := server.PassRequest{Org: j.provider.ID, Case: c.ID, To: other.ID, User: "u_ops"}
	_, err = j.srv.PassCase(ctx, pass)
	refused(t, err, "case_service")
	pass.To = j.provider.ID
	_, err = j.srv.PassCase(ctx, pass)
	refused(t, err, "case_pass")
	pass.To, pass.Org = j.customer.ID, other.ID
	if _, err = j.srv.PassCase(ctx, pass); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("passed on by another: %v", err)
	}
	pass.Org = j.provider.ID
	id, err := j.srv.PassCase(ctx, pass)
	if err != nil {
		t.Fatal(err)
	}
	was, err := j.store.Case(ctx, c.ID)
	if err != nil || !was.Withdrawn {
		t.Errorf("where it stood: %+v (%v)", was, err)
	}
	is, err := j.store.Case(ctx, id)
	if err != nil || is.Org != j.customer.ID || is.Title != c.Title || is.Service != c.Service || !is.Closed.IsZero() {
		t.Errorf("with the customer: %+v (%v)", is, err)
	}
	if blob, err = j.store.Blob(ctx, store.Place{Org: is.Org, Log: is.Log, Index: is.Index, SHA: is.Data}); err != nil || strings.Contains(string(blob.Data), `"hosts"`) || strings.Contains(string(blob.Data), "report.eml") {
		t.Errorf("words %s (%v)", blob.Data, err)
	}
	_, err = j.srv.PassCase(ctx, pass)
	refused(t, err, "case_passed")
	j.sound()
}

// reportOf is a report of abuse from one address, about a URL.
func reportOf(address, at string) abuse.Report {
	return abuse.Report{Format: abuse.ARF, Kind: "phishing", Sources: []string{at, address}, Reporter: "Watch"}
}

// What is reported again is kept, and opens a case only where another place is meant or
// something was done about the first: with whomever that stands.
func TestReportsAgain(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		hosting, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Hosting", Services: []string{"wh"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		long := "https://shop.example/" + strings.Repeat("a", 150)
		take := func(r abuse.Report) {
			t.Helper()
			if err := j.srv.TakeReport(ctx, r, []byte("the mail")); err != nil {
				t.Fatal(err)
			}
		}
		// all cases, of which there must be so many, the oldest first
		cases := func(want int) []store.Case {
			t.Helper()
			list, err := j.store.Cases(ctx, "", time.Time{})
			if err != nil || len(list) != want {
				t.Fatalf("%d cases, want %d: %+v (%v)", len(list), want, list, err)
			}
			slices.SortFunc(list, func(a, b store.Case) int { return a.Opened.Compare(b.Opened) })
			return list
		}
		take(reportOf("192.0.2.9", long))
		j.advance(time.Minute)
		take(reportOf("192.0.2.9", long))
		take(abuse.Report{Format: abuse.ARF, Kind: "phishing", Sources: []string{"192.0.2.9", long}})
		if c := cases(1)[0]; c.Again != 2 || !c.AgainAt.Equal(j.now.Truncate(time.Microsecond)) || c.Service != "sc" {
			t.Errorf("%+v", c)
		}
		take(reportOf("192.0.2.10", long))
		first, second := cases(2)[0], cases(2)[1]
		if first.Title != second.Title || second.Again != 0 {
			t.Errorf("%+v and %+v", first, second)
		}

		// Two people pass it on at once: one of them does.
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: first.ID, To: hosting.ID, User: "u_ops"})
				results <- err
			}()
		}
		if err := errors.Join(<-results, <-results); err == nil {
			t.Error("a case was passed on twice")
		}
		passed := slices.DeleteFunc(cases(3), func(c store.Case) bool { return c.Org == j.provider.ID })
		if len(passed) != 1 || passed[0].Service != "wh" || passed[0].Org != hosting.ID {
			t.Fatalf("passed on: %+v", passed)
		}
		take(reportOf("192.0.2.9", long)) // its case stands with the customer now
		if c, err := j.store.Case(ctx, passed[0].ID); err != nil || c.Again != 1 {
			t.Errorf("%+v (%v)", c, err)
		}
		if got := j.stated(passed[0].Org)["case.reported"]; got != 0 {
			t.Error("the customer's log has a report that nobody passed on")
		}
		j.steps(server.StepRequest{Org: passed[0].Org, Case: passed[0].ID, Step: "decided", Text: "It is so.", User: "u_ops"})
		j.advance(time.Minute)
		take(reportOf("192.0.2.9", long)) // another wave
		cases(4)
		j.sound()
	})
}

// Of what is reported again and again all is kept but whole mails.
func TestReportsManyTimes(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	j.shop()
	for range 6 {
		j.advance(time.Second)
		if err := j.srv.TakeReport(ctx, reportOf("192.0.2.9", "https://shop.example/"), []byte("the mail")); err != nil {
			t.Fatal(err)
		}
	}
	list, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
	if err != nil || len(list) != 1 || list[0].Again != 5 {
		t.Fatalf("%+v (%v)", list, err)
	}
	again, err := j.store.Again(ctx, list[0].ID)
	if err != nil || len(again) != 5 {
		t.Fatalf("%+v (%v)", again, err)
	}
	for i, a := range again {
		blob, err := j.store.Blob(ctx, a.Place)
		words := string(blob.Data)
		if err != nil || !strings.Contains(words, "192.0.2.9") || strings.Contains(words, "report.eml") != (i < 3) || !strings.Contains(words, evidence.Sum([]byte("the mail")).String()) {
			t.Errorf("%d: %s (%v)", i, words, err)
		}
	}
	j.sound()
}

// Two customers may send from one address: a report about the one is none about the other.
func TestReportsOfOneRelay(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	j.shop()
	take := func(mail string) {
		t.Helper()
		r, err := abuse.Parse([]byte(mail))
		if err == nil {
			err = j.srv.TakeReport(ctx, r, []byte(mail))
		}
		if err != nil {
			t.Fatal(err)
		}
		j.advance(time.Minute)
	}
	open := func() (list []string) {
		t.Helper()
		cases, err := j.store.Cases(ctx, "", time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if c.Closed.IsZero() {
				list = append(list, fmt.Sprint(c.Org == j.customer.ID, " ", c.Title, " ", c.Again))
			}
		}
		return list
	}
	pass := func(title string) {
		t.Helper()
		cases, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(cases, func(c store.Case) bool { return c.Closed.IsZero() && c.Title == title })
		if _, err := j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: cases[i].ID, To: j.customer.ID, User: "u_ops"}); err != nil {
			t.Fatal(err)
		}
		j.advance(time.Minute)
	}
	take(arf)
	pass("abuse: 192.0.2.1, shop.example")
	take(strings.Replace(arf, "someone@shop.example", "other@bakery.example", 1))
	take(strings.Replace(arf, "someone@shop.example", "third@Bakery.example", 1))
	if got, want := open(), []string{"true abuse: 192.0.2.1, shop.example 0", "false abuse: 192.0.2.1, bakery.example 1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	take(arf)
	nobody := strings.Replace(arf, "From: <someone@shop.example>\r\n", "", 1)
	take(nobody)
	take(nobody)
	pass("abuse: 192.0.2.1")
	take(nobody) // nothing says that it is about the customer
	if got, want := open(), []string{"true abuse: 192.0.2.1, shop.example 1", "false abuse: 192.0.2.1, bakery.example 1",
		"true abuse: 192.0.2.1 0", "false abuse: 192.0.2.1 0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	account := abuse.Report{Format: abuse.XARF3, Kind: "phishing", Sources: []string{"192.0.2.1", "an account"}}
	for range 2 { // whose account it is, is told in the mail alone
		if err := j.srv.TakeReport(ctx, account, []byte("the mail")); err != nil {
			t.Fatal(err)
		}
	}
	if got := open(); len(got) != 6 {
		t.Errorf("%q", got)
	}
	j.sound()
}

// The bounds of what is taken: senders try again, and the provider is told, once a day.
func TestReportsFlooded(t *testing.T) {
	for name, tt := range map[string]struct {
		cases   int // with the first
		taken   bool
		opened  time.Duration // ago
		decided bool
		again   int
		fresh   string // of another report
		known   string // of the first again
	}{
		"many wait":        {cases: 500, opened: 2 * time.Hour, fresh: "500 reports wait for a decision"},
		"one less":         {cases: 499, opened: 2 * time.Hour},
		"they are decided": {cases: 600, opened: 2 * time.Hour, decided: true},
		"many in an hour":  {cases: 200, fresh: "200 new reports"},
		"the same often":   {cases: 1, again: 1000, known: "1000 reports of what was already known"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJudged(t, storetest.SQLite(t))
			ctx := context.Background()
			j.shop()
			take := func(address string) error {
				return j.srv.TakeReport(ctx, reportOf(address, "https://x.example/"), []byte("the mail"))
			}
			if err := take("192.0.0.1"); err != nil {
				t.Fatal(err)
			}
			list, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v (%v)", list, err)
			}
			err = j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				for i := range tt.cases - 1 {
					c := list[0]
					c.ID, c.Subject, c.Opened = evidence.NewID("k_"), fmt.Sprint(i), c.Opened.Add(-tt.opened)
					err = errors.Join(err, tx.AddCase(ctx, c))
					if tt.decided {
						_, bad := tx.AddCaseStep(ctx, c.ID, 0, store.CaseStep{Step: "decided", At: j.now, Log: c.Log, Index: c.Index, Data: c.Data})
						err = errors.Join(err, bad)
					}
				}
				for i := range tt.again {
					err = errors.Join(err, tx.AddAgain(ctx, store.ReportedAgain{Case: list[0].ID, At: j.now, Place: store.Place{Org: j.provider.ID, Log: list[0].Log, Index: int64(1000 + i)}}))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			bound := ""
			for address, want := range map[string]string{"192.0.0.1": tt.known, "198.51.100.1": tt.fresh} {
				err := take(address)
				if want != "" {
					err = errors.Join(err, take(address))
				}
				if errors.Is(err, abuse.ErrFull) != (want != "") || err != nil && want == "" {
					t.Errorf("%s: %v, want %q", address, err, want)
				}
				bound += want
			}
			if _, err := j.srv.Alerts().Once(ctx); err != nil {
				t.Fatal(err)
			}
			told, stated := j.mails.bodies, j.stated(j.provider.ID)["reports.put_off"]
			if bound == "" && (len(told) > 0 || stated > 0) {
				t.Errorf("told %q, stated %d", told, stated)
			}
			if bound != "" && (len(told) != 1 || !strings.Contains(told[0], bound) || !strings.Contains(told[0], "https://proof.example/orgs/"+j.provider.ID+"/cases") || stated != 1) {
				t.Errorf("told %q, stated %d", told, stated)
			}
			j.advance(25 * time.Hour)
			switch err := take("198.51.100.2"); {
			case tt.fresh != "" && tt.opened > 0 && (err == nil || j.stated(j.provider.ID)["reports.put_off"] != 2):
				t.Errorf("the next day: %v, stated %v", err, j.stated(j.provider.ID))
			case (tt.opened == 0 || tt.decided) && err != nil:
				t.Errorf("the next day: %v", err)
			}
		})
	}
}

// A customer may decide on a case, or it ends, while the same is reported: then nobody was
// told of that, and it opens a case.
func TestReportMeetsADecision(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		take := func() error {
			return j.srv.TakeReport(ctx, reportOf("192.0.2.9", "https://shop.example/"), []byte("the mail"))
		}
		if err := take(); err != nil {
			t.Fatal(err)
		}
		list, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		id, err := j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: list[0].ID, To: j.customer.ID, User: "u_ops"})
		if err != nil {
			t.Fatal(err)
		}
		taken := make(chan error, 1)
		var once sync.Once
		err = j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.LockCase(ctx, id); err != nil {
				return err
			}
			once.Do(func() { go func() { taken <- take() }() })
			time.Sleep(300 * time.Millisecond) // it comes to wait for the case; if not, it comes later
			return tx.CloseCase(ctx, id, j.now, true)
		})
		if err := errors.Join(err, <-taken); err != nil {
			t.Fatal(err)
		}
		list, err = j.store.Cases(ctx, "", time.Time{})
		if err != nil || len(list) != 3 || list[0].Org != j.provider.ID || !list[0].Closed.IsZero() {
			t.Errorf("%+v (%v)", list, err)
		}
		for _, c := range list {
			if c.Again != 0 {
				t.Errorf("counted on %+v", c)
			}
		}
	})
}

// What cases of former versions are about is known once the server starts.
func TestReportsAreNamedAtStart(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Reports = server.Reports{Address: "abuse@proof.example", Listen: free.Addr().String(), From: []string{"127.0.0.1"}}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dsn := storetest.SQLite(t)
	j := &judged{world: newWorldWith(t, dsn, cfg), dsn: dsn, before: map[string]int{}}
	ctx := context.Background()
	j.shop()
	file, err := server.NewStatedFile("photo.jpg", []byte("no report"))
	if err != nil {
		t.Fatal(err)
	}
	j.opens(server.CaseRequest{Org: j.provider.ID, Workflow: "abuse", Service: "sc", Title: "By hand", User: "u_ops"})
	j.opens(server.CaseRequest{Org: j.provider.ID, Workflow: "abuse", Service: "sc", Title: "With a file", File: file, User: "u_ops"})
	r, err := abuse.Parse([]byte(arf))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.srv.TakeReport(ctx, r, []byte(arf)); err != nil {
		t.Fatal(err)
	}
	attack(t, dsn, `UPDATE case_file SET subject = '' WHERE subject <> ''`)
	send, stop := j.mailed(t, cfg.Reports.Listen)
	if err := send(arf); err != nil {
		t.Fatal(err)
	}
	stop()
	list, err := j.store.Cases(ctx, "", time.Time{})
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v (%v)", list, err)
	}
	for _, c := range list {
		if again := c.OpenedBy == ""; again != (c.Again == 1) {
			t.Errorf("%+v", c)
		}
	}
}

// A case that was late when it ended stays late, however it ended.
func TestEndedLateStaysLate(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	j.shop()
	of := map[string]string{}
	for _, org := range []string{j.provider.ID, j.customer.ID} {
		of[org] = j.opens(server.CaseRequest{Org: org, Workflow: "abuse", Service: "sc", Title: "Spam", User: "u_ops"})
	}
	j.advance(20 * 24 * time.Hour)
	j.settle()
	for org, id := range of {
		j.wants(org, "SC-P4", "breached case_overdue")
		j.steps(server.StepRequest{Org: org, Case: id, Withdraw: true, Text: "None of ours.", User: "u_ops"})
	}
	j.settle()
	for org := range of {
		j.wants(org, "SC-P4", "breached case_missed")
	}
	j.advance(duties.Recall)
	j.settle()
	j.wants(j.customer.ID, "SC-P4", "unproven no_agent")
	j.sound()
}

// More hosts can be where a report points to than a case names.
func TestReportNamesHosts(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	j.shop()
	for n, more := range map[int]bool{10: false, 11: true} {
		for i := range n {
			err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.AddAgent(ctx, store.Agent{ID: fmt.Sprint("a_", n, "_", i), Org: j.customer.ID, Name: fmt.Sprintf("mx.h%d.example", n), SPKI: fmt.Append(nil, n, i), Witness: []byte("w"), PushHash: evidence.Sum(fmt.Append(nil, n, i)), State: store.AgentActive, Enrolled: j.now})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		id := ""
		if err := j.srv.TakeReport(ctx, abuse.Report{Kind: "spam", Sources: []string{fmt.Sprintf("MX.h%d.example.", n)}}, []byte("the mail")); err != nil {
			t.Fatal(err)
		}
		list, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if !strings.Contains(c.Title, fmt.Sprint("h", n)) {
				continue
			}
			id = c.ID
			blob, err := j.store.Blob(ctx, store.Place{Org: c.Org, Log: c.Log, Index: c.Index, SHA: c.Data})
			if err != nil || strings.Count(string(blob.Data), "(Shop)") != 10 || strings.Contains(string(blob.Data), "hostsMore") != more {
				t.Errorf("%d: %s (%v)", n, blob.Data, err)
			}
		}
		if id == "" {
			t.Errorf("no case of %d", n)
		}
	}
}

// A report may concern several customers: each gets a case of its own, once, whose term
// goes on from when the report came, and the mail only where that was chosen.
func TestPassedOnToSeveral(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"sc"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		came := j.now.Truncate(time.Microsecond)
		if err := j.srv.TakeReport(ctx, reportOf("192.0.2.9", "https://shop.example/"), []byte("the mail")); err != nil {
			t.Fatal(err)
		}
		list, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		c := list[0]
		j.advance(23 * time.Hour)
		j.settle()
		for i, to := range []string{j.customer.ID, other.ID} {
			id, err := j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: c.ID, To: to, Mail: i == 1, User: "u_ops"})
			if err != nil {
				t.Fatal(err)
			}
			is, err := j.store.Case(ctx, id)
			if err != nil || is.Org != to || is.Origin != c.ID || !is.Since.Equal(came) || !is.Opened.Equal(j.now.Truncate(time.Microsecond)) {
				t.Errorf("%+v (%v)", is, err)
			}
			blob, err := j.store.Blob(ctx, store.Place{Org: is.Org, Log: is.Log, Index: is.Index, SHA: is.Data})
			if err != nil || !strings.Contains(string(blob.Data), "https://shop.example/") || strings.Contains(string(blob.Data), "report.eml") != (i == 1) {
				t.Errorf("words %s (%v)", blob.Data, err)
			}
			_, err = j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: c.ID, To: to, User: "u_ops"})
			refused(t, err, "case_passed")
		}
		j.settle()
		j.wants(j.customer.ID, "SC-P4", "unproven no_agent")
		j.advance(2 * time.Hour) // within 24 hours of passing, not of the report
		j.settle()
		for _, org := range []string{j.provider.ID, j.customer.ID, other.ID} {
			j.wants(org, "SC-P4", "breached case_overdue")
		}
		if got := j.stated(j.provider.ID); got["case.withdrawn"] != 1 || got["case.passed"] != 1 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
		attack(t, j.dsn, `UPDATE case_file SET since = since + 1000000 WHERE since > 0`)
		if got := strings.Join(j.check(t), "\n"); !strings.Contains(got, "its term began at") {
			t.Errorf("a term that began later: %q", got)
		}
	})
}

// What a case was about goes with its words, and the provider's copy of a report goes with
// the last customer that it concerned.
func TestReportsAreErased(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"sc"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		r := reportOf("192.0.2.9", "https://shop.example/")
		take := func() {
			t.Helper()
			if err := j.srv.TakeReport(ctx, r, []byte("the mail")); err != nil {
				t.Fatal(err)
			}
		}
		take()
		take()
		list, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		c := list[0]
		for _, to := range []string{j.customer.ID, other.ID} {
			if _, err := j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: c.ID, To: to, Mail: true, User: "u_ops"}); err != nil {
				t.Fatal(err)
			}
		}
		take()
		words := func() (there int) {
			t.Helper()
			err := j.store.Places(ctx, j.provider.ID, func(p store.Place, has bool) {
				if blob, err := j.store.Blob(ctx, p); err == nil && has && strings.Contains(string(blob.Data), "shop.example") {
					there++
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			return there
		}
		for i, org := range []string{j.customer.ID, other.ID} {
			if n, want := words(), 3; n != want {
				t.Errorf("%d: %d words, want %d", i, n, want)
			}
			if err := j.srv.EraseOrg(ctx, org, "u_ops"); err != nil {
				t.Fatal(err)
			}
		}
		if n := words(); n != 0 {
			t.Errorf("%d words stayed", n)
		}
		if was, err := j.store.Case(ctx, c.ID); err != nil || was.Title != "" || was.Subject != "" {
			t.Errorf("%+v (%v)", was, err)
		}

		take()
		j.advance(25 * time.Hour)
		j.settle()
		if list, err = j.store.Cases(ctx, j.provider.ID, time.Time{}); err != nil || len(list) != 2 || list[0].Title == "" {
			t.Fatalf("%+v (%v)", list, err)
		}
		if _, err := j.srv.EraseBlobs(ctx, j.provider.ID, []evidence.Digest{list[0].Data}, "request", "u_ops"); err != nil {
			t.Fatal(err)
		}
		if was, err := j.store.Case(ctx, list[0].ID); err != nil || was.Title != "" || was.Subject != "" {
			t.Errorf("%+v (%v)", was, err)
		}
		alerts, err := j.store.Alerts(ctx, j.provider.ID, true, 10)
		if err != nil || len(alerts) == 0 {
			t.Fatalf("%+v (%v)", alerts, err)
		}
		for _, a := range alerts {
			if strings.Contains(fmt.Sprint(a), "shop.example") {
				t.Errorf("an alert remembers: %+v", a)
			}
		}
		j.settle()
		if again, err := j.store.Alerts(ctx, j.provider.ID, true, 10); err != nil || len(again) != len(alerts) {
			t.Errorf("%+v, then %+v (%v)", alerts, again, err)
		}
		j.sound()
	})
}
