package store

import (
	"context"
	"time"

	"github.com/attesto/attesto/evidence"
)

// SaidRow is a row that states who did what and when, beside the entry of the log that it
// stands for: a statement, a case, a step of one, that it was read, a review, a silence or
// the early end of one.
type SaidRow struct {
	Table, Key string          // where it stands
	Word       string          // the kind of a statement, the workflow of a case, or the step
	Subject    string          // the duty of a statement, review or silence, the service of a case
	About      string          // what a statement says to the checks, the title of a case, part, asset and name of a silence
	Party      string          // of a statement: who signed it, where that is said
	At         time.Time       // of a review: when it was looked at
	Until      time.Time       // of a statement or silence; of a case when it was closed; else zero
	Since      time.Time       // of a case that was passed on: when its first term began; else zero
	Flag       bool            // a good statement, a case withdrawn, or a step left out
	User       string          // id; empty for the server itself
	Data       evidence.Digest // of the blob with its words; zero for a review
	Log        string
	Index      int64
}

// SaidRows lists an organisation's rows of what people said and did, steps in the order
// of their numbers.
func (r Reader) SaidRows(ctx context.Context, org string) ([]SaidRow, error) {
	return all(ctx, r, "reading what people said", `SELECT 'statement', id, kind, duty, about, party, at, until, good, user_id, data, log_id, idx, 0 FROM statement WHERE org_id = $1
		UNION ALL SELECT 'case', id, workflow, service, title, '', opened, closed, withdrawn, opened_by, data, log_id, idx, since FROM case_file WHERE org_id = $1
		UNION ALL SELECT 'read', id, '', '', '', '', read_at, 0, 0, read_by, read_data, read_log, read_idx, 0 FROM case_file WHERE org_id = $1 AND read_at <> 0
		UNION ALL SELECT 'step', s.case_id, s.step, '', '', '', s.at, 0, s.skipped, s.user_id, s.data, s.log_id, s.idx, s.n
			FROM case_step s JOIN case_file c ON c.id = s.case_id WHERE c.org_id = $1
		UNION ALL SELECT 'silence', id, '', duty, part || ' ' || asset || ' ' || name, '', at, until, 0, user_id, data, log_id, idx, 0 FROM silence WHERE org_id = $1
		UNION ALL SELECT 'silence end', id, '', duty, '', '', ended, 0, 0, ended_by, ended_data, ended_log, ended_idx, 0 FROM silence WHERE org_id = $1 AND ended <> 0
		UNION ALL SELECT 'review', duty, '', duty, '', '', at, 0, 0, user_id, '', log_id, idx, 0 FROM review WHERE org_id = $1 ORDER BY 1, 2, 14`,
		[]any{org}, func(row func(...any) error) (SaidRow, error) {
			var v SaidRow
			var at, until, flag, n int64
			var data string
			err := row(&v.Table, &v.Key, &v.Word, &v.Subject, &v.About, &v.Party, &at, &until, &flag, &v.User, &data, &v.Log, &v.Index, &n)
			v.At, v.Flag = Time(at), flag == 1
			if until != 0 {
				v.Until = Time(until)
			}
			if v.Table == "case" {
				v.Since = Time(n)
			}
			if err == nil && data != "" {
				v.Data, err = evidence.ParseDigest(data)
			}
			return v, err
		})
}

// ToldRow is a row that states that somebody was told of an alert, or took it on.
type ToldRow struct {
	ID       string // of the delivery, or of the alert
	Alert    string
	Event    string // of the alert that was delivered
	At       time.Time
	By       string // who took it on
	Unlogged bool   // the attempt has no entry of the log
}

// ToldRows lists the alerts of an organisation that somebody took on, and the deliveries
// that were made to it.
func (r Reader) ToldRows(ctx context.Context, org string) (acked, delivered []ToldRow, err error) {
	scan := func(row func(...any) error) (v ToldRow, err error) {
		var at, unlogged int64
		err = row(&v.ID, &v.Alert, &v.Event, &at, &v.By, &unlogged)
		v.At, v.Unlogged = Time(at), unlogged == 1
		return v, err
	}
	acked, err = all(ctx, r, "reading who took alerts on", `SELECT id, id, '', acked, acked_by, 0 FROM alert WHERE org_id = $1 AND acked > 0 ORDER BY id`, []any{org}, scan)
	if err != nil {
		return nil, nil, err
	}
	delivered, err = all(ctx, r, "reading who was told", `SELECT o.id, o.alert_id, o.event, o.done, '',
		CASE WHEN EXISTS (SELECT 1 FROM delivery_attempt a WHERE a.org_id = o.org_id AND a.alert_id = o.alert_id AND a.delivery_id = o.id AND a.state = 'delivered' AND a.log_id = '') THEN 1 ELSE 0 END
		FROM outbox o WHERE o.org_id = $1 AND o.state = 'delivered' ORDER BY o.id`, []any{org}, scan)
	return acked, delivered, err
}
