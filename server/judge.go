package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

const (
	sweepEvery = time.Minute
	// outage is how long nobody may have swept before silence of agents counts
	// against the server and not against them.
	outage = 15 * time.Minute
	// After judging what arrived Run rests restTimes as long as that took, but no longer
	// than maxRest, by which a board may be older then: so a flood of pushes of one
	// organisation is judged with a fifth of one processor.
	restTimes = 4
	maxRest   = 100 * time.Millisecond
)

// Judge keeps the verdicts up to date: on arrival of evidence, and by time.
//
// A provider's duty is judged once, on the provider's agents, and written on the
// board of every customer that has the service; its alerts are the provider's.
type Judge struct {
	store     *store.Store
	catalogue *duties.Catalogue
	log       *slog.Logger
	now       func() time.Time
	alerted   func() // called after alerts were put into the outbox
	open      func(context.Context, duties.Duty, duties.Undealt) (bool, error)

	mu      sync.Mutex
	pending map[string]map[evidence.Kind]bool // by organisation
	bell    chan struct{}
	turn    sync.Mutex // one batch at a time
	mercy   time.Time  // until then no alert is raised because evidence stopped
	started bool
	rules   string // in force: of the catalogue and of the program
	ruled   bool   // all duties were judged by them

	agreed time.Time // when agents last sent what this server's clock agrees with
}

func newJudge(st *store.Store, c *duties.Catalogue, log *slog.Logger, now func() time.Time, alerted func()) *Judge {
	return &Judge{store: st, catalogue: c, log: log.With("component", "judge"), now: now, alerted: alerted,
		pending: map[string]map[evidence.Kind]bool{}, bell: make(chan struct{}, 1)}
}

// Arrived notes that evidence of these kinds came for an organisation. It returns
// at once; Run judges what it touches.
func (j *Judge) Arrived(org string, kinds []evidence.Kind) {
	j.note(org, kinds)
	select {
	case j.bell <- struct{}{}:
	default:
	}
}

func (j *Judge) note(org string, kinds []evidence.Kind) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.pending[org] == nil {
		j.pending[org] = map[evidence.Kind]bool{}
	}
	for _, k := range kinds {
		j.pending[org][k] = true
	}
}

// Run judges until ctx ends. What arrives while it judges or rests is judged together
// afterwards.
func (j *Judge) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := errors.Join(j.Flush(ctx), j.Sweep(ctx)); err != nil && ctx.Err() == nil {
			j.log.ErrorContext(ctx, "judging by time", "err", err)
		}
		for swept := false; !swept; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-j.bell:
				began := time.Now()
				if err := j.Flush(ctx); err != nil && ctx.Err() == nil {
					j.log.ErrorContext(ctx, "judging what arrived", "err", err)
				}
				rest(ctx, restTimes*time.Since(began))
			case <-tick.C:
				swept = true
			}
		}
	}
}

// rest waits, maxRest at the most, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(min(d, maxRest)):
	}
}

// Flush judges what has arrived. What could not be judged is tried again with the
// next arrival or sweep.
func (j *Judge) Flush(ctx context.Context) error {
	j.turn.Lock()
	defer j.turn.Unlock()
	j.mu.Lock()
	arrived := j.pending
	j.pending = map[string]map[evidence.Kind]bool{}
	j.mu.Unlock()
	b := j.batch()
	var errs []error
	for org, kinds := range arrived {
		if err := b.touched(ctx, org, kinds); err != nil {
			errs = append(errs, err)
			j.note(org, slices.Collect(maps.Keys(kinds)))
		}
	}
	b.finish()
	return errors.Join(errs...)
}

// Sweep judges what must be judged for time alone, and duties that were never
// judged: of new organisations, new services, new versions of the catalogue.
func (j *Judge) Sweep(ctx context.Context) error {
	j.turn.Lock()
	defer j.turn.Unlock()
	b := j.batch()
	recovered, err := j.bePatient(ctx)
	if err != nil {
		j.started = false // if that lasts, it is an outage
		return err
	}
	errs := []error{b.missing(ctx)}
	if recovered {
		errs = append(errs, b.everything(ctx))
	}
	errs = append(errs, b.byNewRules(ctx))
	due, err := j.store.DueVerdicts(ctx, b.at)
	errs = append(errs, err)
	for _, board := range due {
		o, err := b.org(ctx, board.Org)
		if d, ok := j.catalogue.Duty(board.Duty); ok && err == nil && o.Erased.IsZero() && owes(o, d) {
			err = b.duty(ctx, board.Org, d)
		}
		errs = append(errs, err)
	}
	errs = append(errs, b.late(ctx), b.tend(ctx))
	b.finish()
	return errors.Join(errs...)
}

// metaSwept is when a server last swept, in microseconds.
const metaSwept = "judge.swept"

