package anchor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/evidence/rfc3161"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Roots are the certificates that the tokens of each configured authority, by URL,
// must lead to. Tokens of others are held to the root that is stored with them.
func (a *Anchor) Roots() map[string]*x509.CertPool {
	roots := map[string]*x509.CertPool{}
	for _, t := range a.tsas {
		roots[t.URL] = t.roots
	}
	return roots
}

// Check proves an anchor log from its bytes: the log as every other, each entry
// against the checkpoint that it stands for, each token and cosignature. each is
// called with every entry.
func Check(ctx context.Context, r store.Reader, st ledger.State, trust evidence.TrustedLog, roots map[string]*x509.CertPool, each func()) ([]ledger.Fault, error) {
	c := &checker{ctx: ctx, r: r, st: st, roots: roots, each: each}
	faults, err := ledger.Check(ctx, r, st, trust, c.entry)
	c.faults = append(c.faults, faults...)
	if err == nil {
		err = c.beyond()
	}
	if err == nil {
		err = c.tokens()
	}
	if err == nil {
		err = c.cosignatures()
	}
	return c.faults, err
}

type checker struct {
	ctx    context.Context
	r      store.Reader
	st     ledger.State
	roots  map[string]*x509.CertPool
	each   func()
	faults []ledger.Fault
	rows   []store.Anchored // read ahead
	next   int64            // index from which to read on
}

func (c *checker) fault(where, format string, args ...any) {
	c.faults = append(c.faults, ledger.Fault{Where: "log " + c.st.Origin + ", " + where, What: fmt.Sprintf(format, args...)})
}

const ahead = 256

// entry holds an entry to the checkpoint that it stands for.
func (c *checker) entry(e ledger.Entry) error {
	c.each()
	where := fmt.Sprintf("entry %d", e.Index)
	said, err := evidence.ParseAnchorEntry(e.Line)
	if err != nil {
		c.fault(where, "%v", err)
		return nil
	}
	row, ok, err := c.row(e.Index)
	switch {
	case err != nil:
		return err
	case !ok && e.Index == 0 && c.st.Epoch > 1: // names the end of the epoch before
	case !ok:
		c.fault(where, "no checkpoint is known for it")
	case row.Origin == "" || row.Note == nil || row.Nonce == nil:
		c.fault(where, "the checkpoint of %d of log %s, or its nonce, is missing", row.Size, row.Log)
	default:
		if err := said.Stands(row.Origin, row.Note, row.Nonce); err != nil {
			c.fault(where, "checkpoint of %d of log %s: %v", row.Size, row.Origin, err)
		}
	}
	return nil
}

// row reads what an entry stands for; rows that no entry is there for are reported
// on the way.
func (c *checker) row(index int64) (store.Anchored, bool, error) {
	for {
		if len(c.rows) == 0 {
			var err error
			if c.rows, err = c.r.AnchoredFrom(c.ctx, c.st.ID, c.next, ahead); err != nil || len(c.rows) == 0 {
				return store.Anchored{}, false, err
			}
			c.next = c.rows[len(c.rows)-1].Index + 1
		}
		switch row := c.rows[0]; {
		case row.Index == index:
			c.rows = c.rows[1:]
			return row, true, nil
		case row.Index > index:
			return store.Anchored{}, false, nil
		default:
			c.fault(fmt.Sprintf("entry %d", row.Index), "is said to stand for log %s, but is not there", row.Log)
			c.rows = c.rows[1:]
		}
	}
}

// beyond reports what is said of entries after the last one.
func (c *checker) beyond() error {
	_, ok, err := c.row(max(c.next, c.st.Size) + 1<<40)
	if ok {
		c.fault("end", "checkpoints are placed far beyond it")
	}
	return err
}

// tokens verifies every time stamp, many at a time.
func (c *checker) tokens() error {
	const stride = 1 << 14
	for from := int64(0); from <= c.st.Size; from += stride {
		list, err := c.r.AnchorTokens(c.ctx, c.st.ID, from, from+stride)
		if err != nil {
			return err
		}
		for _, k := range list {
			if err := c.token(k); err != nil {
				c.fault(fmt.Sprintf("time stamp of %s for %d", k.TSA, k.Size), "%v", err)
			}
		}
	}
	list, err := c.r.AnchorTokens(c.ctx, c.st.ID, c.st.Size+1, 1<<62)
	for _, k := range list {
		c.fault(fmt.Sprintf("time stamp of %s for %d", k.TSA, k.Size), "lies beyond the head of %d entries", c.st.Size)
	}
	return err
}

func (c *checker) token(k store.AnchorToken) error {
	note, err := c.r.Checkpoint(c.ctx, k.Anchor, k.Size)
	if err != nil {
		return fmt.Errorf("its checkpoint: %w", err)
	}
	roots, ok := c.roots[k.TSA]
	if !ok {
		roots = rootOf(k.Chain)
	}
	got, err := rfc3161.Open(k.Token, note, roots)
	if err == nil && !got.Time.Equal(k.At) {
		err = fmt.Errorf("it states %s, its row %s", got.Time, k.At)
	}
	if err == nil && k.Chain == "" {
		err = errors.New("the certificates that it was verified with are missing")
	}
	return err
}

// cosignatures verifies what outside witnesses said.
func (c *checker) cosignatures() error {
	list, err := c.r.Cosignatures(c.ctx, c.st.ID, 0, 1_000_000)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := c.cosignature(s); err != nil {
			c.fault(fmt.Sprintf("cosignature of %s for %d", s.Agent, s.Size), "%v", err)
		}
	}
	return nil
}

func (c *checker) cosignature(s store.Cosignature) error {
	name, key, err := evidence.ParseWitnessVKey(s.Agent)
	if err != nil {
		return err
	}
	note, err := c.r.Checkpoint(c.ctx, s.Log, s.Size)
	if err != nil {
		return fmt.Errorf("its checkpoint: %w", err)
	}
	at, err := evidence.VerifyCosignature(key, name, s.Line, note)
	if err == nil && !at.Equal(s.At) {
		err = fmt.Errorf("it states %s, its row %s", at, s.At)
	}
	return err
}
