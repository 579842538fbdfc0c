package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// RejudgeRequest asks for the past to be judged by the rules of now.
type RejudgeRequest struct {
	From, To time.Time
	// FromDay and ToDay, such as 2026-06-01, are in the place of From and To: the start of
	// the one and the end of the other, in each organisation's own zone.
	FromDay, ToDay string

	Org    string // whose duties; of all organisations when empty
	Duty   string // all when empty
	DryRun bool   // only say what would change
	User   string // who asked; empty for the operator
}

// Rejudged is a stretch of the past that the rules of now judge otherwise.
type Rejudged struct {
	Org, Duty string // whose duty
	Board     string // on whose board
	Boards    int    // on how many boards it stands
	Ruleset   int64  // the number of the rules that it was judged by; 0 if that is not known
	duties.Stretch
}

// Rejudgement is what judging the past by the rules of now brought.
type Rejudgement struct {
	Rules   store.Ruleset // by which it was judged
	Changed []Rejudged
	// Kept are stretches that stay as they were judged, since facts were erased.
	Kept []Rejudged
	// Outside are figures that were set and count for nothing.
	Outside []Outside
}

// slack is how long a server may take to judge what has come or lapsed: a verdict that
// differs for less was not judged by other rules.
const slack = 5 * time.Minute

// eventRejudged is the log's word for a past that was judged again.
const eventRejudged = "verdicts.rejudged"

// Rejudge judges the past of duties by the catalogue and the parameters of now. What
// was judged at the time is kept beside it, each with the number of its rules; the log
// of each organisation concerned states it.
func (s *Server) Rejudge(ctx context.Context, q RejudgeRequest) (Rejudgement, error) {
	rules, err := s.rules(ctx)
	if err != nil {
		return Rejudgement{}, err
	}
	out := Rejudgement{Rules: rules}
	s.judge.turn.Lock()
	defer s.judge.turn.Unlock()
	b := s.judge.batch()
	if _, err := s.catalogue.Find(q.Duty); q.Duty != "" && err != nil {
		return out, err
	}
	orgs, err := s.store.Orgs(ctx)
	if err != nil {
		return out, err
	}
	orgs = slices.DeleteFunc(orgs, func(o store.Org) bool { return q.Org != "" && o.ID != q.Org || !o.Erased.IsZero() })
	if len(orgs) == 0 {
		return out, fmt.Errorf("organisation %s: %w", q.Org, store.ErrNotFound)
	}
	asked := make([]RejudgeRequest, len(orgs))
	for i, o := range orgs {
		if asked[i], err = q.in(o.Location(), b.at); err != nil {
			return out, err
		}
	}
	for i, o := range orgs {
		if err := s.rejudgeOrg(ctx, b, o, asked[i], &out); err != nil {
			return out, err
		}
	}
	out.Outside, err = s.Outside(ctx, q.Org)
	return out, err
}

// in is the request with the moments of its days in a zone, up to now at most.
func (q RejudgeRequest) in(zone *time.Location, now time.Time) (RejudgeRequest, error) {
	for _, d := range []struct {
		day   string
		later int
		to    *time.Time
	}{{q.FromDay, 0, &q.From}, {q.ToDay, 1, &q.To}} {
		if d.day == "" {
			continue
		}
		at, err := duties.ParseDay(d.day, zone)
		if err != nil {
			return q, fmt.Errorf("%q: want a day such as 2026-06-01", d.day)
		}
		*d.to = duties.Midnight(at, zone, d.later)
	}
	if q.To.IsZero() || q.To.After(now) {
		q.To = now
	}
	if !q.From.Before(q.To) {
		return q, fmt.Errorf("from %s to %s: want a moment in the past and a later one", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	return q, nil
}

func (s *Server) rejudgeOrg(ctx context.Context, b *batch, o store.Org, q RejudgeRequest, out *Rejudgement) error {
	before := len(out.Changed)
	for _, d := range s.catalogue.Duties() {
		if q.Duty != "" && d.ID != q.Duty || !owes(o, d) {
			continue
		}
		for start := q.From; start.Before(q.To); start = start.Add(leaf) {
			end := start.Add(leaf)
			if end.After(q.To) {
				end = q.To
			}
			if err := b.rejudgeLeaf(ctx, o, d, start, end, q.DryRun, out); err != nil {
				return fmt.Errorf("judging the past of %s of %s again: %w", d.ID, o.ID, err)
			}
		}
	}
	if n := len(out.Changed) - before; !q.DryRun && n > 0 {
		_, err := s.AppendWorkflow(ctx, evidence.Workflow{Org: o.ID, Event: eventRejudged, By: q.User, Duty: q.Duty},
			map[string]string{"ruleset": strconv.FormatInt(out.Rules.Number, 10), "digest": out.Rules.Digest, "version": out.Rules.Version,
				"from": q.From.UTC().Format(time.RFC3339), "to": q.To.UTC().Format(time.RFC3339), "changed": strconv.Itoa(n)})
		return err
	}
	return nil
}

// rejudgeLeaf judges some days of a duty's past. Where facts of them were erased, they
// stay as they were judged.
func (b *batch) rejudgeLeaf(ctx context.Context, o store.Org, d duties.Duty, from, to time.Time, dry bool, out *Rejudgement) error {
	b.erased = 0
	told, err := b.retell(ctx, o, d, from, to)
	if err != nil {
		return err
	}
	sets, err := b.store.Rulesets(ctx)
	if err != nil {
		return err
	}
	for _, t := range told {
		past, err := b.store.History(ctx, t.boards[0], d.ID, from)
		if err != nil {
			return err
		}
		turns := duties.Since(past[d.ID].Turns, from)
		if len(turns) == 0 || !turns[0].At.Before(to) {
			continue // nobody judged it then
		}
		start := turns[0].At
		row := Rejudged{Org: o.ID, Duty: d.ID, Board: t.boards[0], Boards: len(t.boards)}
		if b.erased > 0 {
			row.Stretch = duties.Stretch{From: start, To: to, Was: turns[0].Verdict, Verdict: turns[0].Verdict, Why: turns[0].Why}
			out.Kept = append(out.Kept, row)
			continue
		}
		known, facts := duties.Since(t.known, start), duties.Since(t.facts, start)
		changed := longer(duties.Differ(turns, known, to))
		now := longer(duties.Differ(duties.Since(past[d.ID].Now(), start), known, to)) // of what counts so far
		for _, st := range now {
			row.Stretch, row.Ruleset = st, numberAt(sets, st.From)
			out.Changed = append(out.Changed, row)
		}
		if dry {
			continue
		}
		err = b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			var errs []error
			for _, board := range t.boards {
				of := store.Again{Org: board, Duty: d.ID, Basis: store.BasisRules, Judged: b.at, Ruleset: out.Rules.Number}
				errs = append(errs, tx.PutAgain(ctx, of, start, to, changed))
				of.Basis = store.BasisLate
				errs = append(errs, tx.PutAgain(ctx, of, start, to, duties.Differ(known, facts, to)))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// longer leaves out what the server's own pace explains.
func longer(list []duties.Stretch) []duties.Stretch {
	return slices.DeleteFunc(list, func(s duties.Stretch) bool { return s.To.Sub(s.From) < slack })
}

// numberAt is the number of the rules in force at a moment, 0 before there were any.
func numberAt(sets []store.Ruleset, at time.Time) int64 {
	n := int64(0)
	for _, s := range sets {
		if !s.At.After(at) {
			n = s.Number
		}
	}
	return n
}