// wake notes, when this server begins to judge, for how long none has. After an outage
// agents get time to deliver what they kept before their silence raises alerts.
func (j *Judge) wake(ctx context.Context, now time.Time) error {
	if j.started {
		return nil
	}
	last, err := j.store.Meta(ctx, metaSwept)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	micros, _ := strconv.ParseInt(last, 10, 64) // unreadable counts as never
	if off := (duties.Outage{From: store.Time(micros), To: now}); micros > 0 && off.To.Sub(off.From) > outage {
		if err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.AddOutage(ctx, off) }); err != nil {
			return err
		}
		j.mercy = now.Add(outage)
		j.log.WarnContext(ctx, "the server was off; silence raises no alerts until agents had time to deliver", "since", off.From, "until", j.mercy)
	}
	j.started = true
	return nil
}

// bePatient notes that this server sweeps; recovered is true once the time is over that
// agents got after an outage.
func (j *Judge) bePatient(ctx context.Context) (recovered bool, err error) {
	now := j.now()
	if err := j.wake(ctx, now); err != nil {
		return false, err
	}
	if !j.mercy.IsZero() && !now.Before(j.mercy) {
		j.mercy, recovered = time.Time{}, true
	}
	return recovered, j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.SetMeta(ctx, metaSwept, strconv.FormatInt(store.Micros(now), 10))
	})
}

// batch judges several duties at one moment and reads shared evidence once.
type batch struct {
	*Judge
	at     time.Time
	orgs   map[string]store.Org
	agents map[string][]store.Agent
	only   map[string][]string // customers that an agent works for, where some are named
	looks  map[lookKey][]duties.Seen
	cases  map[string][]duties.Case
	done   map[store.Board]bool
	params map[string]map[string]map[string]duties.Params // by organisation, duty and part
	erased int                                            // facts that were to be read for the past and are erased
	alerts int
}

type lookKey struct {
	agent string
	need  duties.Need
}

func (j *Judge) batch() *batch {
	return &batch{Judge: j, at: j.now(), orgs: map[string]store.Org{}, agents: map[string][]store.Agent{}, only: map[string][]string{},
		looks: map[lookKey][]duties.Seen{}, cases: map[string][]duties.Case{}, done: map[store.Board]bool{},
		params: map[string]map[string]map[string]duties.Params{}}
}

// finish has alerts delivered.
func (b *batch) finish() {
	if b.alerts > 0 {
		b.alerted()
	}
}

func (b *batch) org(ctx context.Context, id string) (store.Org, error) {
	if o, ok := b.orgs[id]; ok {
		return o, nil
	}
	o, err := b.store.Org(ctx, id)
	if err == nil {
		b.orgs[id] = o
	}
	return o, err
}

// touched judges the duties that evidence of these kinds can change.
func (b *batch) touched(ctx context.Context, org string, kinds map[evidence.Kind]bool) error {
	o, err := b.org(ctx, org)
	if err != nil || !o.Erased.IsZero() { // its board stays as it was
		return err
	}
	var errs []error
	for kind := range kinds {
		for _, d := range b.catalogue.Touched(o.Kind, kind) {
			if owes(o, d) {
				errs = append(errs, b.duty(ctx, org, d))
			}
		}
	}
	return errors.Join(errs...)
}

// owes reports whether a duty is an organisation's to fulfil.
func owes(o store.Org, d duties.Duty) bool {
	return d.Party == o.Kind && (o.Kind == store.Provider || slices.Contains(o.Services, d.Service))
}

// shows reports whether a duty stands on an organisation's board: both parties'
// on a customer's, its own on the provider's.
func shows(o store.Org, d duties.Duty) bool {
	if o.Kind == store.Provider {
		return d.Party == duties.Provider
	}
	return slices.Contains(o.Services, d.Service)
}

// everything judges all duties of all organisations.
func (b *batch) everything(ctx context.Context) error {
	orgs, err := b.store.Orgs(ctx)
	errs := []error{err}
	for _, o := range orgs {
		for _, d := range b.catalogue.Duties() {
			if o.Erased.IsZero() && owes(o, d) {
				errs = append(errs, b.duty(ctx, o.ID, d))
			}
		}
	}
	return errors.Join(errs...)
}

