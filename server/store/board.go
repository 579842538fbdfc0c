package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
)

// Cell is what a board shows of a duty (Part is empty) or of one of its parts. Why,
// Assets and Cites are JSON as they were judged.
type Cell struct {
	Org, Duty, Part    string
	Verdict            string
	Since, At          time.Time
	Why, Assets, Cites string
	Cause              duties.Cause
}

func scanCell(row func(...any) error) (Cell, error) {
	var c Cell
	var since, at int64
	err := row(&c.Org, &c.Duty, &c.Part, &c.Verdict, &since, &at, &c.Why, &c.Assets, &c.Cites, &c.Cause)
	c.Since, c.At = Time(since), Time(at)
	return c, err
}

const cellColumns = `org_id, duty, part, verdict, since, at, why, assets, cites, cause`

// Board reads the duties of one organisation, without their parts.
func (r Reader) Board(ctx context.Context, org string) ([]Cell, error) {
	return all(ctx, r, "reading a board", `SELECT `+cellColumns+` FROM verdict WHERE org_id = $1 AND part = '' ORDER BY duty`, []any{org}, scanCell)
}

// Cells reads one duty with its parts.
func (r Reader) Cells(ctx context.Context, org, duty string) ([]Cell, error) {
	return all(ctx, r, "reading a duty", `SELECT `+cellColumns+` FROM verdict WHERE org_id = $1 AND duty = $2 ORDER BY part`, []any{org, duty}, scanCell)
}

// Tally counts the duties of an organisation by verdict.
type Tally struct {
	Org, Verdict string
	Duties       int
}

// Tallies counts the duties of all organisations by verdict.
func (r Reader) Tallies(ctx context.Context) ([]Tally, error) {
	return all(ctx, r, "counting verdicts", `SELECT org_id, verdict, COUNT(*) FROM verdict WHERE part = '' GROUP BY org_id, verdict`, nil,
		func(row func(...any) error) (Tally, error) {
			var t Tally
			err := row(&t.Org, &t.Verdict, &t.Duties)
			return t, err
		})
}

// BoardVerdict is what stands of one duty on a board.
type BoardVerdict struct {
	Org, Duty, Verdict string
}

// BoardVerdicts reads the verdicts of the duties of some organisations.
func (r Reader) BoardVerdicts(ctx context.Context, orgs []string) ([]BoardVerdict, error) {
	if len(orgs) == 0 {
		return nil, nil
	}
	args := make([]any, len(orgs))
	for i, o := range orgs {
		args[i] = o
	}
	return all(ctx, r, "reading boards", `SELECT org_id, duty, verdict FROM verdict WHERE part = '' AND org_id IN `+values(1, len(orgs)), args,
		func(row func(...any) error) (BoardVerdict, error) {
			var s BoardVerdict
			err := row(&s.Org, &s.Duty, &s.Verdict)
			return s, err
		})
}

// Turn is one change of a duty's or a part's verdict.
type Turn struct {
	Part, Was, Verdict string
	At                 time.Time
	Why                string // JSON
}

// Turns lists the newest changes of a duty and its parts.
func (r Reader) Turns(ctx context.Context, org, duty string, limit int) ([]Turn, error) {
	return all(ctx, r, "reading changes", `SELECT part, was, verdict, at, why FROM verdict_change
		WHERE org_id = $1 AND duty = $2 AND was <> verdict ORDER BY at DESC, part LIMIT $3`, []any{org, duty, limit},
		func(row func(...any) error) (Turn, error) {
			var t Turn
			var at int64
			err := row(&t.Part, &t.Was, &t.Verdict, &at, &t.Why)
			t.At = Time(at)
			return t, err
		})
}

// Newest is an agent's newest look of a kind.
type Newest struct {
	Agent    string
	Kind     evidence.Kind
	Epoch    int64 // of the log
	Index    int64
	Received time.Time
	Outcome  string
	Reason   string
}

