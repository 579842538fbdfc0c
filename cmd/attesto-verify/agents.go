package main

import (
	"errors"
	"fmt"

	"github.com/attesto/attesto/evidence"
)

// agentState is an agent as far as the log has been walked.
type agentState struct {
	*agentReport
	org     string
	key     evidence.PublicKey // that signs from here on
	witness []byte
	seq     uint64
	stmt    evidence.Digest
	revoked bool
	clock   *evidence.Clock // of its newest record that was checked
}

// agent finds an agent's state. One that never enrolled gets one too, so that what
// is said of it is reported once.
func (c *epochCheck) agent(index int64, id string) *agentState {
	a := c.agents[id]
	if a == nil {
		c.r.fail(c.where(index), fmt.Errorf("agent %s has not enrolled in this log", id))
		a = c.newAgent(id)
	}
	return a
}

func (c *epochCheck) newAgent(id string) *agentState {
	a := &agentState{agentReport: &agentReport{ID: id, Assurance: evidence.AssuranceSoftware}}
	c.agents[id] = a
	c.r.Agents = append(c.r.Agents, a.agentReport)
	return a
}

// entry places one entry: its time, its agent's chain, and its record, which is
// checked later beside others.
func (c *epochCheck) entry(b *batch, index int64, e evidence.Entry) error {
	if e.Time.Before(c.last.Time) {
		c.r.fail(c.where(index), fmt.Errorf("its time %s is before that of the entry before it", e.Time.Format("2006-01-02 15:04:05")))
	} else {
		c.last = e.Time
	}
	if err := c.stamps[c.e.Origin].Check(index, e.Time.Time, slack); err != nil {
		c.r.fail(c.where(index), err)
	}
	inPeriod := index >= c.e.First && index < c.e.Next
	switch e.Type {
	case evidence.EntryEvidence, evidence.EntryRotation:
		c.chained(index, e, inPeriod)
	case evidence.EntryEnrollment, evidence.EntryWorkflow, evidence.EntryRevocation, evidence.EntryErasure, evidence.EntryEpoch:
	default:
		c.r.fail(c.where(index), fmt.Errorf("of type %q, which this program does not know", e.Type))
	}
	custody := e.Type != evidence.EntryEvidence && e.Type != evidence.EntryWorkflow
	if !inPeriod && !custody {
		return nil
	}
	raw, err := c.store.record(index, custody && !inPeriod)
	if err != nil {
		c.r.fail(c.recordAt(index), err)
		return nil
	}
	j := &job{index: index, entry: e, raw: raw, period: inPeriod}
	switch {
	case custody:
		if err := c.custody(j); err != nil { // says who may sign what follows
			c.r.fail(c.recordAt(index), err)
		}
		c.total.Records++
	case e.Type == evidence.EntryEvidence:
		j.key = c.agent(index, e.Agent).key
		b.jobs = append(b.jobs, j)
	default:
		b.jobs = append(b.jobs, j)
	}
	return nil
}

// chained holds an entry to the one before it of its agent. Entries alone tell
// whether a number is missing, without the records.
func (c *epochCheck) chained(index int64, e evidence.Entry, inPeriod bool) {
	a := c.agent(index, e.Agent)
	switch {
	case e.Seq != a.seq+1:
		c.r.fail(c.where(index), fmt.Errorf("record %d of agent %s follows record %d: there is a hole", e.Seq, e.Agent, a.seq))
	case e.Prev != a.stmt:
		c.r.fail(c.where(index), fmt.Errorf("record %d of agent %s does not name the one before it", e.Seq, e.Agent))
	case a.revoked:
		c.r.fail(c.where(index), fmt.Errorf("agent %s was revoked before", e.Agent))
	}
	a.seq, a.stmt = e.Seq, e.Stmt
	if !inPeriod || e.Type != evidence.EntryEvidence {
		return
	}
	at := e.Time
	if a.Records++; a.Records == 1 {
		a.FirstSeq, a.First = e.Seq, &at
	}
	a.LastSeq, a.Last = e.Seq, &at
}

