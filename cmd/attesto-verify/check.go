package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/attesto/attesto/evidence"
)

// job is one record that is to be checked, and then what was found.
type job struct {
	index  int64
	entry  evidence.Entry
	raw    rawRecord
	key    evidence.PublicKey
	period bool

	err    error
	record evidence.Record
	blobs  int
	absent []evidence.Digest
}

// batch is the records of one tile. Batches are checked side by side and taken up
// in order.
type batch struct {
	check *epochCheck
	jobs  []*job
	done  chan struct{}
}

// queued bounds the batches under way, and with them the memory.
var queued = 2 * runtime.GOMAXPROCS(0)

func (b *batch) start() {
	go func() {
		defer close(b.done)
		for _, j := range b.jobs {
			j.err = b.check.verify(j)
		}
	}()
}

// drain takes up finished batches until at most keep are under way.
func (c *epochCheck) drain(keep int) error {
	for len(c.queue) > keep {
		b := c.queue[0]
		c.queue = c.queue[1:]
		<-b.done
		for _, j := range b.jobs {
			c.taken(j)
		}
	}
	return nil
}

func (j *job) envelope() (evidence.Envelope, error) {
	env, receipt, blobs, err := j.raw.open()
	if err == nil {
		err = errors.Join(j.belongs(env, receipt), j.foreign(blobs))
	}
	return env, err
}

// belongs holds the envelope to the entry.
func (j *job) belongs(env evidence.Envelope, receipt *evidence.Receipt) error {
	if env.Digest() != j.entry.Env || env.StatementDigest() != j.entry.Stmt {
		return errors.New("its envelope is not the one that was logged")
	}
	if receipt == nil {
		return nil
	}
	line, err := j.entry.Line()
	if err != nil {
		return err
	}
	if string(receipt.Entry) != string(line) {
		return errors.New("its entry.json is not the entry of the log")
	}
	p, err := evidence.ParseProof(receipt.Proof)
	if err == nil && p.Index != j.index {
		err = fmt.Errorf("its proof is of entry %d", p.Index)
	}
	return err
}

// verify checks a record by itself: signature, statement, contents. It runs beside
// others and touches nothing but the job.
func (c *epochCheck) verify(j *job) error {
	env, receipt, blobs, err := j.raw.open()
	if err != nil {
		return err
	}
	if err := j.belongs(env, receipt); err != nil {
		return err
	}
	if receipt != nil {
		_, _, head, err := receipt.Verify(env, c.trust)
		if err == nil && head != c.head {
			err = fmt.Errorf("its proof leads to a head of %d entries, not to that of this bundle", head.Size)
		}
		if err != nil {
			return err
		}
	}
	if j.entry.Type == evidence.EntryWorkflow {
		return c.verifyWorkflow(j, env, blobs)
	}
	if j.key.IsZero() {
		return fmt.Errorf("agent %s has no key at this place of the log", j.entry.Agent)
	}
	if err := env.Verify(j.key, evidence.PayloadInToto); err != nil {
		return err
	}
	if j.record, err = evidence.ParseRecord(env.Payload()); err != nil {
		return err
	}
	r := j.record
	if r.Org != c.m.Org || r.Agent != j.entry.Agent || r.Seq != j.entry.Seq || r.Prev != j.entry.Prev {
		return fmt.Errorf("record %d of agent %s stands under the entry of record %d of %s", r.Seq, r.Agent, j.entry.Seq, j.entry.Agent)
	}
	for _, it := range r.Items {
		j.content(it.Facts, blobs, kept(c.m, it.Kind))
		if !it.Detail.IsZero() {
			j.content(it.Detail, blobs, c.m.Detail)
		}
	}
	return j.foreign(blobs)
}

