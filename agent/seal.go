package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	// sealAfter bounds how long a result waits for other looks that are under way.
	sealAfter = time.Minute
	// maxBlobs bounds the blobs of one record, in bytes, so that a push can hold it.
	maxBlobs = 2 << 20
)

// sealer gathers the results of looks that run side by side and seals them as
// one record when no look is under way any more, or after a minute.
type sealer struct {
	agent *Agent
	build evidence.Build

	mu      sync.Mutex
	running int
	results []Result
	err     string
	timer   *time.Timer
	closed  bool
}

func newSealer(a *Agent, b evidence.Build) *sealer { return &sealer{agent: a, build: b} }

// begin says that a look is under way; end that it is over.
func (s *sealer) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
}

// beginLook begins a kind's look and returns the cursor that it goes on from. What
// the kind's last look found is sealed before: a look that started from an older
// cursor would see the same again.
func (s *sealer) beginLook(kind evidence.Kind) (cursor []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
	if slices.ContainsFunc(s.results, func(r Result) bool { return r.Kind == kind }) {
		s.sealLocked()
	}
	return s.agent.spool.Cursor(kind)
}

func (s *sealer) end(r *Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if s.closed {
		return // a look that outlived the agent; it is repeated at the next start
	}
	if r != nil {
		s.results = append(s.results, *r)
	}
	switch {
	case len(s.results) == 0:
	case s.running == 0:
		s.sealLocked()
	case s.timer == nil:
		s.timer = time.AfterFunc(sealAfter, s.flush)
	}
}

// flush seals what is there.
func (s *sealer) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealLocked()
}

// close seals what is there and nothing after that: the state folder may then be
// another process's.
func (s *sealer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.sealLocked()
}

// retry tries again to keep a record that the disk refused.
func (s *sealer) retry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == "" {
		return
	}
	if err := s.agent.spool.retry(); err != nil {
		s.note(err)
		return
	}
	if full := s.agent.spool.full(s.agent.now()); full == nil {
		s.note(nil)
		s.agent.pusher.nudge()
	}
}

func (s *sealer) lastError() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sealer) sealLocked() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	results := s.results
	s.results = nil
	if len(results) == 0 {
		return
	}
	host.SortFunc(results, func(a, b Result) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	for len(results) > 0 {
		results = s.sealSome(results)
	}
	s.agent.pusher.nudge()
}

// sealSome seals as many results as fit into one record, at most one of each
// kind, and returns the rest.
func (s *sealer) sealSome(results []Result) (rest []Result) {
	var items []evidence.Item
	blobs, next, size := map[evidence.Digest][]byte{}, map[string][]byte{}, 0
	quiet := map[string][]byte{}
	var kinds []evidence.Kind
	for _, r := range results {
		after := slices.Contains(kinds, r.Kind) || slices.ContainsFunc(rest, func(o Result) bool { return o.Kind == r.Kind })
		if r.Quiet && !after {
			quiet[string(r.Kind)] = r.Next
			continue
		}
		if after {
			rest = append(rest, r)
			continue
		}
		item, facts, detail := itemOf(r)
		if len(items) > 0 && size+len(facts)+len(detail) > maxBlobs {
			rest = append(rest, r)
			continue
		}
		size += len(facts) + len(detail)
		blobs[item.Facts] = facts
		if detail != nil {
			blobs[item.Detail] = detail
		}
		items, kinds = append(items, item), append(kinds, r.Kind)
		next[string(r.Kind)] = r.Next
	}
	var err error
	if len(quiet) > 0 {
		err = s.agent.spool.remember(quiet)
	}
	if len(items) > 0 {
		err = errors.Join(err, s.agent.spool.seal(next, kinds, blobs, s.agent.now(), s.envelope(items)))
	}
	s.note(err)
	return rest
}

func (s *sealer) envelope(items []evidence.Item) func(uint64, evidence.Digest, int) (evidence.Envelope, error) {
	return func(seq uint64, prev evidence.Digest, lost int) (evidence.Envelope, error) {
		a := s.agent
		return evidence.Seal(a.keys.signer(seq), evidence.Record{
			Org: a.id.Org, Agent: a.id.Agent, Seq: seq, Prev: prev, Log: a.pusher.knownHead().Head,
			Items: items, Clock: clockNow(a.now(), a.pusher.delta()), Collector: s.build, Lost: lost,
		})
	}
}

// note keeps what status shows, and tells the log about a change only.
func (s *sealer) note(err error) {
	if err == nil {
		if s.err != "" {
			s.agent.log.Info("records can be kept again")
		}
		s.err = ""
		return
	}
	if s.err != err.Error() {
		s.agent.log.Error("keeping a record; what was not kept is looked at again", "error", err)
	}
	s.err = err.Error()
}

// itemOf encodes a result. Facts that do not hold or are too large turn the look
// into a failed one that says so; a detail that is too large is left out and said.
func itemOf(r Result) (item evidence.Item, facts, detail []byte) {
	item = evidence.Item{Kind: r.Kind, Schema: evidence.SchemaOf(r.Kind), From: evidence.At(r.From), To: evidence.At(r.To),
		Outcome: r.Outcome, Reason: r.Reason}
	if r.Detail != nil {
		var err error
		if detail, err = evidence.DetailBlob(r.Detail); err != nil {
			detail = nil
			r.Gaps = append(r.Gaps, evidence.Gap{What: string(r.Kind) + " detail", Why: err.Error()})
			if item.Outcome == evidence.Complete {
				item.Outcome, item.Reason = evidence.Partial, "gaps"
			}
		}
	}
	facts, err := evidence.FactsBlob(r.Facts, cutGaps(r.Gaps))
	if err != nil {
		item.Outcome, item.Reason = evidence.Failed, "facts"
		facts, err = evidence.FactsBlob(nil, []evidence.Gap{{What: string(r.Kind), Why: err.Error()}})
		if err != nil {
			facts = []byte(fmt.Sprintf(`{"salt":"%s","gaps":[],"facts":null}`, evidence.NewID("")))
		}
		detail = nil
	}
	item.Facts = evidence.Sum(facts)
	if detail != nil {
		item.Detail = evidence.Sum(detail)
	}
	return item, facts, detail
}

// Bounds of an item's gaps: how many, and how long each of their texts, in bytes.
const (
	maxGaps    = 200
	maxGapText = 500
)

// cutGaps bounds gaps; how many more there were is the last one.
func cutGaps(gaps []evidence.Gap) []evidence.Gap {
	cut := make([]evidence.Gap, 0, min(len(gaps), maxGaps+1))
	for i, g := range gaps {
		if i == maxGaps {
			return append(cut, evidence.Gap{What: "more", Why: fmt.Sprintf("%d further gaps are not listed", len(gaps)-maxGaps)})
		}
		cut = append(cut, evidence.Gap{What: cutText(g.What), Why: cutText(g.Why)})
	}
	return cut
}

func cutText(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxGapText {
		return s
	}
	return strings.ToValidUTF8(s[:maxGapText], "") + "…"
}
