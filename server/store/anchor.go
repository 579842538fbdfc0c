package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
)

// AnchorOrg is the organisation under which the anchor log stands among the logs.
const AnchorOrg = ""

// Unanchored lists the logs whose newest checkpoint is not in an anchor log.
func (r Reader) Unanchored(ctx context.Context) ([]ledger.State, error) {
	return all(ctx, r, "listing logs to anchor", `SELECT `+logColumns+` FROM log WHERE org_id <> '' AND size > 0
		AND NOT EXISTS (SELECT 1 FROM anchored a WHERE a.log_id = log.id AND a.size >= log.size) ORDER BY id`, nil, scanLog)
}

// AnchoredSize is the largest size of a log that was anchored; 0 for none.
func (r Reader) AnchoredSize(ctx context.Context, log string) (int64, error) {
	var size int64
	err := r.one(ctx, "reading what was anchored", `SELECT COALESCE(max(size), 0) FROM anchored WHERE log_id = $1`, []any{log}, &size)
	return size, err
}

// AnchorNonce reads the nonce of a log; ErrNotFound when it was never anchored.
func (r Reader) AnchorNonce(ctx context.Context, log string) ([]byte, error) {
	var nonce []byte
	err := r.one(ctx, "reading the anchor nonce", `SELECT nonce FROM anchor_nonce WHERE log_id = $1`, []any{log}, &nonce)
	return nonce, err
}

// AddAnchorNonce stores a log's nonce.
func (t *Tx) AddAnchorNonce(ctx context.Context, log string, nonce []byte) error {
	_, err := t.exec(ctx, "adding an anchor nonce", `INSERT INTO anchor_nonce (log_id, nonce) VALUES ($1, $2)`, log, nonce)
	return err
}

// Anchored is a checkpoint of a log with its place in the anchor log. Origin, Note
// and Nonce are empty for what is missing.
type Anchored struct {
	Log    string
	Size   int64
	Anchor string // id of the anchor log
	Index  int64
	Origin string
	Note   []byte
	Nonce  []byte
}

// AddAnchored stores the places of checkpoints.
func (t *Tx) AddAnchored(ctx context.Context, list []Anchored) error {
	rows := make([][]any, len(list))
	for i, a := range list {
		rows[i] = []any{a.Log, a.Size, a.Anchor, a.Index}
	}
	return t.insertMany(ctx, `INSERT INTO anchored (log_id, size, anchor_id, idx) VALUES `, rows)
}

const anchoredRows = `SELECT a.log_id, a.size, a.anchor_id, a.idx, COALESCE(l.origin, ''), c.note, n.nonce FROM anchored a
	LEFT JOIN log l ON l.id = a.log_id LEFT JOIN checkpoint c ON c.log_id = a.log_id AND c.size = a.size
	LEFT JOIN anchor_nonce n ON n.log_id = a.log_id `

func scanAnchored(row func(...any) error) (Anchored, error) {
	var a Anchored
	err := row(&a.Log, &a.Size, &a.Anchor, &a.Index, &a.Origin, &a.Note, &a.Nonce)
	return a, err
}

// AnchoredFrom lists up to limit anchored checkpoints by their place, from an index
// on.
func (r Reader) AnchoredFrom(ctx context.Context, anchor string, from int64, limit int) ([]Anchored, error) {
	return all(ctx, r, "reading what was anchored", anchoredRows+`WHERE a.anchor_id = $1 AND a.idx >= $2 ORDER BY a.idx LIMIT $3`,
		[]any{anchor, from, int64(limit)}, scanAnchored)
}

// AnchoredUnder finds the largest checkpoint of a log, of at most size entries, that
// the anchor log held when it had above entries; ErrNotFound when there is none.
func (r Reader) AnchoredUnder(ctx context.Context, log string, size int64, anchor string, above int64) (Anchored, error) {
	list, err := all(ctx, r, "reading what was anchored", anchoredRows+`WHERE a.log_id = $1 AND a.size <= $2 AND a.anchor_id = $3 AND a.idx < $4
		ORDER BY a.size DESC LIMIT 1`, []any{log, size, anchor, above}, scanAnchored)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("anchored checkpoint: %w", ErrNotFound)
	}
	if err != nil {
		return Anchored{}, err
	}
	return list[0], nil
}

// AnchorToken is a time stamp over the anchor log's checkpoint of a size.
type AnchorToken struct {
	Anchor string
	Size   int64
	TSA    string
	At     time.Time
	Token  []byte // DER
	Chain  string // PEM: its signer's certificate first, the root last; "" when it is missing
}

