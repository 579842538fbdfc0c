package agent_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/evidence"
)

func TestEnrollStoresWhatWasProven(t *testing.T) {
	r := newRig(t)
	res := r.enroll()
	if res.Agent != r.srv.agent || res.OrgName != "Example" || res.Index != 1 {
		t.Errorf("enrolled as %+v", res)
	}
	s := r.status()
	if !s.Enrolled || s.KeyID != string(res.KeyID) || s.Log.Size != 2 {
		t.Errorf("status %+v", s)
	}
	files, err := filepath.Glob(filepath.Join(r.cfg.StateDir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no state: %v", err)
	}
	secret := strings.Split(r.srv.token.String(), ".")[2]
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		if strings.Contains(string(b), secret) {
			t.Errorf("%s holds the token's secret", path)
		}
	}
	if _, err := os.Stat(filepath.Join(r.cfg.StateDir, "enrolling.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the finished enrollment's file is still there: %v", err)
	}
	if strings.Contains(r.log.String(), secret) || strings.Contains(r.log.String(), "p_test") {
		t.Error("a secret stands in the log")
	}
	if _, err := agent.Enroll(context.Background(), r.cfg, "https://proof.example", r.srv.token.String(), "test", r.logger()); err == nil ||
		!strings.Contains(err.Error(), "enrolled already") {
		t.Errorf("a second enrollment: %v", err)
	}
}

// TestEnrollRefuses: each fault between host and server, by the words that a person
// reads. None may leave an identity.
func TestEnrollRefuses(t *testing.T) {
	other := newFake(t)
	cases := []struct {
		name   string
		server string
		token  func(f *fake) string
		twist  func(f *fake)
		want   string
		sent   bool // whether anything of the host may have left it
	}{
		{name: "cut token", token: func(f *fake) string { return f.token.String()[:20] }, want: "copy it whole"},
		{name: "token of another server", token: func(*fake) string { return other.token.String() }, want: "not the one that the token names"},
		{name: "wrong secret", sent: true, token: func(f *fake) string {
			wrong := f.token
			wrong.Secret = make([]byte, 16)
			return wrong.String()
		}, want: "not made with this token's secret"},
		{name: "plain http to another host", server: "http://proof.example", want: "use https"},
		{name: "no address", server: "proof.example", want: "want a URL"},
		{name: "another root key", twist: func(f *fake) {
			f.offer = func(o *evidence.EnrollOffer) { o.RootKey = other.root.Public().SPKI() }
		}, want: "not the one that the token names"},
		{name: "keyset signed by another key", twist: func(f *fake) {
			env, err := evidence.SealKeyset(other.root, evidence.Keyset{Version: 1, Server: "proof.example", LogKeys: []string{"x"}})
			if err != nil {
				t.Fatal(err)
			}
			f.offer = func(o *evidence.EnrollOffer) { o.Keyset = string(env.Bytes()) }
		}, want: "keyset"},
		{name: "checkpoint signed by another key", twist: func(f *fake) {
			f.offer = func(o *evidence.EnrollOffer) {
				note, err := evidence.SignCheckpoint(other.logKey, f.head(&f.tree))
				if err != nil {
					t.Fatal(err)
				}
				o.Checkpoint = string(note)
			}
		}, want: "checkpoint"},
		{name: "origin of another server", twist: func(f *fake) {
			f.offer = func(o *evidence.EnrollOffer) { o.Origin = "evil.example/t/" + f.org + "/1" }
		}, want: "is not one of server"},
		{name: "receipt for something else", sent: true, twist: func(f *fake) {
			f.enrolled = func(e *evidence.Enrolled) { e.Entry, e.Proof = string(f.tree.lines[0]), f.proof(&f.tree, 0) }
		}, want: "another envelope"},
		{name: "another agent's id", sent: true, twist: func(f *fake) {
			f.enrolled = func(e *evidence.Enrolled) { e.Agent = evidence.NewID("a_") }
		}, want: "names agent"},
		{name: "another organisation", sent: true, twist: func(f *fake) {
			f.enrolled = func(e *evidence.Enrolled) { e.Org = evidence.NewID("o_") }
		}, want: "names agent"},
		{name: "log does not continue the offered one", sent: true, twist: func(f *fake) {
			f.enrolled = func(e *evidence.Enrolled) {
				var forked tree
				forked.add([]byte("something else\n"))
				forked.add(f.tree.lines[1])
				e.Proof, e.Consistency = f.proof(&forked, 1), f.consistency(&forked, 1)
			}
		}, want: "does not continue"},
		{name: "no Attesto server", twist: func(f *fake) {
			f.before = func(w http.ResponseWriter, _ *http.Request) bool { return status(w, http.StatusNotFound, 0) }
		}, want: "is this the address of an Attesto server?"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			if c.twist != nil {
				r.srv.set(func() { c.twist(r.srv) })
			}
			server, token := "https://proof.example", r.srv.token.String()
			if c.server != "" {
				server = c.server
			}
			if c.token != nil {
				token = c.token(r.srv)
			}
			_, err := agent.Enroll(bounded(t, 30*time.Second), r.cfg, server, token, "test", r.logger())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want one with %q", err, c.want)
			}
			if agent.IsEnrolled(r.cfg) {
				t.Error("an identity was stored")
			}
			if sent := len(r.srv.tries) > 0; sent != c.sent {
				t.Errorf("enrollment left this host: %v, want %v", sent, c.sent)
			}
		})
	}
}

