package server_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// A server that is told to stop lets pushes under way finish and then ends.
func TestServeAndStop(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	h := w.enrolled(w.customer)
	ctx, stop := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(ctx, l) }()
	base := "http://" + l.Addr().String()
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/v1/nothing": 404} {
		res, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
		}
	}
	body, err := json.Marshal(evidence.Push{Records: []evidence.PushRecord{h.seal().wire()}})
	if err != nil {
		t.Fatal(err)
	}
	// Half of the body is sent before the server is told to stop, half after.
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	head := "POST /v1/records HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + h.push + "\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n"
	if _, err := conn.Write(append([]byte(head), body[:len(body)/2]...)); err != nil {
		t.Fatal(err)
	}
	waitBusy(t, base)
	stop()
	if _, err := conn.Write(body[len(body)/2:]); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 32)
	if _, err := conn.Read(answer); err != nil || !strings.Contains(string(answer), "200 OK") {
		t.Errorf("answer %q (%v)", answer, err)
	}
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server did not stop")
	}
	if got := outcomes(h.pushes()); got != "[]" {
		t.Error(got)
	}
	st, err := w.store.Log(context.Background(), w.customer.ID)
	if err != nil || st.Size != 2 {
		t.Errorf("log of %d entries (%v)", st.Size, err)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// waitBusy returns once the server has taken the connection that was opened last:
// connections are taken in order.
func waitBusy(t *testing.T, base string) {
	t.Helper()
	res, err := http.Get(base + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

func TestReadyNeedsTheDatabase(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	st, err := store.Open(context.Background(), storetest.SQLite(t), discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(context.Background(), testConfig(), server.Deps{Store: st, Keys: w.keys, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	w.handler = s.Handler()
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
		if res := w.get(path); res.Code != want {
			t.Errorf("%s: status %d, want %d", path, res.Code, want)
		}
	}
}

func TestPeople(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		ctx := context.Background()
		password, err := w.srv.AddUser(ctx, server.UserRequest{Email: "a@example.com", Org: w.provider.ID, Role: store.RoleOperator})
		if err != nil || len(password) < 16 {
			t.Fatalf("password %q (%v)", password, err)
		}
		if password, err = w.srv.AddUser(ctx, server.UserRequest{Email: "a@example.com", Org: w.customer.ID, Role: store.RoleAdmin}); err != nil || password != "" {
			t.Errorf("a second role: password %q (%v)", password, err)
		}
		u, err := w.store.UserByEmail(ctx, "A@example.com")
		if err != nil || !strings.HasPrefix(u.Hash, "$argon2id$") {
			t.Fatalf("%+v (%v)", u, err)
		}
		if roles, err := w.store.MembersOf(ctx, u.ID); err != nil || len(roles) != 2 {
			t.Errorf("%v (%v)", roles, err)
		}
		for name, q := range map[string]server.UserRequest{
			"no address":             {Email: "Name <b@example.com>", Org: w.customer.ID, Role: store.RoleAdmin},
			"no role":                {Email: "b@example.com", Org: w.customer.ID, Role: "boss"},
			"operator of a customer": {Email: "b@example.com", Org: w.customer.ID, Role: store.RoleOperator},
			"no organisation":        {Email: "b@example.com", Org: "o_x", Role: store.RoleAdmin},
			"short password":         {Email: "b@example.com", Org: w.customer.ID, Role: store.RoleAdmin, Password: "short"},
			"password twice":         {Email: "a@example.com", Org: w.customer.ID, Role: store.RoleAdmin, Password: "correct horse battery"},
		} {
			if _, err := w.srv.AddUser(ctx, q); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		text, err := w.srv.AddAPIToken(ctx, w.customer.ID, "script", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.store.APITokenByHash(ctx, evidence.Sum([]byte(text)))
		if err != nil || token.Org != w.customer.ID || token.Scopes != "read" || token.Expires.IsZero() {
			t.Errorf("%+v (%v)", token, err)
		}
	})
}

func TestRevokedAgentIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorld(t, dsn)
		h := w.enrolled(w.customer)
		h.pushes(h.seal())
		if _, err := w.srv.RevokeAgent(context.Background(), h.id, "lost", "", time.Time{}); err != nil {
			t.Fatal(err)
		}
		res, refusal := w.call("POST", evidence.PathRecords, h.push, evidence.Push{}, nil)
		if refusal == nil || refusal.Code != evidence.CodeUnknownAgent || res.Code != http.StatusForbidden {
			t.Fatalf("status %d: %v", res.Code, refusal)
		}
		if _, err := w.srv.RevokeAgent(context.Background(), h.id, "lost", "", time.Time{}); err == nil {
			t.Error("it was revoked twice")
		}
		again := w.newHost()
		again.machine = h.machine
		token := w.token(w.customer.ID, 1)
		offer, _ := again.begin(token)
		if refusal := again.finish(token, again.statement(token, offer)); refusal != nil {
			t.Errorf("the host enrolled anew: %v", refusal)
		}
		if faults := w.check(t); len(faults) > 0 {
			t.Errorf("faults: %v", faults)
		}
	})
}