// missing judges what boards lack, and takes from them what is no longer theirs.
func (b *batch) missing(ctx context.Context) error {
	orgs, err := b.store.Orgs(ctx)
	if err != nil || len(orgs) == 0 {
		return err
	}
	have, err := b.store.JudgedDuties(ctx)
	if err != nil {
		return err
	}
	groups, owners := b.groups(), map[string][]string{} // organisations that must judge a group
	var errs []error
	for _, o := range orgs {
		if !o.Erased.IsZero() {
			continue // its board stays as it was
		}
		for group := range have[o.ID] {
			if groups[group] == nil { // of an own service that the operator took away
				errs = append(errs, b.drop(ctx, o.ID, group, nil))
			}
		}
		for group, want := range groups {
			owner := o.ID
			if want[0].Party == duties.Provider {
				owner = orgs[0].ID // the provider comes first
			}
			n, shown := have[o.ID][group], shows(o, want[0]) && (want[0].Party == duties.Customer || orgs[0].Kind == store.Provider)
			switch {
			case n > 0 && !shown:
				errs = append(errs, b.drop(ctx, o.ID, group, nil))
			case n > len(want):
				errs = append(errs, b.drop(ctx, o.ID, group, want))
			}
			if shown && n != len(want) && !slices.Contains(owners[group], owner) {
				owners[group] = append(owners[group], owner)
			}
		}
	}
	for group, list := range owners {
		for _, owner := range list {
			for _, d := range groups[group] {
				errs = append(errs, b.duty(ctx, owner, d))
			}
		}
	}
	return errors.Join(errs...)
}

// groups are the duties by service and party, keyed by how their ids begin.
func (b *batch) groups() map[string][]duties.Duty {
	groups := map[string][]duties.Duty{}
	for _, d := range b.catalogue.Duties() {
		groups[d.ID[:4]] = append(groups[d.ID[:4]], d)
	}
	return groups
}

// drop takes the duties of a group from a board, but for some.
func (b *batch) drop(ctx context.Context, org, group string, keep []duties.Duty) error {
	return b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		board, err := tx.Verdicts(ctx, org)
		errs := []error{err}
		for _, v := range board {
			kept := slices.ContainsFunc(keep, func(d duties.Duty) bool { return d.ID == v.Duty })
			if v.Part == "" && v.Duty[:4] == group && !kept {
				errs = append(errs, tx.GiveUpDuty(ctx, org, v.Duty, b.at, duties.GivenUp()))
			}
		}
		return errors.Join(errs...)
	})
}

// duty judges one duty of an organisation and writes verdicts, their changes,
// alerts and deliveries in one transaction.
func (b *batch) duty(ctx context.Context, org string, d duties.Duty) error {
	board := store.Board{Org: org, Duty: d.ID}
	if b.done[board] {
		return nil
	}
	b.done[board] = true
	if err := b.catchUp(ctx, org, d); err != nil {
		return fmt.Errorf("judging what %s of %s has missed: %w", d.ID, org, err)
	}
	q, err := b.question(ctx, org, d)
	if err != nil {
		return fmt.Errorf("judging %s of %s: %w", d.ID, org, err)
	}
	whole, parts := b.catalogue.Judge(d, q)
	if b.openFound(ctx, org, d, parts) { // judged by the cases that are open now
		if q, err = b.question(ctx, org, d); err != nil {
			return fmt.Errorf("judging %s of %s: %w", d.ID, org, err)
		}
		whole, parts = b.catalogue.Judge(d, q)
	}
	boards, until, err := b.boards(ctx, d, q)
	if !until.IsZero() && (whole.Due.IsZero() || until.Before(whole.Due)) {
		whole.Due = until
	}
	if err != nil {
		return fmt.Errorf("judging %s of %s: %w", d.ID, org, err)
	}
	n := 0
	err = b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n = 0
		last, err := tx.LockVerdict(ctx, org, d.ID)
		if err == nil && last.Sub(q.At) > outage && b.agrees(q) {
			b.log.WarnContext(ctx, "a clock was ahead when this was judged; it is judged again", "org", org, "duty", d.ID, "judged", last)
			last, err = q.At, tx.TakeBack(ctx, org, d, q.At)
		}
		if err != nil || last.After(q.At) {
			return err // another server has judged later facts
		}
		var calm time.Time
		if n, calm, err = b.alert(ctx, tx, org, d, q.At, parts); err != nil {
			return err
		}
		whole := whole
		if !calm.IsZero() && (whole.Due.IsZero() || calm.Before(whole.Due)) {
			whole.Due = calm
		}
		for _, v := range verdicts(org, d.ID, q.At, whole, parts) {
			if err := tx.PutVerdict(ctx, v); err != nil {
				return err
			}
			if d.Party == duties.Provider && boards == nil {
				if err := tx.ShareVerdict(ctx, v, d.Service); err != nil {
					return err
				}
			}
		}
		return putChanged(ctx, tx, d.ID, boards)
	})
	if err != nil {
		return fmt.Errorf("judging %s of %s: %w", d.ID, org, err)
	}
	b.alerts += n
	if n > 0 {
		b.noticed(ctx, org, d)
	}
	return nil
}

// noticed has those judged too who are told of an alert, and act: a customer's is a
// notice, and of the provider's its customers must know.
func (b *batch) noticed(ctx context.Context, org string, d duties.Duty) {
	b.note(org, []evidence.Kind{kindWorkflow})
	if d.Party != duties.Customer {
		return
	}
	if provider, err := b.store.ProviderOrg(ctx); err == nil {
		b.note(provider.ID, []evidence.Kind{kindWorkflow})
	}
}