// TestEnrollAnswerLost: the server took the enrollment and its answer never came.
// The next try sends the very same one, so that key and token are not lost.
func TestEnrollAnswerLost(t *testing.T) { synctest.Test(t, enrollAnswerLost) }

func enrollAnswerLost(t *testing.T) {
	r := newRig(t)
	r.srv.enrolled = func(*evidence.Enrolled) { panic(http.ErrAbortHandler) }
	lost := abortTo500{r.srv}
	_, err := agent.Enroll(bounded(t, 30*time.Second), r.cfg.Over(lost), "https://proof.example", r.srv.token.String(), "test", r.logger())
	if err == nil || agent.IsEnrolled(r.cfg) {
		t.Fatalf("enrolled without an answer: %v", err)
	}
	r.srv.set(func() { r.srv.enrolled = nil })
	r.enroll()
	for _, try := range r.srv.tries {
		if try != r.srv.tries[0] {
			t.Error("another enrollment was sent than the first")
		}
	}
}

// abortTo500 turns a handler that gave up into a refusal without a word.
type abortTo500 struct{ f *fake }

func (a abortTo500) RoundTrip(req *http.Request) (res *http.Response, err error) {
	defer func() {
		if recover() != nil {
			res, err = nil, errors.New("unexpected EOF")
		}
	}()
	return a.f.RoundTrip(req)
}

// TestEnrollKeyInUse: keys that the server knows already are given up, so that the
// next try makes new ones.
func TestEnrollKeyInUse(t *testing.T) {
	r := newRig(t)
	r.srv.before = func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path != evidence.PathEnroll {
			return false
		}
		say(w, http.StatusConflict, &evidence.Error{Code: evidence.CodeKeyInUse, Message: "this key is enrolled already", Cure: "enroll again"})
		return true
	}
	_, err := agent.Enroll(bounded(t, 30*time.Second), r.cfg, "https://proof.example", r.srv.token.String(), "test", r.logger())
	if err == nil || !strings.Contains(err.Error(), "enrolled already") {
		t.Fatalf("error %v", err)
	}
	r.srv.set(func() { r.srv.before = nil })
	r.enroll()
}

func TestReadDropIn(t *testing.T) {
	dir := t.TempDir()
	cases := []struct {
		name, text    string
		mode          os.FileMode
		server, token string
		want          string
	}{
		{name: "token", text: "att1.a.b.c\n", mode: 0o600, token: "att1.a.b.c"},
		{name: "server and token", text: "https://s.example\natt1.a.b.c\n", mode: 0o600, server: "https://s.example", token: "att1.a.b.c"},
		{name: "empty", text: "\n", mode: 0o600, want: "want a token"},
		{name: "open to others", text: "att1.a.b.c", mode: 0o644, want: "chmod 600"},
	}
	for _, c := range cases {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		server, token, err := agent.ReadDropIn(path)
		if c.want != "" {
			if runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
			}
			continue
		}
		if err != nil || server != c.server || token != c.token {
			t.Errorf("%s: %q, %q, %v", c.name, server, token, err)
		}
	}
	if _, _, err := agent.ReadDropIn(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}
