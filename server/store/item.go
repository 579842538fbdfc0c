package store

import (
	"context"
	"math"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Item is one look of a record. It is an index over envelopes and can be made
// anew from them.
type Item struct {
	Org      string
	Agent    string
	Kind     evidence.Kind
	Log      string
	Index    int64 // of the log entry
	Schema   int
	From, To time.Time
	Received time.Time
	Outcome  evidence.Outcome
	Reason   string
	Facts    evidence.Digest
	Detail   evidence.Digest // zero for none
	Skew     time.Duration   // server time minus the agent's, as the record states it
}

// Place is where a blob that the item names lies.
func (it Item) Place(d evidence.Digest) Place { return Place{it.Org, it.Log, it.Index, d} }

const itemColumns = `org_id, agent_id, kind, log_id, idx, schema, from_at, to_at, received, outcome, reason, facts, detail, skew_ms`

// itemFields reads items; of rows that were written before each had its own skew, the
// agent's counts.
const itemFields = `org_id, agent_id, kind, log_id, idx, schema, from_at, to_at, received, outcome, reason, facts, detail,
	COALESCE(skew_ms, (SELECT a.skew_ms FROM agent a WHERE a.id = agent_id), 0)`

func scanItem(row func(...any) error) (Item, error) {
	var it Item
	var outcome string
	var facts, detail []byte
	var from, to, received, skew int64
	err := row(&it.Org, &it.Agent, &it.Kind, &it.Log, &it.Index, &it.Schema, &from, &to, &received, &outcome, &it.Reason, &facts, &detail, &skew)
	if err != nil {
		return it, err
	}
	it.From, it.To, it.Received = Time(from), Time(to), Time(received)
	it.Facts, it.Detail, it.Skew = digest(facts), digest(detail), time.Duration(skew)*time.Millisecond
	return it, it.Outcome.UnmarshalText([]byte(outcome))
}

// AddItems inserts items.
func (t *Tx) AddItems(ctx context.Context, list []Item) error {
	rows := make([][]any, len(list))
	for i, it := range list {
		rows[i] = []any{it.Org, it.Agent, string(it.Kind), it.Log, it.Index, int64(it.Schema), Micros(it.From), Micros(it.To), Micros(it.Received),
			it.Outcome.String(), it.Reason, it.Facts[:], optional(it.Detail), it.Skew.Milliseconds()}
	}
	return t.insertMany(ctx, `INSERT INTO item (`+itemColumns+`) VALUES `, rows)
}

// ItemsAt lists the items of the records from an index (inclusive) to another
// (exclusive).
func (r Reader) ItemsAt(ctx context.Context, org, log string, from, to int64) ([]Item, error) {
	return all(ctx, r, "reading items", `SELECT `+itemFields+` FROM item
		WHERE org_id = $1 AND log_id = $2 AND idx >= $3 AND idx < $4 ORDER BY idx, kind`, []any{org, log, from, to}, scanItem)
}

// ItemsOf lists an agent's items of a kind that were received since, oldest first.
func (r Reader) ItemsOf(ctx context.Context, org, agent string, kind evidence.Kind, since time.Time, limit int) ([]Item, error) {
	return all(ctx, r, "reading items", `SELECT `+itemFields+` FROM (
		SELECT `+itemColumns+` FROM item WHERE org_id = $1 AND agent_id = $2 AND kind = $3 AND received >= $4 ORDER BY received DESC, log_id DESC, idx DESC LIMIT $5
		) newest ORDER BY received, log_id, idx`, []any{org, agent, string(kind), Micros(since), int64(limit)}, scanItem)
}

// ItemsBefore lists an agent's items of a kind that were received before a moment,
// newest first; the zero moment is now.
func (r Reader) ItemsBefore(ctx context.Context, org, agent string, kind evidence.Kind, before time.Time, limit int) ([]Item, error) {
	end := Micros(before)
	if before.IsZero() {
		end = math.MaxInt64
	}
	return all(ctx, r, "reading items", `SELECT `+itemFields+` FROM item
		WHERE org_id = $1 AND agent_id = $2 AND kind = $3 AND received < $4 ORDER BY received DESC, log_id DESC, idx DESC LIMIT $5`,
		[]any{org, agent, string(kind), end, int64(limit)}, scanItem)
}

// ItemsMade lists an agent's items of a kind that were received since a moment and
// were made, by their own word corrected by the agent's skew, or received before
// another; oldest first. What was received after last is left out.
func (r Reader) ItemsMade(ctx context.Context, org, agent string, kind evidence.Kind, since, until, last time.Time, limit int) ([]Item, error) {
	return all(ctx, r, "reading items", `SELECT `+itemFields+` FROM (
		SELECT `+itemColumns+` FROM item WHERE org_id = $1 AND agent_id = $2 AND kind = $3 AND received >= $4 AND received < $6
			AND (received < $5 OR to_at + 1000 * COALESCE(skew_ms, 0) < $5) ORDER BY received DESC, log_id DESC, idx DESC LIMIT $7
		) made ORDER BY received, log_id, idx`, []any{org, agent, string(kind), Micros(since), Micros(until), Micros(last), int64(limit)}, scanItem)
}

// Names tells whether an agent's records that were received since name a blob.
func (r Reader) Names(ctx context.Context, org, agent string, d evidence.Digest, since time.Time) (bool, error) {
	var n int64
	err := r.one(ctx, "looking for who names a blob", `SELECT count(*) FROM item
		WHERE org_id = $1 AND agent_id = $2 AND received >= $3 AND (facts = $4 OR detail = $4)`, []any{org, agent, Micros(since), d[:]}, &n)
	return n > 0, err
}

// CountItems counts an organisation's items by kind.
func (r Reader) CountItems(ctx context.Context, org string) (map[evidence.Kind]int64, error) {
	counts := map[evidence.Kind]int64{}
	err := each(ctx, r, "counting items", `SELECT kind, count(*) FROM item WHERE org_id = $1 GROUP BY kind`, []any{org},
		func(row func(...any) error) error {
			var kind evidence.Kind
			var n int64
			err := row(&kind, &n)
			counts[kind] = n
			return err
		})
	return counts, err
}
