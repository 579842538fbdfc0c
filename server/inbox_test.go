package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
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
	send = func(mail string) error {
		for {
			err := smtp.SendMail(listen, nil, "fbl@watch.example", []string{"abuse@proof.example"}, []byte(mail))
			var refused *net.OpError
			if !errors.As(err, &refused) {
				return err
			}
			time.Sleep(10 * time.Millisecond) // not listening yet
		}
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
	cfg.Reports = server.Reports{Address: "abuse@proof.example", Listen: free.Addr().String()}
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
	list, err := j.store.Cases(ctx, "", time.Time{}, 10)
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
