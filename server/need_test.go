package server_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// Jobs are judged by what the customer declared, and its log keeps the declaration.
func TestNeedIsDeclared(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.backedUp()
		j.wants(j.customer.ID, "BK-C2", "unproven need_never")
		need := func(job string) duties.Declared {
			return duties.Declared{Sets: []duties.DataSet{{Service: "bk", Name: "Orders", Job: job, Hours: 24, Days: 0}}}
		}
		for what, n := range map[string]duties.Declared{"nothing": {}, "no job": need(""), "a service that it does not have": {Sets: []duties.DataSet{{Service: "xx", Name: "a", Job: "b", Hours: 1}}}} {
			if err := j.srv.DeclareNeed(ctx, j.customer.ID, n, "", "u_1"); err == nil {
				t.Errorf("%s was declared", what)
			} else {
				refused(t, err, "need")
			}
		}
		for job, want := range map[string]string{"nightly": "breached need_uncovered", "files": "fulfilled need_met"} {
			j.advance(time.Second)
			if err := j.srv.DeclareNeed(ctx, j.customer.ID, need(job), "Orders of the shop.", "u_1"); err != nil {
				t.Fatal(err)
			}
			j.wants(j.customer.ID, "BK-C2", want)
		}
		if got := j.stated(j.customer.ID); got["need.declared"] != 2 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

// A restore test counts for its service's duties; where the list wants both parties, the
// provider signs it, too.
func TestRestoreTestOfBothParties(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		file, err := server.NewStatedFile("compare.txt", []byte("12000 files, all equal\n"))
		if err != nil {
			t.Fatal(err)
		}
		q := server.RestoreRequest{Org: j.customer.ID, Good: true, Text: "Compared by hashes.", File: file, User: "u_1",
			Test: duties.RestoreTest{Service: "sc", What: "vm-7", Point: j.now.Add(-26 * time.Hour), Minutes: 50}}
		bad := q
		bad.Test.Point = j.now.Add(time.Hour)
		refused(t, j.srv.RecordRestore(ctx, bad), "restore")
		bad = q
		bad.Text = ""
		refused(t, j.srv.RecordRestore(ctx, bad), "text_missing")
		if err := j.srv.RecordRestore(ctx, q); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "SC-C7", "unproven no_agent")
		j.wants(j.customer.ID, "WH-C6", "unproven no_agent")
		list, err := j.store.Statements(ctx, j.customer.ID, "", 5)
		if err != nil || len(list) != 1 {
			t.Fatalf("statements %+v (%v)", list, err)
		}
		var signing sync.WaitGroup
		signed := atomic.Int64{}
		for range 8 { // one of them, however fast the others are
			signing.Go(func() {
				if err := j.srv.CosignRestore(ctx, j.customer.ID, list[0].ID, "We ran it together.", "u_ops"); err == nil {
					signed.Add(1)
				}
			})
		}
		signing.Wait()
		if n := signed.Load(); n != 1 {
			t.Fatalf("signed %d times", n)
		}
		j.wants(j.customer.ID, "SC-C7", "fulfilled tested_good")
		refused(t, j.srv.CosignRestore(ctx, j.customer.ID, list[0].ID, "", "u_ops"), "cosigned")
		if err := j.srv.CosignRestore(ctx, j.customer.ID, "st_none", "", "u_ops"); err == nil {
			t.Error("a test that is not there was signed")
		}
		if got := j.stated(j.customer.ID); got["restore.tested"] != 1 || got["statement.cosigned"] != 1 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

// A report of abuse that a machine wrote opens a case by itself: which server, what it
// did, and who says so. The provider's decision, suspension and word to the customer
// prove its duty.
func TestAbuseReportOpensACase(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		report := []byte(`{"Version":"3","ReporterInfo":{"ReporterOrg":"Watch","ReporterOrgEmail":"r@watch.example"},"Report":{"ReportClass":"Activity","ReportType":"Phishing","Date":"2026-02-05T14:17:10Z","SourceIp":"192.0.2.55","Url":"https://shop.example/login"}}`)
		file, err := server.NewStatedFile("report.json", report)
		if err != nil {
			t.Fatal(err)
		}
		q := server.CaseRequest{Org: j.customer.ID, Workflow: "abuse", Service: "wh", File: file, User: "u_ops"}
		id := j.opens(q)
		c, err := j.store.Case(ctx, id)
		if err != nil || c.Title != "phishing: 192.0.2.55, https://shop.example/login" {
			t.Fatalf("case %+v (%v)", c, err)
		}
		j.settle()
		j.wants(j.customer.ID, "WH-P7", "no_occasion case_running")
		for _, step := range []string{"decided", "suspended", "informed"} {
			j.advance(time.Minute)
			j.steps(server.StepRequest{Org: j.customer.ID, Case: id, Step: step, Text: "Done.", User: "u_ops"})
		}
		j.wants(j.customer.ID, "WH-P7", "fulfilled case_done")
		bad, err := server.NewStatedFile("x.eml", []byte("From: a@b.example\n\nStop it!\n"))
		if err != nil {
			t.Fatal(err)
		}
		q.File = bad
		_, err = j.srv.OpenCase(ctx, q)
		refused(t, err, "abuse_report")
		j.sound()
	})
}