// AddAnchorToken stores a verified token; one that is known already stays.
func (t *Tx) AddAnchorToken(ctx context.Context, k AnchorToken) error {
	sha := evidence.Sum([]byte(k.Chain))
	_, err := t.exec(ctx, "adding the certificates of a time stamp", `INSERT INTO anchor_chain (sha, pem) VALUES ($1, $2) ON CONFLICT DO NOTHING`, sha[:], k.Chain)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "adding a time stamp", `INSERT INTO anchor_token (anchor_id, size, tsa, at, token, chain) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, k.Anchor, k.Size, k.TSA, Micros(k.At), k.Token, sha[:])
	return err
}

const tokenRows = `SELECT k.anchor_id, k.size, k.tsa, k.at, k.token, COALESCE(c.pem, '') FROM anchor_token k LEFT JOIN anchor_chain c ON c.sha = k.chain `

func scanToken(row func(...any) error) (AnchorToken, error) {
	var k AnchorToken
	var at int64
	err := row(&k.Anchor, &k.Size, &k.TSA, &at, &k.Token, &k.Chain)
	k.At = Time(at)
	return k, err
}

// AnchorTokens lists the tokens over checkpoints of from (inclusive) to to
// (exclusive) entries, by size.
func (r Reader) AnchorTokens(ctx context.Context, anchor string, from, to int64) ([]AnchorToken, error) {
	return all(ctx, r, "reading time stamps", tokenRows+`WHERE k.anchor_id = $1 AND k.size >= $2 AND k.size < $3 ORDER BY k.size, k.tsa`,
		[]any{anchor, from, to}, scanToken)
}

// AnchorSizes lists the sizes of the anchor log over which something from outside is
// known: of each authority the newest token and, since a moment, the last of each
// day (UTC); of each witness the newest cosignature.
func (r Reader) AnchorSizes(ctx context.Context, anchor string, since time.Time) ([]int64, error) {
	return all(ctx, r, "reading what speaks for the anchor log", `SELECT max(size) FROM anchor_token WHERE anchor_id = $1 GROUP BY tsa
		UNION SELECT max(size) FROM anchor_token WHERE anchor_id = $1 AND at >= $2 GROUP BY tsa, at / 86400000000
		UNION SELECT max(size) FROM cosignature WHERE log_id = $1 GROUP BY agent_id ORDER BY 1`, []any{anchor, Micros(since)},
		func(row func(...any) error) (int64, error) {
			var size int64
			err := row(&size)
			return size, err
		})
}

// LastAnchorToken is the token of an authority over the largest checkpoint;
// ErrNotFound when it gave none.
func (r Reader) LastAnchorToken(ctx context.Context, anchor, tsa string) (AnchorToken, error) {
	list, err := all(ctx, r, "reading time stamps", tokenRows+`WHERE k.anchor_id = $1 AND k.tsa = $2 ORDER BY k.size DESC LIMIT 1`, []any{anchor, tsa}, scanToken)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("time stamp of %s: %w", tsa, ErrNotFound)
	}
	if err != nil {
		return AnchorToken{}, err
	}
	return list[0], nil
}

// LastCosignature is a witness' line for the largest checkpoint of a log;
// ErrNotFound when it gave none. witness is what stands as the agent.
func (r Reader) LastCosignature(ctx context.Context, log, witness string) (Cosignature, error) {
	c := Cosignature{Log: log, Agent: witness}
	var at int64
	err := r.one(ctx, "reading cosignatures", `SELECT size, line, at FROM cosignature WHERE log_id = $1 AND agent_id = $2 ORDER BY size DESC LIMIT 1`,
		[]any{log, witness}, &c.Size, &c.Line, &at)
	c.At = Time(at)
	return c, err
}

// CosignaturesAt lists what witnesses said of one checkpoint.
func (r Reader) CosignaturesAt(ctx context.Context, log string, size int64) ([]Cosignature, error) {
	return all(ctx, r, "reading cosignatures", `SELECT log_id, size, agent_id, line, at FROM cosignature
		WHERE log_id = $1 AND size = $2 ORDER BY agent_id`, []any{log, size}, scanCosignature)
}

// AnchorJob is one thing that is done again and again for the anchor log.
type AnchorJob struct {
	Name     string
	Due      time.Time
	Done     time.Time // last success; zero for never
	Failing  time.Time // since when; zero while it works
	Attempts int       // since the last success
	Error    string
}

const jobColumns = `name, due, done, failing, attempts, error`

func scanJob(row func(...any) error) (AnchorJob, error) {
	var j AnchorJob
	var due, done, failing int64
	err := row(&j.Name, &due, &done, &failing, &j.Attempts, &j.Error)
	j.Due, j.Done, j.Failing = Time(due), Time(done), Time(failing)
	return j, err
}

// AnchorJobs lists all jobs by name.
func (r Reader) AnchorJobs(ctx context.Context) ([]AnchorJob, error) {
	return all(ctx, r, "reading jobs of the anchor log", `SELECT `+jobColumns+` FROM anchor_job ORDER BY name`, nil, scanJob)
}

// ClaimAnchorJob takes a job that is due until the lease ends; it reports false when
// it is not due or somebody else has it.
func (t *Tx) ClaimAnchorJob(ctx context.Context, name string, now time.Time, lease time.Duration) (AnchorJob, bool, error) {
	if _, err := t.exec(ctx, "adding a job of the anchor log", `INSERT INTO anchor_job (name, due) VALUES ($1, 0) ON CONFLICT DO NOTHING`, name); err != nil {
		return AnchorJob{}, false, err
	}
	list, err := all(ctx, t.Reader, "claiming a job of the anchor log", `UPDATE anchor_job SET lease = $3, attempts = attempts + 1
		WHERE name = $1 AND due <= $2 AND lease <= $2 RETURNING `+jobColumns, []any{name, Micros(now), Micros(now.Add(lease))}, scanJob)
	if err != nil || len(list) == 0 {
		return AnchorJob{}, false, err
	}
	return list[0], true, nil
}

// SettleAnchorJob says how a claimed job went and when it is due again.
func (t *Tx) SettleAnchorJob(ctx context.Context, j AnchorJob) error {
	n, err := t.exec(ctx, "settling a job of the anchor log", `UPDATE anchor_job SET due = $2, done = $3, failing = $4, attempts = $5, error = $6, lease = 0 WHERE name = $1`,
		j.Name, Micros(j.Due), Micros(j.Done), Micros(j.Failing), j.Attempts, j.Error)
	if err == nil && n != 1 {
		err = errors.New("settling a job of the anchor log: it is gone")
	}
	return err
}
