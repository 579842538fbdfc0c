package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

const (
	// lateRest is how long no more late evidence must have come before the past is
	// judged by it.
	lateRest = time.Minute
	// latest is how late evidence is looked for: what agents keep, and once more.
	latest = 70 * 24 * time.Hour
	// leaf is how much of the past is read and judged at once.
	leaf = 7 * 24 * time.Hour
	// maxPast bounds how many looks of one kind of one agent are read for a leaf.
	maxPast = 20000
)

// late judges the past again by what came late.
func (b *batch) late(ctx context.Context) error {
	due, err := b.store.LateEvidence(ctx, b.at)
	errs := []error{err}
	for _, l := range due {
		errs = append(errs, b.lateOf(ctx, l))
	}
	return errors.Join(errs...)
}

func (b *batch) lateOf(ctx context.Context, l store.Late) error {
	o, err := b.org(ctx, l.Org)
	if err != nil {
		return err
	}
	for _, d := range b.catalogue.Touched(o.Kind, l.Kind) {
		if !o.Erased.IsZero() || !owes(o, d) {
			continue
		}
		told, err := b.retell(ctx, o, d, l.Since, b.at)
		if err != nil {
			return fmt.Errorf("judging the past of %s of %s by what came late: %w", d.ID, o.ID, err)
		}
		err = b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return putLate(ctx, tx, d, told, l.Since, b.at)
		})
		if err != nil {
			return fmt.Errorf("noting the past of %s of %s: %w", d.ID, o.ID, err)
		}
	}
	return b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.EndLate(ctx, l) })
}

func putLate(ctx context.Context, tx *store.Tx, d duties.Duty, told []retold, from, to time.Time) error {
	for _, t := range told {
		for _, board := range t.boards {
			of := store.Again{Org: board, Duty: d.ID, Basis: store.BasisLate, Judged: to}
			if err := tx.PutAgain(ctx, of, from, to, duties.Differ(t.known, t.facts, to)); err != nil {
				return err
			}
		}
	}
	return nil
}

// retold is how a duty would have been judged through a stretch of time, for the
// boards where it stands.
type retold struct {
	boards []string
	known  []duties.Turn // by what had been received at each moment
	facts  []duties.Turn // by when it was made, however late it came
}

// retell judges a stretch of a duty's past again by the rules of now.
func (b *batch) retell(ctx context.Context, o store.Org, d duties.Duty, from, to time.Time) ([]retold, error) {
	var told []retold
	err := b.leaves(ctx, o, d, from, to, func(list []boardStory) []duties.Verdict {
		if told == nil {
			told = make([]retold, len(list))
		}
		stood := make([]duties.Verdict, len(list))
		for i, each := range list {
			each.Known = true
			told[i].boards = each.boards
			told[i].known = append(told[i].known, b.catalogue.Replay(d, each.Story)...)
			stood[i] = told[i].known[len(told[i].known)-1].Verdict
			each.Known = false
			told[i].facts = append(told[i].facts, b.catalogue.Replay(d, each.Story)...)
		}
		return stood
	})
	return told, err
}

// leaves gives the stories of a stretch of a duty's past, some days after others, to each,
// which says how the duty stood at their end.
func (b *batch) leaves(ctx context.Context, o store.Org, d duties.Duty, from, to time.Time, each func([]boardStory) []duties.Verdict) error {
	var towards map[string][]duties.Statement
	if d.Party == duties.Provider {
		var err error
		if towards, err = b.towards(ctx, d.ID, from); err != nil {
			return err
		}
	}
	var before []duties.Verdict // of each board's story, where the leaf before ended
	for start := from; start.Before(to); start = start.Add(leaf) {
		end := start.Add(leaf)
		if end.After(to) {
			end = to
		}
		s, err := b.story(ctx, o, d, start, end)
		if err != nil {
			return err
		}
		list, err := b.stories(ctx, o, d, s, towards)
		if err != nil {
			return err
		}
		for i := range list {
			if before == nil && len(s.Off) > 0 {
				if list[i].Before, err = b.stood(ctx, list[i].boards[0], d.ID, start); err != nil {
					return err
				}
			}
			if before != nil {
				list[i].Before = before[i]
			}
		}
		before = each(list)
	}
	return nil
}

// stood is how a duty stood on a board just before a moment.
func (b *batch) stood(ctx context.Context, board, duty string, at time.Time) (duties.Verdict, error) {
	past, err := b.store.History(ctx, board, duty, at.Add(-1))
	known, _, _ := past[duty].At(at.Add(-1))
	return known.Verdict, err
}

