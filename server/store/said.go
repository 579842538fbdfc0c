package store

import (
	"context"
	"time"

	"github.com/attesto/attesto/evidence"
)

// SaidRow is a row that states who did what and when, beside the entry of the log that it
// stands for: a statement, a case, a step of one, that it was read, or a review.
type SaidRow struct {
	Table, Key string          // where it stands
	Word       string          // the kind of a statement, the workflow of a case, or the step
	Subject    string          // the duty of a statement or review, the service of a case
	About      string          // what a statement says to the checks, the title of a case
	Party      string          // of a statement: who signed it, where that is said
	At         time.Time       // of a review: when it was looked at
	Until      time.Time       // of a statement; of a case when it was closed; else zero
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
		UNION ALL SELECT 'case', id, workflow, service, title, '', opened, closed, withdrawn, opened_by, data, log_id, idx, 0 FROM case_file WHERE org_id = $1
		UNION ALL SELECT 'read', id, '', '', '', '', read_at, 0, 0, read_by, read_data, read_log, read_idx, 0 FROM case_file WHERE org_id = $1 AND read_at <> 0
		UNION ALL SELECT 'step', s.case_id, s.step, '', '', '', s.at, 0, s.skipped, s.user_id, s.data, s.log_id, s.idx, s.n
			FROM case_step s JOIN case_file c ON c.id = s.case_id WHERE c.org_id = $1
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
			if err == nil && data != "" {
				v.Data, err = evidence.ParseDigest(data)
			}
			return v, err
		})
}
