// Package anchor keeps the server's anchor log: one Merkle log over the signed
// checkpoints of all organisations' logs, which names neither. It is published as
// static tiles (c2sp.org/tlog-tiles), stamped by time-stamping authorities (RFC 3161)
// and cosigned by outside witnesses (c2sp.org/tlog-witness), so that nobody, the
// server's operator included, can change an organisation's log later or date it back.
package anchor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Deps is what an anchor is made of besides its configuration.
type Deps struct {
	Name   string // of the server
	Store  *store.Store
	Ledger *ledger.Log
	// Release says that a committed head may leave the server; before is the state
	// that it was appended to, zero when that is not known.
	Release func(ctx context.Context, before, st ledger.State) error
	// Stopped says why a log may not be continued; nil when it may.
	Stopped func(ctx context.Context, st ledger.State) error
	Trust   func(origin string) (evidence.TrustedLog, error)
	Log     *slog.Logger
	Now     func() time.Time
}

// Anchor does what is due for the anchor log. Of several replicas each job is done
// by one; the folder is kept by each that has one.
type Anchor struct {
	Deps
	cfg       Config
	tsas      []authority
	witnesses []witness
	client    *http.Client
}

const (
	look       = 15 * time.Second // how often the loop looks for what is due
	callLimit  = 30 * time.Second // of one call to the outside
	lease      = 10 * time.Minute // longer than any job may take
	jobLog     = "log"
	batch      = 512
	firstWait  = time.Minute
	longWait   = time.Hour
	stampEvery = time.Hour
	alarmAfter = 6 * time.Hour // of failing
)

// New makes an anchor from a configuration that Complete has passed, and reads the
// files that it names.
func New(cfg Config, d Deps) (*Anchor, error) {
	a := &Anchor{Deps: d, cfg: cfg, client: &http.Client{Timeout: callLimit}}
	for _, t := range cfg.TSA {
		auth, err := newAuthority(t)
		if err != nil {
			return nil, fmt.Errorf("anchor: %w", err)
		}
		a.tsas = append(a.tsas, auth)
	}
	for _, w := range cfg.Witnesses {
		name, key, err := evidence.ParseWitnessVKey(w.VKey)
		if err != nil {
			return nil, fmt.Errorf("anchor: %w", err)
		}
		a.witnesses = append(a.witnesses, witness{w, name, key})
	}
	return a, nil
}

// Run does what is due until ctx ends.
func (a *Anchor) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := a.Once(ctx); err != nil && ctx.Err() == nil {
			a.Log.ErrorContext(ctx, "keeping the anchor log", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Once does all that is due. What fails outside the server is told and tried again;
// the error is for what fails within.
func (a *Anchor) Once(ctx context.Context) error {
	jobs, err := a.jobs(ctx)
	if err != nil {
		return err
	}
	errs := []error{a.job(ctx, jobs[jobLog], a.appendHeads)}
	st, err := a.head(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return errors.Join(errs...)
	}
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, w := range a.witnesses {
		last, err := a.Store.LastCosignature(ctx, st.ID, w.VKey)
		if errs = append(errs, found(err)); found(err) == nil && (err != nil || last.Size < st.Size) {
			errs = append(errs, a.job(ctx, jobs[w.job()], func(ctx context.Context) (time.Duration, error) { return 0, a.cosign(ctx, w, st, last.Size) }))
		}
	}
	for _, t := range a.tsas {
		last, err := a.Store.LastAnchorToken(ctx, st.ID, t.URL)
		if errs = append(errs, found(err)); found(err) == nil && (err != nil || last.Size < st.Size) {
			errs = append(errs, a.job(ctx, jobs[t.job()], func(ctx context.Context) (time.Duration, error) { return stampEvery, a.stamp(ctx, t, st) }))
		}
	}
	return errors.Join(append(errs, a.publish(ctx, st))...)
}

// found passes every error but ErrNotFound.
func found(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// head is the anchor log's newest head, which may leave the server.
func (a *Anchor) head(ctx context.Context) (ledger.State, error) {
	st, err := a.Store.Log(ctx, store.AnchorOrg)
	if err == nil {
		err = a.Stopped(ctx, st)
	}
	if err == nil {
		err = a.Release(ctx, ledger.State{}, st)
	}
	return st, err
}

// jobs reads what is known of each job.
func (a *Anchor) jobs(ctx context.Context) (map[string]store.AnchorJob, error) {
	jobs := map[string]store.AnchorJob{jobLog: {Name: jobLog}}
	for _, t := range a.tsas {
		jobs[t.job()] = store.AnchorJob{Name: t.job()}
	}
	for _, w := range a.witnesses {
		jobs[w.job()] = store.AnchorJob{Name: w.job()}
	}
	list, err := a.Store.AnchorJobs(ctx)
	for _, j := range list {
		jobs[j.Name] = j
	}
	return jobs, err
}

// job does one thing if it is due and nobody else does it. do says after how long it
// is due again.
func (a *Anchor) job(ctx context.Context, j store.AnchorJob, do func(context.Context) (time.Duration, error)) error {
	now := a.Now()
	if j.Due.After(now) {
		return nil
	}
	mine := false
	err := a.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		j, mine, err = tx.ClaimAnchorJob(ctx, j.Name, now, lease)
		return err
	})
	if err != nil || !mine {
		return err
	}
	after, err := do(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // the lease ends by itself
	}
	if err != nil {
		a.failed(ctx, &j, err)
	} else {
		j.Due, j.Done, j.Failing, j.Attempts, j.Error = now.Add(after), now, time.Time{}, 0, ""
	}
	return a.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SettleAnchorJob(ctx, j) })
}

