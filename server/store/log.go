package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
)

var (
	_ ledger.Backend = (*Tx)(nil)
	_ ledger.Auditor = Reader{}
)

const (
	logFields  = `id, org_id, origin, epoch, size, edge, root, checkpoint, last_time`
	logColumns = logFields + `, (SELECT count(*) FROM claimed_head c WHERE c.org_id = log.org_id AND c.epoch >= log.epoch)`
)

func scanLog(row func(...any) error) (ledger.State, error) {
	var s ledger.State
	var edge, root []byte
	var last, claims int64
	if err := row(&s.ID, &s.Org, &s.Origin, &s.Epoch, &s.Size, &edge, &root, &s.Checkpoint, &last, &claims); err != nil {
		return s, err
	}
	s.Contested = claims > 0
	s.Root = tlog.Hash(digest(root))
	s.LastTime = evidence.At(Time(last))
	var err error
	if s.Edge, err = ledger.DecodeEdge(edge, s.Size); err != nil {
		return s, fmt.Errorf("log %s: %w: run attesto-server check", s.Origin, err)
	}
	return s, nil
}

// AddLog inserts an empty log with its first checkpoint.
func (t *Tx) AddLog(ctx context.Context, s ledger.State) error {
	_, err := t.exec(ctx, "adding log "+s.Origin,
		`INSERT INTO log (`+logFields+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		s.ID, s.Org, s.Origin, s.Epoch, s.Size, ledger.EncodeEdge(s.Edge), s.Root[:], s.Checkpoint, Micros(s.LastTime.Time))
	if err != nil {
		return err
	}
	return t.addCheckpoint(ctx, s)
}

func (t *Tx) addCheckpoint(ctx context.Context, s ledger.State) error {
	_, err := t.exec(ctx, "adding a checkpoint",
		`INSERT INTO checkpoint (log_id, size, note) VALUES ($1, $2, $3)`, s.ID, s.Size, s.Checkpoint)
	return err
}

// Log reads the newest log of an organisation; ErrNotFound when it has none.
func (r Reader) Log(ctx context.Context, org string) (ledger.State, error) {
	return oneLog(ctx, r, org, `SELECT `+logColumns+` FROM log WHERE org_id = $1 ORDER BY epoch DESC LIMIT 1`)
}

// Logs lists all logs, an organisation's in the order of their epochs.
func (r Reader) Logs(ctx context.Context) ([]ledger.State, error) {
	return all(ctx, r, "listing logs", `SELECT `+logColumns+` FROM log ORDER BY org_id, epoch`, nil, scanLog)
}

// LogsOf lists an organisation's logs in the order of their epochs; the last one is
// the one that goes on.
func (r Reader) LogsOf(ctx context.Context, org string) ([]ledger.State, error) {
	return all(ctx, r, "listing the logs of "+org, `SELECT `+logColumns+` FROM log WHERE org_id = $1 ORDER BY epoch`, []any{org}, scanLog)
}

// LogAt reads one epoch of an organisation's log; ErrNotFound when there is none.
func (r Reader) LogAt(ctx context.Context, org string, epoch int64) (ledger.State, error) {
	return oneLog(ctx, r, org, `SELECT `+logColumns+` FROM log WHERE org_id = $1 AND epoch = $2`, epoch)
}

// LogByID reads a log by its id; ErrNotFound when there is none.
func (r Reader) LogByID(ctx context.Context, id string) (ledger.State, error) {
	list, err := all(ctx, r, "reading log "+id, `SELECT `+logColumns+` FROM log WHERE id = $1`, []any{id}, scanLog)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("log %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return ledger.State{}, err
	}
	return list[0], nil
}

// NewestLogs lists the newest log of each organisation.
func (r Reader) NewestLogs(ctx context.Context) ([]ledger.State, error) {
	return all(ctx, r, "listing logs", `SELECT `+logColumns+` FROM log
		WHERE epoch = (SELECT max(epoch) FROM log l WHERE l.org_id = log.org_id) ORDER BY origin`, nil, scanLog)
}

// LockLog reads the newest log of an organisation for an append. Writing the row
// locks it on both engines until the transaction ends.
func (t *Tx) LockLog(ctx context.Context, org string) (ledger.State, error) {
	return oneLog(ctx, t.Reader, org, `UPDATE log SET size = size
		WHERE org_id = $1 AND epoch = (SELECT max(epoch) FROM log WHERE org_id = $1) RETURNING `+logColumns)
}

func oneLog(ctx context.Context, r Reader, org, query string, more ...any) (ledger.State, error) {
	list, err := all(ctx, r, "reading the log of "+org, query, append([]any{org}, more...), scanLog)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("log of organisation %s: %w", org, ErrNotFound)
	}
	if err != nil {
		return ledger.State{}, err
	}
	return list[0], nil
}

