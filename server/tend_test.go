package server_test

import (
	"context"
	"fmt"
	"mime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// hours lets time pass with the server running.
func (j *judged) hours(n int) {
	j.t.Helper()
	for range 5 {
		j.advance(time.Duration(n) * time.Hour / 5)
		j.settle()
	}
}

// eachHour has a host send a look in each of some hours; of many, every eighth.
func (j *judged) eachHour(n int, look func()) {
	j.t.Helper()
	step := 1
	if n >= 16 {
		step = 8
	}
	for at := 0; at < n; at += step {
		j.advance(time.Duration(min(step, n-at)) * time.Hour)
		look()
		j.settle()
	}
}

// since lists the subjects of the mails after the first n, by their first words.
func (j *judged) since(n int) string {
	j.t.Helper()
	j.mails.mu.Lock()
	defer j.mails.mu.Unlock()
	var list []string
	for _, m := range j.mails.mails[n:] {
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			j.t.Fatal(err)
		}
		what, _, _ := strings.Cut(subject, ":")
		list = append(list, what)
	}
	return strings.Join(list, ", ")
}

func (j *judged) hears(want string, n int) {
	j.t.Helper()
	if got := j.since(n); got != want {
		j.t.Fatalf("told %q, want %q", got, want)
	}
}

// later adds a channel that hears of what nobody has taken on for so long.
func (j *judged) later(org, target string, after time.Duration) {
	j.t.Helper()
	c := alert.Channel{ID: evidence.NewID("c_"), Org: org, Kind: alert.Email, Target: target, Created: j.now, After: after}
	if err := j.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.AddChannel(ctx, c) }); err != nil {
		j.t.Fatal(err)
	}
}

// listed has a host of the provider's stand on a list for a while.
func (j *judged) listed(h *host, hours int) {
	j.t.Helper()
	j.eachHour(hours, func() { h.pushes(h.dnsbl(evidence.Listed)) })
}

func TestReminderUntilItIsOver(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		h.pushes(h.software("2020-01-01")) // four duties, one mail
		j.settle()
		j.told(1, 4)
		old := func() { h.pushes(h.software("2020-01-01")) }
		j.eachHour(24, old)
		j.told(2, 8)
		j.hears("Breached for 1 day", 1)
		if body := j.mails.bodies[1]; !strings.Contains(body, "BK-P2 ") || !strings.Contains(body, "Taken on:      by nobody since ") {
			t.Errorf("the mail says\n%s", body)
		}
		if body := j.hooks.bodies[4]; !strings.Contains(body, `"event":"reminder","round":1`) {
			t.Errorf("the webhook says\n%s", body)
		}
		for _, a := range j.open(j.provider.ID, "SC-P1") {
			if err := j.srv.AckAlert(context.Background(), j.provider.ID, a.ID, "u_x"); err != nil {
				t.Fatal(err)
			}
		}
		j.eachHour(25, old)
		j.told(3, 11) // of the three that nobody took on
		h.pushes(h.software("2099-01-01"))
		j.settle()
		j.told(4, 15)
		j.hears("Resolved", 3)
		j.hours(30)
		if got := j.since(4); strings.Contains(got, "for") {
			t.Errorf("reminded after the end: %s", got)
		}
		j.sound()
	})
}

func TestNobodyActs(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	j.later(j.provider.ID, "boss@provider.example", 4*time.Hour)
	h := j.enrolled(j.provider)
	j.listed(h, 4)
	j.hears("Breached", 0)
	j.listed(h, 1)
	j.hears("Nobody has acted. Breached", 1)
	if to, body := j.mails.mails[1].Header.Get("To"), j.mails.bodies[1]; to != "<boss@provider.example>" || !strings.Contains(body, "by nobody since") {
		t.Errorf("%s is told\n%s", to, body)
	}
	j.advance(time.Hour)
	h.pushes(h.dnsbl(evidence.NotListed))
	j.settle()
	j.hears("Resolved, Resolved", 2)

	j.listed(h, 2) // and somebody acts
	a := j.open(j.provider.ID, "PE-P3")
	if err := j.srv.AckAlert(context.Background(), j.provider.ID, a[0].ID, "u_x"); err != nil {
		t.Fatal(err)
	}
	j.listed(h, 6)
	j.hears("Breached", 4)
}

// TestNobodyActsDuringAnOutage has the server off while the time runs out: it tells once,
// after people had a chance to act.
func TestNobodyActsDuringAnOutage(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	j.later(j.provider.ID, "boss@provider.example", 4*time.Hour)
	h := j.enrolled(j.provider)
	j.listed(h, 1)
	j.advance(72 * time.Hour)
	j.restart()
	h.pushes(h.dnsbl(evidence.Listed))
	j.settle()
	j.hears("Breached", 0)
	j.advance(16 * time.Minute)
	j.settle()
	j.restart()
	j.settle()
	if got := j.since(1); got != "Breached for 3 days, Nobody has acted. Breached" && got != "Nobody has acted. Breached, Breached for 3 days" {
		j.t.Errorf("told %q", got)
	}
}