// A customer gives up a duty of the provider's towards itself alone, and the provider
// declares that a customer's does not apply; both stand in the customer's log, with an end.
func TestWaiversOfEitherParty(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		other, err := j.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: duties.Services(), Lang: "en"})
		if err != nil {
			t.Fatal(err)
		}
		j.settle()
		start := j.now
		j.now = start.Add(time.Hour)
		sign := server.StatementRequest{Board: j.customer.ID, Party: duties.Customer, Duty: "PE-P3", Kind: duties.StatementWaiver, Until: j.now.AddDate(0, 1, 0), Text: "We send no mail.", User: "u_1"}
		if err := j.srv.State(ctx, sign); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "PE-P3", "not_applicable waived")
		j.wants(other.ID, "PE-P3", "unproven no_agent")
		j.wants(j.provider.ID, "PE-P3", "unproven no_agent")
		sign.Duty, sign.Party, sign.User = "SC-C8", duties.Provider, "u_ops"
		if err := j.srv.State(ctx, sign); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "SC-C8", "not_applicable waived")
		j.wants(other.ID, "SC-C8", "unproven no_agent")
		if got := j.stated(j.customer.ID); got["statement.waived"] != 2 {
			t.Errorf("the log states %v", got)
		}
		// Either is taken back by another of the same party that ends sooner.
		j.now = j.now.Add(24 * time.Hour)
		short := sign
		short.Until, short.Text = j.now.Add(time.Hour), "It does, after all."
		for duty, party := range map[string]string{"PE-P3": duties.Customer, "SC-C8": duties.Provider} {
			short.Duty, short.Party = duty, party
			if err := j.srv.State(ctx, short); err != nil {
				t.Fatal(err)
			}
			j.wants(j.customer.ID, duty, "not_applicable waived")
		}
		for range 2 {
			j.now = j.now.Add(time.Hour)
			j.settle()
			j.wants(j.customer.ID, "PE-P3", "unproven no_agent")
			j.wants(j.customer.ID, "SC-C8", "unproven no_agent")
		}
		j.now = sign.Until
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "unproven no_agent")
		j.wants(j.customer.ID, "SC-C8", "unproven no_agent")

		// Judged again, the past knows of the waiver, too.
		for _, duty := range []string{"PE-P3", "SC-C8"} {
			again, err := j.srv.Rejudge(ctx, server.RejudgeRequest{From: start, To: j.now, Duty: duty, DryRun: true})
			if err != nil || len(again.Changed) > 0 {
				t.Errorf("%s judged again by the same rules: %+v (%v)", duty, again.Changed, err)
			}
		}
		j.sound()
	})
}

// What holds counts however much was stated since, of other services, too; and the same
// when the past is judged again.
func TestLaterStatementsHideNone(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		if err := j.srv.DeclareNeed(ctx, j.customer.ID, duties.Declared{Sets: []duties.DataSet{{Service: "bk", Name: "Accounts", Job: "nightly", Hours: 24}}}, "", "u_1"); err != nil {
			t.Fatal(err)
		}
		test := func(service string) {
			j.advance(time.Minute)
			if err := j.srv.RecordRestore(ctx, server.RestoreRequest{Org: j.customer.ID, Good: true, Text: "Compared by hashes.", User: "u_1",
				Test: duties.RestoreTest{Service: service, What: "site", Point: j.now.Add(-time.Hour)}}); err != nil {
				t.Fatal(err)
			}
		}
		test("wh")
		j.settle()
		j.wants(j.customer.ID, "WH-C6", "fulfilled tested_good")
		need, err := j.store.VerdictsOf(ctx, j.customer.ID, "BK-C2")
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			test("bk")
		}
		j.settle()
		j.wants(j.customer.ID, "WH-C6", "fulfilled tested_good")
		j.wants(j.customer.ID, "BK-C2", need[0].Verdict.String()+" "+need[0].Why.Key)
	})
}