// Claim is a head that an agent holds, signed by this server, and that the log
// does not continue.
type Claim struct {
	Org   string
	Epoch int64
	Agent string
	Size  int64
	Note  []byte
	At    time.Time
}

// AddClaim keeps an agent's claim; of several the largest.
func (t *Tx) AddClaim(ctx context.Context, c Claim) error {
	_, err := t.exec(ctx, "keeping what agent "+c.Agent+" holds", `INSERT INTO claimed_head (org_id, epoch, agent_id, size, note, at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org_id, epoch, agent_id) DO UPDATE SET size = excluded.size, note = excluded.note, at = excluded.at
		WHERE excluded.size > claimed_head.size`, c.Org, c.Epoch, c.Agent, c.Size, c.Note, Micros(c.At))
	return err
}

// Claims lists what agents of an organisation hold, the newest epoch and the
// largest head first.
func (r Reader) Claims(ctx context.Context, org string) ([]Claim, error) {
	return all(ctx, r, "reading what agents hold", `SELECT org_id, epoch, agent_id, size, note, at FROM claimed_head
		WHERE org_id = $1 ORDER BY epoch DESC, size DESC, agent_id`, []any{org}, func(row func(...any) error) (Claim, error) {
		var c Claim
		var at int64
		err := row(&c.Org, &c.Epoch, &c.Agent, &c.Size, &c.Note, &at)
		c.At = Time(at)
		return c, err
	})
}

// AppendLog writes what ledger.Append made.
func (t *Tx) AppendLog(ctx context.Context, next ledger.State, entries []ledger.Entry, tiles []ledger.Tile) error {
	rows := make([][]any, len(entries))
	for i, e := range entries {
		rows[i] = []any{next.ID, e.Index, e.Leaf[:], e.Line, e.Signed}
	}
	if err := t.insertMany(ctx, `INSERT INTO entry (log_id, idx, leaf, body, cp) VALUES `, rows); err != nil {
		return err
	}
	rows = rows[:0]
	for _, tile := range tiles {
		rows = append(rows, []any{next.ID, int64(tile.Level), tile.N, tile.Root[:], tile.Data})
	}
	if err := t.insertMany(ctx, `INSERT INTO tile (log_id, level, n, root, data) VALUES `, rows); err != nil {
		return err
	}
	if err := t.addCheckpoint(ctx, next); err != nil {
		return err
	}
	n, err := t.exec(ctx, "moving the head of log "+next.Origin,
		`UPDATE log SET size = $2, edge = $3, root = $4, checkpoint = $5, last_time = $6 WHERE id = $1 AND size = $7`,
		next.ID, next.Size, ledger.EncodeEdge(next.Edge), next.Root[:], next.Checkpoint, Micros(next.LastTime.Time), next.Size-int64(len(entries)))
	if err == nil && n != 1 {
		err = fmt.Errorf("head of log %s has moved: the append must lock it first", next.Origin)
	}
	return err
}

// insertMany runs INSERT … VALUES with many rows at once; suffix may say what to
// do on a conflict. Rows go in groups of few sizes, so that few statements are
// prepared; SQLite's groups are small because it looks up each parameter by name,
// PostgreSQL's large because each is a way there and back.
func (t *Tx) insertMany(ctx context.Context, insert string, rows [][]any, suffix ...string) error {
	sizes := []int{64, 16, 4, 1}
	if _, ok := t.q.(*writer); ok {
		sizes = sizes[1:]
	}
	for _, n := range sizes {
		for len(rows) >= n {
			args := make([]any, 0, n*len(rows[0]))
			for _, row := range rows[:n] {
				args = append(args, row...)
			}
			query := insert + values(n, len(rows[0])) + strings.Join(suffix, "")
			if _, err := t.exec(ctx, strings.TrimSuffix(insert, " VALUES "), query, args...); err != nil {
				return err
			}
			rows = rows[n:]
		}
	}
	return nil
}

// values is the text of n rows of placeholders.
func values(n, columns int) string {
	b := make([]byte, 0, n*columns*6)
	for i := range n * columns {
		switch {
		case i == 0:
			b = append(b, '(')
		case i%columns == 0:
			b = append(b, "), ("...)
		default:
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(b, '$'), int64(i+1), 10)
	}
	return string(append(b, ')'))
}

