package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// Began is the story of a log that the server began anew: what it stated, signed,
// and what this host knew. It is kept for good.
type Began struct {
	Epoch    int           `json:"epoch"`
	At       evidence.Time `json:"at"`
	Reason   string        `json:"reason"` // "restored", "lost" or "rewritten"
	Last     evidence.Head `json:"last"`   // the last head of the old log, as the server names it
	Kept     evidence.Head `json:"kept"`   // what the server still has of it
	Known    evidence.Head `json:"known"`  // what this host had verified
	Head     string        `json:"head"`   // the signed checkpoint of Known
	Envelope string        `json:"envelope"`
	Alarm    string        `json:"alarm,omitempty"` // file of the alarm that it ended
}

// Story tells it in one sentence.
func (b Began) Story() string {
	lost := "none of its entries were lost"
	if n := b.Last.Size - b.Kept.Size; n > 0 {
		lost = fmt.Sprintf("its entries %d to %d were lost", b.Kept.Size, b.Last.Size-1)
	}
	return fmt.Sprintf("the server's log began anew on %s (epoch %d, %s): %s; what this host keeps of them was sent again",
		b.At.Format("2006-01-02 15:04"), b.Epoch, b.Reason, lost)
}

func (s state) began() ([]Began, error) {
	var list []Began
	err := readJSON(s.path(epochsFile), &list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return list, err
}

// LogStory lists how often, and why, the server's log began anew, oldest first.
func LogStory(cfg Config) ([]Began, error) { return state{cfg.StateDir}.began() }

// follow goes on to the log's new epochs, each of which must be proven, and returns
// the head that is known then. It is durable before it is returned.
func (p *pusher) follow(known knownHead, epochs []evidence.NewEpoch) (knownHead, error) {
	for _, n := range epochs {
		story, next, err := p.step(known, n)
		if err != nil {
			return known, fmt.Errorf("the log began anew, and its reason does not hold: %w", err)
		}
		if err := p.goOn(story, next); err != nil {
			return known, fmt.Errorf("%w: %w", errKeepHead, err)
		}
		known = next
	}
	return known, nil
}

// step checks one new epoch: the server's key signed it, it takes the place of the
// very log that is known here, names no less of it than was verified here, and is
// the first entry of the new log.
func (p *pusher) step(known knownHead, n evidence.NewEpoch) (Began, knownHead, error) {
	fail := func(err error) (Began, knownHead, error) { return Began{}, knownHead{}, err }
	env, err := evidence.ParseEnvelope([]byte(n.Envelope))
	if err != nil {
		return fail(err)
	}
	key, err := p.keyset.ServerKey(env.KeyID())
	if err != nil {
		return fail(err)
	}
	e, err := evidence.OpenEpoch(env, key)
	if err != nil {
		return fail(err)
	}
	if err := p.replaces(e, known, n); err != nil {
		return fail(err)
	}
	log, err := p.keyset.Log(evidence.Origin(p.keyset.Server, p.id.Org, e.Epoch))
	if err != nil {
		return fail(err)
	}
	entry, index, head, err := evidence.Receipt{Entry: []byte(n.Entry), Proof: []byte(n.Proof)}.Verify(env, log)
	if err != nil {
		return fail(err)
	}
	if index != 0 || entry.Type != evidence.EntryEpoch {
		return fail(fmt.Errorf("it stands in the new log as entry %d, %s", index, entry.Type))
	}
	proof, err := evidence.ParseProof([]byte(n.Proof))
	if err != nil {
		return fail(err)
	}
	return Began{Epoch: e.Epoch, At: e.At, Reason: e.Reason, Last: e.Last, Kept: e.Kept, Known: known.Head, Head: known.Checkpoint,
		Envelope: n.Envelope}, knownHead{head, string(proof.Checkpoint)}, nil
}

// replaces checks what an epoch says of the log that is known here.
func (p *pusher) replaces(e evidence.Epoch, known knownHead, n evidence.NewEpoch) error {
	_, _, epoch, ok := evidence.SplitOrigin(known.Origin)
	if !ok || e.Org != p.id.Org || e.Epoch <= epoch || e.Last.Origin != known.Origin {
		return fmt.Errorf("epoch %d of organisation %s takes the place of log %q, not of %q", e.Epoch, e.Org, e.Last.Origin, known.Origin)
	}
	old, err := p.keyset.Log(known.Origin)
	if err != nil {
		return err
	}
	last, err := old.OpenCheckpoint([]byte(e.Checkpoint))
	switch {
	case err != nil:
		return fmt.Errorf("the last head of the old log: %w", err)
	case last != e.Last:
		return fmt.Errorf("it names %d entries of the old log, the checkpoint in it %d", e.Last.Size, last.Size)
	case e.Last.Size < known.Size:
		return fmt.Errorf("it names %d entries of the old log, this host verified %d", e.Last.Size, known.Size)
	case e.Last.Size == known.Size && e.Last.Root != known.Root:
		return fmt.Errorf("it names another root of the old log at %d entries than this host verified", known.Size)
	case known.Size <= e.Kept.Size && e.Reason != "rewritten": // a rewriting must be called that
		if err := evidence.CheckConsistency(known.Head, e.Kept, n.Consistency); err != nil {
			return fmt.Errorf("what is kept of the old log: %w", err)
		}
	}
	return nil
}

// goOn makes the story durable, ends an alarm about the old log, and makes the new
// head durable: after a crash in between all is done again.
func (p *pusher) goOn(story Began, next knownHead) error {
	alarm, err := p.st.alarm()
	if err != nil {
		return err
	}
	if alarm != nil && alarm.Code == alarmLog {
		story.Alarm = filepath.Base(p.st.keptAlarm(alarm))
	}
	list := slices.DeleteFunc(slices.Clone(p.began), func(b Began) bool {
		if b.Epoch == story.Epoch {
			story.Alarm = cmp.Or(story.Alarm, b.Alarm)
		}
		return b.Epoch == story.Epoch
	})
	list = append(list, story)
	if err := writeJSON(p.st.path(epochsFile), list); err != nil {
		return err
	}
	if alarm != nil && alarm.Code == alarmLog {
		if _, err := p.st.setAside(alarm); err != nil {
			return err
		}
	}
	if err := writeJSON(p.st.path(headFile), next); err != nil {
		return err
	}
	log, err := p.keyset.Log(next.Origin)
	if err != nil {
		return err
	}
	p.log, p.began = log, list
	p.mu.Lock()
	p.head = next
	p.mu.Unlock()
	p.slog.Warn(story.Story(), "proof", p.st.path(epochsFile))
	return nil
}

// logOf is the log and the head under which a receipt must hold: the newest, or an
// older epoch as the server has stated that it is kept.
func (p *pusher) logOf(r evidence.Receipt, newest evidence.Head) (evidence.TrustedLog, evidence.Head, error) {
	proof, err := evidence.ParseProof(r.Proof)
	for _, b := range p.began {
		if err == nil && b.Kept.Origin != p.log.Origin && strings.HasPrefix(string(proof.Checkpoint), b.Kept.Origin+"\n") {
			log, err := p.keyset.Log(b.Kept.Origin)
			return log, b.Kept, err
		}
	}
	return p.log, newest, nil
}
