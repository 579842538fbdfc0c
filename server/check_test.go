package server_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store/storetest"
)

// filled is a world with two logs, one of them of more than one tile.
func filled(t *testing.T, dsn string) (*world, *host) {
	t.Helper()
	w := newWorld(t, dsn)
	ctx := context.Background()
	h, p := w.enrolled(w.customer), w.enrolled(w.provider)
	for range 5 {
		h.pushes(h.seals(60)...)
	}
	p.pushes(p.seals(3)...)
	owing := p.seal()
	p.pushes(sealed{env: owing.env})
	if _, err := w.srv.AppendWorkflow(ctx, evidence.Workflow{Org: w.customer.ID, Event: "review.confirmed", Duty: "PE-P3"}, "x"); err != nil {
		t.Fatal(err)
	}
	h.pushes(h.seal())
	return w, h
}

func (w *world) check(t *testing.T) []string {
	t.Helper()
	done, err := w.srv.Check(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var faults []string
	for _, f := range done.Faults {
		faults = append(faults, f.Where+": "+f.What)
	}
	return faults
}

// attack changes the database behind the server's back.
func attack(t *testing.T, dsn, change string) {
	t.Helper()
	if n := statement(t, dsn, change); n == 0 {
		t.Fatalf("%s: changed nothing", change)
	}
}

// statement runs SQL beside the server and returns how many rows it changed.
func statement(t *testing.T, dsn, text string) int64 {
	t.Helper()
	driver, source := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, source = "sqlite", path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	res, err := db.ExecContext(context.Background(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flipped is SQL for a column with its n-th byte changed, in either dialect.
func flipped(dsn, column string, n int) string {
	if strings.HasPrefix(dsn, "sqlite:") {
		return fmt.Sprintf("CAST(substr(%[1]s,1,%[2]d) || CASE WHEN substr(%[1]s,%[3]d,1)=x'41' THEN x'42' ELSE x'41' END || substr(%[1]s,%[4]d) AS BLOB)", column, n, n+1, n+2)
	}
	return fmt.Sprintf("set_byte(%[1]s, %[2]d, (get_byte(%[1]s, %[2]d) # 1))", column, n)
}

func TestCheckFindsEveryChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w, h := filled(t, dsn)
		if faults := w.check(t); len(faults) > 0 {
			t.Fatalf("a sound database has %d faults:\n%s", len(faults), strings.Join(faults, "\n"))
		}
		st, err := w.store.Log(context.Background(), w.customer.ID)
		if err != nil {
			t.Fatal(err)
		}
		log := fmt.Sprintf("log_id = '%s'", st.ID)
		rec := fmt.Sprintf("org_id = '%s' AND idx = 17", w.customer.ID)
		one := func(column string, n int) string { return column + " = " + flipped(dsn, column, n) }
		facts := fmt.Sprintf("(SELECT facts FROM item WHERE org_id = '%s' AND idx = 17)", w.customer.ID)
		// Each statement does one thing to the database; undo takes it back.
		tests := []struct{ name, statement, want string }{
			{"flip envelope", `UPDATE record SET ` + one("env", 30) + ` WHERE ` + rec, "record 17"},
			{"flip end of envelope", `UPDATE record SET ` + one("env", 900) + ` WHERE ` + rec, "record 17"},
			{"flip statement's digest", `UPDATE record SET ` + one("stmt", 3) + ` WHERE ` + rec, "record 17"},
			{"another number", `UPDATE record SET seq = 99999 WHERE ` + rec, "record 17"},
			{"another time", `UPDATE record SET received = received + 1000000 WHERE ` + rec, "record 17"},
			{"delete record", `DELETE FROM record WHERE ` + rec, "record 17: missing"},
			{"flip entry", `UPDATE entry SET ` + one("body", 60) + ` WHERE ` + log + ` AND idx = 17`, "entry 17"},
			{"flip leaf", `UPDATE entry SET ` + one("leaf", 0) + ` WHERE ` + log + ` AND idx = 17`, "entry 17"},
			{"delete entry", `DELETE FROM entry WHERE ` + log + ` AND idx = 17`, "entry 17: missing"},
			{"delete last entry", `DELETE FROM entry WHERE ` + log + ` AND idx = 302`, "entry 302: missing"},
			{"another signed size", `UPDATE entry SET cp = 300 WHERE ` + log + ` AND idx = 17`, "checkpoint of 300: missing"},
			{"flip tile", `UPDATE tile SET ` + one("data", 5000) + ` WHERE ` + log, "tile 0/0"},
			{"flip tile's root", `UPDATE tile SET ` + one("root", 5) + ` WHERE ` + log, "tile 0/0"},
			{"delete tile", `DELETE FROM tile WHERE ` + log, "tile 0/0: missing"},
			{"invent tile", `INSERT INTO tile (log_id, level, n, root, data) SELECT log_id, 0, 7, root, data FROM tile WHERE ` + log, "tile 0/7"},
			{"flip checkpoint", `UPDATE checkpoint SET ` + one("note", 120) + ` WHERE ` + log + ` AND size = 61`, "checkpoint of 61"},
			{"swap checkpoint", `UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE ` + log + ` AND size = 121) WHERE ` + log + ` AND size = 61`, "checkpoint of 61"},
			{"delete checkpoint", `DELETE FROM checkpoint WHERE ` + log + ` AND size = 61`, "checkpoint of 61: missing"},
			{"flip facts", `UPDATE blob SET ` + one("data", 70) + ` WHERE sha = ` + facts, "record 17"},
			{"delete facts", `DELETE FROM blob WHERE sha = ` + facts, "record 17"},
			{"empty facts", `UPDATE blob SET data = NULL WHERE sha = ` + facts, "record 17"},
			{"another outcome", `UPDATE item SET outcome = 'failed' WHERE ` + rec, "record 17"},
			{"delete item", `DELETE FROM item WHERE ` + rec, "record 17"},
			{"flip head's root", `UPDATE log SET ` + one("root", 1) + ` WHERE id = '` + st.ID + `'`, "head"},
			{"flip head's edge", `UPDATE log SET ` + one("edge", 1) + ` WHERE id = '` + st.ID + `'`, "head"},
			{"flip head's checkpoint", `UPDATE log SET ` + one("checkpoint", 100) + ` WHERE id = '` + st.ID + `'`, "head"},
			{"flip agent's key", `UPDATE agent SET ` + one("spki", 20) + ` WHERE id = '` + h.id + `'`, "agent " + h.id},
			{"agent set back", `UPDATE agent SET seq = seq - 1 WHERE id = '` + h.id + `'`, "agent " + h.id},
			{"delete agent", `DELETE FROM agent WHERE id = '` + h.id + `'`, "agent " + h.id + ": missing"},
			{"change cosignature", `UPDATE cosignature SET line = replace(line, '/', '+') || 'x' WHERE size = 121`, "cosignature"},
			{"delete workflow's data", `DELETE FROM blob WHERE sha = (SELECT detail FROM item WHERE kind = 'workflow')`, "record 301"},
			{"delete log", `DELETE FROM log WHERE id = '` + st.ID + `'`, w.customer.ID},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				undo := save(t, dsn)
				defer undo()
				attack(t, dsn, tt.statement)
				faults := w.check(t)
				if len(faults) == 0 || !strings.Contains(strings.Join(faults, "\n"), tt.want) {
					t.Fatalf("want %q in %d faults:\n%s", tt.want, len(faults), strings.Join(faults, "\n"))
				}
				if len(faults) > 6 {
					t.Errorf("one change, %d faults:\n%s", len(faults), strings.Join(faults, "\n"))
				}
			})
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Fatalf("after all was put back:\n%s", strings.Join(faults, "\n"))
		}
	})
}

