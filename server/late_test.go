package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// days are the windows of a duty on a board from a day on, a letter each: f, b, u, n, x;
// of a day whose evidence came late, what it says stands behind it.
func (j *judged) days(org, duty string, from time.Time, n int) (string, duties.Continuity) {
	j.t.Helper()
	past, err := j.store.History(context.Background(), org, duty, from)
	if err != nil {
		j.t.Fatal(err)
	}
	counts, err := j.store.LateCounts(context.Background(), org)
	if err != nil {
		j.t.Fatal(err)
	}
	d, _ := j.srv.Catalogue().Duty(duty)
	list := d.Roll(past[duty], from, from.AddDate(0, 0, n), j.now, 1, j.customer.Location(), counts)
	var b strings.Builder
	for _, w := range list {
		b.WriteByte(".ubfnx"[1+int(w.Verdict)])
		if w.Late {
			b.WriteByte(".UBFNX"[1+int(w.Facts)])
		}
	}
	return b.String(), duties.Sum(list)
}

// TestLateEvidence has an agent deliver after fourteen days what it saw all the time:
// the days stay unproven, and are marked with what the evidence says; a breach among
// them is one.
func TestLateEvidence(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		zone := j.customer.Location()
		start := time.Date(2026, 3, 20, 0, 0, 0, 0, zone) // the clocks change on 29 March
		j.now = start.Add(30 * time.Minute)
		h := j.enrolled(j.provider)
		var kept []sealed
		for n := range 20 * 4 { // looks four times a day, away from the third day's noon to the seventeenth's
			at := start.AddDate(0, 0, n/4).Add(time.Duration(n%4)*6*time.Hour + time.Hour)
			j.now = at
			result := evidence.NotListed
			if n/4 == 9 {
				result = evidence.Listed
			}
			s := h.dnsbl(result)
			if n >= 10 && n < 66 {
				kept = append(kept, s)
				if n == 65 {
					for len(kept) > 0 {
						k := min(len(kept), 20)
						h.pushes(kept[:k]...)
						kept = kept[k:]
					}
				}
				j.settle()
				continue
			}
			h.pushes(s)
			j.settle()
		}
		j.now = start.AddDate(0, 0, 20).Add(time.Hour)
		j.settle()
		for _, org := range []string{j.customer.ID, j.provider.ID} {
			got, sum := j.days(org, "PE-P3", start, 20)
			// The look of the third morning holds until the fourth; on the seventeenth the
			// backlog comes before the day ends. The listing ends an hour into its next day.
			if want := "fff" + strings.Repeat("uF", 6) + "bBbB" + strings.Repeat("uF", 5) + "ffff"; got != want {
				t.Errorf("days %s, want %s", got, want)
			}
			if sum.Expected != 20 || sum.Late != 11 || sum.Count[duties.Unproven] != 11 || sum.Count[duties.Breached] != 2 {
				t.Errorf("continuity %+v", sum)
			}
			for _, g := range sum.Gaps {
				if g.Verdict == duties.Unproven && (g.Cause != duties.CauseNetwork || !g.Late) {
					t.Errorf("a host that looked and could not deliver: gap %+v", g)
				}
			}
		}
		// The organisation may have late evidence count.
		one := 1.0
		if err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.AddParam(ctx, store.Param{Org: j.customer.ID, Name: store.ParamLate, At: j.now, Value: &one, User: "u_1"})
		}); err != nil {
			t.Fatal(err)
		}
		if _, sum := j.days(j.customer.ID, "PE-P3", start, 20); sum.Covered != 18 || sum.Late != 0 || sum.Count[duties.Breached] != 2 {
			t.Errorf("with late evidence counting: %+v", sum)
		}
		if _, sum := j.days(j.provider.ID, "PE-P3", start, 20); sum.Covered == 18 {
			t.Errorf("another organisation's parameter counts for the provider: %+v", sum)
		}
		left, err := j.store.LateEvidence(ctx, j.now.AddDate(1, 0, 0))
		if err != nil || len(left) > 0 {
			t.Errorf("late evidence that nobody judged: %+v (%v)", left, err)
		}
		// What was known at a moment stays known, and the facts stand beside it.
		past, err := j.store.History(ctx, j.customer.ID, "PE-P3", start.AddDate(0, 0, 8))
		if err != nil {
			t.Fatal(err)
		}
		known, facts, ok := past["PE-P3"].At(start.AddDate(0, 0, 8))
		if got := fmt.Sprint(known.Verdict, " ", facts.Verdict, " ", ok); got != "unproven fulfilled true" {
			t.Errorf("eight days in: %s", got)
		}
		j.sound()
	})
}

// TestVerdictAndAlertAreOne has the outbox fail: no verdict changes without its alert's
// deliveries, and with them it does.
func TestVerdictAndAlertAreOne(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		h := j.enrolled(j.provider)
		h.pushes(h.dnsbl(evidence.NotListed))
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		statement(t, j.dsn, `ALTER TABLE outbox RENAME TO outbox_away`)
		j.advance(time.Hour)
		h.pushes(h.dnsbl(evidence.Listed))
		if err := j.srv.Judge().Flush(ctx); err == nil {
			t.Error("judging did without an outbox")
		}
		j.wants(j.customer.ID, "PE-P3", "fulfilled dnsbl_clean")
		changes, err := j.store.VerdictChanges(ctx, j.provider.ID, "PE-P3", j.now, 10)
		if err != nil || len(changes) > 0 {
			t.Errorf("changes %+v (%v)", changes, err)
		}
		if open, err := j.store.BoardAlerts(ctx, j.provider.ID, 10); err != nil || len(open) > 0 {
			t.Errorf("alerts %+v (%v)", open, err)
		}
		statement(t, j.dsn, `ALTER TABLE outbox_away RENAME TO outbox`)
		j.settle()
		j.wants(j.customer.ID, "PE-P3", "breached dnsbl_listed")
		j.told(1, 1)
	})
}
