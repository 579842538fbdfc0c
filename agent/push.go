package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Waits between pushes when the server cannot be reached or refuses.
const (
	firstWait = 5 * time.Second
	maxWait   = 15 * time.Minute
	// skewLimit is the difference between the clocks beyond which status warns.
	skewLimit = 5 * time.Minute
	// hungAfter is longer than a request with all its retries may take.
	hungAfter = time.Hour
	// maxResends bounds how often a server may ask for earlier records before a
	// pause is made.
	maxResends = 3
)

// pusher sends what waits in the spool, checks the log's receipts itself, and
// only then lets go of a record.
type pusher struct {
	client  *client
	spool   *Spool
	st      state
	keyset  evidence.Keyset
	log     evidence.TrustedLog // the newest epoch that was proven
	began   []Began             // how it came to that
	id      Identity
	witness *evidence.FileKey
	now     func() time.Time
	slog    *slog.Logger

	wake chan struct{}

	// mu is held for these fields only, never while the spool or a file is asked.
	mu    sync.Mutex
	head  knownHead
	busy  time.Time // since when a request is under way, monotonic; zero if none is
	state PushState
}

// PushState is what status shows of the way to the server.
type PushState struct {
	LastPush  *time.Time `json:"lastPush,omitempty"`  // the last answer that was accepted
	LastError string     `json:"lastError,omitempty"` // of the newest push, empty if it was accepted
	Failing   *time.Time `json:"failing,omitempty"`   // since when pushes fail
	DeltaMs   int64      `json:"serverDeltaMs"`       // server's clock minus ours
	Version   string     `json:"serverVersion,omitempty"`
}

func newPusher(c *client, spool *Spool, st state, id Identity, now func() time.Time, log *slog.Logger) (*pusher, error) {
	keyset, err := id.keyset()
	if err != nil {
		return nil, err
	}
	witness, err := evidence.LoadFileKey(st.path(witnessFile))
	if err != nil {
		return nil, err
	}
	head, err := st.head()
	if err != nil {
		return nil, err
	}
	trusted, err := keyset.Log(cmp.Or(head.Origin, id.Origin))
	if err != nil {
		return nil, err
	}
	began, err := st.began()
	if err != nil {
		return nil, err
	}
	return &pusher{client: c, spool: spool, st: st, keyset: keyset, log: trusted, began: began, id: id, witness: witness, now: now, slog: log,
		wake: make(chan struct{}, 1), head: head}, nil
}

// nudge asks for a push soon.
func (p *pusher) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pusher) knownHead() knownHead {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.head
}

func (p *pusher) delta() time.Duration {
	return time.Duration(p.stateNow().DeltaMs) * time.Millisecond
}

func (p *pusher) stateNow() PushState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

func (p *pusher) hung(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.busy.IsZero() && now.Sub(p.busy) > hungAfter
}

func (p *pusher) setBusy(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = since
}

// run pushes whenever it is nudged, until ctx ends.
func (p *pusher) run(ctx context.Context) {
	for {
		if p.untilDone(ctx, func() bool { return false }) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
	}
}

