package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Checked is what a check of the whole database found.
type Checked struct {
	Logs, Entries, Agents int64
	Faults                []ledger.Fault // none when the database is sound
}

// Check walks every log, record, blob and agent, and every row of what people said, and
// proves each from its bytes. It changes nothing; progress is called now and then. What
// cannot be read is a fault as well.
func (s *Server) Check(ctx context.Context, progress func(Checked)) (Checked, error) {
	c := &checking{s: s, progress: progress}
	var err error
	if c.builtin, err = duties.Builtin(); err != nil {
		return c.done, fmt.Errorf("checking: %w", err)
	}
	// Read before the database is: what is released meanwhile cannot look lost.
	if err = s.guard.read(ctx); err == nil {
		err = s.store.Snapshot(ctx, c.all)
	}
	if err != nil {
		err = fmt.Errorf("checking: %w", err)
	}
	return c.done, err
}

func (c *checking) all(ctx context.Context, r store.Reader) error {
	c.r = r
	orgs, err := r.Orgs(ctx)
	if err != nil {
		return err
	}
	logs, err := r.Logs(ctx)
	if err != nil {
		return err
	}
	for _, h := range c.s.guard.missing(logs) {
		c.fault("log "+h.Origin, "is missing, the guard has seen %d entries: the database was set back to an older copy", h.Size)
	}
	byOrg := map[string]bool{}
	for len(logs) > 0 {
		org := logs[0].Org
		n := slices.IndexFunc(logs, func(st ledger.State) bool { return st.Org != org })
		if n < 0 {
			n = len(logs)
		}
		byOrg[org] = true
		if org == store.AnchorOrg {
			err = c.anchors(ctx, logs[:n])
		} else {
			err = c.org(ctx, org, logs[:n])
		}
		if err != nil {
			return err
		}
		logs = logs[n:]
	}
	for _, o := range orgs {
		if !byOrg[o.ID] {
			c.fault("organisation "+o.ID, "its log is missing")
		}
	}
	return nil
}

// org checks an organisation's logs, epoch by epoch; its agents' chains go through
// all of them.
func (c *checking) org(ctx context.Context, org string, logs []ledger.State) error {
	agents, err := c.r.Agents(ctx, org)
	if err != nil {
		return err
	}
	wants, err := c.r.Wants(ctx, org)
	if err != nil {
		return err
	}
	chains, owed := map[string]*chain{}, map[store.Want]bool{}
	for _, a := range agents {
		chains[a.ID] = &chain{row: a, key: agentKey(a), witness: a.Witness}
	}
	for _, w := range wants {
		owed[w] = true
	}
	c.done.Agents += int64(len(agents))
	c.epochs = map[string]int64{}
	for _, st := range logs {
		c.epochs[st.ID] = st.Epoch
	}
	for i, st := range logs {
		l := &logCheck{checking: c, ctx: ctx, st: st, agents: chains, owed: owed}
		if i > 0 {
			l.old = &logs[i-1]
		}
		if i == len(logs)-1 {
			err = c.guarded(ctx, st)
		}
		if err == nil {
			err = c.readSaid(l)
		}
		if err == nil {
			err = l.all()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.fault("log "+st.Origin, "could not be read to its end: %v", err)
			c.said = nil
			return nil
		}
	}
	c.chains(chains)
	if c.said == nil {
		return nil // it has no log
	}
	c.closed(org)
	err = c.told(ctx, org)
	c.unsaid(org)
	return err
}

// checking is one run of Check.
type checking struct {
	s        *Server
	r        store.Reader
	builtin  *duties.Catalogue
	progress func(Checked)
	done     Checked

	// Of the organisation that is checked:
	epochs    map[string]int64 // of the organisation's logs
	toldBy    *toldCheck
	reviews   map[reviewKey]bool            // that have rows
	said      map[saidPlace][]store.SaidRow // not yet seen in its logs
	cases     []store.SaidRow
	steps     map[string][]store.SaidRow // of each case, in the order of their numbers
	closes    map[saidPlace]bool         // of steps that say it: whether the case ended with them
	withdrawn map[string]time.Time       // when cases were, by the log
	erasedEnd []time.Time                // of withdrawals whose words, with the case, are erased
}

func (c *checking) fault(where, format string, args ...any) {
	c.done.Faults = append(c.done.Faults, ledger.Fault{Where: where, What: fmt.Sprintf(format, args...)})
}

// ahead is how many records, with their items, are read at once.
const ahead = 256

