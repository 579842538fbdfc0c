package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

func (j *judged) opens(q server.CaseRequest) string {
	j.t.Helper()
	id, err := j.srv.OpenCase(context.Background(), q)
	if err != nil {
		j.t.Fatal(err)
	}
	return id
}

// shop is a customer with all services, who takes the place of the world's.
func (j *judged) shop() {
	j.t.Helper()
	org, err := j.srv.AddOrg(context.Background(), store.Org{Kind: store.Customer, Name: "Shop", Services: duties.Services(), Lang: "en"})
	if err != nil {
		j.t.Fatal(err)
	}
	j.customer = org
	j.settle()
}

func (j *judged) steps(q server.StepRequest) {
	j.t.Helper()
	if err := j.srv.StepCase(context.Background(), q); err != nil {
		j.t.Fatal(err)
	}
	j.settle()
}

func refused(t *testing.T, err error, key string) {
	t.Helper()
	var r duties.Refusal
	if !errors.As(err, &r) || r.Key != key {
		t.Errorf("refused with %v, want %s", err, key)
	}
}

// A notice is mailed to the customer, and its delivery, acknowledgement and end prove
// both parties' duties; another customer hears and sees nothing of it.
func TestNoticeFromMailToSolved(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		j.shop()
		ctx := context.Background()
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"sc", "wh", "pe", "bk"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		j.settle()
		j.wants(j.customer.ID, "SC-P5", "no_occasion no_case")
		j.wants(j.customer.ID, "SC-C3", "unproven nobody_hears")
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		j.channel(other.ID, alert.Email, "admin@other.example", alert.HearsBoth)
		j.settle()
		before := j.judgedAt(other.ID, "SC-P5")
		j.advance(time.Minute)
		id := j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "notice", Service: "sc", Title: "Disk of vm-7 is full", Text: "Since this morning.", User: "u_ops"})
		j.settle()
		j.told(1, 0)
		if to, body := j.mails.mails[0].Header.Get("To"), j.mails.bodies[0]; !strings.Contains(to, "admin@shop.example") ||
			!strings.Contains(body, "Since this morning.") || !strings.Contains(body, "https://proof.example/orgs/"+j.customer.ID+"/cases/"+id) {
			t.Errorf("mail to %s:\n%s", to, body)
		}
		j.settle()
		j.wants(j.customer.ID, "SC-P5", "fulfilled case_done")
		j.wants(j.provider.ID, "SC-P5", "fulfilled case_done")
		j.wants(other.ID, "SC-P5", "no_occasion no_case")
		if after := j.judgedAt(other.ID, "SC-P5"); !after.Equal(before) {
			t.Error("another customer's board was written for a case that is none of its business")
		}
		j.wants(j.customer.ID, "SC-C3", "no_occasion case_running")

		step := server.StepRequest{Org: j.customer.ID, Case: id, User: "u_admin"}
		step.Step = "acted"
		refused(t, j.srv.StepCase(ctx, step), "case_order")
		step.Org = other.ID
		if err := j.srv.StepCase(ctx, step); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another's case: %v", err)
		}
		step.Org = j.customer.ID
		j.advance(25 * time.Hour) // acknowledged an hour late
		j.settle()
		j.wants(j.customer.ID, "SC-C3", "breached case_overdue")
		step.Step = "acknowledged"
		j.steps(step)
		j.wants(j.customer.ID, "SC-C3", "breached case_late")
		step.Step = "acted"
		j.steps(step)
		refused(t, j.srv.StepCase(ctx, step), "case_closed")
		for _, a := range j.open(j.customer.ID, "SC-C3") {
			t.Errorf("nothing can be done any more, and an alert is open: %+v", a)
		}
		j.advance(32 * 24 * time.Hour)
		j.settle()
		j.wants(j.customer.ID, "SC-C3", "no_occasion no_case")
		j.wants(j.customer.ID, "SC-P5", "no_occasion no_case")
		if got := j.stated(j.customer.ID); got["case.opened"] != 1 || got["case.step"] != 3 {
			t.Errorf("the customer's log states %v", got)
		}
		j.sound()
	})
}

func (j *judged) judgedAt(org, duty string) time.Time {
	j.t.Helper()
	list, err := j.store.VerdictsOf(context.Background(), org, duty)
	if err != nil || len(list) == 0 {
		j.t.Fatalf("%d verdicts (%v)", len(list), err)
	}
	return list[0].At
}

