package cmd_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite"

	"github.com/attesto/attesto/collectors"
)

// patience bounds every wait in a script.
const patience = 60 * time.Second

// need TOOL...: a missing tool fails in CI and skips elsewhere.
func cmdNeed(ts *testscript.TestScript, _ bool, args []string) {
	for _, tool := range args {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if _, err := os.Stat("/usr/sbin/" + tool); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			ts.Fatalf("%s is not installed; run make deps", tool)
		}
		ts.Fatalf("%s is not installed; run make deps, or leave this test out with -skip", tool)
	}
}

// render FROM TO: copies a file with $VARIABLES filled in.
func cmdRender(ts *testscript.TestScript, _ bool, args []string) {
	text := withoutOthers(os.Expand(ts.ReadFile(args[0]), ts.Getenv))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

// withoutOthers puts a line for each kind that a configuration does not name in the
// place of "others: {enabled: false}", so that a story stays what it is when there is a
// new kind.
func withoutOthers(text string) string {
	const others = "  others: {enabled: false}\n"
	var off strings.Builder
	for _, s := range collectors.All() {
		if !strings.Contains(text, "\n  "+string(s.Kind)+":") {
			fmt.Fprintf(&off, "  %s: {enabled: false}\n", s.Kind)
		}
	}
	return strings.Replace(text, others, off.String(), 1)
}

// verdict URL TOKEN ORG DUTY WANT [PART WANT]...: waits until the read API says so
// of a duty and its parts; the last answer stands in the log when it never does.
func cmdVerdict(ts *testscript.TestScript, _ bool, args []string) {
	var last string
	deadline := time.Now().Add(patience)
	for {
		var d struct {
			Verdict string
			Parts   []struct{ Name, Verdict string }
		}
		last = get(ts, args[0]+"/api/v1/orgs/"+args[2]+"/duties/"+args[3], args[1])
		ok := json.Unmarshal([]byte(last), &d) == nil && d.Verdict == args[4]
		for i := 5; i+1 < len(args); i += 2 {
			found := false
			for _, p := range d.Parts {
				found = found || p.Name == args[i] && p.Verdict == args[i+1]
			}
			ok = ok && found
		}
		if ok {
			ts.Check(os.WriteFile(ts.MkAbs("verdict.json"), []byte(last), 0o644))
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s did not become %s:\n%s", args[3], strings.Join(args[4:], " "), last)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// fetch URL TOKEN FILE: keeps an answer of the read API.
func cmdFetch(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(get(ts, args[0], args[1])), 0o644))
}

// review URL TOKEN ORG DUTY: confirms that somebody looked.
func cmdReview(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, args[0]+"/api/v1/orgs/"+args[2]+"/duties/"+args[3]+"/review", nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+args[1])
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		ts.Fatalf("review of %s: %d %s", args[3], res.StatusCode, b)
	}
}

func get(ts *testscript.TestScript, url, token string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	ts.Check(err)
	return string(b)
}

// port NAME...: puts a free loopback port into each environment variable.
func cmdPort(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		port, err := freePort()
		ts.Check(err)
		ts.Setenv(name, strconv.Itoa(port))
	}
}

// setenv NAME FILE [KEY]: the variable gets the file's trimmed text, or the
// string under KEY when the file is JSON (its last line).
func cmdSetenv(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.TrimSpace(ts.ReadFile(args[1]))
	if len(args) == 3 {
		lines := strings.Split(text, "\n")
		var v map[string]any
		ts.Check(json.Unmarshal([]byte(lines[len(lines)-1]), &v))
		text = fmt.Sprint(v[args[2]])
	}
	ts.Setenv(args[0], text)
}

// field NAME FILE PREFIX: the variable gets the first word of the file that starts
// with PREFIX.
func cmdField(ts *testscript.TestScript, _ bool, args []string) {
	for _, word := range strings.Fields(ts.ReadFile(args[1])) {
		if strings.HasPrefix(word, args[2]) {
			ts.Setenv(args[0], word)
			return
		}
	}
	ts.Fatalf("no word %s… in %s", args[2], args[1])
}