// LogHashes reads leaf hashes (level 0) or the roots of full tiles.
func (r Reader) LogHashes(ctx context.Context, log string, level int, from, to int64) ([]tlog.Hash, error) {
	query, args := `SELECT leaf FROM entry WHERE log_id = $1 AND idx >= $2 AND idx < $3 ORDER BY idx`, []any{log, from, to}
	if level > 0 {
		query = `SELECT root FROM tile WHERE log_id = $1 AND n >= $2 AND n < $3 AND level = $4 ORDER BY n`
		args = append(args, int64(level-1))
	}
	return all(ctx, r, "reading hashes of the log", query, args, func(row func(...any) error) (tlog.Hash, error) {
		var b []byte
		err := row(&b)
		return tlog.Hash(digest(b)), err
	})
}

// LogTile reads the hashes of a full tile.
func (r Reader) LogTile(ctx context.Context, log string, level int, n int64) ([]byte, error) {
	var data []byte
	err := r.one(ctx, fmt.Sprintf("reading tile %d/%d", level, n),
		`SELECT data FROM tile WHERE log_id = $1 AND level = $2 AND n = $3`, []any{log, int64(level), n}, &data)
	return data, err
}

// Entries reads up to limit entries from an index on.
func (r Reader) Entries(ctx context.Context, log string, from int64, limit int) ([]ledger.Entry, error) {
	return all(ctx, r, "reading entries", `SELECT idx, leaf, body, cp FROM entry WHERE log_id = $1 AND idx >= $2 ORDER BY idx LIMIT $3`,
		[]any{log, from, int64(limit)}, scanEntry)
}

func scanEntry(row func(...any) error) (ledger.Entry, error) {
	var e ledger.Entry
	var leaf []byte
	err := row(&e.Index, &leaf, &e.Line, &e.Signed)
	e.Leaf = tlog.Hash(digest(leaf))
	return e, err
}

// Checkpoint reads the signed checkpoint of a size; ErrNotFound when none was
// released at it.
func (r Reader) Checkpoint(ctx context.Context, log string, size int64) ([]byte, error) {
	var note []byte
	err := r.one(ctx, fmt.Sprintf("reading the checkpoint of %d", size),
		`SELECT note FROM checkpoint WHERE log_id = $1 AND size = $2`, []any{log, size}, &note)
	return note, err
}

// Checkpoints reads up to limit released checkpoints from a size on.
func (r Reader) Checkpoints(ctx context.Context, log string, from int64, limit int) ([]ledger.Released, error) {
	return all(ctx, r, "reading checkpoints", `SELECT size, note FROM checkpoint WHERE log_id = $1 AND size >= $2 ORDER BY size LIMIT $3`,
		[]any{log, from, int64(limit)}, func(row func(...any) error) (ledger.Released, error) {
			var c ledger.Released
			err := row(&c.Size, &c.Note)
			return c, err
		})
}

// Tiles reads up to limit full tiles of a level from a number on.
func (r Reader) Tiles(ctx context.Context, log string, level int, from int64, limit int) ([]ledger.Tile, error) {
	return all(ctx, r, "reading tiles", `SELECT n, root, data FROM tile WHERE log_id = $1 AND level = $2 AND n >= $3 ORDER BY n LIMIT $4`,
		[]any{log, int64(level), from, int64(limit)}, func(row func(...any) error) (ledger.Tile, error) {
			t := ledger.Tile{Level: level}
			var root []byte
			err := row(&t.N, &root, &t.Data)
			t.Root = tlog.Hash(digest(root))
			return t, err
		})
}

// Cosignature is a witness's line for a checkpoint.
type Cosignature struct {
	Log   string
	Size  int64
	Agent string
	Line  string
	At    time.Time // as the witness states it
}

// AddCosignature stores a verified cosignature; one that is known already stays.
func (t *Tx) AddCosignature(ctx context.Context, c Cosignature) error {
	_, err := t.exec(ctx, "adding a cosignature", `INSERT INTO cosignature (log_id, size, agent_id, line, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT DO NOTHING`, c.Log, c.Size, c.Agent, c.Line, Micros(c.At))
	return err
}

// Cosignatures lists what witnesses said of a log, from a size on, newest first.
func (r Reader) Cosignatures(ctx context.Context, log string, from int64, limit int) ([]Cosignature, error) {
	return all(ctx, r, "reading cosignatures", `SELECT log_id, size, agent_id, line, at FROM cosignature
		WHERE log_id = $1 AND size >= $2 ORDER BY size DESC, agent_id LIMIT $3`, []any{log, from, int64(limit)}, scanCosignature)
}

func scanCosignature(row func(...any) error) (Cosignature, error) {
	var c Cosignature
	var at int64
	err := row(&c.Log, &c.Size, &c.Agent, &c.Line, &at)
	c.At = Time(at)
	return c, err
}