var savedTables = []string{"record", "entry", "tile", "checkpoint", "blob", "item", "log", "agent", "cosignature", "anchored", "anchor_nonce", "anchor_token", "anchor_chain", "anchor_job"}

// save copies the tables and returns what puts them back.
func save(t *testing.T, dsn string) func() {
	t.Helper()
	run := func(format string) {
		text := "BEGIN;"
		for _, table := range savedTables {
			text += fmt.Sprintf(format, table) + ";"
		}
		statement(t, dsn, text+"COMMIT")
	}
	run(`CREATE TABLE saved_%[1]s AS SELECT * FROM %[1]s`)
	return func() {
		run(`DELETE FROM %[1]s;INSERT INTO %[1]s SELECT * FROM saved_%[1]s;DROP TABLE saved_%[1]s`)
	}
}

// The page of a record asks the same questions of one record.
func TestVerifyRecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w, _ := filled(t, dsn)
		ctx := context.Background()
		bad := func(index int64) string {
			proofs, err := w.srv.VerifyRecord(ctx, w.customer.ID, 1, index)
			if err != nil {
				t.Fatal(err)
			}
			if len(proofs) < 3 {
				t.Fatalf("record %d: %d proofs", index, len(proofs))
			}
			var names []string
			for _, p := range proofs {
				if !p.OK {
					names = append(names, p.Name)
					if p.Why == "" {
						t.Errorf("record %d: %s fails without a reason", index, p.Name)
					}
				}
			}
			return strings.Join(names, " ")
		}
		for _, index := range []int64{0, 1, 17, 255, 256, 300, 301, 302} {
			if got := bad(index); got != "" {
				t.Errorf("sound record %d fails %s", index, got)
			}
		}
		rec := fmt.Sprintf(" WHERE org_id = '%s' AND idx = 17", w.customer.ID)
		attack(t, dsn, `UPDATE record SET env = `+flipped(dsn, "env", 900)+rec)
		if got := bad(17); got == "" {
			t.Error("a flipped byte of the envelope was not seen")
		}
		attack(t, dsn, `DELETE FROM blob WHERE sha = (SELECT facts FROM item WHERE org_id = '`+w.customer.ID+`' AND idx = 20)`)
		if got := bad(20); got != "content" {
			t.Errorf("a deleted blob fails %q", got)
		}
		attack(t, dsn, `UPDATE entry SET body = `+flipped(dsn, "body", 60)+` WHERE idx = 21`)
		if got := bad(21); got != "entry inclusion" {
			t.Errorf("a flipped byte of the entry fails %q", got)
		}
	})
}