// TestMessagesThatCameTooLate has the relay refuse for a while: what is no longer true
// then is not sent.
func TestMessagesThatCameTooLate(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	j.later(j.provider.ID, "boss@provider.example", time.Hour)
	h := j.enrolled(j.provider)
	j.listed(h, 1)
	j.mails.set(&smtp.SMTPError{Code: 451, Message: "later"})
	j.listed(h, 1)
	a := j.open(j.provider.ID, "PE-P3")[0]
	if err := j.srv.AckAlert(context.Background(), j.provider.ID, a.ID, "u_x"); err != nil {
		t.Fatal(err)
	}
	j.mails.set(nil)
	j.listed(h, 3)
	j.hears("Breached", 0)
	list, err := j.store.Deliveries(context.Background(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, d := range list {
		states = append(states, d.Event+" "+d.State)
	}
	if got := fmt.Sprint(states); !strings.Contains(got, "escalated withdrawn") {
		t.Errorf("messages %s", got)
	}
	h.pushes(h.dnsbl(evidence.NotListed))
	j.settle()
	j.hears("Resolved", 1) // who was told nothing hears of no end
}

// TestTendedOnce has two servers tend the same alert at once.
func TestTendedOnce(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		h := j.enrolled(j.provider)
		j.listed(h, 1)
		j.listed(h, 23)
		one := j.srv
		j.restart()
		j.settle()
		j.advance(time.Hour)
		var wg sync.WaitGroup
		for _, srv := range []*server.Server{one, j.srv} {
			wg.Go(func() {
				if err := srv.Judge().Sweep(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		j.settle()
		j.hears("Breached for 1 day", 1)
	})
}

// TestServiceThatIsLeft ends the alerts of duties that are no longer owed.
func TestServiceThatIsLeft(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	j.shop()
	h := j.enrolled(j.customer)
	h.pushes(h.backups(evidence.BackupFailed))
	j.settle()
	if len(j.open(j.customer.ID, "SC-C5")) == 0 {
		t.Fatal("no alert")
	}
	o := j.customer
	o.Services = []string{"pe"}
	if err := j.srv.SetOrg(context.Background(), o, ""); err != nil {
		t.Fatal(err)
	}
	j.hours(25)
	if list := j.open(j.customer.ID, "SC-C5"); len(list) > 0 {
		t.Errorf("still open: %+v", list)
	}
}

// TestUnsteadyStaysUntilItIsCalm has an address come and go on a list, every half hour.
func TestUnsteadyStaysUntilItIsCalm(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	h := j.enrolled(j.provider)
	look := func(result string) {
		j.advance(30 * time.Minute)
		h.pushes(h.dnsbl(result))
		j.settle()
	}
	for range 6 {
		look(evidence.Listed)
		look(evidence.NotListed)
	}
	j.hears("Breached, Resolved, Breached, Resolved, Breached", 0)
	if body := j.mails.bodies[4]; !strings.Contains(body, "fired 3 times within 24 hours") {
		t.Errorf("the mail says\n%s", body)
	}
	a := j.open(j.provider.ID, "PE-P3")
	if len(a) != 1 || a[0].Fired != 3 || !a[0].Calm.Equal(j.now.Truncate(time.Microsecond)) {
		t.Fatalf("open %+v", a)
	}
	look(evidence.NoAnswer) // nobody can tell: that is no calm
	look(evidence.NotListed)
	since := j.now
	j.advance(59 * time.Minute)
	j.settle()
	j.hears("", 5)
	j.advance(time.Minute) // by time alone
	j.settle()
	j.hears("Resolved", 5)
	if got := j.now.Sub(since); got != time.Hour {
		t.Errorf("over after %s", got)
	}
	j.advance(25 * time.Hour)
	h.pushes(h.dnsbl(evidence.Listed))
	j.settle()
	if a := j.open(j.provider.ID, "PE-P3"); len(a) != 1 || a[0].Unsteady() {
		t.Errorf("a day later %+v", a)
	}
	j.sound()
}

// TestForkedChainAlerts has a second host go on with the first one's key: what either sends
// proves nothing, and the party whose agent it is hears of it.
func TestForkedChainAlerts(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	h := j.enrolled(j.provider)
	j.serves(h, "pe")
	h.pushes(h.dnsbl(evidence.NotListed))
	j.settle()
	clone := *h
	h.pushes(h.dnsbl(evidence.NotListed))
	clone.pushes(clone.dnsbl(evidence.NotListed))
	j.settle()
	j.wants(j.customer.ID, "PE-P3", "unproven agent_forked")
	j.told(1, 1)
	if got, want := j.mails.subject(t, 0), "No longer proven: PE-P3 Public blacklists checked daily (Provider, host.example)"; got != want {
		t.Errorf("subject %q, want %q", got, want)
	}
	if _, err := j.srv.RejoinAgent(context.Background(), h.id, ""); err != nil {
		t.Fatal(err)
	}
	h.pushes(h.dnsbl(evidence.NotListed))
	j.settle()
	j.hears("Resolved", 1)
}