// logCheck walks the records beside one log.
type logCheck struct {
	*checking
	ctx     context.Context
	st      ledger.State
	old     *ledger.State // the epoch before it, nil for the first
	agents  map[string]*chain
	owed    map[store.Want]bool
	erased  erasures       // up to the entry that is examined
	records []store.Record // read ahead
	items   map[int64][]store.Item
	next    int64 // index from which to read on
}

// chain is how far an agent's chain has been walked. Its keys are those of its
// enrollment, which the log holds; the row's only until that was seen.
type chain struct {
	row      store.Agent
	key      evidence.PublicKey
	witness  []byte
	enrolled bool
	seq      uint64
	stmt     evidence.Digest
}

func (l *logCheck) all() error {
	trust, err := l.s.trustedLog(l.st.Origin)
	if err != nil {
		return err
	}
	faults, err := ledger.Check(l.ctx, l.r, l.st, trust, l.entry)
	l.done.Faults = append(l.done.Faults, faults...)
	if err != nil {
		return err
	}
	if err := errors.Join(l.beyond(), l.stayedErased()); err != nil {
		return err
	}
	l.done.Logs++
	return l.cosignatures()
}

// counted says now and then how far the check is.
func (c *checking) counted() {
	if c.done.Entries++; c.done.Entries%10_000 == 0 && c.progress != nil {
		c.progress(c.done)
	}
}

// entry examines the record of an entry.
func (l *logCheck) entry(e ledger.Entry) error {
	l.counted()
	where := fmt.Sprintf("log %s, record %d", l.st.Origin, e.Index)
	rec, ok, err := l.record(e.Index)
	if err != nil {
		return err
	}
	if !ok {
		l.fault(where, "missing")
		l.skip(e)
		return nil
	}
	switch {
	case rec.Type == evidence.EntryEnrollment:
		l.enrolled(rec)
	case rec.Type == evidence.EntryRotation:
		defer l.rotated(rec)
	case rec.Type == evidence.EntryErasure:
		if l.erased.add(l.s, rec); l.erased.many() {
			if err := l.stayedErased(); err != nil {
				return err
			}
		}
	case rec.Type == evidence.EntryWorkflow:
		l.people(where, rec)
	case rec.Type == evidence.EntryEpoch || e.Index == 0 && l.st.Epoch > 1:
		l.began(rec)
	}
	x := exhibit{rec: rec, entry: e, items: l.items[e.Index], key: l.s.keys.Server.Public(), seq: uint64(rec.Seq),
		blob: func(d evidence.Digest) (store.Blob, error) { return l.r.Blob(l.ctx, rec.Place(d)) },
		owed: func(d evidence.Digest) bool { return l.owed[store.Want{Place: rec.Place(d), Agent: rec.Agent}] },
		gone: func(b store.Blob) error { return l.s.erasedBy(l.ctx, l.r, b) }}
	if rec.Agent != "" {
		x.key = evidence.PublicKey{}
		if a := l.agents[rec.Agent]; a != nil {
			x.key, x.seq, x.prev = a.key, a.seq+1, a.stmt
		}
	}
	for _, p := range x.examine() {
		// The tree's own walk reports leaf hashes.
		if !p.OK && (p.Name != ledger.ProofEntry || evidence.LeafHash(e.Line) == e.Leaf) {
			l.fault(where, "%s: %s", p.Name, p.Why)
		}
	}
	l.skip(e)
	return nil
}

// enrolled takes an agent's keys from its enrollment and compares its row with
// them.
func (l *logCheck) enrolled(rec store.Record) {
	a := l.agents[rec.Agent]
	if a == nil {
		l.fault("agent "+rec.Agent, "missing; it enrolled with entry %d of log %s", rec.Index, l.st.Origin)
		a = &chain{row: store.Agent{ID: rec.Agent}}
		l.agents[rec.Agent] = a
	}
	a.enrolled = true
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if err != nil {
		return // reported when it is examined
	}
	said, key, err := evidence.OpenEnrollment(env)
	if err != nil {
		return
	}
	a.key = key
	a.witness, err = base64.StdEncoding.DecodeString(said.Witness)
	if a.row.Org != "" && (err != nil || !bytes.Equal(a.row.Witness, a.witness) || a.row.EnrollIndex != rec.Index) {
		l.fault("agent "+rec.Agent, "keys or place in its row are not those of its enrollment, entry %d of log %s", rec.Index, l.st.Origin)
	}
}

