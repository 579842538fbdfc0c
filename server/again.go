package server

import (
	"context"
	"errors"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// clockFine is by how much clocks that agree may differ.
const clockFine = 5 * time.Minute

// agrees reports whether this server's clock can be right: the newest looks of most agents
// were made just now, and not later. While agents are silent nobody knows, and what was
// judged by a clock that was further may be right.
func (j *Judge) agrees(q duties.Question) bool {
	newest := map[string]duties.Seen{}
	for _, s := range q.Facts {
		if last, ok := newest[s.Agent]; !ok || s.Index > last.Index {
			newest[s.Agent] = s
		}
	}
	more := 0
	for _, s := range newest {
		switch ago := q.At.Sub(s.To); {
		case ago < -clockFine:
			more--
		case ago <= outage:
			more++
		}
	}
	switch {
	case more > 0:
		j.agreed = q.At
	case more < 0:
		j.agreed = time.Time{}
	}
	return !j.agreed.IsZero() && q.At.Sub(j.agreed).Abs() <= outage
}

// metaJudgedBy is by which rules all duties were judged: the catalogue and the program.
const metaJudgedBy = "judge.rules"

// byNewRules judges everything once where the rules are others than before: what stands by
// the old ones might hold for months. What could not be judged is tried again at the next
// start.
func (b *batch) byNewRules(ctx context.Context) error {
	if b.ruled {
		return nil
	}
	last, err := b.store.Meta(ctx, metaJudgedBy)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	b.ruled = true
	if last == b.rules {
		return nil
	}
	if err := b.everything(ctx); err != nil {
		return err
	}
	return b.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, metaJudgedBy, b.rules) })
}