// NewestLooks lists the newest look of each kind of some agents of an organisation. It
// steps from kind to kind and reads one look of each, however many there are; written
// as one column, since a join would let the database read all of them first.
func (r Reader) NewestLooks(ctx context.Context, org string, agents []string) ([]Newest, error) {
	if len(agents) == 0 {
		return nil, nil
	}
	args := make([]any, len(agents), len(agents)+1)
	for i, id := range agents {
		args[i] = id
	}
	of := "$" + strconv.Itoa(len(agents)+1)
	logs, err := r.LogsOf(ctx, org)
	if err != nil {
		return nil, err
	}
	epochs := map[string]int64{}
	for _, st := range logs {
		epochs[st.ID] = st.Epoch
	}
	return all(ctx, r, "reading newest looks", `WITH RECURSIVE pair (agent_id, kind) AS (
			SELECT id, '' FROM agent WHERE org_id = `+of+` AND id IN `+values(1, len(agents))+`
			UNION ALL
			SELECT p.agent_id, (SELECT MIN(i.kind) FROM item i WHERE i.org_id = `+of+` AND i.agent_id = p.agent_id AND i.kind > p.kind) FROM pair p WHERE p.kind IS NOT NULL
		)
		SELECT p.agent_id, p.kind, (SELECT i.log_id || ' ' || CAST(i.idx AS TEXT) || ' ' || CAST(i.received AS TEXT) || ' ' || i.outcome || ' ' || i.reason
			FROM item i WHERE i.org_id = `+of+` AND i.agent_id = p.agent_id AND i.kind = p.kind ORDER BY i.received DESC, i.log_id DESC, i.idx DESC LIMIT 1)
		FROM pair p WHERE p.kind > '' ORDER BY p.agent_id, p.kind`, append(args, org),
		func(row func(...any) error) (Newest, error) {
			var n Newest
			var look, log string
			if err := row(&n.Agent, &n.Kind, &look); err != nil {
				return n, err
			}
			var received int64
			_, err := fmt.Sscan(look, &log, &n.Index, &received, &n.Outcome)
			if parts := strings.SplitN(look, " ", 5); len(parts) == 5 {
				n.Reason = parts[4]
			}
			n.Epoch, n.Received = epochs[log], Time(received)
			return n, err
		})
}

// BoardAlert is an alert as pages list it.
type BoardAlert struct {
	ID, Org, Duty, Part, Asset, Name string
	State, Party, Verdict            string
	Why                              string // JSON
	Opened, Acked, Resolved          time.Time
	Fired                            int       // how often within a day, this time included
	Calm                             time.Time // of an unsteady one that fires: since when it is in order
}

// Unsteady reports whether an alert that fires stays until it was in order for a while.
func (a BoardAlert) Unsteady() bool {
	return a.State == alert.Firing && alert.Alert{Fired: a.Fired}.Unsteady()
}

const boardAlertColumns = `id, org_id, duty, part, asset, name, state, party, verdict, why, opened, acked, resolved, fired, calm`

func scanBoardAlert(row func(...any) error) (BoardAlert, error) {
	var a BoardAlert
	var opened, acked, resolved, fired, calm int64
	err := row(&a.ID, &a.Org, &a.Duty, &a.Part, &a.Asset, &a.Name, &a.State, &a.Party, &a.Verdict, &a.Why, &opened, &acked, &resolved, &fired, &calm)
	a.Opened, a.Acked, a.Resolved, a.Fired, a.Calm = Time(opened), Time(acked), Time(resolved), int(fired), Time(calm)
	return a, err
}

// BoardAlerts lists the newest alerts of an organisation, or of all when org is
// empty; those that fire come first.
func (r Reader) BoardAlerts(ctx context.Context, org string, limit int) ([]BoardAlert, error) {
	return all(ctx, r, "listing alerts", `SELECT `+boardAlertColumns+` FROM alert
		WHERE duty <> '' AND ($1 = '' OR org_id = $1) ORDER BY state, opened DESC, id LIMIT $2`, []any{org, int64(limit)}, scanBoardAlert)
}

// FiringOn lists the open alerts about a host of an organisation and what is on it, the
// newest first.
func (r Reader) FiringOn(ctx context.Context, org, agent string) ([]BoardAlert, error) {
	return all(ctx, r, "listing a host's alerts", `SELECT `+boardAlertColumns+` FROM alert
		WHERE org_id = $1 AND state = 'firing' AND duty <> '' AND (asset = $2 OR asset LIKE $2 || '/%') ORDER BY opened DESC, id`, []any{org, agent}, scanBoardAlert)
}

// CustomerAlerts lists the newest alerts of a customer and those of the provider's
// duties in the services that it has, but not about others' cases; those that fire
// come first.
func (r Reader) CustomerAlerts(ctx context.Context, org Org, provider string, limit int) ([]BoardAlert, error) {
	return all(ctx, r, "listing alerts", `SELECT `+boardAlertColumns+` FROM alert
		WHERE duty <> '' AND (org_id = $1 OR org_id = $2 AND part <> 'workflow' AND $3 LIKE '%,' || LOWER(SUBSTR(duty, 1, 2)) || ',%')
		ORDER BY state, opened DESC, id LIMIT $4`,
		[]any{org.ID, provider, "," + strings.Join(org.Services, ",") + ",", int64(limit)}, scanBoardAlert)
}