func (c *epochCheck) verifyWorkflow(j *job, env evidence.Envelope, blobs map[evidence.Digest][]byte) error {
	key, err := c.keyset.ServerKey(env.KeyID())
	if err != nil {
		return err
	}
	w, err := evidence.OpenWorkflow(env, key)
	if err != nil {
		return err
	}
	j.content(w.Data, blobs, c.m.Detail)
	return errors.Join(c.ours(w.Org), j.foreign(blobs))
}

// content takes note of a blob that is named. Blobs are keyed by the digest of
// what they hold, so that being there is all that there is to check.
func (j *job) content(d evidence.Digest, blobs map[evidence.Digest][]byte, wanted bool) {
	_, ok := blobs[d]
	switch {
	case ok:
		j.blobs++
		delete(blobs, d)
	case wanted:
		j.absent = append(j.absent, d)
	}
}

func (j *job) foreign(blobs map[evidence.Digest][]byte) error {
	if len(blobs) > 0 {
		return fmt.Errorf("%d facts or details that the record does not name, or that were changed", len(blobs))
	}
	return nil
}

// taken follows a checked record: what its agent knew of the log, and of the time.
func (c *epochCheck) taken(j *job) {
	c.total.Records++
	c.r.Blobs += int64(j.blobs)
	where := c.recordAt(j.index)
	if j.err != nil {
		c.r.fail(where, j.err)
		return
	}
	for _, d := range j.absent {
		if len(c.absent) < maxAbsent {
			c.absent[d] = where
		}
	}
	if j.entry.Type != evidence.EntryEvidence {
		return
	}
	a := c.agents[j.entry.Agent]
	if a == nil {
		return
	}
	a.Lost += int64(j.record.Lost)
	c.known(j, a, where)
	c.clock(j, a)
}

// maxAbsent bounds the memory for blobs that are not there.
const maxAbsent = 1_000_000

// known holds the root that a record names to the one that the log had, and takes
// the interval in which the record must have been made (EVIDENCE 4).
func (c *epochCheck) known(j *job, a *agentState, where string) {
	said := j.record.Log
	if said.Origin != c.e.Origin {
		c.knownBefore(said, where)
		return
	}
	if said.Size > j.index {
		c.r.fail(where, fmt.Errorf("names a head of %d entries, which the log did not have yet", said.Size))
		return
	}
	root, err := c.rootAt(said.Size)
	if err == nil && root != said.Root {
		err = fmt.Errorf("its agent saw another root at %d entries: this is not the log that it was shown", said.Size)
	}
	if err != nil {
		c.r.fail(where, err)
		return
	}
	if !c.recent(said.Size) {
		return
	}
	x, err := evidence.ExistenceOf(said, c.times[said.Size%ring], j.index, j.entry.Time)
	if err != nil {
		c.r.fail(where, err)
		return
	}
	if wide := x.NotAfter.Sub(x.NotBefore); !x.NotBefore.IsZero() && wide > time.Duration(a.Interval)*time.Second {
		a.Interval = int64(wide.Seconds())
	}
	if _, off := x.Place(j.record.Clock.Now.Time); off.Abs() > slack {
		a.ClockOff++
	}
}

// knownBefore holds a head that a record names of an earlier log to what is kept
// of it. What an agent saw and the server lost cannot be compared.
func (c *epochCheck) knownBefore(said evidence.Head, where string) {
	for i := range c.i {
		e := c.r.Epochs[i]
		if e.Origin != said.Origin {
			continue
		}
		if said.Size == e.Size && said.Root.String() != e.Root {
			c.r.fail(where, fmt.Errorf("its agent saw another root at %d entries of log %s", said.Size, said.Origin))
		}
		return
	}
	c.r.fail(where, fmt.Errorf("names a head of log %q, which is not one of this organisation", said.Origin))
}

// clock notices a host's clock that was set.
func (c *epochCheck) clock(j *job, a *agentState) {
	now := j.record.Clock
	if a.clock != nil {
		if step, ok := evidence.ClockStep(*a.clock, now); ok && step.Abs() > evidence.StepLimit {
			a.ClockSteps++
		}
	}
	a.clock = &now
}