// openFound opens cases about what a provider's duty found and nobody deals with. What
// could not be opened stays what was found.
func (b *batch) openFound(ctx context.Context, org string, d duties.Duty, parts []duties.PartFinding) (opened bool) {
	if d.Party != duties.Provider || b.open == nil {
		return false
	}
	for _, u := range b.catalogue.Undealt(d, parts) {
		done, err := b.open(ctx, d, u)
		if err != nil {
			b.log.ErrorContext(ctx, "no case could be opened about what was found", "duty", d.ID, "subject", u.Subject, "err", err)
		}
		opened = opened || done
	}
	delete(b.cases, org)
	return opened
}

// boards are the verdicts of a provider's duty on its customers' boards where they
// differ: where cases prove it, each customer's own count there and nobody else's are
// shown; where it was waived towards some customers; where agents work for some customers only, each is shown what its agents saw.
// It is nil where one verdict stands for all.
func (b *batch) boards(ctx context.Context, d duties.Duty, q duties.Question) (list []store.Verdict, until time.Time, err error) {
	if d.Party != duties.Provider {
		return nil, until, nil
	}
	towards, err := b.towards(ctx, d.ID, q.At)
	if err != nil {
		return nil, until, err
	}
	for _, list := range towards {
		for _, s := range list {
			if s.Until.After(q.At) && (until.IsZero() || s.Until.Before(until)) {
				until = s.Until
			}
		}
	}
	if !d.Has(duties.ProofWorkflow) && !b.divided(q) && len(towards) == 0 {
		return nil, until, nil
	}
	orgs, err := b.store.Orgs(ctx)
	if err != nil {
		return nil, until, err
	}
	cases := map[string][]duties.Case{}
	for _, c := range q.Cases {
		cases[c.Org] = append(cases[c.Org], c)
	}
	list = []store.Verdict{}
	for _, o := range orgs {
		if o.Kind != store.Customer || !o.Erased.IsZero() || !slices.Contains(o.Services, d.Service) {
			continue
		}
		of := b.serving(q, o.ID)
		of.Statements = append(slices.Clone(q.Statements), towards[o.ID]...)
		of.Cases, of.Zone = append(slices.Clone(cases[o.ID]), cases[""]...), o.Location()
		of.Problems = duties.Concerning(q.Problems, o.ID)
		whole, parts := b.catalogue.Judge(d, of)
		list = append(list, verdicts(o.ID, d.ID, q.At, whole, parts)...)
		for i := range list {
			list[i].Due = time.Time{} // the provider's row has it judged again
		}
	}
	return list, until, nil
}

// towards are the waivers of a provider's duty towards single customers that held at a
// moment or later, by customer, oldest first.
func (b *batch) towards(ctx context.Context, duty string, from time.Time) (map[string][]duties.Statement, error) {
	waived, err := b.store.Waivers(ctx, duty, from)
	if err != nil {
		return nil, err
	}
	out := map[string][]duties.Statement{}
	for _, s := range waived {
		if s.Party != "" { // else it is the provider's own, towards all
			out[s.Org] = append(out[s.Org], s.Statement)
		}
	}
	return out, nil
}

// putChanged writes the verdicts of a duty that differ from those that stand: of
// hundreds of customers a case concerns one.
func putChanged(ctx context.Context, tx *store.Tx, duty string, list []store.Verdict) error {
	if len(list) == 0 {
		return nil
	}
	stand, err := tx.StandingVerdicts(ctx, duty)
	if err != nil {
		return err
	}
	for _, v := range list {
		if was, ok := stand[store.OnBoard{Org: v.Org, Part: v.Part}]; ok && was == v.Standing() {
			continue
		}
		if err := tx.PutVerdict(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// verdicts are the rows of a judgement, the duty itself first.
func verdicts(org, duty string, at time.Time, whole duties.Finding, parts []duties.PartFinding) []store.Verdict {
	row := func(part string, f duties.Finding) store.Verdict {
		return store.Verdict{Org: org, Duty: duty, Part: part, Verdict: f.Verdict, At: at, Why: f.Why, Cites: f.Cites}
	}
	list := []store.Verdict{row("", whole)}
	list[0].Due = whole.Due
	for _, p := range parts {
		v := row(p.Part.Name, p.Finding)
		for _, a := range p.Assets[:min(len(p.Assets), maxAssets)] {
			v.Assets = append(v.Assets, store.AssetVerdict{Asset: a.Asset, Verdict: a.Verdict, Why: a.Why})
		}
		list = append(list, v)
	}
	return list
}

// maxAssets bounds how many assets of a part are kept with its verdict, the
// weakest ones.
const maxAssets = 200