// waithttp URL: waits until URL answers 200.
func cmdWaitHTTP(ts *testscript.TestScript, _ bool, args []string) {
	wait(ts, "answer 200 from "+args[0], func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
		ts.Check(err)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func wait(ts *testscript.TestScript, what string, done func() bool) {
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			ts.Fatalf("no %s after %s", what, patience)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// mailbox PORT DIR: a real SMTP server that keeps each mail as DIR/N.eml.
func cmdMailbox(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	srv := smtp.NewServer(&mailbox{dir: dir})
	srv.Addr = "127.0.0.1:" + args[0]
	srv.Domain = "localhost"
	srv.AllowInsecureAuth = true
	l, err := net.Listen("tcp", srv.Addr)
	ts.Check(err)
	go srv.Serve(l)
	ts.Defer(func() { _ = srv.Close() })
}

type mailbox struct{ dir string }

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{m: m}, nil }

type mailSession struct {
	m        *mailbox
	from, to string
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = to; return nil }
func (s *mailSession) Reset()                                      {}
func (s *mailSession) Logout() error                               { return nil }

func (s *mailSession) Data(r io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	return keep(s.m.dir, "eml", append([]byte("X-From: "+s.from+"\r\nX-To: "+s.to+"\r\n"), body...))
}

// keep writes data under the next free number.
func keep(dir, ext string, data []byte) error {
	for n := 0; ; n++ {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%03d.%s", n, ext)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := f.Write(data); err != nil {
			return err
		}
		return f.Close()
	}
}

// hook PORT DIR: a real HTTP receiver that keeps each request as DIR/N.http.
func cmdHook(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_ = r.Header.Write(&b)
		b.WriteString("\n")
		_, _ = io.Copy(&b, io.LimitReader(r.Body, 1<<20))
		if err := keep(dir, "http", b.Bytes()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})}
	go srv.Serve(l)
	ts.Defer(func() { _ = srv.Close() })
}

// rbl PORT DIRVAR ZONE...: a real rbldnsd that serves the files $DIRVAR/ZONE as
// ip4set zones and sees changes within a second. It refuses to run as root, so the
// folder lies where another user can read it.
func cmdRBL(ts *testscript.TestScript, _ bool, args []string) {
	dir, err := os.MkdirTemp("", "rbl-")
	ts.Check(err)
	ts.Check(os.Chmod(dir, 0o755))
	ts.Setenv(args[1], dir)
	argv := []string{"-n", "-c", "1s", "-b", "127.0.0.1/" + args[0], "-w", dir}
	if os.Geteuid() == 0 {
		argv = append(argv, "-u", "nobody:nogroup")
	}
	for _, zone := range args[2:] {
		ts.Check(os.WriteFile(filepath.Join(dir, zone), []byte(":127.0.0.2:test entry\n127.0.0.2\n"), 0o644))
		argv = append(argv, zone+":ip4set:"+zone)
	}
	name := "rbldnsd"
	if _, err := exec.LookPath(name); err != nil {
		name = "/usr/sbin/rbldnsd"
	}
	cmd := exec.Command(name, argv...)
	out, err := os.Create(ts.MkAbs("rbldnsd.log"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = out, out
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
		_ = os.RemoveAll(dir)
	})
}

// exactly N GLOB: waits until N files match, then looks again after two more
// seconds: no more may have come.
func cmdExactly(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	count := func() int {
		found, err := filepath.Glob(ts.MkAbs(args[1]))
		ts.Check(err)
		return len(found)
	}
	if want > 0 {
		wait(ts, fmt.Sprintf("%d files %s (%d there)", want, args[1], count()), func() bool { return count() >= want })
	}
	time.Sleep(2 * time.Second)
	if got := count(); got != want {
		ts.Fatalf("%d files %s, want exactly %d", got, args[1], want)
	}
}

// until PATTERN COMMAND ARGS...: repeats a command until its output contains
// PATTERN; the last output stands in the log when it never does.
func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	var last string
	program := args[1]
	if own := filepath.Join(binDir, program); strings.HasPrefix(program, "attesto-") {
		program = own
	}
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		cmd := exec.CommandContext(ctx, program, args[2:]...)
		cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME")}
		cmd.Dir = ts.MkAbs(".")
		out, err := cmd.CombinedOutput()
		cancel()
		last = fmt.Sprintf("%s(%v)", out, err)
		if strings.Contains(last, args[0]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%q did not come from %s:\n%s", args[0], strings.Join(args[1:], " "), last)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// sql DATABASE STATEMENT: an attacker's hand in the server's SQLite file. It
// fails when the statement changes nothing.
func cmdSQL(ts *testscript.TestScript, _ bool, args []string) {
	db, err := openSQLite(ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	res, err := db.ExecContext(ctx, args[1])
	ts.Check(err)
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("statement changed %d rows (%v)", n, err)
	}
}

func openSQLite(path string) (*sql.DB, error) {
	return sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
}
