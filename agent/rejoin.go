package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// asideDir holds records that were sealed after the host was set back and never
// became part of its chain.
const asideDir = "aside"

// Rejoined says what rejoining found.
type Rejoined struct {
	evidence.Restored
	Next uint64 `json:"next"` // number of the next record
}

// Rejoin takes up the chain again where the log has it, on a host that was set back
// to an earlier state of its disk: the log proves the last record, this host's own
// key signed it, and the chain goes on from there. What was sealed here meanwhile is
// set aside. The next record states what happened.
func Rejoin(ctx context.Context, cfg Config, h *host.Host, version string, log *slog.Logger) (Rejoined, error) {
	a, release, err := open(cfg, h, version, log)
	if err != nil {
		return Rejoined{}, err
	}
	defer release()
	c, env, err := a.pusher.chain(ctx, a.keys)
	if err != nil {
		return Rejoined{}, fmt.Errorf("asking the server where the chain stands: %w", err)
	}
	local := a.spool.confirmed()
	if c.Seq <= local {
		return Rejoined{}, fmt.Errorf("the log holds %d records of this host, and it knows %d of them: it was not set back; if its chain has forked, its key is in use elsewhere: revoke it", c.Seq, local)
	}
	out := Rejoined{Restored: evidence.Restored{From: local + 1, To: c.Seq}}
	if out.Aside, err = a.spool.adopt(c.Seq, env, c, a.now()); err != nil {
		return out, fmt.Errorf("taking up the chain at record %d: %w", c.Seq, err)
	}
	if alarm, err := a.st.alarm(); err == nil && alarm != nil && alarm.Code == "fork" {
		if _, err := a.st.setAside(alarm); err != nil {
			return out, err
		}
	}
	at := a.now()
	a.sealer.begin()
	a.sealer.end(&Result{Kind: evidence.KindRestored, Facts: out.Restored, From: at, To: at, Outcome: evidence.Complete})
	out.Next = a.spool.State().Last + 1
	return out, a.pusher.insist(ctx)
}

// chain asks the server for the last record of this agent and checks it: the log
// proves it, continues the head that is known here, and this host's key signed it.
func (p *pusher) chain(ctx context.Context, keys *keyring) (evidence.Chain, evidence.Envelope, error) {
	known := p.knownHead()
	var c evidence.Chain
	path := evidence.PathChain + "?" + url.Values{"origin": {p.log.Origin}, "known": {strconv.FormatInt(known.Size, 10)}}.Encode()
	if err := p.client.send(ctx, http.MethodGet, path, "", nil, &c); err != nil {
		return c, evidence.Envelope{}, err
	}
	env, err := evidence.ParseEnvelope([]byte(c.Envelope))
	if err != nil {
		return c, env, err
	}
	if c.Seq == 0 {
		return c, env, errors.New("the log holds no record of this host")
	}
	v, err := evidence.Open(env, keys.signer(c.Seq).Public(), nil)
	if err != nil {
		return c, env, fmt.Errorf("the last record is not signed with this host's key (%w): the key was changed since this state of the disk, or another host has it; enroll anew", err)
	}
	if r := v.Record(); r.Agent != p.id.Agent || r.Org != p.id.Org || r.Seq != c.Seq {
		return c, env, fmt.Errorf("the last record is number %d of agent %s", r.Seq, r.Agent)
	}
	entry, _, head, err := evidence.Receipt{Entry: []byte(c.Entry), Proof: []byte(c.Proof)}.Verify(env, p.log)
	if err == nil {
		err = evidence.CheckConsistency(known.Head, head, c.Consistency)
	}
	if err == nil && (entry.Agent != p.id.Agent || entry.Seq != c.Seq) {
		err = fmt.Errorf("its entry is of record %d of agent %s", entry.Seq, entry.Agent)
	}
	return c, env, err
}

// confirmed is the number of the newest record that the log has proven to hold.
func (s *Spool) confirmed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 {
		return s.waiting[0] - 1
	}
	return s.last
}

// adopt sets aside what waits and goes on after a record that the log holds. A crash
// in between leaves fewer records waiting, and rejoining is begun anew.
func (s *Spool) adopt(seq uint64, env evidence.Envelope, c evidence.Chain, now time.Time) (aside int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(filepath.Join(s.dir, asideDir), 0o700); err != nil {
		return 0, err
	}
	for len(s.waiting) > 0 {
		n := s.waiting[len(s.waiting)-1]
		rec, _, err := s.read(waitDir, n)
		if err != nil {
			return aside, err
		}
		to := filepath.Join(s.dir, asideDir, fmt.Sprintf("%016d-%s%s", n, now.UTC().Format("20060102T150405Z"), recordExt))
		if err := s.fs.moveDurable(s.path(waitDir, n), to); err != nil {
			return aside, err
		}
		s.waiting = s.waiting[:len(s.waiting)-1]
		s.lost += len(rec.Kinds)
		aside++
	}
	rec := spooled{Seq: seq, Sealed: now.UTC(), Envelope: string(env.Bytes()), Blobs: map[string][]byte{}, Cursors: s.cursors}
	b, err := json.Marshal(rec)
	if err == nil {
		err = s.fs.writeDurable(s.path(sentDir, seq), b)
	}
	if err != nil {
		return aside, err
	}
	s.last, s.stmt, s.bytes, s.oldest = seq, env.StatementDigest(), 0, time.Time{}
	if b, err := json.Marshal(kept{c.Entry, c.Proof, now.UTC()}); err == nil {
		_ = writeFile(s.receiptPath(seq), b) // for the journal alone
	}
	return aside, s.writeLater(s.cursors, s.lost)
}
