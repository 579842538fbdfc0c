package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// posted sends a body, as a browser or with a token, and returns the answer.
func (s *site) posted(c *http.Client, token, path, kind string, body []byte) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.http.URL+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if req.Header.Set("Sec-Fetch-Site", "same-origin"); kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		s.t.Fatalf("POST %s: %v", path, err)
	}
	return s.answered(res)
}

// A NUL and bytes that are no UTF-8, which PostgreSQL keeps in no text, are the fault of
// who sends them, wherever that is, and none of the server.
func TestNoTextIsNoFaultOfTheServer(t *testing.T) {
	w := seeded(newSite(t, storetest.Postgres(t)))
	w.walked = "u_nobody"
	c := w.signedIn(w.add(w.provider, store.RoleAdmin))
	seen := map[string]bool{}
	for _, v := range visits(w) {
		if seen[v.pattern] {
			continue
		}
		seen[v.pattern] = true
		method, route, _ := strings.Cut(v.pattern, " ")
		parts, wild := strings.Split(v.path, "/"), strings.Split(route, "/")
		for i := range min(len(parts), len(wild)) {
			if was := parts[i]; strings.HasPrefix(wild[i], "{") && wild[i] != "{$}" {
				for _, bad := range []string{"a%00b", "%FF"} {
					parts[i] = bad
					if res, _ := w.send(c, method, strings.Join(parts, "/"), nil, nil); res.StatusCode != http.StatusNotFound {
						t.Errorf("%s of %s: status %d", method, strings.Join(parts, "/"), res.StatusCode)
					}
				}
				parts[i] = was
			}
		}
		bad := url.Values{"q": {"a\x00"}, "\xff": {"x"}}
		path := v.path
		if method == http.MethodGet {
			path, bad = path+"?"+bad.Encode(), nil
		}
		if res, _ := w.send(c, method, path, bad, nil); res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s with a NUL: status %d", v.pattern, res.StatusCode)
		}
	}
	token, base := w.apiToken(w.customer, true), "/api/v1/orgs/"+w.customer.ID
	for _, body := range []string{`{"service":"sc","title":"a\u0000b"}`, "{\"service\":\"sc\",\"title\":\"\xff\"}"} {
		if status, answer := w.posted(w.browser(), token, base+"/workflows/incident", "application/json", []byte(body)); status != http.StatusBadRequest {
			t.Errorf("%q: status %d: %s", body, status, answer)
		}
	}
}

// What a script gets wrong is named: its answer says what.
func TestWhatIsWrongWithWhatWasSent(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	token, base := s.apiToken(s.customer, true), "/api/v1/orgs/"+s.customer.ID
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	for _, v := range []struct{ name, path, kind, body, code, detail string }{
		{"fine", "/workflows/incident", asJSON, `{"service":"sc","title":"t"}`, "", ""},
		{"said to be nothing", "/workflows/incident", "", `{"service":"sc","title":"t"}`, "", ""},
		{"as curl says by itself", "/workflows/incident", asForm, `{"service":"sc","title":"t"}`, "want_json", ""},
		{"unknown name", "/workflows/incident", asJSON, `{"service":"sc","titel":"t"}`, "bad_form", `"titel"`},
		{"two values", "/workflows/incident", asJSON, `{"service":"sc","title":"t"} {}`, "bad_form", "after top-level value"},
		{"a name twice", "/workflows/incident", asJSON, `{"service":"sc","title":"t","title":"u"}`, "bad_form", "title"},
		{"nothing", "/workflows/incident", asJSON, ``, "bad_form", "unexpected end"},
		{"a title of what nobody sees", "/workflows/incident", asJSON, `{"service":"sc","title":"\u200b\u202e\u0007"}`, "title_missing", "120"},
		{"an empty file", "/workflows/incident", asJSON, `{"service":"sc","title":"t","fileName":"proof.pdf","file":""}`, "file_empty", ""},
		{"2 MB", "/workflows/incident", asJSON, `{"service":"sc","title":"t","text":"` + strings.Repeat("x", 2<<20) + `"}`, "too_large", "1048576"},
		{"2 MB of a form", "/workflows/incident", asForm, "text=" + strings.Repeat("x", 2<<20), "too_large", "1048576"},
		{"kind", "/duties/WH-C2/statement", asJSON, `{"kind":"attest","result":"good","text":"t","until":"2026-12-31"}`, "bad_form", "attestation"},
		{"day", "/duties/WH-C2/statement", asJSON, `{"kind":"attestation","result":"good","text":"t","until":"9999-12-31"}`, "review_date", "days ahead"},
		{"point", "/restores", asJSON, `{"service":"sc","title":"t","result":"good","text":"t","point":"yesterday"}`, "bad_form", "2026-06-01T12:00:00Z"},
	} {
		status, answer := s.posted(s.browser(), token, base+v.path, v.kind, []byte(v.body))
		var got struct {
			Error struct{ Code, Cure, Detail string }
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatalf("%s: %v in %s", v.name, err, answer)
		}
		if got.Error.Code != v.code || !strings.Contains(got.Error.Detail, v.detail) || v.code != "" && got.Error.Cure == "" || (v.code == "") != (status == http.StatusCreated) {
			t.Errorf("%s: status %d: %s", v.name, status, answer)
		}
	}
}

