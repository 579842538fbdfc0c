package server_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
)

// backedUp is a customer whose host has a good backup.
func (j *judged) backedUp() *host {
	j.t.Helper()
	j.shop()
	h := j.enrolled(j.customer)
	if err := j.srv.SetServes(context.Background(), h.id, []string{"sc", "bk"}, nil, ""); err != nil {
		j.t.Fatal(err)
	}
	h.pushes(h.backups(evidence.BackupOK))
	j.settle()
	j.wants(j.customer.ID, "BK-C1", "unproven review_never")
	return h
}

// What was shown is what is confirmed: its digest counts as the review of each duty of
// the service, from when it was shown, and nothing else can be confirmed.
func TestDigestIsConfirmedAsShown(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.backedUp()
		d, seal, err := j.srv.Digest(ctx, j.customer.ID, "bk")
		if err != nil || len(d.Duties) != 1 || d.Duties[0].Duty != "BK-C1" || d.Duties[0].Parts[0].Verdict != duties.Fulfilled || len(d.Duties[0].Parts[0].Cites) == 0 {
			t.Fatalf("digest %+v (%v)", d, err)
		}
		shown := j.now
		j.advance(5 * time.Minute)
		for what, s := range map[string]string{"nothing": "", "another seal": seal[:len(seal)-2] + "AA", "another digest": "e30." + strings.SplitN(seal, ".", 2)[1]} {
			if err := j.srv.ConfirmDigest(ctx, j.customer.ID, "bk", s, "u_1"); err == nil {
				t.Errorf("%s was confirmed", what)
			}
		}
		refused(t, j.srv.ConfirmDigest(ctx, j.customer.ID, "sc", seal, "u_1"), "digest_old")
		refused(t, j.srv.ConfirmDigest(ctx, j.provider.ID, "bk", seal, "u_1"), "digest_old")
		if err := j.srv.ConfirmDigest(ctx, j.customer.ID, "bk", seal, "u_1"); err != nil {
			t.Fatal(err)
		}
		j.advance(time.Minute)
		if err := j.srv.ConfirmDigest(ctx, j.customer.ID, "bk", seal, "u_2"); err != nil { // a second click, by whomever, changes nothing
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "BK-C1", "fulfilled backup_good")
		list, err := j.store.Reviews(ctx, j.customer.ID, "BK-C1", 5)
		if err != nil || len(list) != 1 || list[0].User != "u_1" || !list[0].At.Equal(shown.UTC().Truncate(time.Microsecond)) {
			t.Errorf("reviews %+v (%v), want one of %s", list, err, shown)
		}
		if got := j.stated(j.customer.ID); got["review.digest"] != 1 {
			t.Errorf("the log states %v", got)
		}
		j.advance(25 * time.Hour)
		refused(t, j.srv.ConfirmDigest(ctx, j.customer.ID, "bk", seal, "u_1"), "digest_old")
		j.sound()
	})
}

var linkIn = regexp.MustCompile(`https://proof\.example/review/(\S+)`)

// Each morning the digest is mailed once a service, and its link confirms once. To
// open it changes nothing.
func TestDigestByMail(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.backedUp()
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		before := j.mails.count()
		morning := time.Date(j.now.Year(), j.now.Month(), j.now.Day(), 6, 59, 0, 0, j.customer.Location()).AddDate(0, 0, 1)
		mail := func() {
			t.Helper()
			if err := j.srv.MailDigests(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := j.srv.Alerts().Once(ctx); err != nil {
				t.Fatal(err)
			}
		}
		j.now = morning
		mail()
		if n := j.mails.count(); n != before {
			t.Fatalf("%d mails before seven", n-before)
		}
		j.advance(time.Minute)
		mail()
		mail() // another server, or the next tick
		var link string
		mails := 0
		for i, m := range j.mails.mails[before:] {
			if m.Header.Get("To") != "<admin@shop.example>" {
				continue
			}
			mails++
			if body := j.mails.bodies[before+i]; strings.Contains(body, "BK-C1") {
				if !strings.Contains(body, "Fulfilled: Job ") {
					t.Errorf("mail:\n%s", body)
				}
				link = linkIn.FindStringSubmatch(body)[1]
			}
		}
		if mails != 2 || link == "" { // of sc and bk
			t.Fatalf("%d mails, link %q", mails, link)
		}
		refused(t, j.srv.FollowReviewLink(ctx, link[:len(link)-1]+"x", ""), "review_link")
		l, err := j.srv.ReviewLink(ctx, link)
		if err != nil || l.Service != "bk" {
			t.Fatalf("link %+v (%v)", l, err)
		}
		j.wants(j.customer.ID, "BK-C1", "unproven review_never")
		_, seal, err := j.srv.Digest(ctx, l.Org, l.Service)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.srv.FollowReviewLink(ctx, link, seal); err != nil {
			t.Fatal(err)
		}
		j.settle()
		if got := j.state(j.customer.ID, "BK-C1"); strings.Contains(got, "review") {
			t.Errorf("after the review BK-C1 is %s", got)
		}
		used, err := j.srv.ReviewLink(ctx, link)
		if err != nil || !used.Used.Equal(j.now.UTC().Truncate(time.Microsecond)) {
			t.Errorf("the used link %+v (%v)", used, err)
		}
		once := j.stated(j.customer.ID)["review.digest"]
		if err := j.srv.FollowReviewLink(ctx, link, seal); err != nil {
			t.Errorf("a second click: %v", err)
		}
		if got := j.stated(j.customer.ID)["review.digest"]; got != once {
			t.Errorf("a second click is stated: %d, then %d", once, got)
		}
		j.advance(48 * time.Hour)
		refused(t, j.srv.FollowReviewLink(ctx, link, seal), "review_link")
		j.sound()
	})
}

