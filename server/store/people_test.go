package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

func openPeople(t *testing.T, dsn string) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func within(t *testing.T, st *store.Store, fn func(context.Context, *store.Tx) error) {
	t.Helper()
	if err := st.Tx(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestUsersAndMembers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		st, ctx := openPeople(t, dsn), context.Background()
		at := time.UnixMicro(1_800_000_000_000_000)
		org := store.Org{ID: evidence.NewID("o_"), Kind: store.Customer, Name: "Rossi", Lang: "it", Zone: "Europe/Rome", Services: []string{"pe"}, Created: at}
		u := store.User{ID: evidence.NewID("u_"), Email: "anna@example.com", Name: "Anna", Hash: "h", Lang: "it", Created: at}
		within(t, st, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.AddOrg(ctx, org), tx.AddUser(ctx, u))
		})
		if err := st.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.AddUser(ctx, store.User{ID: evidence.NewID("u_"), Email: "ANNA@example.com"})
		}); err == nil {
			t.Error("an address was taken twice")
		}
		for _, role := range []string{store.RoleViewer, store.RoleAdmin} {
			within(t, st, func(ctx context.Context, tx *store.Tx) error {
				return tx.SetMember(ctx, store.Member{Org: org.ID, User: u.ID, Role: role})
			})
		}
		if m, err := st.MembersOf(ctx, u.ID); err != nil || len(m) != 1 || m[0].Role != store.RoleAdmin {
			t.Errorf("members %v (%v)", m, err)
		}
		if m, err := st.Members(ctx); err != nil || len(m) != 1 || m[0].User != u.ID {
			t.Errorf("all members %v (%v)", m, err)
		}
		within(t, st, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.DisableUser(ctx, u.ID, at.Add(time.Hour)), tx.SetPassword(ctx, u.ID, "h2"))
		})
		got, err := st.UserByEmail(ctx, "Anna@Example.com")
		if err != nil || got.Hash != "h2" || !got.Disabled.Equal(at.Add(time.Hour)) || !got.Created.Equal(at) {
			t.Errorf("%+v (%v)", got, err)
		}
		if _, err := st.User(ctx, "u_nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if list, err := st.Users(ctx); err != nil || len(list) != 1 {
			t.Errorf("%v (%v)", list, err)
		}
	})
}

func TestAPITokens(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		st, ctx := openPeople(t, dsn), context.Background()
		org := store.Org{ID: evidence.NewID("o_"), Kind: store.Customer, Name: "Rossi"}
		tokens := []store.APIToken{{ID: "t_1", Org: org.ID, Hash: evidence.Sum([]byte("a")), Scopes: "read"},
			{ID: "t_2", Org: org.ID, Hash: evidence.Sum([]byte("b")), Scopes: "read,write", Expires: time.UnixMicro(1_900_000_000_000_000)}}
		within(t, st, func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.AddOrg(ctx, org), tx.AddAPIToken(ctx, tokens[0]), tx.AddAPIToken(ctx, tokens[1]))
		})
		for i, text := range []string{"a", "b"} {
			got, err := st.APITokenByHash(ctx, evidence.Sum([]byte(text)))
			if err != nil || got.ID != tokens[i].ID || !got.Expires.Equal(tokens[i].Expires) || len(got.May()) != 3*i {
				t.Errorf("%+v (%v)", got, err)
			}
		}
		if _, err := st.APITokenByHash(ctx, evidence.Sum([]byte("c"))); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		st, ctx := openPeople(t, dsn), context.Background()
		s := store.Sessions{Store: st}
		soon := time.Now().Add(time.Hour).Truncate(time.Microsecond)
		commit := func(token, data string, expiry time.Time) {
			t.Helper()
			if err := s.CommitCtx(ctx, token, []byte(data), expiry); err != nil {
				t.Fatal(err)
			}
		}
		find := func(token string) string {
			t.Helper()
			b, found, err := s.FindCtx(ctx, token)
			if err != nil || found != (b != nil) {
				t.Fatal(found, err)
			}
			return string(b)
		}
		commit("a", "one", soon)
		commit("a", "two", soon)
		commit("old", "x", time.Now().Add(-time.Second))
		if find("a") != "two" || find("old") != "" || find("none") != "" {
			t.Errorf("a %q, old %q", find("a"), find("old"))
		}
		commit("a", "two", soon.Add(time.Minute)) // too little to be written
		commit("b", "y", soon)
		if err := s.DeleteCtx(ctx, "b"); err != nil || find("b") != "" {
			t.Errorf("a session that was ended is found (%v)", err)
		}
		commit("a", "two", soon.Add(-30*time.Minute)) // shortened: written
		for i := range 3 {
			commit(fmt.Sprint(i), "z", soon)
		}
	})
}

func TestAlertsOnACustomersPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		st, ctx := openPeople(t, dsn), context.Background()
		customer := store.Org{ID: "o_c", Services: []string{"pe"}}
		for _, org := range []string{"", "o_c"} {
			if list, err := st.BoardAlerts(ctx, org, 10); err != nil || len(list) != 0 {
				t.Errorf("%v (%v)", list, err)
			}
		}
		if list, err := st.CustomerAlerts(ctx, customer, "o_p", 10); err != nil || len(list) != 0 {
			t.Errorf("%v (%v)", list, err)
		}
	})
}
