package web_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// An admin adds a chat, tries it and is told by it of an alert; what is wrong with an
// address is said with its cure. The token stands nowhere but in the channel's own row:
// on no page, in no answer of the API, no log and no evidence. A server stands for
// Mattermost, which no test can bring along; what posts to it is the real library.
func TestChatIsTold(t *testing.T) {
	cfg := newMailbox(t).config()
	cfg.Webhooks.AllowPrivate = true
	s := newSiteWith(t, storetest.SQLite(t), cfg)
	var busy atomic.Bool
	got := make(chan string, 20)
	mattermost := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/hooks/seCretToken" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if busy.Load() {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "no hook "+r.RequestURI)
			return
		}
		var m struct{ Text string }
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		got <- m.Text
	}))
	defer mattermost.Close()
	host := strings.TrimPrefix(mattermost.URL, "http://")
	c, page := s.signedIn(s.add(s.customer, store.RoleAdmin)), "/orgs/"+s.customer.ID
	add := func(target string, status int, words ...string) string {
		t.Helper()
		res, body := s.send(c, "POST", page+"/channels", url.Values{"kind": {"chat"}, "target": {target}}, nil)
		want(t, target, res, body, status, words...)
		return body
	}
	add("generic://"+host+"/x", 400, "not the address of a chat or paging service", "mattermost://")
	add("smtp://user:seCretToken@mail.example.com", 400, "not the address of a chat or paging service")
	add("https://hooks.slack.com/services/T/B/seCretToken", 400, "not the address of a chat or paging service")
	add("slack://seCretToken@webhook", 400, "slack://hook:TTTTTTTTT-")
	add("ntfy://ntfy.sh/topic?email=a@b.example", 400, "cannot be set", "priority=…")
	seen := add("mattermost://"+host+"/seCretToken?disabletls=yes", 200, "Added", "Chat or pager", "mattermost://"+host+"/…")

	list, err := s.store.Channels(t.Context(), s.customer.ID)
	if err != nil || len(list) != 1 {
		t.Fatalf("channels %+v (%v)", list, err)
	}
	test := page + "/channels/" + list[0].ID + "/test"
	res, body := s.send(c, "POST", test, nil, nil)
	want(t, "the test", res, body, 200, "Delivered")
	if text := <-got; !strings.Contains(text, "alerts of Officine Bianchi arrive here") {
		t.Errorf("the test says %q", text)
	}
	a := alert.Alert{ID: "al_chat", Org: s.customer.ID, Duty: "PE-C1", Part: "accounts", Asset: "a_1", Name: "pc1", Party: duties.Customer, Verdict: duties.Breached,
		Why: duties.Message{Key: "never_seen", Args: map[string]string{"host": "pc1", "kind_codes": "accounts"}}, Opened: s.now}
	s.tx(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.FireAlert(ctx, a, store.Reach{Service: "pe"})
		return err
	})
	s.deliver()
	if text := <-got; !strings.Contains(text, "PE-C1") || !strings.Contains(text, "pc1 has never sent") || !strings.Contains(text, "What to do: ") {
		t.Errorf("the alert says %q", text)
	}
	busy.Store(true)
	res, body = s.send(c, "POST", test, nil, nil)
	want(t, "a failed test", res, body, 409, "not delivered", "400 Bad Request", "no hook")
	seen += body
	s.now, a.Ended = s.now.Add(time.Hour), a.Why
	s.tx(func(ctx context.Context, tx *store.Tx) error { _, err := tx.ResolveAlert(ctx, a, s.now); return err })
	s.deliver()
	for _, p := range []string{page + "/settings", page + "/alerts/al_chat", page + "/activity", "/api/v1" + page + "/alerts/al_chat"} {
		res, body := s.send(c, "GET", p, nil, nil)
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", p, res.StatusCode)
		}
		seen += body
	}
	for _, w := range []string{"mattermost://" + host + "/…", "no hook", "refused"} {
		if !strings.Contains(seen, w) {
			t.Errorf("no page says %q", w)
		}
	}
	if i := strings.Index(seen, "seCretToken"); i >= 0 {
		t.Errorf("the token is shown: %s", seen[max(0, i-300):i+20])
	}
	for table, n := range s.holding("seCretToken") {
		if n > 0 && table != "channel" {
			t.Errorf("%d rows of %s hold the token", n, table)
		}
	}
	s.tx(func(ctx context.Context, tx *store.Tx) error { // of before, or written by hand
		return tx.AddChannel(ctx, alert.Channel{ID: "c_old", Org: s.customer.ID, Kind: alert.Chat, Target: "generic://" + host + "/hooks/seCretToken", Created: s.now})
	})
	busy.Store(false)
	res, body = s.send(c, "POST", page+"/channels/c_old/test", nil, nil)
	want(t, "a refused service", res, body, 409, "not delivered", "not the address of a chat or paging service")
	if strings.Contains(body, "seCretToken") || len(got) > 0 {
		t.Errorf("it was told by a service that may not be used: %s", body)
	}
	found, err := s.srv.Check(t.Context(), nil)
	if err != nil || len(found.Faults) > 0 {
		t.Errorf("the store is not sound: %+v (%v)", found.Faults, err)
	}
}

// holding counts the rows of each table that hold a text.
func (s *site) holding(text string) map[string]int {
	s.t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.dsn, "sqlite:"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tables, err := db.QueryContext(s.t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = tables.Close() }()
	out := map[string]int{}
	for tables.Next() {
		var table string
		if err := tables.Scan(&table); err != nil {
			s.t.Fatal(err)
		}
		out[table] = s.rowsHolding(db, table, text)
	}
	if err := tables.Err(); err != nil || len(out) < 20 || out["channel"] == 0 {
		s.t.Fatalf("%d tables, %d channels (%v)", len(out), out["channel"], err)
	}
	return out
}

func (s *site) rowsHolding(db *sql.DB, table, text string) (n int) {
	s.t.Helper()
	rows, err := db.QueryContext(s.t.Context(), `SELECT * FROM "`+table+`"`) //nolint:gosec // a name from the schema
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	row, at := make([]sql.RawBytes, len(names)), make([]any, len(names))
	for i := range row {
		at[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			s.t.Fatal(err)
		}
		for _, v := range row {
			if bytes.Contains(v, []byte(text)) {
				n++
			}
		}
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return n
}
