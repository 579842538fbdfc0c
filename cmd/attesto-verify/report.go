package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// report says what was checked and what was found wrong.
type report struct {
	Proven    bool            `json:"proven"`
	Server    string          `json:"server"`
	RootKey   string          `json:"rootKey"` // fingerprint, to be compared with what agents show
	Org       string          `json:"org"`
	OrgName   string          `json:"orgName"`
	From      evidence.Time   `json:"from"`
	To        evidence.Time   `json:"to"`
	Duties    []string        `json:"duties"` // that were asked for; none means all
	Files     int64           `json:"files"`
	Blobs     int64           `json:"blobs"`
	Erased    int64           `json:"erased"`   // blobs that are not here because an entry says that they were erased
	Erasures  int64           `json:"erasures"` // such entries
	Epochs    []*epochReport  `json:"epochs"`
	Agents    []*agentReport  `json:"agents"`
	Stamps    []stampReport   `json:"stamps"`
	Outside   []outsideReport `json:"outside"`
	Notes     []string        `json:"notes"` // what an auditor should know although it is proven
	Faults    []fault         `json:"faults"`
	MoreFault int64           `json:"moreFaults"` // that are not listed
}

// epochReport is one log.
type epochReport struct {
	Origin    string   `json:"origin"`
	Size      int64    `json:"size"`
	Root      string   `json:"root"`
	First     int64    `json:"first"` // entries of the period: from First (inclusive) to Next (exclusive)
	Next      int64    `json:"next"`
	Records   int64    `json:"records"`   // checked
	Witnessed int64    `json:"witnessed"` // size of the longest head that witnesses have seen
	Witnesses []string `json:"witnesses"`
}

// agentReport is what one agent said in the period.
type agentReport struct {
	ID          string             `json:"id"`
	Host        string             `json:"host"`
	Enrolled    *evidence.Time     `json:"enrolled,omitempty"`
	EnrolledIn  int                `json:"enrolledIn,omitempty"` // epoch
	Keys        []string           `json:"keys"`                 // fingerprints, oldest first
	Protection  string             `json:"keyProtection"`
	Assurance   evidence.Assurance `json:"assurance"`
	Records     int64              `json:"records"`
	FirstSeq    uint64             `json:"firstSeq,omitempty"`
	LastSeq     uint64             `json:"lastSeq,omitempty"`
	First       *evidence.Time     `json:"first,omitempty"`
	Last        *evidence.Time     `json:"last,omitempty"`
	Lost        int64              `json:"lost"`            // looks that it says it had to drop
	Interval    int64              `json:"intervalSeconds"` // the widest interval in which a record may have been made
	ClockSteps  int                `json:"clockSteps"`      // times that its clock was set
	ClockOff    int                `json:"clockOff"`        // records whose clock stood outside of that interval by more than five minutes
	Revoked     *evidence.Time     `json:"revoked,omitempty"`
	SuspectFrom *evidence.Time     `json:"suspectFrom,omitempty"`
	Silent      bool               `json:"silent"` // enrolled, and not one record in the period
}

// fault is one thing that is not proven.
type fault struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

func newReport() *report {
	return &report{Duties: []string{}, Stamps: []stampReport{}, Outside: []outsideReport{}, Agents: []*agentReport{}, Notes: []string{}, Faults: []fault{}}
}

func (r *report) begin(m evidence.Manifest) {
	r.Server, r.Org, r.OrgName, r.From, r.To = m.Server, m.Org, m.OrgName, m.From, m.To
	r.Duties = append(r.Duties, m.Duties...)
}

// maxFaults is how many faults are listed.
const maxFaults = 1000

func (r *report) fail(where string, err error) {
	if len(r.Faults) == maxFaults {
		r.MoreFault++
		return
	}
	r.Faults = append(r.Faults, fault{where, err.Error()})
}

func (r *report) note(format string, args ...any) {
	if len(r.Notes) < maxFaults {
		r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	}
}

// end draws the conclusions that need all of the bundle. files is what was found
// wrong with its files.
func (v *verifier) end(files *report) {
	v.erasures()
	v.r.Files, v.r.MoreFault = files.Files, v.r.MoreFault+files.MoreFault
	for _, f := range files.Faults {
		v.r.fail(f.Where, errors.New(f.What))
	}
	for _, a := range v.r.Agents {
		if a.Enrolled == nil {
			continue
		}
		before := a.Enrolled.Before(v.m.To.Time)
		gone := a.Revoked != nil && a.Revoked.Before(v.m.From.Time)
		a.Silent = a.Records == 0 && before && !gone
	}
	records := int64(0)
	for _, e := range v.r.Epochs {
		records += e.Records
	}
	if records == 0 {
		v.r.fail("bundle", fmt.Errorf("it holds no records of the period: nothing is proven by it"))
	}
	v.r.Proven = len(v.r.Faults) == 0
}

// erasures explains blobs that are not there by the entries that say so.
func (v *verifier) erasures() {
	for _, p := range v.erased {
		if len(v.absent) == 0 {
			break
		}
		e, err := v.erasure(p)
		if err != nil {
			continue // reported when it was checked
		}
		if e.Scope == evidence.EraseOrg {
			v.r.Erased += int64(len(v.absent))
			clear(v.absent)
		}
		for _, d := range e.Blobs {
			if _, ok := v.absent[d]; ok {
				v.r.Erased++
				delete(v.absent, d)
			}
		}
	}
	for d, where := range v.absent {
		v.r.fail(where, fmt.Errorf("blob %s is missing, and no entry says that it was erased", d))
	}
}

