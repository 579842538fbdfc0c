package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

var now = time.Date(2026, 11, 23, 3, 0, 0, 123456000, time.UTC)

func tx(t *testing.T, s *store.Store, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := s.Tx(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func addOrg(t *testing.T, s *store.Store, kind, name string) store.Org {
	t.Helper()
	o := store.Org{ID: evidence.NewID("o_"), Kind: kind, Name: name, Lang: "it", Zone: "Europe/Rome", Services: []string{"pe", "bk"}, Created: now}
	tx(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.AddOrg(ctx, o) })
	return o
}

func testAgent(org string, machine evidence.Digest) store.Agent {
	return store.Agent{ID: evidence.NewID("a_"), Org: org, Name: "host", SPKI: []byte(evidence.NewID("")), Witness: []byte("w"), Machine: machine,
		OS: "linux/amd64", Version: "1", Services: []string{"pe"}, PushHash: evidence.Sum([]byte(evidence.NewID(""))), State: store.AgentActive,
		Enrolled: now, EnrollIndex: 4, Stmt: evidence.Sum([]byte("enrollment"))}
}

func TestOrgs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx, s := context.Background(), open(t, dsn)
		customer := addOrg(t, s, store.Customer, "Ärzte & Söhne \"GmbH\"")
		provider := addOrg(t, s, store.Provider, "Provider")
		for _, want := range []store.Org{customer, provider} {
			got, err := s.Org(ctx, want.ID)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		}
		list, err := s.Orgs(ctx)
		if err != nil || len(list) != 2 || list[0].ID != provider.ID {
			t.Errorf("%v (%v)", list, err)
		}
		err = s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.AddOrg(ctx, store.Org{ID: "o_2", Kind: store.Provider, Name: "Second", Created: now})
		})
		if err == nil {
			t.Error("a second provider was added")
		}
		if _, err := s.Org(ctx, "o_none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("unknown organisation: %v", err)
		}
	})
}

func TestAgents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx, s := context.Background(), open(t, dsn)
		a, b := addOrg(t, s, store.Customer, "A"), addOrg(t, s, store.Customer, "B")
		machine := evidence.Sum([]byte("machine"))
		first := testAgent(a.ID, machine)
		add := func(agent store.Agent) (added bool) {
			tx(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
				added, err = tx.AddAgent(ctx, agent)
				return err
			})
			return added
		}
		if !add(first) {
			t.Fatal("the first agent was refused")
		}
		got, err := s.AgentByPush(ctx, first.PushHash)
		if diff := cmp.Diff(first, got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		sameKey := testAgent(b.ID, evidence.Digest{})
		sameKey.SPKI = first.SPKI
		for _, tt := range []struct {
			name  string
			agent store.Agent
			want  bool
		}{
			{"the same machine", testAgent(a.ID, machine), false},
			{"the same machine in another organisation", testAgent(b.ID, machine), true},
			{"the same key in another organisation", sameKey, false},
			{"no machine id", testAgent(a.ID, evidence.Digest{}), true},
			{"no machine id either", testAgent(a.ID, evidence.Digest{}), true},
		} {
			if got := add(tt.agent); got != tt.want {
				t.Errorf("%s: added %v, want %v", tt.name, got, tt.want)
			}
		}
		tx(t, s, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.Advance(ctx, first.ID, 7, evidence.Sum([]byte("7")), "2", -3*time.Second, 5), tx.Seen(ctx, first.ID, now, 4),
				tx.Seen(ctx, first.ID, now.Add(-time.Hour), 9), tx.SetAgentState(ctx, first.ID, store.AgentForked))
		})
		want := first
		want.Seq, want.Stmt, want.Version, want.Skew, want.Lost, want.Seen, want.Backlog, want.State = 7, evidence.Sum([]byte("7")), "2", -3*time.Second, 5, now, 4, store.AgentForked
		got, err = s.Agent(ctx, first.ID)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		if !add(testAgent(a.ID, machine)) {
			t.Error("a forked agent keeps its machine from being enrolled anew")
		}
	})
}

func TestRecordsAndItems(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx, s := context.Background(), open(t, dsn)
		var records []store.Record
		var items []store.Item
		for i := range int64(150) {
			r := store.Record{Org: "o_1", Agent: "a_1", Seq: i + 1, Type: evidence.EntryEvidence, Stmt: evidence.Sum([]byte{byte(i)}),
				Envelope: []byte{0, 1, byte(i)}, Log: "l_1", Index: i, Received: now.Add(time.Duration(i) * time.Second)}
			records = append(records, r)
			items = append(items, store.Item{Org: "o_1", Agent: "a_1", Kind: evidence.KindHealth, Log: "l_1", Index: i, Schema: 1, From: now, To: now,
				Received: r.Received, Outcome: evidence.Partial, Reason: "gaps", Facts: evidence.Sum([]byte("f"))})
		}
		tx(t, s, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.AddRecords(ctx, records), tx.AddItems(ctx, items))
		})
		got, err := s.Records(ctx, "o_1", "l_1", 20, 100)
		if diff := cmp.Diff(records[20:120], got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		newest, err := s.ItemsOf(ctx, "o_1", "a_1", evidence.KindHealth, now.Add(time.Minute), 10)
		if diff := cmp.Diff(items[140:], newest); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		counts, err := s.CountItems(ctx, "o_1")
		if err != nil || counts[evidence.KindHealth] != 150 {
			t.Errorf("%v (%v)", counts, err)
		}
		if _, err := s.RecordBySeq(ctx, "o_2", "a_1", 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another organisation sees the record: %v", err)
		}
		err = s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			again := records[0]
			again.Index = 999
			return tx.AddRecords(ctx, []store.Record{again})
		})
		if err == nil {
			t.Error("a second record with one number was stored")
		}
	})
}

func TestForksAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx, s := context.Background(), open(t, dsn)
		tx(t, s, func(ctx context.Context, tx *store.Tx) error {
			for i := range 30 {
				r := store.Record{Org: "o_1", Agent: "a_1", Seq: 3, Stmt: evidence.Sum([]byte{byte(i / 2)}), Envelope: []byte{byte(i)}, Received: now}
				if err := tx.AddFork(ctx, r); err != nil {
					return err
				}
			}
			return nil
		})
		forks, err := s.Forks(ctx, "o_1", "a_1")
		if err != nil || len(forks) != 15 {
			t.Errorf("%d forks (%v)", len(forks), err)
		}
	})
}

func TestBlobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx, s := context.Background(), open(t, dsn)
		data := []byte("facts")
		d := evidence.Sum(data)
		want := store.Want{Place: store.Place{Org: "o_1", Log: "l_1", Index: 4, SHA: d}, Agent: "a_1"}
		tx(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.AddWants(ctx, []store.Want{want, want}) })
		if got, err := s.WantsOf(ctx, "o_1", "a_1", d); err != nil || len(got) != 1 || got[0] != want {
			t.Fatalf("%+v (%v)", got, err)
		}
		for range 2 {
			tx(t, s, func(ctx context.Context, tx *store.Tx) error {
				return errors.Join(tx.AddBlobs(ctx, []store.Blob{{Place: want.Place, Data: data}}), tx.EndWant(ctx, want))
			})
		}
		if got, err := s.Blob(ctx, want.Place); err != nil || string(got.Data) != "facts" || !got.Erased.IsZero() {
			t.Errorf("%+v (%v)", got, err)
		}
		other := want.Place
		other.Org = "o_2"
		if _, err := s.Blob(ctx, other); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another organisation sees the blob: %v", err)
		}
		if list, err := s.Wants(ctx, "o_1"); err != nil || len(list) != 0 {
			t.Errorf("%v (%v)", list, err)
		}
	})
}

// Counters that many transactions change at once must not lose one.
func TestTransactionsDoNotLoseWrites(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		stores := []*store.Store{open(t, dsn), open(t, dsn)}
		o := addOrg(t, stores[0], store.Customer, "A")
		tx(t, stores[0], func(ctx context.Context, tx *store.Tx) error {
			return tx.AddEnrollToken(ctx, store.EnrollToken{ID: "t", Org: o.ID, MACKey: []byte("k"), MaxUses: 50, Created: now, Expires: now.Add(time.Hour)})
		})
		var wg sync.WaitGroup
		var mu sync.Mutex
		used := 0
		for i := range 80 {
			wg.Go(func() {
				err := stores[i%2].Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
					ok, err := tx.UseEnrollToken(ctx, "t", now)
					if ok {
						mu.Lock()
						defer mu.Unlock()
						used++
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		token, err := stores[0].EnrollToken(ctx, "t")
		if err != nil || token.Uses != 50 || used != 50 {
			t.Errorf("%d uses counted, %d told (%v)", token.Uses, used, err)
		}
	})
}

// A snapshot sees one moment, whatever is written meanwhile.
func TestSnapshot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx, s := context.Background(), open(t, dsn)
		addOrg(t, s, store.Customer, "A")
		err := s.Snapshot(ctx, func(ctx context.Context, r store.Reader) error {
			for range 3 {
				list, err := r.Orgs(ctx)
				if err != nil || len(list) != 1 {
					return fmt.Errorf("%d organisations: %w", len(list), err)
				}
				addOrg(t, s, store.Customer, "B")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := s.Orgs(ctx); err != nil || len(list) != 4 {
			t.Errorf("%d organisations afterwards (%v)", len(list), err)
		}
	})
}

// Readers cannot write, and a cancelled transaction leaves the writer free.
func TestCancelledTransaction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		for range 3 {
			ctx, cancel := context.WithCancel(context.Background())
			err := s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
				if err := tx.SetMeta(ctx, "k", "v"); err != nil {
					return err
				}
				cancel()
				_, err := tx.Orgs(ctx)
				return err
			})
			if err == nil {
				t.Error("a cancelled transaction succeeded")
			}
			cancel()
		}
		if _, err := s.Meta(context.Background(), "k"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("its write is there: %v", err)
		}
		tx(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, "k", "w") })
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		driver, source := "pgx", dsn
		if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
			driver, source = "sqlite", path
		}
		db, err := sql.Open(driver, source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(context.Background(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = store.Open(context.Background(), dsn, slog.New(slog.DiscardHandler))
		if !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("opened with %v", err)
		}
		if err := s.Ping(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Two servers that start at once on an empty database both come up.
func TestOpenAtOnce(t *testing.T) {
	storetest.EachEmpty(t, func(t *testing.T, dsn string) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := store.Open(context.Background(), dsn, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
