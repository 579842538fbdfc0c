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
	if err != nil || len(list) != 1 || list[0].Org != j.provider.ID || list[0].Title != "abuse: 192.0.2.1" || list[0].OpenedBy != "" {
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
	if blob, err = j.store.Blob(ctx, store.Place{Org: is.Org, Log: is.Log, Index: is.Index, SHA: is.Data}); err != nil || strings.Contains(string(blob.Data), `"hosts"`) {
		t.Errorf("words %s (%v)", blob.Data, err)
	}
	_, err = j.srv.PassCase(ctx, pass)
	refused(t, err, "case_closed")
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

		// Two people pass it on at once, each to another: one of them does.
		results := make(chan error, 2)
		for _, to := range []string{hosting.ID, j.customer.ID} {
			go func() {
				_, err := j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: first.ID, To: to, User: "u_ops"})
				results <- err
			}()
		}
		if err := errors.Join(<-results, <-results); err == nil {
			t.Error("a case was passed on twice")
		}
		passed := slices.DeleteFunc(cases(3), func(c store.Case) bool { return c.Org == j.provider.ID })
		if len(passed) != 1 || passed[0].Service != "sc" && passed[0].Org == j.customer.ID || passed[0].Service != "wh" && passed[0].Org == hosting.ID {
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

// A flood does not bury what is real: past so many undecided reports senders try again.
func TestReportsFlooded(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	j.shop()
	if err := j.srv.TakeReport(ctx, reportOf("192.0.0.1", "https://x.example/"), []byte("the mail")); err != nil {
		t.Fatal(err)
	}
	list, err := j.store.Cases(ctx, j.provider.ID, time.Time{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v (%v)", list, err)
	}
	err = j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for i := range 499 {
			c := list[0]
			c.ID, c.Subject = evidence.NewID("k_"), fmt.Sprint(i)
			if err := tx.AddCase(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.srv.TakeReport(ctx, reportOf("198.51.100.1", "https://y.example/"), []byte("the mail")); err == nil || !strings.Contains(err.Error(), "500 reports wait") {
		t.Errorf("one more: %v", err)
	}
	if err := j.srv.TakeReport(ctx, reportOf("192.0.0.1", "https://x.example/"), []byte("the mail")); err != nil {
		t.Errorf("one of them again: %v", err)
	}
}
