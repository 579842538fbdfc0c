package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

const (
	maxGroup      = 64               // records in one transaction, or one push
	maxWaiting    = 128              // pushes that wait for one organisation's log
	commitTimeout = 30 * time.Second // of one transaction
)

// errWaiting says that too many pushes wait for one log.
var errWaiting = errors.New("too many pushes wait for the log of this organisation")

// committers holds one committer per organisation: organisations commit side by
// side, pushes of one organisation that come while it commits share the next
// transaction (group commit, without waiting for company).
type committers struct {
	s    *Server
	mu   sync.Mutex
	orgs map[string]*committer
	wg   sync.WaitGroup
}

type committer struct {
	all   *committers
	org   string
	mu    sync.Mutex
	queue []*push
	runs  bool
}

func newCommitters(s *Server) *committers { return &committers{s: s, orgs: map[string]*committer{}} }

func (c *committers) of(org string) *committer {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.orgs[org]
	if !ok {
		one = &committer{all: c, org: org}
		c.orgs[org] = one
	}
	return one
}

// wait returns once no commit is under way.
func (c *committers) wait() { c.wg.Wait() }

// do has a push committed. When ctx ends first, the commit goes on; the agent will
// find its records to be duplicates.
func (c *committer) do(ctx context.Context, p *push) error {
	c.mu.Lock()
	if len(c.queue) >= maxWaiting {
		c.mu.Unlock()
		return errWaiting
	}
	c.queue = append(c.queue, p)
	if !c.runs {
		c.runs = true
		c.all.wg.Go(func() { c.run(context.WithoutCancel(ctx)) })
	}
	c.mu.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *committer) run(ctx context.Context) {
	for {
		group := c.next()
		if group == nil {
			return
		}
		c.commit(ctx, group)
	}
}

// next takes the pushes of the next transaction off the queue, nil when there are
// none.
func (c *committer) next() []*push {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.runs = false
		return nil
	}
	n, records := 1, len(c.queue[0].records)
	for n < len(c.queue) && records+len(c.queue[n].records) <= maxGroup {
		records += len(c.queue[n].records)
		n++
	}
	group := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return group
}

// commit stores a group; when that fails, each push gets a transaction of its own,
// so that one does not keep the others from being stored.
func (c *committer) commit(ctx context.Context, group []*push) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	err := c.all.s.commit(ctx, c.org, group)
	if err != nil && len(group) > 1 {
		c.all.s.log.WarnContext(ctx, "a group of pushes could not be stored, trying each by itself", "org", c.org, "pushes", len(group), "err", err)
		for _, p := range group {
			p.done <- c.all.s.commit(ctx, c.org, []*push{p})
		}
		return
	}
	for _, p := range group {
		p.done <- err
	}
}

// commit runs the one transaction of a group and then makes the receipts. Nothing
// that it learned is released unless the transaction has committed.
func (s *Server) commit(ctx context.Context, org string, group []*push) error {
	var before, st ledger.State
	err := s.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		a := &appending{s: s, tx: tx, agents: map[string]store.Agent{}, twins: map[*pushed]*pushed{}, ids: map[string]evidence.KeyID{}}
		var err error
		if a.st, err = tx.LockLog(ctx, org); err != nil {
			return err
		}
		before, a.stopped = a.st, s.guard.watch(ctx, a.st)
		if err := a.claims(ctx, group); err != nil {
			return err
		}
		for _, p := range group {
			if err := a.push(ctx, p); err != nil {
				return err
			}
		}
		if err := a.write(ctx); err != nil {
			return err
		}
		st = a.st
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.guard.release(ctx, before, st); err != nil {
		return err
	}
	var kinds []evidence.Kind
	for _, p := range group {
		kinds = append(kinds, p.kinds...)
	}
	if slices.Sort(kinds); len(kinds) > 0 {
		s.accepted(org, slices.Compact(kinds))
	}
	return s.receipts(ctx, st, group)
}

// receipts proves each record of the group under the head that was committed.
func (s *Server) receipts(ctx context.Context, st ledger.State, group []*push) error {
	tree := ledger.At(ctx, s.store.Reader, st.ID, st.Size)
	for _, p := range group {
		p.answer = evidence.PushAnswer{Results: make([]evidence.PushResult, len(p.records))}
		if !p.silent {
			p.answer.Checkpoint = string(st.Checkpoint)
		}
		switch {
		case p.from != nil && !p.silent:
			if err := s.epochs(ctx, st, p); err != nil {
				return err
			}
		case !p.silent && p.known <= st.Size:
			var err error
			if p.answer.Consistency, err = tree.Consistency(p.known); err != nil {
				return err
			}
		}
		for i := range p.records {
			rec := &p.records[i]
			if rec.index >= 0 {
				tree, checkpoint := tree, st.Checkpoint
				if rec.in != nil {
					tree, checkpoint = ledger.At(ctx, s.store.Reader, rec.in.ID, rec.in.Size), rec.in.Checkpoint
				}
				r, err := tree.Receipt(rec.index, rec.line, checkpoint)
				if err != nil {
					return err
				}
				rec.result.Entry, rec.result.Proof = string(r.Entry), string(r.Proof)
			}
			p.answer.Results[i] = rec.result
		}
	}
	return nil
}