// untilDone drains, as often as it takes; its error is the last one when ctx ends or
// hopeless says so. After a failure it waits, longer each time, with jitter, so
// that many agents do not come back at once.
func (p *pusher) untilDone(ctx context.Context, hopeless func() bool) error {
	wait := firstWait
	for {
		err := p.drain(ctx)
		if err == nil || hopeless() {
			return err
		}
		pause := wait/2 + rand.N(wait/2+1)
		var r *refusal
		if errors.As(err, &r) && r.retryAfter > pause {
			pause = r.retryAfter + rand.N(r.retryAfter/10+1)
		}
		wait = min(wait*2, maxWait)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// insist pushes until all is receipted, ctx ends, or a person is needed.
func (p *pusher) insist(ctx context.Context) error {
	return p.untilDone(ctx, func() bool {
		alarm, err := p.st.alarm()
		return err != nil || alarm != nil
	})
}

// drain pushes until nothing waits.
func (p *pusher) drain(ctx context.Context) error {
	defer p.setBusy(time.Time{})
	size, resends := evidence.MaxBatch, 0
	for {
		p.setBusy(time.Now())
		recs, envs, err := p.spool.batch(size, evidence.MaxBatchBody*9/10)
		if err == nil && len(recs) == 0 {
			p.allReceipted()
			return nil
		}
		if err == nil {
			err = p.push(ctx, recs, envs)
		}
		var r *refusal
		if errors.As(err, &r) && r.status == http.StatusRequestEntityTooLarge && len(recs) > 1 {
			size = len(recs) / 2
			continue
		}
		if errors.Is(err, errAgain) {
			if resends++; resends <= maxResends {
				continue
			}
		}
		p.note(err)
		if err != nil {
			return err
		}
	}
}

// errAgain says that earlier records wait again, because the server misses them.
var errAgain = errors.New("the server misses records that it had proven to hold; they are sent again")

// note keeps what status shows, and tells the log about a change only.
func (p *pusher) note(err error) {
	now, waiting := p.now().UTC(), p.spool.State().Waiting
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		if p.state.Failing != nil {
			p.slog.Info("the server takes records again", "after", now.Sub(*p.state.Failing).Round(time.Second))
		}
		p.state.LastPush, p.state.LastError, p.state.Failing = &now, "", nil
		return
	}
	if p.state.LastError != err.Error() {
		p.slog.Warn("pushing", "error", err, "waiting", waiting)
	}
	p.state.LastError = err.Error()
	if p.state.Failing == nil {
		p.state.Failing = &now
	}
}

func (p *pusher) push(ctx context.Context, recs []spooled, envs []evidence.Envelope) error {
	known := p.knownHead()
	ask := evidence.Push{Known: p.claim(known), Cosign: p.cosign(known), Backlog: max(0, p.spool.State().Waiting-len(recs))}
	for _, rec := range recs {
		ask.Records = append(ask.Records, evidence.PushRecord{Envelope: rec.Envelope, Blobs: rec.Blobs})
	}
	var answer evidence.PushAnswer
	asked := p.now()
	if err := p.client.post(ctx, evidence.PathRecords, ask, &answer); err != nil {
		return err
	}
	p.noteClock(answer, asked)
	if len(answer.Results) != len(recs) {
		return fmt.Errorf("server answered %d records, %d were sent", len(answer.Results), len(recs))
	}
	if err := p.takeOver(answer.Keyset); err != nil {
		return fmt.Errorf("the server's new keyset, which is not taken over: %w", err)
	}
	known, err := p.follow(known, answer.Epochs)
	var done []bool
	if err == nil {
		done, err = p.verify(known, answer, recs, envs)
	}
	if err != nil && !errors.Is(err, errKeepHead) {
		p.raise(Alarm{Code: alarmLog, Message: "the log's answer does not verify: " + err.Error(),
			Cure:  "nothing was forgotten here; show both signed heads in alarm.json to the provider and to your auditor; then attesto-agent status --clear-alarm",
			Known: known.Checkpoint, Offered: answer.Checkpoint})
	}
	if err != nil {
		return fmt.Errorf("verifying the log's answer: %w", err)
	}
	for i, ok := range done {
		if ok {
			if err := p.spool.receipted(recs[i].Seq); err != nil {
				return err
			}
			p.keepReceipt(recs[i].Seq, answer.Results[i])
		}
	}
	return p.settle(ctx, recs, answer)
}

// claim says what is known here. While there is an alarm about the log, the signed
// head comes along: the server may have lost the very knowledge of it.
func (p *pusher) claim(known knownHead) evidence.KnownHead {
	claim := evidence.KnownHead{Origin: p.log.Origin, Size: known.Size}
	if p.keyset.Version > 1 {
		claim.Keyset = p.keyset.Version
	}
	if alarm, err := p.st.alarm(); err == nil && alarm != nil && alarm.Code == alarmLog {
		claim.Checkpoint = known.Checkpoint
	}
	return claim
}

// cosign states that the known head was verified, unless there is an alarm about
// the log: then this witness stays silent.
func (p *pusher) cosign(known knownHead) string {
	alarm, err := p.st.alarm()
	if err != nil || known.Checkpoint == "" || (alarm != nil && alarm.Code == alarmLog) {
		return ""
	}
	line, err := evidence.Cosign(p.witness.Private(), evidence.WitnessName(p.log.Origin, p.id.Agent), []byte(known.Checkpoint), p.now())
	if err != nil {
		p.slog.Error("cosigning", "error", err)
		return ""
	}
	return line
}

func (p *pusher) noteClock(answer evidence.PushAnswer, asked time.Time) {
	now := p.now()
	middle := asked.Add(now.Sub(asked) / 2)
	delta := answer.Time.Sub(middle)
	p.mu.Lock()
	defer p.mu.Unlock()
	if delta.Abs() > skewLimit && (time.Duration(p.state.DeltaMs)*time.Millisecond).Abs() <= skewLimit {
		p.slog.Warn("this host's clock differs from the server's", "by", delta.Round(time.Second))
	}
	p.state.DeltaMs, p.state.Version = delta.Milliseconds(), answer.Version
}

// errKeepHead says that the log's answer holds, but cannot be remembered.
var errKeepHead = errors.New("keeping the log's new head")

// verify checks the answer in this order: the checkpoint's signature and origin,
// its consistency with the head known before, each receipt under that very
// checkpoint. Then the new head is made durable. done tells which records the log
// has proven to hold.
func (p *pusher) verify(known knownHead, answer evidence.PushAnswer, recs []spooled, envs []evidence.Envelope) (done []bool, err error) {
	done = make([]bool, len(envs))
	accepted := 0
	for _, r := range answer.Results {
		if r.Status == evidence.StatusOK || r.Status == evidence.StatusDuplicate {
			accepted++
		}
	}
	if answer.Checkpoint == "" && accepted == 0 {
		return done, nil
	}
	head, err := p.log.OpenCheckpoint([]byte(answer.Checkpoint))
	if err != nil {
		return nil, err
	}
	if err := evidence.CheckConsistency(known.Head, head, answer.Consistency); err != nil {
		return nil, err
	}
	for i, r := range answer.Results {
		if r.Status != evidence.StatusOK && r.Status != evidence.StatusDuplicate {
			continue
		}
		log, want, err := p.logOf(r.Receipt(), head)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", recs[i].Seq, err)
		}
		entry, _, under, err := r.Receipt().Verify(envs[i], log)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", recs[i].Seq, err)
		}
		if under != want {
			return nil, fmt.Errorf("record %d is proven under another head of %d entries", recs[i].Seq, under.Size)
		}
		if entry.Type != typeOf(envs[i]) || entry.Agent != p.id.Agent || entry.Seq != recs[i].Seq {
			return nil, fmt.Errorf("record %d stands in the log as %s %d of %q", recs[i].Seq, entry.Type, entry.Seq, entry.Agent)
		}
		done[i] = true
	}
	next := knownHead{head, answer.Checkpoint}
	if err := writeJSON(p.st.path(headFile), next); err != nil {
		return nil, fmt.Errorf("%w: %w", errKeepHead, err)
	}
	p.mu.Lock()
	p.head = next
	p.mu.Unlock()
	return done, nil
}

