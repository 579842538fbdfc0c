package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// Blobs that were stored by their digest alone come to lie beside every record that
// names them, with their marks; none is lost.
func TestBlobsMoveToTheirRecords(t *testing.T) {
	storetest.EachEmpty(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		db := atVersion(t, dsn, 20)
		sha := func(name string) []byte { d := evidence.Sum([]byte(name)); return d[:] }
		for _, add := range []struct {
			query string
			rows  [][]any
		}{
			{`INSERT INTO blob (org_id, sha, data, erased, erased_log, erased_idx) VALUES `, [][]any{
				{"o_1", sha("shared"), []byte("shared"), 0, "", 0}, {"o_1", sha("erased"), nil, 7, "l_1", 9},
				{"o_2", sha("shared"), []byte("theirs"), 0, "", 0}, {"o_1", sha("unnamed"), []byte("unnamed"), 0, "", 0}}},
			{`INSERT INTO blob_want (org_id, agent_id, sha, log_id, idx) VALUES `, [][]any{{"o_1", "a_1", sha("owed"), "l_1", 3}}},
		} {
			for _, row := range add.rows {
				if _, err := db.ExecContext(ctx, add.query+store.Values(1, len(row)), row...); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, it := range []struct {
			org, log      string
			index         int64
			kind          string
			facts, detail string
		}{{"o_1", "l_1", 2, "a", "shared", "erased"}, {"o_1", "l_1", 2, "b", "shared", ""}, {"o_1", "l_2", 3, "a", "", "shared"},
			{"o_1", "l_1", 3, "a", "owed", ""}, {"o_1", "l_1", 4, "a", "owed", ""}, {"o_2", "l_3", 2, "a", "shared", ""}} {
			var detail []byte
			if it.detail != "" {
				detail = sha(it.detail)
			}
			if _, err := db.ExecContext(ctx, `INSERT INTO item (org_id, agent_id, kind, log_id, idx, schema, from_at, to_at, received, outcome, reason, facts, detail)
				VALUES `+store.Values(1, 13), it.org, "a_1", it.kind, it.log, it.index, 0, 0, 0, it.index, "failed", "", sha(it.facts), detail); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		opened, err := store.Open(ctx, dsn, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = opened.Close() })
		var got []string
		for _, org := range []string{"o_1", "o_2"} {
			var places []store.Place
			if err := opened.Places(ctx, org, func(p store.Place, _ bool) { places = append(places, p) }); err != nil {
				t.Fatal(err)
			}
			for _, p := range places {
				b, err := opened.Blob(ctx, p)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %s %d: %s, erased %d by %s %d", p.Org, p.Log, p.Index, b.Data, store.Micros(b.Erased), b.Log, b.Index))
			}
			wants, err := opened.Wants(ctx, org)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range wants {
				got = append(got, fmt.Sprintf("%s %s %d: owed by %s", w.Org, w.Log, w.Index, w.Agent))
			}
		}
		want := []string{"o_1  0: unnamed, erased 0 by  0", "o_1 l_1 2: , erased 7 by l_1 9", "o_1 l_1 2: shared, erased 0 by  0", "o_1 l_1 3: owed by a_1",
			"o_1 l_1 4: owed by a_1", "o_1 l_2 3: shared, erased 0 by  0", "o_2 l_3 2: theirs, erased 0 by  0"}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Channels keep what they are when the list of kinds grows, and may be of the new one.
func TestChannelsKeepTheirKind(t *testing.T) {
	storetest.EachEmpty(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		db := atVersion(t, dsn, 64)
		_, err := db.ExecContext(ctx, `INSERT INTO org (id, kind, name, created) VALUES ('o_1', 'provider', 'Provider', 0)`)
		for _, row := range [][]any{{"c_1", "o_1", "email", "a@b.example", nil, "both", 1}, {"c_2", "o_1", "webhook", "https://x.example", []byte("abc"), "", 2}} {
			if err == nil {
				_, err = db.ExecContext(ctx, `INSERT INTO channel (id, org_id, kind, target, secret, party, created) VALUES `+store.Values(1, len(row)), row...)
			}
		}
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		opened, err := store.Open(ctx, dsn, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = opened.Close() })
		add := func(kind string) error {
			return opened.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
				return tx.AddChannel(ctx, alert.Channel{ID: "c_" + kind, Org: "o_1", Kind: kind, Target: "slack://x", Created: store.Time(3)})
			})
		}
		if err := add(alert.Chat); err != nil {
			t.Fatal(err)
		}
		if add("pigeon") == nil {
			t.Error("a channel of no kind is taken")
		}
		list, err := opened.Channels(ctx, "o_1")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, fmt.Sprintf("%s %s %s %q %s", c.ID, c.Kind, c.Target, c.Secret, c.Party))
		}
		want := []string{`c_1 email a@b.example "" both`, `c_2 webhook https://x.example "abc" `, `c_chat chat slack://x "" `}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// atVersion makes an empty database with an older schema.
func atVersion(t *testing.T, dsn string, version int64) *sql.DB {
	t.Helper()
	driver, source, postgres := "pgx", dsn, true
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, source, postgres = "sqlite", path, false
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(store.Embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := store.Migrations(db, postgres, files)
	if err == nil {
		_, err = p.UpTo(context.Background(), version)
	}
	if err == nil {
		var got int64
		if got, err = p.GetDBVersion(context.Background()); err == nil && got > version {
			err = fmt.Errorf("the database is at version %d already, above %d: take an empty one", got, version)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}