// custody checks a record that says who may sign, or what was erased, and follows
// it.
func (c *epochCheck) custody(j *job) error {
	env, err := j.envelope()
	if err != nil {
		return err
	}
	switch e := j.entry; e.Type {
	case evidence.EntryEnrollment:
		return c.enrolled(e, env)
	case evidence.EntryRotation:
		return c.rotated(j.index, e, env)
	}
	key, err := c.keyset.ServerKey(env.KeyID())
	if err != nil {
		return err
	}
	switch j.entry.Type {
	case evidence.EntryRevocation:
		r, err := evidence.OpenRevocation(env, key)
		if err != nil {
			return err
		}
		a := c.agent(j.index, r.Agent)
		a.revoked = true
		a.Revoked, a.SuspectFrom = &j.entry.Time, r.DistrustFrom
		return c.ours(r.Org)
	case evidence.EntryErasure:
		e, err := evidence.OpenErasure(env, key)
		if err != nil {
			return err
		}
		c.erased = append(c.erased, place{c.i, j.index})
		c.r.Erasures++
		if e.Scope == evidence.EraseOrg {
			c.r.note("all facts and details of the organisation were erased on %s (%s)", e.At.Format("2006-01-02"), e.Basis)
		}
		return c.ours(e.Org)
	default:
		e, err := evidence.OpenEpoch(env, key)
		if err != nil {
			return err
		}
		return errors.Join(c.ours(e.Org), c.began(j.index, e))
	}
}

func (c *epochCheck) ours(org string) error {
	if org != c.m.Org {
		return fmt.Errorf("a statement about organisation %s in the log of %s", org, c.m.Org)
	}
	return nil
}

func (c *epochCheck) enrolled(e evidence.Entry, env evidence.Envelope) error {
	said, key, err := evidence.OpenEnrollment(env)
	if err != nil {
		return err
	}
	if c.agents[e.Agent] != nil && c.agents[e.Agent].stmt != e.Stmt {
		return fmt.Errorf("agent %s enrolls a second time", e.Agent)
	}
	a := c.newAgent(e.Agent)
	a.org, a.key, a.stmt, a.seq = said.Org, key, e.Stmt, 0
	a.Host, a.Enrolled, a.EnrolledIn = said.Hostname, &e.Time, c.e.Epoch
	a.Keys, a.Protection, a.Assurance = []string{string(key.ID())}, said.KeyProtection, evidence.AssuranceOf(said.KeyProtection)
	if a.witness, err = evidence.DecodeBase64(said.Witness); err != nil {
		return err
	}
	return c.ours(said.Org)
}

func (c *epochCheck) rotated(index int64, e evidence.Entry, env evidence.Envelope) error {
	a := c.agent(index, e.Agent)
	r, next, err := evidence.OpenRotation(env, a.key)
	if err != nil {
		return err
	}
	if r.Agent != e.Agent || r.Seq != e.Seq || r.Prev != e.Prev {
		return fmt.Errorf("its statement is record %d of agent %s, its entry record %d of %s", r.Seq, r.Agent, e.Seq, e.Agent)
	}
	a.key = next
	a.Keys = append(a.Keys, string(next.ID()))
	a.Protection, a.Assurance = r.KeyProtection, evidence.AssuranceOf(r.KeyProtection)
	return c.ours(r.Org)
}

// began tells the story of a log that took another's place, and checks what can be
// checked of it.
func (c *epochCheck) began(index int64, e evidence.Epoch) error {
	c.r.note("log %s began anew on %s (%s): of %d entries that the log before it had shown, %d are kept; %d to %d are lost unless agents sent them again",
		c.e.Origin, e.At.Format("2006-01-02 15:04"), e.Reason, e.Last.Size, e.Kept.Size, e.Kept.Size, e.Last.Size-1)
	switch {
	case index != 0 || c.i == 0 || e.Epoch != c.e.Epoch:
		return fmt.Errorf("epoch %d begins at entry %d of %s", e.Epoch, index, c.e.Origin)
	case e.Kept.Origin != c.m.Epochs[c.i-1].Origin:
		return fmt.Errorf("it follows log %s", e.Kept.Origin)
	}
	old, err := c.keyset.Log(e.Last.Origin)
	if err != nil {
		return err
	}
	if e.Checkpoint != "" {
		if last, err := old.OpenCheckpoint([]byte(e.Checkpoint)); err != nil || last != e.Last {
			return fmt.Errorf("the checkpoint that it names as the last is not one (%w)", err)
		}
	}
	before := c.r.Epochs[c.i-1]
	if before.Size != e.Kept.Size || before.Root != e.Kept.Root.String() {
		return fmt.Errorf("it says that %d entries are kept, the log in this bundle has %d, or another root", e.Kept.Size, before.Size)
	}
	return nil
}