// appending collects what one transaction writes.
type appending struct {
	s      *Server
	tx     *store.Tx
	st     ledger.State
	agents map[string]store.Agent
	// stopped says why the log may not be continued; nil when it may.
	stopped *evidence.Error
	logs    []ledger.State // all epochs, once they were asked for
	fresh   []fresh
	twins   map[*pushed]*pushed // a record that came twice, and the one that was accepted
	blobs   []store.Blob
	wants   []store.Want
	ids     map[string]evidence.KeyID // of agents' keys, by SPKI
}

type fresh struct {
	push *push
	rec  *pushed
	spki []byte // of the key that signed it
}

// signer is the key with which an agent must sign next.
func (a *appending) signer(agent store.Agent) evidence.KeyID {
	spki := string(agent.SPKI)
	id, ok := a.ids[spki]
	if !ok {
		if key, err := a.s.parsedKey(agent.SPKI); err == nil {
			id = key.ID()
		}
		a.ids[spki] = id
	}
	return id
}

// push sorts the records of one push into accepted, duplicate and refused. The
// transaction may run more than once, so it starts from what parsePush left.
func (a *appending) push(ctx context.Context, p *push) error {
	p.kinds, p.from = nil, nil
	if err := a.place(ctx, p); err != nil {
		return err
	}
	known := p.origin == "" || p.origin == a.st.Origin
	p.silent = a.stopped != nil && (p.from != nil || known && p.known <= a.st.Size)
	agent, ok := a.agents[p.agent.ID]
	if !ok {
		var err error
		if agent, err = a.tx.Agent(ctx, p.agent.ID); err != nil {
			return err
		}
	}
	if err := a.tx.Seen(ctx, agent.ID, p.received, p.backlog); err != nil {
		return err
	}
	c, err := a.s.cosigned(ctx, a.tx.Reader, a.st, p)
	if err != nil {
		return err
	}
	if c != nil {
		if err := a.tx.AddCosignature(ctx, *c); err != nil {
			return err
		}
	}
	for i := range p.records {
		rec := &p.records[i]
		if rec.result.Error != nil && rec.index == refusedBefore {
			continue
		}
		if err := a.record(ctx, p, rec, &agent); err != nil {
			return err
		}
	}
	a.agents[agent.ID] = agent
	return nil
}

// refusedBefore marks a record that was refused before the transaction.
const refusedBefore = -2

// record places one verified record: next in the chain, known already, beside the
// chain, or too early.
func (a *appending) record(ctx context.Context, p *push, rec *pushed, agent *store.Agent) error {
	stated, stmt := rec.verified.Record(), rec.verified.Envelope().StatementDigest()
	rec.index, rec.line, rec.in = -1, nil, nil
	rec.result = evidence.PushResult{Seq: stated.Seq, Status: evidence.StatusRejected}
	next := uint64(agent.Seq) + 1
	switch {
	case agent.State == store.AgentRevoked:
		rec.result.Error = &evidence.Error{Code: evidence.CodeUnknownAgent, Message: "this agent's key was revoked", Cure: "enroll the host anew with a fresh token"}
	case p.from == nil && p.known > a.st.Size:
		a.s.log.ErrorContext(ctx, "an agent knows a longer log than this server has: the database was restored from an older copy or rewritten",
			"agent", agent.ID, "known", p.known, "size", a.st.Size)
		rec.result.Error = &evidence.Error{Code: evidence.CodeUnavailable,
			Message: fmt.Sprintf("this agent verified a log of %d entries, the server has %d: its database is older than what it once confirmed", p.known, a.st.Size),
			Cure:    "keep the agent's spool; the operator must restore the newest copy of the database"}
	case a.stopped != nil:
		rec.result.Error = clone(a.stopped)
	case stated.Seq > next:
		rec.result.Error = &evidence.Error{Code: evidence.CodeGap, Expect: next,
			Message: fmt.Sprintf("record %d cannot follow record %d", stated.Seq, agent.Seq), Cure: fmt.Sprintf("send record %d first", next)}
	case stated.Seq == next && stated.Prev == agent.Stmt && rec.verified.Envelope().KeyID() != a.signer(*agent):
		rec.result.Error = &evidence.Error{Code: evidence.CodeSignature, Message: "it is signed with a key that this agent does not use any more",
			Cure: "who has the old key? revoke the agent if it may have been stolen, and enroll the host anew"}
	case stated.Seq == next && stated.Prev == agent.Stmt:
		rec.result.Status, rec.result.Missing = evidence.StatusOK, slices.Clone(rec.verified.Missing())
		agent.Seq, agent.Stmt = int64(stated.Seq), stmt
		f := fresh{p, rec, agent.SPKI}
		if key, _ := rec.verified.NextKey(); !key.IsZero() {
			agent.SPKI, agent.Rotated = key.SPKI(), int64(stated.Seq)
		}
		a.fresh = append(a.fresh, f)
	default:
		return a.knownOrFork(ctx, p, rec, agent)
	}
	return nil
}