// catchUp judges a duty as of the moments since what it rests on has lapsed that nobody
// judged: each turn is written with its true time, by what had been received then. It is
// a minute's worth, or all that a server that was off has missed.
func (b *batch) catchUp(ctx context.Context, org string, d duties.Duty) error {
	due, err := b.store.Lapsed(ctx, org, d.ID, b.at)
	if err != nil || due.IsZero() {
		return err
	}
	if err := b.wake(ctx, b.at); err != nil {
		return err
	}
	o, err := b.org(ctx, org)
	if err != nil {
		return err
	}
	var shared, own []store.Verdict
	err = b.leaves(ctx, o, d, due, b.at, func(list []boardStory) []duties.Verdict {
		stood := make([]duties.Verdict, len(list))
		for i, each := range list {
			each.Known = true
			var last duties.Judgement
			b.catalogue.Through(d, each.Story, func(j duties.Judgement) {
				stood[i] = j.Whole.Verdict
				if !last.At.IsZero() && !j.Turned(last) {
					return
				}
				last = j
				rows := verdicts(each.boards[0], d.ID, j.At, j.Whole, j.Parts)
				if each.boards[0] != org {
					rows[0].Due = time.Time{} // the provider's row has it judged again
				}
				if own = append(own, rows...); len(each.boards) > 1 {
					shared = append(shared, rows...)
				}
			})
		}
		return stood
	})
	if err != nil {
		return err
	}
	return b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		last, err := tx.LockVerdict(ctx, org, d.ID)
		if err != nil || !last.Before(due) {
			return err // another server has caught up
		}
		for _, v := range own {
			if err := tx.PutVerdict(ctx, v); err != nil {
				return err
			}
		}
		for _, v := range shared {
			if err := tx.ShareVerdict(ctx, v, d.Service); err != nil {
				return err
			}
		}
		return nil
	})
}

// boardStory is a story with the boards that it is told on.
type boardStory struct {
	duties.Story
	boards []string
}

// stories are the stories of all boards of a duty: one for all, but where a provider's
// duty has a verdict for each customer, or was waived towards some, each has its own.
func (b *batch) stories(ctx context.Context, o store.Org, d duties.Duty, s duties.Story, towards map[string][]duties.Statement) ([]boardStory, error) {
	list := []boardStory{{s, []string{o.ID}}}
	if d.Party != duties.Provider {
		return list, nil
	}
	orgs, err := b.store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range orgs {
		if c.Kind != store.Customer || !c.Erased.IsZero() || !slices.Contains(c.Services, d.Service) {
			continue
		}
		if !d.Has(duties.ProofWorkflow) && !b.divided(s.Question) && len(towards) == 0 {
			list[0].boards = append(list[0].boards, c.ID)
			continue
		}
		own := s
		own.Question = b.serving(s.Question, c.ID)
		own.Zone, own.Cases, own.Problems = c.Location(), nil, duties.Concerning(s.Problems, c.ID)
		own.Statements = slices.Concat(s.Statements, towards[c.ID])
		slices.SortStableFunc(own.Statements, byTime)
		for _, k := range s.Cases {
			if k.Org == c.ID || k.Org == "" {
				own.Cases = append(own.Cases, k)
			}
		}
		list = append(list, boardStory{own, []string{c.ID}})
	}
	return list, nil
}

// story gathers all that is known by now of a stretch of a duty's past. Hosts count
// with the services that they have now, and so do people who can be reached.
func (b *batch) story(ctx context.Context, o store.Org, d duties.Duty, from, to time.Time) (duties.Story, error) {
	s := duties.Story{From: from, To: to, Forked: map[string]time.Time{}, Left: map[string]time.Time{}}
	s.Zone = o.Location()
	var err error
	if s.Params, err = b.paramsOf(ctx, o.ID, d.ID); err != nil {
		return s, err
	}
	if s.Off, err = b.store.Outages(ctx, from, to); err != nil {
		return s, err
	}
	agents, err := b.agentsOf(ctx, o.ID)
	if err != nil {
		return s, err
	}
	left := map[string]time.Time{}
	if slices.ContainsFunc(agents, func(a store.Agent) bool { return a.State == store.AgentRevoked }) {
		if left, err = b.left(ctx, o.ID); err != nil {
			return s, err
		}
	}
	for _, a := range agents {
		if a.Standing() == store.AgentWaiting || !a.Serves(d.Service, "") {
			continue
		}
		if a.State == store.AgentRevoked {
			if left[a.ID].IsZero() {
				continue
			}
			s.Left[a.ID] = left[a.ID]
		}
		if a.State == store.AgentForked {
			forks, err := b.store.Forks(ctx, o.ID, a.ID)
			if err != nil {
				return s, err
			}
			s.Forked[a.ID] = a.Enrolled.Add(1)
			if len(forks) > 0 {
				s.Forked[a.ID] = forks[0].Received
			}
		}
		s.Agents = append(s.Agents, duties.Agent{ID: a.ID, Name: a.Name, Enrolled: a.Enrolled, Skew: a.Skew, Talked: a.Seen})
		for _, need := range b.catalogue.Needs(d, s.Params) {
			looks, err := b.pastLooks(ctx, a, need, from, to)
			if err != nil {
				return s, err
			}
			s.Facts = append(s.Facts, looks...)
		}
	}
	return s, b.pastPeople(ctx, o, d, &s)
}