func (j *judged) open(org, duty string) []alert.Alert {
	j.t.Helper()
	list, err := j.store.OpenAlerts(context.Background(), org, duty)
	if err != nil {
		j.t.Fatal(err)
	}
	return list
}

// What was overdue at one customer is the provider's breach on its own board and on
// that customer's; nobody else is told.
func TestOverdueCaseStaysBetweenTheTwo(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		j.shop()
		ctx := context.Background()
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"wh"}, Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		j.channel(other.ID, alert.Email, "admin@other.example", alert.HearsBoth)
		id := j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "abuse", Service: "wh", Title: "Phishing on shop.example", User: "u_ops"})
		j.advance(25 * time.Hour)
		j.settle()
		j.wants(j.customer.ID, "WH-P7", "breached case_overdue")
		j.wants(j.provider.ID, "WH-P7", "breached case_overdue")
		j.wants(other.ID, "WH-P7", "no_occasion no_case")
		j.told(1, 1)
		if to := j.mails.mails[0].Header.Get("To"); !strings.Contains(to, "ops@provider.example") {
			t.Errorf("told %s", to)
		}
		list, err := j.store.CustomerAlerts(ctx, other, j.provider.ID, 10)
		if err != nil || len(list) != 0 {
			t.Errorf("the other customer sees %+v (%v)", list, err)
		}
		refused(t, j.srv.StepCase(ctx, server.StepRequest{Org: j.customer.ID, Case: id, Step: "decided", Skip: true, Text: "x"}), "case_skip")
		j.steps(server.StepRequest{Org: j.customer.ID, Case: id, Step: "decided", User: "u_ops", Text: "No phishing: a false report."})
		refused(t, j.srv.StepCase(ctx, server.StepRequest{Org: j.customer.ID, Case: id, Step: "suspended", Skip: true}), "text_missing")
		j.steps(server.StepRequest{Org: j.customer.ID, Case: id, Step: "suspended", Skip: true, Text: "Nothing to switch off.", User: "u_ops"})
		j.steps(server.StepRequest{Org: j.customer.ID, Case: id, Withdraw: true, Text: "Wrong customer.", User: "u_ops"})
		j.wants(j.customer.ID, "WH-P7", "breached case_late") // it was late before
		j.told(2, 2)
		j.sound()
	})
}

// An alert about the customer's own duty is a notice of the server itself.
func TestAlertIsANotice(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		j.shop()
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		h := j.enrolled(j.customer)
		h.pushes(h.backups(evidence.BackupOK))
		j.settle()
		j.wants(j.customer.ID, "SC-P5", "no_occasion no_case")
		h.pushes(h.backups(evidence.BackupFailed))
		j.settle()
		j.settle()
		open, err := j.store.Alerts(context.Background(), j.customer.ID, true, 10)
		if err != nil || len(open) == 0 {
			t.Fatalf("alerts %+v (%v)", open, err)
		}
		j.wants(j.customer.ID, "SC-P5", "fulfilled case_done")
		j.wants(j.customer.ID, "SC-C3", "no_occasion case_running")
		for _, a := range open {
			if err := j.srv.AckAlert(context.Background(), j.customer.ID, a.ID, "u_admin"); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.srv.AckAlert(context.Background(), j.customer.ID, open[0].ID, "u_admin"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("acknowledged twice: %v", err)
		}
		j.advance(73 * time.Hour)
		j.settle()
		j.wants(j.customer.ID, "SC-C3", "breached case_overdue")
		j.sound()
	})
}