func (v *verifier) erasure(p place) (evidence.Erasure, error) {
	c := &epochCheck{verifier: v, i: p.epoch, e: v.m.Epochs[p.epoch], folder: v.m.Epochs[p.epoch].Folder(p.epoch, len(v.m.Epochs))}
	if err := c.openRecords(); err != nil {
		return evidence.Erasure{}, err
	}
	defer c.store.close()
	raw, err := c.store.record(p.index, p.index < c.e.First || p.index >= c.e.Next)
	if err != nil {
		return evidence.Erasure{}, err
	}
	env, _, _, err := raw.open()
	if err != nil {
		return evidence.Erasure{}, err
	}
	key, err := v.keyset.ServerKey(env.KeyID())
	if err != nil {
		return evidence.Erasure{}, err
	}
	return evidence.OpenErasure(env, key)
}

// print writes for people. What comes from the bundle is quoted, so that it cannot
// command a terminal.
func (r *report) print(out io.Writer) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	say("server    %s", plain(r.Server))
	say("root key  %s", r.RootKey)
	say("          compare it with what the agents show: attesto-agent status")
	say("of        %s (%s)", plain(r.OrgName), r.Org)
	say("period    %s to %s, by the time of receipt", stamp(&r.From), stamp(&r.To))
	if len(r.Duties) > 0 {
		say("duties    %s", plain(strings.Join(r.Duties, ", ")))
	}
	for _, e := range r.Epochs {
		say("log       %s", plain(e.Origin))
		say("          %d entries, root %s", e.Size, e.Root)
		say("          %d records checked; of the period are entries %d to %d", e.Records, e.First, e.Next-1)
		seen := "seen by " + count(len(e.Witnesses), "witness", "witnesses")
		if e.Witnessed == e.Size {
			say("          all of it was %s", seen)
		} else if e.Witnessed > 0 {
			say("          entries up to %d were %s; what follows rests on the server's signature alone", e.Witnessed-1, seen)
		} else {
			say("          no witness has seen it: it rests on the server's signature alone")
		}
	}
	for _, t := range r.Stamps {
		say("stamped   %d entries were there at %s: %s%s", t.Size, stamp(&t.Time), plain(t.By), map[bool]string{false: " (its root came with the bundle; demand your own with --tsa-ca)"}[t.Trusted])
	}
	for _, o := range r.Outside {
		say("seen      %d entries, under the anchor log, by witness %s at %s%s", o.Size, plain(o.By), stamp(&o.Time), map[bool]string{false: " (its key came with the bundle; demand your own with --anchor-witnesses)"}[o.Trusted])
	}
	for _, a := range r.Agents {
		a.print(say)
	}
	say("contents  %d facts and details are what was signed, %d were erased since", r.Blobs, r.Erased)
	for _, n := range r.Notes {
		say("note      %s", plain(n))
	}
	for _, f := range r.Faults {
		say("NOT PROVEN  %s: %s", plain(f.Where), plain(f.What))
	}
	if r.MoreFault > 0 {
		say("NOT PROVEN  and %d more", r.MoreFault)
	}
	if r.Proven {
		say("result    everything in this bundle is proven, over %d files", r.Files)
		return
	}
	say("result    NOT PROVEN: %d faults", int64(len(r.Faults))+r.MoreFault)
}

func (a *agentReport) print(say func(string, ...any)) {
	say("agent     %s %s  %s: %s", a.ID, plain(a.Host), a.Assurance, assurances[a.Assurance])
	for _, k := range a.Keys {
		say("          key %s", plain(k))
	}
	switch {
	case a.Silent:
		say("          SILENT: enrolled on %s, and not one record in the period", stamp(a.Enrolled))
	case a.Records > 0:
		say("          %d records, numbers %d to %d without a hole, received from %s to %s", a.Records, a.FirstSeq, a.LastSeq, stamp(a.First), stamp(a.Last))
		say("          each was made within %s before it was received", (time.Duration(a.Interval) * time.Second).String())
	}
	if a.Lost > 0 {
		say("          it says that it had to drop %d looks", a.Lost)
	}
	if a.ClockSteps > 0 {
		say("          its clock was set %d times", a.ClockSteps)
	}
	if a.ClockOff > 0 {
		say("          its clock was wrong by more than five minutes in %d records", a.ClockOff)
	}
	if a.Revoked != nil {
		say("          its key was revoked on %s", stamp(a.Revoked))
	}
	if a.SuspectFrom != nil {
		say("          SUSPECT: what was received after %s may be another's", stamp(a.SuspectFrom))
	}
}

// assurances say who could still have faked a record.
var assurances = map[evidence.Assurance]string{
	evidence.AssurancePerson:   "a person's statement",
	evidence.AssuranceSoftware: "signed with a key in a file: root of that host could have signed anything",
	evidence.AssuranceTPM:      "signed with a key in a TPM: it cannot be copied, root of that host could have used it",
	evidence.AssuranceSecond:   "seen by the other party or from outside",
}

func count(n int, one, more string) string {
	if n == 1 {
		more = one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func stamp(t *evidence.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format("2006-01-02 15:04:05Z")
}

// plain quotes text that holds more than printable characters.
func plain(s string) string {
	if q := strconv.QuoteToGraphic(s); q != `"`+s+`"` {
		return q
	}
	return s
}
