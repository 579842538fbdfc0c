package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

const (
	sweepEvery = time.Minute
	// outage is how long nobody may have swept before silence of agents counts
	// against the server and not against them.
	outage = 15 * time.Minute
	// maxLooks bounds how many looks of one kind of one agent are read.
	maxLooks = 2000
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

	mu      sync.Mutex
	pending map[string]map[evidence.Kind]bool // by organisation
	bell    chan struct{}
	turn    sync.Mutex // one batch at a time
	mercy   time.Time  // until then no alert is raised because evidence stopped
	started bool
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

// Run judges until ctx ends. What arrives while it judges is judged together
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
				if err := j.Flush(ctx); err != nil && ctx.Err() == nil {
					j.log.ErrorContext(ctx, "judging what arrived", "err", err)
				}
			case <-tick.C:
				swept = true
			}
		}
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
		return err
	}
	errs := []error{b.missing(ctx)}
	if recovered {
		errs = append(errs, b.everything(ctx))
	}
	due, err := j.store.DueVerdicts(ctx, b.at)
	errs = append(errs, err)
	for _, board := range due {
		if d, ok := j.catalogue.Duty(board.Duty); ok {
			errs = append(errs, b.duty(ctx, board.Org, d))
		}
	}
	errs = append(errs, b.late(ctx))
	b.finish()
	return errors.Join(errs...)
}

// metaSwept is when a server last swept, in microseconds.
const metaSwept = "judge.swept"

// bePatient notes that this server sweeps. When none has swept for long, agents
// get time to deliver what they kept before their silence raises alerts;
// recovered is true once that time is over.
func (j *Judge) bePatient(ctx context.Context) (recovered bool, err error) {
	now := j.now()
	if !j.started {
		last, err := j.store.Meta(ctx, metaSwept)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
		micros, _ := strconv.ParseInt(last, 10, 64) // unreadable counts as never
		if micros > 0 && now.Sub(store.Time(micros)) > outage {
			j.mercy = now.Add(outage)
			j.log.WarnContext(ctx, "the server was off; silence raises no alerts until agents had time to deliver", "since", store.Time(micros), "until", j.mercy)
		}
		j.started = true
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
	kind  evidence.Kind
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
	if err != nil {
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
				errs = append(errs, b.drop(ctx, o.ID, group))
			}
		}
		for group, want := range groups {
			owner := o.ID
			if want[0].Party == duties.Provider {
				owner = orgs[0].ID // the provider comes first
			}
			n, shown := have[o.ID][group], shows(o, want[0]) && (want[0].Party == duties.Customer || orgs[0].Kind == store.Provider)
			if n > 0 && !shown || n > len(want) {
				errs = append(errs, b.drop(ctx, o.ID, group))
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

func (b *batch) drop(ctx context.Context, org, group string) error {
	return b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DropVerdicts(ctx, org, group) })
}

// duty judges one duty of an organisation and writes verdicts, their changes,
// alerts and deliveries in one transaction.
func (b *batch) duty(ctx context.Context, org string, d duties.Duty) error {
	board := store.Board{Org: org, Duty: d.ID}
	if b.done[board] {
		return nil
	}
	b.done[board] = true
	q, err := b.question(ctx, org, d)
	if err != nil {
		return fmt.Errorf("judging %s of %s: %w", d.ID, org, err)
	}
	whole, parts := b.catalogue.Judge(d, q)
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
		if err != nil || last.After(q.At) {
			return err // another server has judged later facts
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
		if err := putChanged(ctx, tx, d.ID, boards); err != nil {
			return err
		}
		n, err = b.alert(ctx, tx, org, d, q.At, parts)
		return err
	})
	if err != nil {
		return fmt.Errorf("judging %s of %s: %w", d.ID, org, err)
	}
	b.alerts += n
	if n > 0 && d.Party == duties.Customer { // an alert is a notice: who is told of it, and acts, is judged too
		b.note(org, []evidence.Kind{kindWorkflow})
		if provider, err := b.store.ProviderOrg(ctx); err == nil {
			b.note(provider.ID, []evidence.Kind{kindWorkflow})
		}
	}
	return nil
}

