package agent

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

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
	since   time.Time
	err     string
	timer   *time.Timer
}

func newSealer(a *Agent, b evidence.Build) *sealer { return &sealer{agent: a, build: b} }

// begin says that a look is under way; end that it is over.
func (s *sealer) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
}

func (s *sealer) end(r *Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
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
		if r.Quiet {
			quiet[string(r.Kind)] = r.Next
			continue
		}
		item, facts, detail := itemOf(r)
		if slices.Contains(kinds, r.Kind) || (len(items) > 0 && size+len(facts)+len(detail) > maxBlobs) {
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
	s.note(err, len(items))
	return rest
}

func (s *sealer) envelope(items []evidence.Item) func(uint64, evidence.Digest, int) (evidence.Envelope, error) {
	return func(seq uint64, prev evidence.Digest, lost int) (evidence.Envelope, error) {
		a := s.agent
		return evidence.Seal(a.key, evidence.Record{
			Org: a.id.Org, Agent: a.id.Agent, Seq: seq, Prev: prev, Log: a.pusher.knownHead().Head,
			Items: items, Clock: clockNow(a.now(), a.pusher.delta()), Collector: s.build, Lost: lost,
		})
	}
}

func (s *sealer) note(err error, items int) {
	if err == nil {
		if s.err != "" {
			s.agent.log.Info("records can be kept again")
		}
		s.err = ""
		return
	}
	if s.err != err.Error() {
		s.agent.log.Error("keeping a record; its looks are repeated", "items", items, "error", err)
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

// maxGaps bounds the gaps of an item; how many more there were is the last one.
const maxGaps = 200

func cutGaps(gaps []evidence.Gap) []evidence.Gap {
	if len(gaps) <= maxGaps {
		return gaps
	}
	cut := slices.Clone(gaps[:maxGaps])
	return append(cut, evidence.Gap{What: "more", Why: fmt.Sprintf("%d further gaps are not listed", len(gaps)-maxGaps)})
}