// answered is the status of an answer, and all of it.
func (s *site) answered(res *http.Response) (int, string) {
	s.t.Helper()
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// sendsFirst sends all of a request before it reads the answer, as browsers do.
func (s *site) sendsFirst(c *http.Client, path, kind string, body []byte) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.http.URL+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	for _, cookie := range c.Jar.Cookies(req.URL) {
		req.AddCookie(cookie)
	}
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := req.Write(conn); err != nil {
		s.t.Fatalf("sending %d bytes: %v", len(body), err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		s.t.Fatalf("after %d bytes: %v", len(body), err)
	}
	return s.answered(res)
}

// A page says so when a file is empty or too large, however large: the rest is read, so
// that a browser shows the answer.
func TestFilesThatAreNotKept(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	c, path := s.signedIn(s.add(s.customer, store.RoleAdmin)), "/orgs/"+s.customer.ID+"/workflows/incident"
	for size, want := range map[int]string{0: "The file is empty", 700*1024 + 1: "The file is too large", 30 << 20: "That is too large"} {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for name, value := range map[string]string{"service": "sc", "title": "t"} {
			if err := w.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
		part, err := w.CreateFormFile("file", "proof.pdf")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if status, page := s.sendsFirst(c, path, w.FormDataContentType(), form.Bytes()); status < 400 || !strings.Contains(page, want) {
			t.Errorf("%d bytes: status %d: %.200s", size, status, page)
		}
	}
}

// A title is one line that reads as it is written: it heads mails. Of a file's name the
// folders of whoever sent it go.
func TestTitlesAreOneLine(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	token := s.apiToken(s.customer, true)
	for sent, want := range map[string]string{"  Logins \r\n\r\nWhat to do:  pay  ": "Logins What to do: pay", "invoice \u202egpj.exe\u202c": "invoice gpj.exe", "\u00c8 tardi \u200b\U0001F44D": "\u00c8 tardi \U0001F44D"} {
		body, err := json.Marshal(map[string]any{"service": "sc", "title": sent, "fileName": `..\../etc/passwd`, "file": []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		_, answer := s.posted(s.browser(), token, "/api/v1/orgs/"+s.customer.ID+"/workflows/incident", "application/json", body)
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(answer), &made); err != nil || made.ID == "" {
			t.Fatalf("%q: %v: %s", sent, err, answer)
		}
		c, err := s.store.Case(context.Background(), made.ID)
		if err != nil || c.Title != want {
			t.Errorf("%q became %q, want %q (%v)", sent, c.Title, want, err)
		}
		need, err := json.Marshal(map[string]any{"sets": []any{map[string]any{"service": "bk", "name": sent, "job": "nightly", "hours": 24, "days": 30}}})
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(time.Second)
		s.posted(s.browser(), token, "/api/v1/orgs/"+s.customer.ID+"/need", "application/json", need)
		var declared struct{ Sets []struct{ Name string } }
		if s.api(token, "GET", "/orgs/"+s.customer.ID+"/need", &declared); len(declared.Sets) != 1 || declared.Sets[0].Name != want {
			t.Errorf("the data set %q became %+v", sent, declared.Sets)
		}
		if _, page := s.get(s.signedIn(s.add(s.customer, store.RoleAdmin)), "/orgs/"+s.customer.ID+"/cases/"+made.ID); !strings.Contains(page, ">passwd<") {
			t.Errorf("the file's name: %s", page)
		}
	}
}

// What there is with another method is no "nothing": the answer names the method.
func TestOtherMethods(t *testing.T) {
	s := newSite(t, storetest.SQLite(t))
	org := s.customer.ID
	for ask, want := range map[string]string{"PUT /api/v1/orgs/" + org + "/duties": "GET", "GET /api/v1/orgs/" + org + "/duties/WH-C2/statement": "POST", "DELETE /api/v1/orgs/" + org + "/need": "GET, POST",
		"POST /api/v1/orgs/" + org + "/nothing": "", "GET /orgs/" + org + "/duties/WH-C2/statement": "POST"} {
		method, path, _ := strings.Cut(ask, " ")
		res, body := s.send(s.browser(), method, path, nil, nil)
		if got := res.Header.Get("Allow"); got != want || (res.StatusCode == http.StatusMethodNotAllowed) != (want != "") {
			t.Errorf("%s: status %d, allowed %q, want %q: %.100s", ask, res.StatusCode, got, want, body)
		}
	}
}