// rotated follows a change of key, once the record itself was examined.
func (l *logCheck) rotated(rec store.Record) {
	a := l.agents[rec.Agent]
	env, err := evidence.ParseEnvelope(rec.Envelope)
	if a == nil || err != nil {
		return // reported when it was examined
	}
	if _, next, err := evidence.OpenRotation(env, a.key); err == nil {
		a.key = next
	}
}

// skip moves the agent's chain on to what the entry says, which the tree proves,
// so that one fault is not reported again with every record after it.
func (l *logCheck) skip(e ledger.Entry) {
	said, err := evidence.ParseEntry(e.Line)
	if err != nil || said.Agent == "" {
		return
	}
	a := l.agents[said.Agent]
	if a == nil {
		l.fault("agent "+said.Agent, "missing; entry %d of log %s is of it", e.Index, l.st.Origin)
		a = &chain{row: store.Agent{ID: said.Agent}}
		l.agents[said.Agent] = a
	}
	a.enrolled = a.enrolled || said.Type == evidence.EntryEnrollment
	a.seq, a.stmt = said.Seq, said.Stmt
}

// record reads the record of an index, many at a time; records that no entry
// stands for are reported on the way.
func (l *logCheck) record(index int64) (store.Record, bool, error) {
	for {
		if len(l.records) == 0 {
			if err := l.readAhead(); err != nil || len(l.records) == 0 {
				return store.Record{}, false, err
			}
		}
		switch r := l.records[0]; {
		case r.Index == index:
			l.records = l.records[1:]
			return r, true, nil
		case r.Index > index:
			return store.Record{}, false, nil
		default:
			l.fault(fmt.Sprintf("log %s, record %d", l.st.Origin, r.Index), "there is no entry for it")
			l.records = l.records[1:]
		}
	}
}

func (l *logCheck) readAhead() error {
	var err error
	if l.records, err = l.r.Records(l.ctx, l.st.Org, l.st.ID, l.next, ahead); err != nil || len(l.records) == 0 {
		return err
	}
	last := l.records[len(l.records)-1].Index
	items, err := l.r.ItemsAt(l.ctx, l.st.Org, l.st.ID, l.next, last+1)
	if err != nil {
		return err
	}
	l.items = map[int64][]store.Item{}
	for _, it := range items {
		l.items[it.Index] = append(l.items[it.Index], it)
	}
	l.next = last + 1
	return nil
}

// beyond reports records after the last entry.
func (l *logCheck) beyond() error {
	_, ok, err := l.record(max(l.next, l.st.Size) + 1<<40)
	if ok {
		l.fault("log "+l.st.Origin, "holds a record far beyond its end")
	}
	return err
}

// chains compares each agent's row with where its chain ended.
func (c *checking) chains(agents map[string]*chain) {
	for _, a := range agents {
		if a.row.Org == "" {
			continue // reported as missing
		}
		where := "agent " + a.row.ID
		switch {
		case !a.enrolled:
			c.fault(where, "its log has no enrollment of it")
		case !bytes.Equal(a.row.SPKI, a.key.SPKI()):
			c.fault(where, "the key in its row is not the one that its enrollment and changes of key lead to")
		case a.row.Seq != int64(a.seq) || a.row.Stmt != a.stmt:
			c.fault(where, "its row says %d records, the log's last one of it is %d, or their statements differ", a.row.Seq, a.seq)
		}
	}
}

// cosignatures verifies what witnesses said.
func (l *logCheck) cosignatures() error {
	list, err := l.r.Cosignatures(l.ctx, l.st.ID, 0, 1_000_000)
	if err != nil {
		return err
	}
	var note []byte
	size := int64(-1)
	for _, c := range list {
		where := fmt.Sprintf("log %s, cosignature of %s for %d", l.st.Origin, c.Agent, c.Size)
		if c.Size != size {
			if note, err = l.r.Checkpoint(l.ctx, l.st.ID, c.Size); errors.Is(err, store.ErrNotFound) {
				note = nil
			} else if err != nil {
				return err
			}
			size = c.Size
		}
		a := l.agents[c.Agent]
		switch {
		case note == nil:
			l.fault(where, "there is no such checkpoint")
		case a == nil || len(a.witness) != ed25519.PublicKeySize:
			l.fault(where, "its witness is unknown")
		default:
			at, err := evidence.VerifyCosignature(ed25519.PublicKey(a.witness), evidence.WitnessName(l.st.Origin, c.Agent), c.Line, note)
			if err == nil && !at.Equal(c.At) {
				err = fmt.Errorf("it was made at %s, its row says %s", at, c.At)
			}
			if err != nil {
				l.fault(where, "%v", err)
			}
		}
	}
	return nil
}