// knownOrFork answers a record whose number is taken, or that follows another
// record than the one we have.
func (a *appending) knownOrFork(ctx context.Context, p *push, rec *pushed, agent *store.Agent) error {
	stated, stmt := rec.verified.Record(), rec.verified.Envelope().StatementDigest()
	for _, f := range a.fresh { // twice in one transaction
		if f.rec.verified.Envelope().StatementDigest() == stmt {
			rec.result.Status = evidence.StatusDuplicate
			a.twins[rec] = f.rec
			return nil
		}
	}
	have, err := a.tx.RecordBySeq(ctx, agent.Org, agent.ID, int64(stated.Seq))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && have.Stmt == stmt {
		return a.duplicate(ctx, rec, have)
	}
	rec.result.Error = &evidence.Error{Code: evidence.CodeFork, Expect: uint64(agent.Seq) + 1,
		Message: fmt.Sprintf("record %d does not continue this agent's chain: another record has its place", stated.Seq),
		Cure:    "if this host was set back to a snapshot: attesto-agent rejoin, then attesto-server agent rejoin; if it was cloned or its key copied: revoke it and enroll anew; both records are kept as proof"}
	if err := a.tx.AddFork(ctx, store.Record{Org: agent.Org, Agent: agent.ID, Seq: int64(stated.Seq), Stmt: stmt,
		Envelope: rec.verified.Envelope().Bytes(), Received: p.received}); err != nil {
		return err
	}
	if agent.State == store.AgentActive {
		a.s.log.WarnContext(ctx, "agent's chain has forked", "agent", agent.ID, "seq", stated.Seq)
		agent.State = store.AgentForked
		p.kinds = append(p.kinds, kindsOf(stated)...) // what it proves has changed
		return a.tx.SetAgentState(ctx, agent.ID, store.AgentForked)
	}
	return nil
}