// typeOf is how the log must have entered what this agent sent.
func typeOf(env evidence.Envelope) evidence.EntryType {
	if evidence.PredicateType(env.Payload()) == evidence.PredicateRotation {
		return evidence.EntryRotation
	}
	return evidence.EntryEvidence
}

// kept is the receipt of a record, beside its file.
type kept struct {
	Entry string    `json:"entry"`
	Proof string    `json:"proof"`
	At    time.Time `json:"at"`
}

// keepReceipt stores a receipt for the journal; its loss would lose no evidence.
func (p *pusher) keepReceipt(seq uint64, r evidence.PushResult) {
	b, err := json.Marshal(kept{r.Entry, r.Proof, p.now().UTC()})
	if err == nil {
		err = writeFile(p.spool.receiptPath(seq), b)
	}
	if err != nil {
		p.slog.Warn("keeping a receipt", "seq", seq, "error", err)
	}
}

// settle deals with what the server refused or still misses.
func (p *pusher) settle(ctx context.Context, recs []spooled, answer evidence.PushAnswer) error {
	for i, r := range answer.Results {
		for _, missing := range r.Missing {
			blob, ok := recs[i].Blobs[missing.String()]
			if !ok {
				continue
			}
			if err := p.client.send(ctx, http.MethodPut, evidence.PathBlobs+missing.String(), "application/octet-stream", blob, nil); err != nil {
				return fmt.Errorf("sending a missing blob: %w", err)
			}
		}
		if r.Status != evidence.StatusRejected {
			continue
		}
		return p.rejected(recs[i].Seq, r)
	}
	return nil
}

func (p *pusher) rejected(seq uint64, r evidence.PushResult) error {
	said := r.Error
	if said == nil {
		said = &evidence.Error{Code: evidence.CodeInternal, Message: "rejected without a reason"}
	}
	switch said.Code {
	case evidence.CodeUnavailable: // the server's trouble; the record waits
	case evidence.CodeGap:
		if said.Expect > 0 && said.Expect < seq {
			found, err := p.spool.again(said.Expect)
			if err != nil {
				return err
			}
			if found {
				p.slog.Warn("the server misses records; sending them again", "from", said.Expect)
				return errAgain
			}
		}
		p.raise(Alarm{Code: "lost_records", Message: fmt.Sprintf("the server waits for record %d, which is no longer kept here", said.Expect),
			Cure: "enroll this host anew; what the server holds up to there stays valid"})
	case evidence.CodeFork:
		p.raise(Alarm{Code: "fork", Message: "another record bears number " + fmt.Sprint(seq) + ": this host was cloned or restored, or its key was copied",
			Cure: "if this host was set back to a snapshot: stop the agent and run attesto-agent rejoin; if it is a clone: attesto-agent generalize --force, then enroll it; if neither, its key was copied: revoke the agent and enroll anew"})
	default:
		p.raise(Alarm{Code: "rejected", Message: fmt.Sprintf("the server refuses record %d: %v", seq, said), Cure: said.Cure})
	}
	return fmt.Errorf("record %d: %w", seq, said)
}