// A statement proves until its review date, a bad one is a breach, a waiver says that
// the duty does not apply; words and files stand beside the log.
func TestStatementsProveUntilTheirDate(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		j.shop()
		ctx := context.Background()
		j.settle()
		j.wants(j.customer.ID, "WH-C2", "unproven attestation_never")
		file, err := server.NewStatedFile("policy.pdf", bytes.Repeat([]byte("%PDF"), 1000))
		if err != nil {
			t.Fatal(err)
		}
		q := server.StatementRequest{Board: j.customer.ID, Duty: "WH-C2", Kind: duties.StatementAttestation, Good: true,
			Until: j.now.Add(80 * 24 * time.Hour), Text: "Kept in the vault, two people have access.", File: file, User: "u_admin"}
		if err := j.srv.State(ctx, q); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "WH-C2", "fulfilled attestation_holds")
		list, err := j.store.Statements(ctx, j.customer.ID, "WH-C2", 10)
		if err != nil || len(list) != 1 {
			t.Fatalf("statements %+v (%v)", list, err)
		}
		blob, err := j.store.Blob(ctx, store.Place{Org: j.customer.ID, Log: list[0].Log, Index: list[0].Index, SHA: list[0].Data})
		if err != nil || !bytes.Contains(blob.Data, []byte("policy.pdf")) || !bytes.Contains(blob.Data, []byte("two people")) {
			t.Errorf("blob %s (%v)", blob.Data, err)
		}
		for key, change := range map[string]func(*server.StatementRequest){
			"no_statement": func(q *server.StatementRequest) { q.Duty = "WH-C3" },
			"text_missing": func(q *server.StatementRequest) { q.Text = "" },
			"review_date":  func(q *server.StatementRequest) { q.Until = j.now.Add(100 * 24 * time.Hour) },
		} {
			bad := q
			change(&bad)
			refused(t, j.srv.State(ctx, bad), key)
		}
		if _, err := server.NewStatedFile("big", make([]byte, server.MaxFile+1)); err == nil {
			t.Error("a file over the limit was taken")
		}
		j.advance(81 * 24 * time.Hour)
		j.settle()
		j.wants(j.customer.ID, "WH-C2", "unproven attestation_lapsed")
		q.Kind, q.Until, q.File = duties.StatementWaiver, j.now.Add(24*time.Hour), nil
		if err := j.srv.State(ctx, q); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "WH-C2", "not_applicable waived")
		j.advance(25 * time.Hour)
		j.settle()
		j.wants(j.customer.ID, "WH-C2", "unproven attestation_lapsed")
		if got := j.stated(j.customer.ID); got["statement.attested"] != 1 || got["statement.waived"] != 1 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

