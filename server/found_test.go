package server_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// mail seals a look at the mail of the last quarter of an hour, in which accounts showed
// signs of being in other hands.
func (h *host) mail(accounts ...string) sealed {
	t := h.w.t
	t.Helper()
	at := evidence.At(h.w.now)
	m := evidence.Mail{Days: 30, Sources: []evidence.LogSource{{Source: "journald", Lines: 9, Bytes: 900, Whole: true}}, Accounts: []evidence.MailAccount{}}
	for _, name := range accounts {
		m.Accounts = append(m.Accounts, evidence.MailAccount{Name: name, Networks: 6, Usual: 40, Signs: []evidence.MailSign{
			{Sign: evidence.SignNetworks, Strength: 2, Count: 6, Usual: -1, At: at}, {Sign: evidence.SignBounces, Strength: 2, Count: 40, Usual: -1, At: at}}})
	}
	facts, err := evidence.FactsBlob(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := h.seal(func(r *evidence.Record) {
		r.Items[0].Kind, r.Items[0].Schema, r.Items[0].From = evidence.KindMail, evidence.SchemaOf(evidence.KindMail), evidence.At(h.w.now.Add(-15*time.Minute))
		r.Items[0].Facts, r.Items[0].Detail = evidence.Sum(facts), evidence.Digest{}
	})
	s.blobs = map[evidence.Digest][]byte{evidence.Sum(facts): facts}
	return s
}

func (j *judged) looks(h *host, accounts ...string) {
	j.t.Helper()
	j.advance(15 * time.Minute)
	h.pushes(h.mail(accounts...))
	j.settle()
}

func (j *judged) cases() []store.Case {
	j.t.Helper()
	list, err := j.store.Cases(context.Background(), "", time.Time{})
	if err != nil {
		j.t.Fatal(err)
	}
	return list
}

// A mailbox shows signs of being in other hands: the server opens a case, whose times run
// from that look, and by its steps both duties are judged, on the board of whom it concerns.
func TestHackedMailboxFromSignsToTold(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"pe"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		h := j.enrolled(j.provider)
		j.serves(h, "pe")
		start := j.now
		j.looks(h)
		j.wants(j.provider.ID, "PE-P9", "no_occasion no_case")
		j.looks(h, "p_7")
		seen := j.now
		j.looks(h, "p_7")
		j.wants(j.provider.ID, "PE-P9", "no_occasion case_running")
		for _, org := range []string{j.customer.ID, other.ID} {
			j.wants(org, "PE-P9", "unproven found_unplaced")
		}
		list := j.cases()
		if len(list) != 1 || list[0].Org != j.provider.ID || list[0].OpenedBy != "" || !list[0].Opened.Equal(evidence.At(seen).Time) {
			t.Fatalf("of one mailbox these cases: %+v", list)
		}
		if open := j.open(j.provider.ID, "PE-P9"); len(open) != 1 || open[0].Why.Key != "found_case" {
			t.Errorf("the provider is told %+v", open)
		}
		id, err := j.srv.PassCase(ctx, server.PassRequest{Org: j.provider.ID, Case: list[0].ID, To: j.customer.ID, User: "u_ops"})
		if err != nil {
			t.Fatal(err)
		}
		j.settle()
		j.wants(j.customer.ID, "PE-P9", "no_occasion case_running")
		j.wants(j.customer.ID, "PE-P7", "no_occasion case_running")
		j.wants(other.ID, "PE-P9", "no_occasion no_case")
		for _, step := range []string{"password", "purged", "informed"} {
			j.advance(time.Minute)
			j.steps(server.StepRequest{Org: j.customer.ID, Case: id, Step: step, User: "u_ops"})
		}
		for _, duty := range []string{"PE-P9", "PE-P7"} {
			j.wants(j.provider.ID, duty, "fulfilled found_over")
			j.wants(j.customer.ID, duty, "fulfilled found_over")
			j.wants(other.ID, duty, "no_occasion no_case")
		}
		if open := j.open(j.provider.ID, "PE-P9"); len(open) != 0 {
			t.Errorf("dealt with, and an alert is open: %+v", open)
		}
		j.looks(h)
		if n := len(j.cases()); n != 2 { // the passed one, and where it was passed to
			t.Errorf("signs of before the case ended opened another: %d", n)
		}
		j.looks(h, "p_7")
		if list = j.cases(); len(list) != 3 || !list[0].Opened.Equal(evidence.At(j.now).Time) {
			t.Errorf("the same again after it ended: %+v", list)
		}
		for range 5 {
			j.looks(h)
		}
		j.wants(j.provider.ID, "PE-P9", "breached case_overdue")
		j.wants(j.provider.ID, "PE-P7", "no_occasion case_running")
		for range 8 {
			j.looks(h)
		}
		j.wants(j.provider.ID, "PE-P7", "breached case_overdue")
		if got := j.stated(j.provider.ID)["case.opened"]; got != 2 {
			t.Errorf("the provider's log states %d cases", got)
		}
		j.sound()
		again, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: start, Org: j.provider.ID, Duty: "PE-P9", DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range again.Changed {
			t.Errorf("judged again without another rule: %s from %s to %s: %s, was %s", c.Board, c.From, c.To, c.Verdict, c.Was)
		}
	})
}

// A host that sees signs everywhere fills no list of cases without end; what has none is
// shown for itself.
func TestFoundCasesAreBounded(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	j.shop()
	h := j.enrolled(j.provider)
	j.serves(h, "pe")
	var names []string
	for i := range 55 {
		names = append(names, fmt.Sprintf("p_%02d", i))
	}
	j.looks(h, names...)
	if n := len(j.cases()); n != 50 {
		t.Errorf("%d cases, want 50", n)
	}
	j.wants(j.provider.ID, "PE-P9", "breached mail_suspect")
	j.advance(25 * time.Hour)
	j.looks(h, "p_54")
	if n := len(j.cases()); n != 51 {
		t.Errorf("a day later: %d cases, want 51", n)
	}
	j.sound()
}
