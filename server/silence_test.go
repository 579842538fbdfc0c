package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

func (j *judged) silences(q server.SilenceRequest) string {
	j.t.Helper()
	q.User = "u_1"
	id, err := j.srv.Silence(context.Background(), q)
	if err != nil {
		j.t.Fatal(err)
	}
	return id
}

// A silence keeps what an alert says from its party's channels alone, however often it
// fires meanwhile; what still fires at the end is told then.
func TestSilence(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		j.channel(j.customer.ID, alert.Email, "shop@customer.example", alert.HearsBoth)
		h := j.enrolled(j.provider)
		j.listed(h, 1)
		j.told(2, 1)
		a := j.open(j.provider.ID, "PE-P3")[0]
		j.silences(server.SilenceRequest{Org: j.provider.ID, Alert: a.ID, Hours: 24, Reason: "The list is being asked."})
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.told(4, 2) // it had been told, so its end is
		j.listed(h, 2)
		j.wants(j.provider.ID, "PE-P3", "breached dnsbl_listed")
		j.told(5, 2) // the customer alone hears that it fires again
		if to := j.mails.mails[4].Header.Get("To"); to != "<shop@customer.example>" {
			t.Errorf("told %s", to)
		}
		again := j.open(j.provider.ID, "PE-P3")[0]
		if again.Silence == "" || again.ID == a.ID {
			t.Errorf("raised %+v", again)
		}
		j.listed(h, 20)
		j.told(5, 2)
		j.listed(h, 3) // the silence is over
		j.told(7, 3)   // the party hears that it fires, the customer that it still does
		if got := j.since(5); !strings.Contains(got, "Breached for 1 day") {
			t.Errorf("told %s", got)
		}
		if got := j.stated(j.provider.ID); got["alert.silenced"] != 1 {
			t.Errorf("the log states %v", got)
		}
		j.sound()
	})
}

// A host that is silenced before its maintenance is heard again when somebody ends that.
func TestSilenceOfAHostUntilItIsEnded(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.later(j.provider.ID, "boss@provider.example", time.Hour)
		h := j.enrolled(j.provider)
		id := j.silences(server.SilenceRequest{Org: j.provider.ID, Agent: h.id, Hours: 8, Reason: "Moved to another rack."})
		for range 3 {
			j.advance(time.Hour)
			h.pushes(h.software("2020-01-01"))
			j.settle()
		}
		j.told(0, 0)
		if err := j.srv.Unsilence(ctx, j.customer.ID, id, "u_x"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ended by another: %v", err)
		}
		if err := j.srv.Unsilence(ctx, j.provider.ID, id, "u_2"); err != nil {
			t.Fatal(err)
		}
		if err := j.srv.Unsilence(ctx, j.provider.ID, id, "u_2"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("ended twice: %v", err)
		}
		j.settle()
		j.hears("Breached", 0)
		j.advance(time.Hour) // from then on people have their time
		h.pushes(h.software("2020-01-01"))
		j.settle()
		j.hears("Nobody has acted. Breached", 1)
		j.sound()
	})
}

// Who silences itself is not told, so nobody has told it; and its own time to act runs all
// the same.
func TestSilenceProvesNothing(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	j.shop()
	j.channel(j.customer.ID, alert.Email, "admin@shop.example", "")
	h := j.enrolled(j.customer)
	j.silences(server.SilenceRequest{Org: j.customer.ID, Agent: h.id, Hours: 24 * 30, Reason: "Not now."})
	h.pushes(h.backups(evidence.BackupFailed))
	j.settle()
	j.settle()
	j.wants(j.customer.ID, "SC-P5", "no_occasion no_case")
	j.wants(j.customer.ID, "SC-C3", "no_occasion case_running")
	mails := j.mails.count()
	j.advance(73 * time.Hour)
	j.settle()
	j.settle()
	j.wants(j.customer.ID, "SC-P5", "no_occasion no_case")
	j.wants(j.customer.ID, "SC-C3", "breached case_overdue")
	for i := mails; i < j.mails.count(); i++ {
		if to, what := j.mails.mails[i].Header.Get("To"), j.mails.subject(t, i); strings.Contains(to, "shop.example") && !strings.Contains(what, "Acts promptly") {
			t.Errorf("%s was told %s", to, what)
		}
	}
}

func TestSilenceThatCannotStand(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	h := j.enrolled(j.provider)
	j.listed(h, 1)
	a := j.open(j.provider.ID, "PE-P3")[0].ID
	for key, q := range map[string]server.SilenceRequest{
		"silence_hours":  {Org: j.provider.ID, Alert: a, Hours: 721, Reason: "x"},
		"silence_reason": {Org: j.provider.ID, Alert: a, Hours: 1, Reason: " "},
	} {
		_, err := j.srv.Silence(ctx, q)
		refused(t, err, key)
	}
	if _, err := j.srv.Silence(ctx, server.SilenceRequest{Org: j.provider.ID, Alert: a, Hours: 1, Reason: strings.Repeat("x", 501)}); err == nil {
		t.Error("a reason of 501 characters stands")
	}
	for _, q := range []server.SilenceRequest{{Org: j.customer.ID, Alert: a, Hours: 1, Reason: "x"}, {Org: j.customer.ID, Agent: h.id, Hours: 1, Reason: "x"}, {Org: j.customer.ID, Hours: 1, Reason: "x"}} {
		if _, err := j.srv.Silence(ctx, q); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// Each silence, and the early end of one, must be as the log has it.
func TestCheckFindsChangedSilences(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	h := j.enrolled(j.provider)
	j.listed(h, 1)
	j.silences(server.SilenceRequest{Org: j.provider.ID, Alert: j.open(j.provider.ID, "PE-P3")[0].ID, Hours: 1, Reason: "Asked."})
	host := j.silences(server.SilenceRequest{Org: j.provider.ID, Agent: h.id, Hours: 8, Reason: "Moved."})
	j.advance(time.Minute)
	if err := j.srv.Unsilence(context.Background(), j.provider.ID, host, "u_2"); err != nil {
		t.Fatal(err)
	}
	j.sound()
	for _, tt := range []struct{ change, back, want string }{
		{`UPDATE silence SET until = until + 1000000`, `UPDATE silence SET until = until - 1000000`, "it holds until"},
		{`UPDATE silence SET asset = asset || 'x'`, `UPDATE silence SET asset = SUBSTR(asset, 1, LENGTH(asset) - 1)`, "another silence"},
		{`UPDATE silence SET duty = 'PE-P4' WHERE duty <> ''`, `UPDATE silence SET duty = 'PE-P3' WHERE duty <> ''`, `signed was duty "PE-P3"`},
		{`UPDATE silence SET user_id = 'u_9'`, `UPDATE silence SET user_id = 'u_1'`, "somebody else"},
		{`UPDATE silence SET ended = ended - 1000000 WHERE ended > 0`, `UPDATE silence SET ended = ended + 1000000 WHERE ended > 0`, "it was said at"},
		{`UPDATE silence SET ended = -ended WHERE ended > 0`, `UPDATE silence SET ended = -ended WHERE ended < 0`, "it was said at"},
		{`UPDATE silence SET ended = at, ended_data = data WHERE ended = 0`, `UPDATE silence SET ended = 0, ended_data = '' WHERE ended = at`, "no entry of the log says"},
		{`DELETE FROM silence`, ``, "is missing"},
	} {
		attack(t, j.dsn, tt.change)
		if got := strings.Join(j.check(t), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.change, got, tt.want)
		}
		if tt.back != "" {
			attack(t, j.dsn, tt.back)
			j.sound()
		}
	}
}