// backups seals a look at one backup job whose last run had a result.
func (h *host) backups(result string) sealed {
	t := h.w.t
	t.Helper()
	at := evidence.At(h.w.now.Add(-time.Hour))
	var reasons []string
	if result == evidence.BackupFailed {
		reasons = []string{evidence.ReasonNoSpace}
	}
	facts, err := evidence.FactsBlob(evidence.Backup{Jobs: []evidence.BackupJob{{Job: "files", Tool: "restic", Result: result, Reasons: reasons, RunFrom: evidence.FromLog, LastStart: &at, LastEnd: &at,
		LastSuccess: &at, NewestRestorable: &at, OldestRestorable: &at, Points: 1, Bytes: 1, Files: 1, Encryption: "restic",
		Integrity: evidence.Integrity{Result: evidence.BackupUnknown}, Source: evidence.FromRepository, Paths: 1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := h.seal(func(r *evidence.Record) {
		r.Items[0].Kind, r.Items[0].Facts, r.Items[0].Detail = evidence.KindBackup, evidence.Sum(facts), evidence.Digest{}
	})
	s.blobs = map[evidence.Digest][]byte{evidence.Sum(facts): facts}
	return s
}

// However many cases there are, a duty is judged by all of them: none is forgotten
// because others came after it.
func TestManyCasesHideNone(t *testing.T) {
	j := &judged{world: newWorld(t, storetest.SQLite(t)), before: map[string]int{}} // nobody is told, 2500 times over
	ctx := context.Background()
	j.shop()
	first := j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "abuse", Service: "sc", Title: "Spam from vm-7", User: "u_ops"})
	c, err := j.store.Case(ctx, first)
	if err != nil {
		t.Fatal(err)
	}
	j.advance(25 * time.Hour)
	err = j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for i := range 2500 {
			k := c
			k.ID, k.Org, k.Title, k.Opened = evidence.NewID("k_"), j.provider.ID, fmt.Sprint("Report ", i), j.now
			if err := tx.AddCase(ctx, k); err != nil {
				return err
			}
			if _, err := tx.AddCaseStep(ctx, k.ID, 0, store.CaseStep{Step: "decided", At: j.now, Log: c.Log, Index: c.Index, Data: c.Data}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	j.settle()
	j.wants(j.customer.ID, "SC-P4", "breached case_overdue")
	j.wants(j.provider.ID, "SC-P4", "breached case_overdue")
	other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: duties.Services(), Lang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	j.advance(time.Minute)
	j.opens(server.CaseRequest{Org: other.ID, Workflow: "abuse", Service: "sc", Title: "Spam from vm-8", User: "u_ops"})
	j.advance(25 * time.Hour)
	j.settle()
	j.wants(other.ID, "SC-P4", "breached case_overdue")
	list, err := j.store.Cases(ctx, "", time.Time{})
	if err != nil || len(list) != 2502 || list[0].ID != first {
		t.Errorf("the case that is open longest comes first: %+v (%v)", list, err)
	}
}

// Whether somebody can be told something is judged as soon as that changes: with people
// and channels that come and go. An auditor is nobody to tell.
func TestWhoCanBeToldIsJudged(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		wants := func(what, want string, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			j.settle()
			if got := j.state(j.customer.ID, "SC-C3"); got != want {
				t.Errorf("%s: SC-C3 is %s, want %s", what, got, want)
			}
		}
		joins := func(role string) error {
			_, err := j.srv.AddUser(ctx, server.UserRequest{Email: role + "@shop.example", Org: j.customer.ID, Role: role})
			return err
		}
		const nobody, quiet = "unproven nobody_hears", "no_occasion no_case"
		wants("nobody", nobody, nil)
		wants("an auditor", nobody, joins(store.RoleAuditor))
		wants("a person", quiet, joins(store.RoleViewer))
		u, err := j.store.UserByEmail(ctx, "viewer@shop.example")
		if err != nil {
			t.Fatal(err)
		}
		wants("the person's account is disabled", nobody, j.srv.DisableUser(ctx, u, false))
		wants("and enabled", quiet, j.srv.DisableUser(ctx, u, true))
		inTx := func(do func(ctx context.Context, tx *store.Tx) error) error { return j.store.Tx(ctx, do) }
		wants("the person has left", nobody, inTx(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.DropMember(ctx, j.customer.ID, u.ID)
			return err
		}))
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		wants("a channel", quiet, nil)
		list, err := j.store.Channels(ctx, j.customer.ID)
		if err != nil {
			t.Fatal(err)
		}
		wants("the channel was removed", nobody, inTx(func(ctx context.Context, tx *store.Tx) error { return tx.RemoveChannel(ctx, list[0].ID) }))
	})
}

// What a customer reports the provider is told of by mail, and of nothing that it opened
// itself; of a customer that has left nothing is kept of it.
func TestProviderHearsOfIncidents(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		if _, err := j.srv.AddUser(ctx, server.UserRequest{Email: "ops@provider.example", Org: j.provider.ID, Role: store.RoleOperator}); err != nil {
			t.Fatal(err)
		}
		ops, err := j.store.UserByEmail(ctx, "ops@provider.example")
		if err != nil {
			t.Fatal(err)
		}
		j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "export", Service: "pe", Title: "All mail of 2025", User: ops.ID})
		j.settle()
		j.told(0, 0)
		id := j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "incident", Service: "sc", Title: "Logins at night", Text: "Three, from abroad.", User: "u_1"})
		j.settle()
		j.opens(server.CaseRequest{Org: j.customer.ID, Workflow: "export", Service: "pe", Title: "All mail of 2026", User: "u_1"})
		j.settle()
		j.told(2, 0)
		if to, body := j.mails.mails[0].Header.Get("To"), j.mails.bodies[0]; !strings.Contains(to, "ops@provider.example") || !strings.Contains(body, "Shop has opened a case") ||
			!strings.Contains(body, "Three, from abroad.") || !strings.Contains(body, "https://proof.example/orgs/"+j.customer.ID+"/cases/"+id) {
			t.Errorf("mail to %s:\n%s", to, body)
		}
		if c, err := j.store.Case(ctx, id); err != nil || len(c.Steps) != 1 || c.Steps[0].Step != "reported" || c.Steps[0].User != "u_1" {
			t.Errorf("the customer has reported it, and these steps were taken: %+v (%v)", c.Steps, err)
		}
		j.sound()
		if err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.EraseOrg(ctx, j.customer.ID, j.now) }); err != nil {
			t.Fatal(err)
		}
		if n := statement(t, j.dsn, `UPDATE alert SET next = next WHERE name LIKE '%night%' OR why LIKE '%abroad%' OR why LIKE '%Shop%' OR asset LIKE '%night%'`); n != 0 {
			t.Errorf("%d alerts tell of a customer that has left", n)
		}
	})
}