// pastPeople adds what people confirmed, stated and did up to the end of the stretch.
func (b *batch) pastPeople(ctx context.Context, o store.Org, d duties.Duty, s *duties.Story) error {
	const most = 10000
	reviews, err := b.store.Reviews(ctx, o.ID, d.ID, most)
	if err != nil {
		return err
	}
	for _, r := range reviews {
		s.Reviews = append(s.Reviews, duties.Review{At: r.At, Log: r.Log, Index: r.Index})
	}
	s.Statements, err = statements(d, func(duty string) ([]store.Statement, error) { return b.store.AllStatements(ctx, o.ID, duty) })
	if err != nil {
		return err
	}
	slices.SortStableFunc(s.Statements, byTime) // those on a duty and those on all were read apart
	standing := stands(s.Statements)
	if standing || d.Acknowledged {
		if s.Alerts, err = b.store.RaisedAlerts(ctx, o.ID, d.Party, d.ID, s.From.Add(-duties.Recall)); err != nil {
			return err
		}
	}
	if !d.Has(duties.ProofWorkflow) && !standing {
		return nil
	}
	if s.Watched, err = b.store.Reachable(ctx, o.ID); err != nil {
		return err
	}
	if d.Has(duties.ProofWorkflow) {
		s.Cases, err = b.casesSince(ctx, o, s.From)
		s.Dealt = b.dealt(s.Cases)
	}
	if err == nil && b.catalogue.TellsProblems(d) {
		s.Problems, err = b.problems(ctx, o, d, s.From.Add(-duties.Recall))
	}
	return err
}

func byTime(a, b duties.Statement) int { return a.At.Compare(b.At) }

// left is when agents of an organisation were revoked.
func (b *batch) left(ctx context.Context, org string) (map[string]time.Time, error) {
	logs, err := b.store.LogsOf(ctx, org)
	if err != nil {
		return nil, err
	}
	out := map[string]time.Time{}
	for _, st := range logs {
		records, err := b.store.Custody(ctx, org, st.ID)
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			if rec.Type == evidence.EntryRevocation {
				env, err := evidence.ParseEnvelope(rec.Envelope)
				if err != nil {
					return nil, err
				}
				var said struct{ Predicate evidence.Revocation }
				if err := json.Unmarshal(env.Payload(), &said); err != nil {
					return nil, fmt.Errorf("reading revocation %d of %s: %w", rec.Index, org, err)
				}
				out[said.Predicate.Agent] = rec.Received
			}
		}
	}
	return out, nil
}

// pastLooks reads an agent's looks of a kind that bear on a stretch of time, with the
// facts of those that count in it.
func (b *batch) pastLooks(ctx context.Context, a store.Agent, need duties.Need, from, to time.Time) ([]duties.Seen, error) {
	items, err := b.store.ItemsMade(ctx, a.Org, a.ID, need.Kind, from.Add(-duties.Lookback), to, to.Add(latest), maxPast)
	if err != nil {
		return nil, err
	}
	older, err := b.store.ItemsBefore(ctx, a.Org, a.ID, need.Kind, from.Add(-duties.Lookback), 1)
	if err != nil {
		return nil, err
	}
	items = append(older, items...)
	list := make([]duties.Seen, len(items))
	newest := -1 // of those that counted before the stretch
	for i, it := range items {
		list[i] = seenOf(it)
		if list[i].Moment().Before(from) && (newest < 0 || list[i].Moment().After(list[newest].Moment())) {
			newest = i
		}
	}
	days := map[string]bool{}
	for i := len(list) - 1; i >= 0; i-- {
		made := list[i].Moment()
		wanted := i == newest || i == len(older)-1 || made.After(from.Add(-need.Facts))
		if wanted && need.Thin && i != newest && made.Before(from.Add(-24*time.Hour)) {
			day := made.UTC().Format(time.DateOnly)
			wanted, days[day] = !days[day], true
		}
		if !wanted {
			continue
		}
		blob, err := b.store.Blob(ctx, items[i].Place(items[i].Facts))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if list[i].Blob = blob.Data; !blob.Erased.IsZero() {
			b.erased++
		}
	}
	return list, nil
}

func seenOf(it store.Item) duties.Seen {
	return duties.Seen{Agent: it.Agent, Kind: it.Kind, Schema: it.Schema, Log: it.Log, Index: it.Index, Received: it.Received,
		From: it.From, To: it.To, Skew: it.Skew, Outcome: it.Outcome, Reason: it.Reason}
}
