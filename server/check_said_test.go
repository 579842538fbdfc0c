package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// Duties are judged by rows of what people said; each must be as the log has it, and none
// may be missing or come from nowhere.
func TestCheckFindsChangedWords(t *testing.T) {
	eachJudged(t, func(t *testing.T, j *judged) {
		ctx := context.Background()
		j.shop()
		if err := j.srv.State(ctx, server.StatementRequest{Board: j.customer.ID, Duty: "WH-C2", Kind: duties.StatementAttestation, Until: j.now.AddDate(0, 1, 0), Text: "It lay open.", User: "u_1"}); err != nil {
			t.Fatal(err)
		}
		id, err := j.srv.OpenCase(ctx, server.CaseRequest{Org: j.customer.ID, Workflow: "incident", Service: "sc", Title: "Logins at night", User: "u_1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.srv.StepCase(ctx, server.StepRequest{Org: j.customer.ID, Case: id, Step: "received", Text: "We look.", User: "u_1"}); err != nil {
			t.Fatal(err)
		}
		if err := j.srv.ConfirmReview(ctx, j.customer.ID, "SC-C8", "u_1"); err != nil {
			t.Fatal(err)
		}
		second, err := j.srv.OpenCase(ctx, server.CaseRequest{Org: j.customer.ID, Workflow: "incident", Service: "sc", Title: "A mistake", User: "u_1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.srv.StepCase(ctx, server.StepRequest{Org: j.customer.ID, Case: second, Withdraw: true, Text: "Nothing happened.", User: "u_1"}); err != nil {
			t.Fatal(err)
		}
		if err := j.srv.ReadCase(ctx, j.customer.ID, id, "u_ops"); err != nil {
			t.Fatal(err)
		}
		j.sound()
		for _, tt := range []struct{ change, back, want string }{
			{`UPDATE statement SET good = 1`, `UPDATE statement SET good = 0`, "what was found is another"},
			{`UPDATE statement SET until = until + 1000000`, `UPDATE statement SET until = until - 1000000`, "it holds until"},
			{`UPDATE statement SET kind = 'waiver'`, `UPDATE statement SET kind = 'attestation'`, "signed was statement.attested"},
			{`UPDATE case_step SET at = at - 1000000`, `UPDATE case_step SET at = at + 1000000`, "it was said at"},
			{`UPDATE case_step SET skipped = 1`, `UPDATE case_step SET skipped = 0`, "another step"},
			{`UPDATE case_file SET opened = opened - 1000000`, `UPDATE case_file SET opened = opened + 1000000`, "it was said at"},
			{`UPDATE case_file SET workflow = 'export'`, `UPDATE case_file SET workflow = 'incident'`, "another case"},
			{`UPDATE review SET user_id = 'u_2'`, `UPDATE review SET user_id = 'u_1'`, "somebody else"},
			{`UPDATE case_file SET read_at = read_at - 1000000 WHERE read_at > 0`, `UPDATE case_file SET read_at = read_at + 1000000 WHERE read_at > 0`, "it was said at"},
			{`UPDATE case_file SET read_by = 'u_1' WHERE read_at > 0`, `UPDATE case_file SET read_by = 'u_ops' WHERE read_at > 0`, "somebody else"},
			{`UPDATE case_file SET withdrawn = 1 - withdrawn, closed = (SELECT sum(closed) FROM case_file) - closed`, `UPDATE case_file SET withdrawn = 1 - withdrawn, closed = (SELECT sum(closed) FROM case_file) - closed`, "it was withdrawn at"},
			{`UPDATE case_file SET service = 'wh'`, `UPDATE case_file SET service = 'sc'`, "another case"},
			{`UPDATE case_file SET closed = opened WHERE withdrawn = 0`, `UPDATE case_file SET closed = 0 WHERE withdrawn = 0`, "it is not closed"},
			{`UPDATE case_file SET withdrawn = 1 - withdrawn`, `UPDATE case_file SET withdrawn = 1 - withdrawn`, "nobody withdrew it"},
			{`UPDATE case_file SET withdrawn = 0, closed = CASE WHEN closed > 0 THEN -closed ELSE 0 END`,
				`UPDATE case_file SET withdrawn = CASE WHEN closed < 0 THEN 1 ELSE 0 END, closed = CASE WHEN closed < 0 THEN -closed ELSE 0 END`, "it was withdrawn at"},
			{`UPDATE statement SET duty = 'WH-C6'`, `UPDATE statement SET duty = 'WH-C2'`, `signed was duty "WH-C2"`},
			{`UPDATE statement SET party = 'provider'`, `UPDATE statement SET party = ''`, `"" signed it`},
			{`UPDATE statement SET about = '{}'`, `UPDATE statement SET about = ''`, "what it says to the checks"},
			{`UPDATE review SET duty = 'SC-C4'`, `UPDATE review SET duty = 'SC-C8'`, `signed was duty "SC-C8"`},
			{`UPDATE review SET idx = idx + 1000`, `UPDATE review SET idx = idx - 1000`, "no entry of the log says"},
			{`UPDATE statement SET idx = idx + 1000`, `UPDATE statement SET idx = idx - 1000`, "is missing: duties are judged without it"},
			{`DELETE FROM case_step`, ``, "is missing: duties are judged without it"},
		} {
			attack(t, j.dsn, tt.change)
			if got := strings.Join(j.check(t), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("%s: %q, want %q", tt.change, got, tt.want)
			}
			if tt.back != "" {
				attack(t, j.dsn, tt.back)
				j.sound()
			}
		}
	})
}

// What was signed before words said who signed and which step ended a case, by a clock
// that went back, of a workflow that the operator has changed since, is no fault.
func TestCheckBelievesHonestRows(t *testing.T) {
	j := newJudged(t, storetest.SQLite(t))
	ctx := context.Background()
	j.shop()
	old := func(event, duty string, detail any, add func(context.Context, *store.Tx, store.Item) error) {
		t.Helper()
		err := j.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			index, err := j.srv.AppendWorkflowTx(ctx, tx, evidence.Workflow{Org: j.customer.ID, Event: event, Duty: duty, At: evidence.At(j.now), By: "u_1"}, detail)
			if err != nil {
				return err
			}
			st, err := tx.Log(ctx, j.customer.ID)
			if err != nil {
				return err
			}
			items, err := tx.ItemsAt(ctx, j.customer.ID, st.ID, index, index+1)
			if err != nil {
				return err
			}
			return add(ctx, tx, items[0])
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	until := j.now.AddDate(0, 1, 0).Truncate(time.Second)
	old("statement.waived", "PE-P3", map[string]any{"duty": "PE-P3", "text": "No mail.", "until": until.UTC().Format(time.RFC3339)}, func(ctx context.Context, tx *store.Tx, it store.Item) error {
		return tx.AddStatement(ctx, store.Statement{ID: "st_old", Org: j.customer.ID, Duty: "PE-P3", User: "u_1", Data: it.Detail,
			Statement: duties.Statement{Kind: duties.StatementWaiver, Party: duties.Customer, At: j.now, Until: until, Log: it.Log, Index: it.Index}})
	})
	for id, steps := range map[string][]string{"incident": {"reported", "received", "answered"}, "former": {"one"}} {
		old("case.opened", "", map[string]any{"case": "k_" + id, "workflow": id, "service": "sc", "title": "Old", "text": ""}, func(ctx context.Context, tx *store.Tx, it store.Item) error {
			return tx.AddCase(ctx, store.Case{ID: "k_" + id, Org: j.customer.ID, Workflow: id, Service: "sc", Title: "Old", Opened: j.now, OpenedBy: "u_1", Log: it.Log, Index: it.Index, Data: it.Detail})
		})
		for n, step := range steps {
			j.advance(-2 * time.Second)
			old("case.step", "", map[string]any{"case": "k_" + id, "workflow": id, "service": "sc", "step": step, "text": ""}, func(ctx context.Context, tx *store.Tx, it store.Item) error {
				_, err := tx.AddCaseStep(ctx, "k_"+id, n, store.CaseStep{Step: step, At: j.now, User: "u_1", Log: it.Log, Index: it.Index, Data: it.Detail})
				if err == nil && n == len(steps)-1 {
					err = tx.CloseCase(ctx, "k_"+id, j.now, false)
				}
				return err
			})
		}
	}
	j.sound()
	attack(t, j.dsn, `UPDATE case_file SET closed = 0 WHERE workflow = 'incident'`)
	if got := strings.Join(j.check(t), "\n"); !strings.Contains(got, "it was closed by its last step") {
		t.Errorf("an old case that was opened again: %q", got)
	}
}
