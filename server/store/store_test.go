package store_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

func open(t testing.TB, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestOpenTwice(t *testing.T) {
	storetest.EachEmpty(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		first, second := open(t, dsn), open(t, dsn)
		for _, s := range []*store.Store{first, second} {
			if err := s.Ping(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	for _, dsn := range []string{"", "sqlite:", "mysql://x", "sqlite:/nowhere/at/all/x.db"} {
		if _, err := store.Open(context.Background(), dsn, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q was opened", dsn)
		}
	}
}

func TestTxRollsBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx, s := context.Background(), open(t, dsn)
		boom := errors.New("boom")
		err := s.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.SetMeta(ctx, "k", "v"); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("error %v", err)
		}
		if _, err := s.Meta(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("the row of a transaction that failed: %v", err)
		}
	})
}