// boards are the verdicts of a provider's duty on its customers' boards where they
// differ: where cases prove it, each customer's own count there and nobody else's are
// shown; where it was waived towards some customers; where agents work for some customers only, each is shown what its agents saw.
// It is nil where one verdict stands for all.
func (b *batch) boards(ctx context.Context, d duties.Duty, q duties.Question) (list []store.Verdict, until time.Time, err error) {
	if d.Party != duties.Provider {
		return nil, until, nil
	}
	waived, err := b.store.OpenWaivers(ctx, d.ID, q.At)
	if err != nil {
		return nil, until, err
	}
	towards := map[string][]duties.Statement{}
	for _, s := range waived {
		if s.Party == "" {
			continue // the provider's own, towards all
		}
		towards[s.Org] = append(towards[s.Org], s.Statement)
		if until.IsZero() || s.Until.Before(until) {
			until = s.Until
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
		whole, parts := b.catalogue.Judge(d, of)
		list = append(list, verdicts(o.ID, d.ID, q.At, whole, parts)...)
		for i := range list {
			list[i].Due = time.Time{} // the provider's row has it judged again
		}
	}
	return list, until, nil
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

// noService keeps an alert from those who hear of a service.
const noService = "-"

// alert opens and ends alerts as the findings ask for, and counts both.
func (b *batch) alert(ctx context.Context, tx *store.Tx, org string, d duties.Duty, at time.Time, parts []duties.PartFinding) (n int, err error) {
	open, err := tx.OpenAlerts(ctx, org, d.ID)
	if err != nil {
		return 0, err
	}
	fire, resolve := alert.Plan(open, parts)
	for _, a := range resolve {
		done, err := tx.ResolveAlert(ctx, a, at)
		if err != nil {
			return n, err
		}
		if done {
			n++
		}
	}
	for _, a := range fire {
		if a.Verdict != duties.Breached && at.Before(b.mercy) {
			continue
		}
		a.ID, a.Org, a.Duty, a.Party, a.Opened = evidence.NewID("al_"), org, d.ID, d.Party, at
		service := d.Service
		if a.Part == duties.ProofWorkflow && d.Party == duties.Provider {
			service = noService // about one customer, and no other's to hear
		}
		agent, _, _ := strings.Cut(a.Asset, "/")
		fired, err := tx.FireAlert(ctx, a, service, b.only[agent])
		if err != nil {
			return n, err
		}
		if fired {
			n++
		}
	}
	return n, nil
}

// question gathers what a duty is judged on.
func (b *batch) question(ctx context.Context, org string, d duties.Duty) (duties.Question, error) {
	o, err := b.org(ctx, org)
	if err != nil {
		return duties.Question{}, err
	}
	q := duties.Question{At: b.at, Zone: o.Location()}
	if q.Params, err = b.paramsOf(ctx, org, d.ID); err != nil {
		return q, err
	}
	agents, err := b.agentsOf(ctx, org)
	if err != nil {
		return q, err
	}
	for _, a := range agents {
		if a.State == store.AgentRevoked || a.Standing() == store.AgentWaiting || !a.Serves(d.Service, "") {
			continue
		}
		q.Agents = append(q.Agents, duties.Agent{ID: a.ID, Name: a.Name, Enrolled: a.Enrolled, Forked: a.State == store.AgentForked, Skew: a.Skew, Talked: a.Seen})
		for _, need := range b.catalogue.Needs(d) {
			looks, err := b.looksOf(ctx, a, need)
			if err != nil {
				return q, err
			}
			q.Facts = append(q.Facts, looks...)
		}
	}
	return q, b.people(ctx, o, d, &q)
}

// people adds what people confirmed, stated and did.
func (b *batch) people(ctx context.Context, o store.Org, d duties.Duty, q *duties.Question) (err error) {
	if d.Has(duties.ProofReview) {
		reviews, err := b.store.Reviews(ctx, o.ID, d.ID, 10)
		if err != nil {
			return err
		}
		for _, r := range reviews {
			q.Reviews = append(q.Reviews, duties.Review{At: r.At, Log: r.Log, Index: r.Index})
		}
	}
	if q.Statements, err = b.statements(ctx, o.ID, d, 20); err != nil {
		return err
	}
	standing := stands(q.Statements)
	if standing {
		if q.Alerts, err = b.store.RaisedAlerts(ctx, o.ID, d.ID, b.at.Add(-duties.Recall), 200); err != nil {
			return err
		}
	}
	if !d.Has(duties.ProofWorkflow) && !standing {
		return nil
	}
	if q.Watched, err = b.store.Reachable(ctx, o.ID); err != nil {
		return err
	}
	if d.Has(duties.ProofWorkflow) {
		q.Cases, err = b.casesOf(ctx, o)
	}
	return err
}

// statements are those about a duty and, where it is judged by them, about all.
func (b *batch) statements(ctx context.Context, org string, d duties.Duty, most int) ([]duties.Statement, error) {
	about := []string{d.ID}
	if d.Stated() {
		about = append(about, forAll)
	}
	var list []duties.Statement
	for _, duty := range about {
		stored, err := b.store.Statements(ctx, org, duty, most)
		if err != nil {
			return nil, err
		}
		for _, s := range stored {
			list = append(list, s.Statement)
		}
	}
	return list, nil
}

// stands reports whether a party has ever signed a standing instruction: what its alerts
// came to is a part of the question then.
func stands(list []duties.Statement) bool {
	return slices.ContainsFunc(list, func(s duties.Statement) bool { return s.Kind == duties.StatementStanding })
}

// casesOf reads what happened with an organisation; with all of them for the provider.
func (b *batch) casesOf(ctx context.Context, o store.Org) ([]duties.Case, error) {
	if list, ok := b.cases[o.ID]; ok {
		return list, nil
	}
	list, err := b.casesSince(ctx, o, b.at)
	if err == nil {
		b.cases[o.ID] = list
	}
	return list, err
}

// casesSince reads those that were open at a moment, had ended not long before, or
// came later.
func (b *batch) casesSince(ctx context.Context, o store.Org, at time.Time) ([]duties.Case, error) {
	orgs, err := b.store.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	names, of := map[string]string{}, o.ID
	for _, each := range orgs {
		names[each.ID] = each.Name
	}
	if o.Kind == store.Provider {
		of = ""
	}
	list, err := casesFor(ctx, b.store.Reader, of, names, at)
	for i, c := range list {
		if c.Org == o.ID && o.Kind == store.Provider {
			list[i].Org = "" // its own affairs count on every board
		}
	}
	return list, err
}

// paramsOf are the figures that an organisation has set for a duty of its.
func (b *batch) paramsOf(ctx context.Context, org, duty string) (map[string]duties.Params, error) {
	set, ok := b.params[org]
	if !ok {
		var err error
		if set, err = b.store.Params(ctx, org); err != nil {
			return nil, err
		}
		b.params[org] = set
	}
	return set[duty], nil
}

func (b *batch) agentsOf(ctx context.Context, org string) ([]store.Agent, error) {
	if list, ok := b.agents[org]; ok {
		return list, nil
	}
	list, err := b.store.Agents(ctx, org)
	if err != nil {
		return nil, err
	}
	b.agents[org] = list
	for _, a := range list {
		if len(a.Customers) > 0 {
			b.only[a.ID] = a.Customers
		}
	}
	return list, nil
}

// looksOf reads an agent's looks of a kind as a check needs them, oldest first.
func (b *batch) looksOf(ctx context.Context, a store.Agent, need duties.Need) ([]duties.Seen, error) {
	key := lookKey{a.ID, need.Kind}
	if list, ok := b.looks[key]; ok {
		return list, nil
	}
	items, err := b.store.ItemsOf(ctx, a.Org, a.ID, need.Kind, b.at.Add(-duties.Lookback), maxLooks)
	if err == nil && len(items) == 0 {
		items, err = b.store.ItemsOf(ctx, a.Org, a.ID, need.Kind, time.Time{}, 1)
	}
	if err != nil {
		return nil, err
	}
	list := make([]duties.Seen, len(items))
	for i, it := range items {
		list[i] = seenOf(it)
	}
	for _, i := range factsNeeded(list, need, b.at) {
		blob, err := b.store.Blob(ctx, items[i].Place(items[i].Facts))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		list[i].Blob = blob.Data
	}
	b.looks[key] = list
	return list, nil
}

// factsNeeded picks the looks whose facts a check needs: the newest by receipt
// and by its own word, and what was received within the need's time, of earlier
// days one a day where that is enough.
func factsNeeded(list []duties.Seen, need duties.Need, at time.Time) []int {
	if len(list) == 0 {
		return nil
	}
	latest := len(list) - 1
	for i := range list {
		if list[i].To.After(list[latest].To) {
			latest = i
		}
	}
	var picked []int
	days := map[string]bool{}
	for i := len(list) - 1; i >= 0; i-- {
		age := at.Sub(list[i].Received)
		wanted := i == len(list)-1 || i == latest || need.Facts > 0 && age <= need.Facts
		if wanted && need.Thin && age > 24*time.Hour && i != latest && i != len(list)-1 {
			day := list[i].Received.UTC().Format(time.DateOnly)
			wanted, days[day] = !days[day], true
		}
		if wanted {
			picked = append(picked, i)
		}
	}
	return picked
}
