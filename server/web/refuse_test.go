package web_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// refused waits until so many refused sign-ins of all accounts are counted: that is done
// after the answer.
func (s *site) refused(n int) []store.Refused {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		list, err := s.store.RefusedBefore(context.Background(), s.now.Add(24*time.Hour), 100)
		if err != nil {
			s.t.Fatal(err)
		}
		got := 0
		for _, v := range list {
			got += v.N
		}
		if got == n {
			return list
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d refused sign-ins are counted, want %d", got, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Refused sign-ins stand in the trail of the account's organisations: one line for an
// account and hour, however many they were, and nothing of accounts that are not there.
func TestRefusedSignins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		s := newSite(t, dsn)
		s.now = s.now.Truncate(time.Hour).Add(10 * time.Minute)
		p, viewer := s.add(s.customer, store.RoleAdmin), s.add(s.customer, store.RoleViewer)
		c := s.signedIn(p)
		secret, _ := s.withClock(c, p)
		wrong := func(email string) {
			t.Helper()
			res, _ := s.send(s.browser(), "POST", "/signin", url.Values{"email": {email}, "password": {"not this one"}}, nil)
			if res.StatusCode != http.StatusUnauthorized {
				t.Fatalf("a wrong password: status %d", res.StatusCode)
			}
		}
		for range 4 {
			wrong(viewer.email)
		}
		wrong("nobody@bianchi.example")
		s.refused(4)
		half := s.half(p)
		if res, _ := s.send(half, "POST", "/signin/second", url.Values{"code": {"000000"}}, nil); res.StatusCode != http.StatusUnauthorized && s.code(secret) != "000000" {
			t.Fatalf("a wrong code: status %d", res.StatusCode)
		}
		list := s.refused(5)
		if len(list) != 2 || len(list[0].From) != 1 {
			t.Errorf("counted %+v", list)
		}
		state := func() {
			t.Helper()
			if err := s.srv.StateRefused(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if state(); s.events(s.customer)["user.signin_refused"] != 0 {
			t.Error("an hour that goes on is stated")
		}
		s.now = s.now.Add(time.Hour)
		wrong(viewer.email)
		s.refused(6)
		state()
		state() // another server's, at the same time
		if n := s.events(s.customer)["user.signin_refused"]; n != 2 {
			t.Errorf("%d lines, want one for each account", n)
		}
		if n := s.events(s.other)["user.signin_refused"] + s.events(s.provider)["user.signin_refused"]; n != 0 {
			t.Errorf("%d lines in others' logs", n)
		}
		s.refused(1)
		res, body := s.get(c, "/orgs/"+s.customer.ID+"/activity")
		want(t, "the trail", res, body, http.StatusOK, "Sign-ins were refused", viewer.email+" · 4 attempts · between ", p.email+" · 1 attempt · ", "127.0.0.1")
		res, body = s.send(c, "GET", "/orgs/"+s.customer.ID+"/activity", nil, map[string]string{"Accept-Language": "it"})
		want(t, "in Italian", res, body, http.StatusOK, "Sono stati rifiutati degli accessi", "4 tentativi")
	})
}

// However often somebody guesses, an account has one row an hour, and it stays short.
func TestRefusedSigninsAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		s := newSite(t, dsn)
		s.now = s.now.Truncate(time.Hour)
		s.tx(func(ctx context.Context, tx *store.Tx) error {
			for i := range 300 {
				if err := tx.RefuseSignin(ctx, "u_1", path("2001:db8::%x", i), s.now.Add(time.Duration(i)*time.Second)); err != nil {
					return err
				}
			}
			return nil
		})
		list := s.refused(300)
		if len(list) != 1 || len(list[0].From) > 20 || list[0].From[0] != "2001:db8::0" || list[0].Last.Sub(list[0].First) != 299*time.Second {
			t.Errorf("%+v", list)
		}
		s.now = s.now.Add(time.Hour)
		if err := s.srv.StateRefused(t.Context()); err != nil { // whose account is gone
			t.Fatal(err)
		}
		s.refused(0)
	})
}