// duplicate answers a record that is in the log: its entry, and its blobs that
// still lack. Blobs that came along now are taken.
func (a *appending) duplicate(ctx context.Context, rec *pushed, have store.Record) error {
	entries, err := a.tx.Entries(ctx, have.Log, have.Index, 1)
	if err != nil {
		return err
	}
	if have.Log != a.st.ID {
		if rec.in, err = a.older(ctx, func(st ledger.State) bool { return st.ID == have.Log }); err != nil {
			return err
		}
	}
	if have.Log != a.st.ID && rec.in == nil || len(entries) != 1 || entries[0].Index != have.Index {
		return fmt.Errorf("entry %d of record %d of agent %s is missing: run attesto-server check", have.Index, have.Seq, have.Agent)
	}
	rec.result.Status, rec.index, rec.line = evidence.StatusDuplicate, have.Index, entries[0].Line
	for d, b := range rec.verified.Blobs() {
		want := store.Want{Place: have.Place(d), Agent: have.Agent}
		wants, err := a.tx.WantsOf(ctx, have.Org, have.Agent, d)
		if err != nil {
			return err
		}
		if !slices.Contains(wants, want) {
			continue
		}
		a.blobs = append(a.blobs, store.Blob{Place: want.Place, Data: b})
		if err := a.tx.EndWant(ctx, want); err != nil {
			return err
		}
	}
	for _, d := range rec.verified.Missing() {
		_, err := a.tx.Blob(ctx, have.Place(d))
		if errors.Is(err, store.ErrNotFound) {
			rec.result.Missing = append(rec.result.Missing, d)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write appends the accepted records to the log and stores them.
func (a *appending) write(ctx context.Context) error {
	if len(a.fresh) == 0 {
		return a.tx.AddBlobs(ctx, a.blobs)
	}
	entries := make([]evidence.Entry, len(a.fresh))
	for i, f := range a.fresh {
		stated, env := f.rec.verified.Record(), f.rec.verified.Envelope()
		entries[i] = evidence.Entry{Type: f.rec.verified.Type(), Agent: stated.Agent, Seq: stated.Seq, Prev: stated.Prev,
			Stmt: env.StatementDigest(), Env: env.Digest()}
	}
	next, stored, err := a.s.ledger.Append(ctx, a.tx, a.st, a.s.now(), entries)
	if err != nil {
		return err
	}
	a.st = next
	var records []store.Record
	var items []store.Item
	for i, f := range a.fresh {
		f.rec.index, f.rec.line = stored[i].Index, stored[i].Line
		rec := recordOf(next, f.rec, stored[i])
		records = append(records, rec)
		items = append(items, itemsOf(rec, f.rec.verified.Record())...)
		for d, b := range f.rec.verified.Blobs() {
			a.blobs = append(a.blobs, store.Blob{Place: rec.Place(d), Data: b})
		}
		for _, d := range f.rec.result.Missing {
			a.wants = append(a.wants, store.Want{Place: rec.Place(d), Agent: rec.Agent})
		}
		f.push.kinds = append(f.push.kinds, kindsOf(f.rec.verified.Record())...)
		if key, protection := f.rec.verified.NextKey(); !key.IsZero() {
			if err := a.tx.RotateKey(ctx, rec.Agent, rec.Seq, f.spki, key.SPKI(), protection); err != nil {
				return err
			}
		}
	}
	for rec, twin := range a.twins {
		rec.index, rec.line = twin.index, twin.line
	}
	if err := errors.Join(a.tx.AddRecords(ctx, records), a.tx.AddItems(ctx, items), a.tx.AddBlobs(ctx, a.blobs),
		a.tx.AddWants(ctx, a.wants), a.late(ctx, items)); err != nil {
		return err
	}
	return a.advance(ctx)
}

// late has the past judged again by looks that came long after they were made.
func (a *appending) late(ctx context.Context, items []store.Item) error {
	since := map[evidence.Kind]time.Time{}
	for _, it := range items {
		made := duties.Seen{Received: it.Received, To: it.To, Skew: it.Skew}.Moment()
		if first, ok := since[it.Kind]; it.Received.Sub(made) >= duties.Late && (!ok || made.Before(first)) {
			since[it.Kind] = made
		}
	}
	for kind, made := range since {
		if err := a.tx.AddLate(ctx, store.Late{Org: items[0].Org, Kind: kind, Since: made, Due: items[0].Received.Add(lateRest)}); err != nil {
			return err
		}
	}
	return nil
}

// advance moves each agent on to the last of its accepted records.
func (a *appending) advance(ctx context.Context) error {
	last, lost := map[string]evidence.Record{}, map[string]int64{}
	for _, f := range a.fresh {
		stated := f.rec.verified.Record()
		last[stated.Agent] = stated
		lost[stated.Agent] += int64(stated.Lost)
	}
	for id, stated := range last {
		skew := time.Duration(stated.Clock.ServerDeltaMs) * time.Millisecond
		if err := a.tx.Advance(ctx, id, int64(stated.Seq), a.agents[id].Stmt, clip(stated.Collector.Version, 64), skew, lost[id]); err != nil {
			return err
		}
	}
	return nil
}

func recordOf(st ledger.State, rec *pushed, e ledger.Entry) store.Record {
	stated, env := rec.verified.Record(), rec.verified.Envelope()
	return store.Record{Org: stated.Org, Agent: stated.Agent, Seq: int64(stated.Seq), Type: rec.verified.Type(), Stmt: env.StatementDigest(),
		Envelope: env.Bytes(), Log: st.ID, Index: e.Index, Received: st.LastTime.Time}
}

// itemsOf derives the items' rows from a record and its statement.
func itemsOf(rec store.Record, stated evidence.Record) []store.Item {
	items := make([]store.Item, len(stated.Items))
	for i, it := range stated.Items {
		items[i] = store.Item{Org: rec.Org, Agent: rec.Agent, Kind: it.Kind, Log: rec.Log, Index: rec.Index, Schema: it.Schema,
			From: it.From.Time, To: it.To.Time, Received: rec.Received, Outcome: it.Outcome, Reason: it.Reason, Facts: it.Facts, Detail: it.Detail,
			Skew: time.Duration(stated.Clock.ServerDeltaMs) * time.Millisecond}
	}
	return items
}