// failed notes a failure and says it as loud as it is old.
func (a *Anchor) failed(ctx context.Context, j *store.AnchorJob, err error) {
	now := a.Now()
	if j.Failing.IsZero() {
		j.Failing = now
	}
	wait := longWait
	if j.Attempts < 7 {
		wait = min(firstWait<<max(j.Attempts-1, 0), longWait)
	}
	j.Due, j.Error = now.Add(wait), err.Error()
	level, what := slog.LevelWarn, "the anchor log could not be served, will be tried again"
	if now.Sub(j.Failing) >= alarmAfter {
		level, what = slog.LevelError, "ALARM: the anchor log has not been served for long: run attesto-server anchor status"
	}
	a.Log.Log(ctx, level, what, "job", j.Name, "since", j.Failing, "attempt", j.Attempts, "next", j.Due, "err", err)
}

// appendHeads anchors every head that is not yet.
func (a *Anchor) appendHeads(ctx context.Context) (time.Duration, error) {
	logs, err := a.Store.Unanchored(ctx)
	if err != nil {
		return 0, err
	}
	heads := logs[:0]
	for _, st := range logs {
		if err := errors.Join(a.Stopped(ctx, st), a.Release(ctx, ledger.State{}, st)); err != nil {
			a.Log.WarnContext(ctx, "a log's head is not anchored", "log", st.Origin, "err", err)
			continue
		}
		heads = append(heads, st)
	}
	for len(heads) > 0 {
		n := min(len(heads), batch)
		if err := a.anchor(ctx, heads[:n]); err != nil {
			return 0, err
		}
		heads = heads[n:]
	}
	return a.cfg.Every, nil
}

// anchor appends heads in one transaction.
func (a *Anchor) anchor(ctx context.Context, heads []ledger.State) error {
	var before, after ledger.State
	err := a.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		st, err := a.lock(ctx, tx)
		if err != nil {
			return err
		}
		before, after = st, st
		var entries []evidence.AnchorEntry
		var rows []store.Anchored
		for _, h := range heads {
			// Another replica may have been faster.
			size, err := tx.AnchoredSize(ctx, h.ID)
			if err != nil {
				return err
			}
			if size >= h.Size {
				continue
			}
			nonce, err := nonceOf(ctx, tx, h.ID)
			if err != nil {
				return err
			}
			rows = append(rows, store.Anchored{Log: h.ID, Size: h.Size, Anchor: st.ID, Index: st.Size + int64(len(rows))})
			entries = append(entries, evidence.NewAnchorEntry(h.Origin, h.Checkpoint, nonce))
		}
		if len(entries) == 0 {
			return nil
		}
		if after, _, err = a.Ledger.Anchor(ctx, tx, st, a.Now(), entries); err != nil {
			return err
		}
		return tx.AddAnchored(ctx, rows)
	})
	if err != nil || after.Size == before.Size {
		return err
	}
	return a.Release(ctx, before, after)
}

// lock reads the anchor log for an append; the first time it makes it.
func (a *Anchor) lock(ctx context.Context, tx *store.Tx) (ledger.State, error) {
	st, err := tx.LockLog(ctx, store.AnchorOrg)
	if !errors.Is(err, store.ErrNotFound) {
		return st, err
	}
	st, err = a.Ledger.Start(evidence.NewID("l_"), store.AnchorOrg, evidence.AnchorOrigin(a.Name, 1), 1)
	if err != nil {
		return st, err
	}
	return st, tx.AddLog(ctx, st)
}

func nonceOf(ctx context.Context, tx *store.Tx, log string) ([]byte, error) {
	nonce, err := tx.AnchorNonce(ctx, log)
	if !errors.Is(err, store.ErrNotFound) {
		return nonce, err
	}
	nonce = make([]byte, evidence.AnchorNonceSize)
	rand.Read(nonce) // never fails
	return nonce, tx.AddAnchorNonce(ctx, log, nonce)
}