// A standing instruction makes alerts the party's way of looking, as long as they are
// heard and taken on.
func TestStandingInstruction(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		h := j.backedUp()
		sign := server.StatementRequest{Board: j.customer.ID, Duty: "BK-C1", Kind: duties.StatementStanding, Until: j.now.AddDate(0, 6, 0),
			Text: "Alerts about backups go to the admin, who takes them on.", User: "u_1"}
		wrong := sign
		wrong.Duty = "WH-C2"
		refused(t, j.srv.State(ctx, wrong), "no_review")
		wrong = sign
		wrong.Until = j.now.AddDate(2, 0, 0)
		refused(t, j.srv.State(ctx, wrong), "review_date")
		if err := j.srv.State(ctx, sign); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "BK-C1", "unproven nobody_hears")
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		if err := j.srv.State(ctx, sign); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "BK-C1", "fulfilled backup_good")
		h.pushes(h.backups(evidence.BackupFailed))
		j.settle()
		j.settle()
		j.wants(j.customer.ID, "BK-C1", "breached backup_failed")
		j.advance(25 * time.Hour)
		h.pushes(h.backups(evidence.BackupOK))
		j.settle()
		j.settle()
		j.wants(j.customer.ID, "BK-C1", "unproven standing_not_acked") // solved, and nobody had looked
		list, err := j.store.Alerts(ctx, j.customer.ID, false, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			if a.Duty == "BK-C1" && a.Acked.IsZero() {
				if err := j.srv.AckAlert(ctx, j.customer.ID, a.ID, "u_1"); err != nil {
					t.Fatal(err)
				}
			}
		}
		j.settle()
		j.wants(j.customer.ID, "BK-C1", "unproven standing_acked_late")
		if err := j.srv.State(ctx, sign); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "BK-C1", "unproven standing_acked_late") // signing anew forgets nothing
		if err := j.srv.ConfirmReview(ctx, j.customer.ID, "BK-C1", "u_1"); err != nil {
			t.Fatal(err)
		}
		j.wants(j.customer.ID, "BK-C1", "fulfilled backup_good")
		if got := j.stated(j.customer.ID); got["statement.standing"] != 3 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

// Who signed for something until a day is told before that day, once.
func TestReminderBeforeAStatementLapses(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
		if err := j.srv.State(ctx, server.StatementRequest{Board: j.customer.ID, Duty: "WH-C2", Kind: duties.StatementAttestation, Good: true, Until: j.now.AddDate(0, 0, 80), Text: "In the vault.", User: "u_1"}); err != nil {
			t.Fatal(err)
		}
		before := j.mails.count()
		for _, day := range []struct{ after, mails int }{{65, 0}, {2, 1}, {1, 1}} {
			j.advance(time.Duration(day.after) * 24 * time.Hour)
			if err := j.srv.MailReminders(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := j.srv.Alerts().Once(ctx); err != nil {
				t.Fatal(err)
			}
			if n := j.mails.count() - before; n != day.mails {
				t.Fatalf("%d mails, want %d", n, day.mails)
			}
		}
		body := j.mails.bodies[len(j.mails.bodies)-1]
		if !strings.Contains(body, "The statement of Shop about WH-C2 ") || !strings.Contains(body, "/duties/WH-C2") {
			t.Errorf("mail:\n%s", body)
		}
		j.sound()
	})
}
