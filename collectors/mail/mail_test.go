package mail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/mail"
	"github.com/attesto/attesto/evidence"
)

// machine is a host with files and a postqueue that prints what it is given, or ends with an error.
func machine(t *testing.T, files map[string]string, queue string, at *time.Time) *host.Host {
	t.Helper()
	h := &host.Host{Root: t.TempDir(), Now: func() time.Time { return *at }, MachineKey: []byte("key of this host")}
	h.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		switch {
		case !strings.HasSuffix(c.Name, "postqueue"):
			return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
		case queue == "denied":
			return host.Result{Exit: 69, Stderr: "postqueue: fatal: Coda non disponibile"}, nil
		}
		_, err := c.Stdout.Write([]byte(queue))
		return host.Result{}, err
	}
	files["/usr/sbin/postqueue"] = ""
	for path, text := range files {
		put(t, h, path, text)
	}
	return h
}

func put(t *testing.T, h *host.Host, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(h.Path(path)), 0o755), os.WriteFile(h.Path(path), []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func newCollector(t *testing.T, h *host.Host, cfg mail.Config) host.Collector {
	t.Helper()
	c, err := mail.Spec().New(func(v any) error {
		to := v.(*mail.Config)
		to.Names, to.Files = cfg.Names, cfg.Files
		return nil
	}, h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func look(t *testing.T, c host.Collector, cursor []byte) (evidence.Mail, host.Look) {
	t.Helper()
	l, err := c.Collect(t.Context(), cursor)
	if err != nil {
		t.Fatalf("%v, gaps %v", err, l.Gaps)
	}
	return l.Facts.(evidence.Mail), l
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// stamp writes a moment as syslog does.
func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000000-07:00") }

// An account that sends twenty messages a day for two weeks, and on one day thousands.
func TestHistory(t *testing.T) {
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	h := machine(t, map[string]string{"/var/log/mail.log": ""}, postqueue, &at)
	c := newCollector(t, h, mail.Config{})
	log, cursor := "", []byte(nil)
	id := 0
	send := func(recipients int) {
		id++
		log += postfix(stamp(at), fmt.Sprintf("A%07d", id), "anna@example.org", "203.0.113.7", recipients, "sent")
		put(t, h, "/var/log/mail.log", log)
	}
	var f evidence.Mail
	var l host.Look
	for range 14 {
		send(20)
		at = at.Add(12 * time.Hour)
		f, l = look(t, c, cursor)
		if len(f.Accounts) != 1 || len(f.Accounts[0].Signs) != 0 || f.Accounts[0].Recipients != 20 || len(l.Gaps) != 0 {
			t.Fatalf("%+v, gaps %v", f.Accounts, l.Gaps)
		}
		cursor = l.Next
		at = at.Add(12 * time.Hour)
	}
	if f.Accounts[0].Usual != 20 || f.Days != 13 || l.Detail == nil {
		t.Errorf("usual %d, %d days", f.Accounts[0].Usual, f.Days)
	}
	for range 40 {
		send(100)
	}
	again, crashed := look(t, c, cursor)
	f, l = look(t, c, cursor) // the same look again, as after a crash
	a := f.Accounts[0]
	if signs(a) != "rate:3" || a.Peak != 4000 || a.Usual != 20 || a.Signs[0].Count != 4000 || text(t, again) != text(t, f) || !crashed.To.Equal(l.To) {
		t.Errorf("%s %+v", signs(a), a)
	}
	if f, _ := look(t, c, l.Next); f.Recipients != 0 || len(f.Accounts) != 0 {
		t.Errorf("counted twice: %+v", f)
	}
	all, err := json.Marshal(f)
	if err != nil || strings.Contains(string(all), "anna") || strings.Contains(string(all), "203.0.113") || strings.Contains(string(l.Next), "anna") {
		t.Errorf("a name left the host: %s (%v)", all, err)
	}
	if detail, err := json.Marshal(l.Detail); err != nil || !strings.Contains(string(detail), `"`+a.Name+`":"anna@example.org"`) || strings.Contains(string(detail), "example.net") {
		t.Errorf("detail %s (%v)", detail, err)
	}
	if f, _ := look(t, newCollector(t, h, mail.Config{Names: true}), cursor); f.Accounts[0].Name != "anna@example.org" {
		t.Errorf("names on: %+v", f.Accounts)
	}
}

// The queue's messages count for the account that handed them in, whatever sender it wrote.
func TestQueueOfAnAccount(t *testing.T) {
	at := now
	log, queue := "", ""
	for i := range 300 {
		lines := strings.SplitAfter(postfix(stamp(at.Add(-time.Minute)), fmt.Sprintf("A%07d", i), "bruno", "203.0.113.7", 1, "deferred"), "\n")
		log += strings.Join(lines[:3], "") // not removed
		queue += fmt.Sprintf(`{"queue_name":"deferred","queue_id":"A%07d","arrival_time":%d,"message_size":1,"sender":"random%d@example.com","recipients":[{"address":"x","delay_reason":"host mx[192.0.2.1] said: 421 4.7.0 slow down"}]}`+"\n", i, at.Unix()-60, i)
	}
	f, _ := look(t, newCollector(t, machine(t, map[string]string{"/var/log/mail.log": log}, queue, &at), mail.Config{}), nil)
	if a := f.Accounts[0]; a.Queued != 300 || !strings.Contains(signs(a), "queue:2") || len(f.Queue.Senders) != 1 || f.Queue.Senders[0].Name != a.Name || f.Queue.Reasons[0].Reason != evidence.MailLimited {
		t.Errorf("%s %+v, queue %+v", signs(a), a, f.Queue)
	}
}

func TestWhatCannotBeSeen(t *testing.T) {
	at := now
	l, err := newCollector(t, &host.Host{Root: t.TempDir(), Now: func() time.Time { return at }}, mail.Config{}).Collect(t.Context(), nil)
	if err != nil || !l.Unsupported || len(l.Gaps) != 1 {
		t.Errorf("no mail server: %+v (%v)", l, err)
	}
	h := machine(t, map[string]string{"/var/log/mail.log": postfix(stamp(at), "A1B2C3", "anna", "203.0.113.7", 1, "sent")}, "denied", &at)
	f, l := look(t, newCollector(t, h, mail.Config{}), nil)
	if f.Queue != nil || f.Recipients != 1 || len(l.Gaps) != 1 || !strings.Contains(l.Gaps[0].Why, "mail.conf") {
		t.Errorf("no permission for the queue: %+v, gaps %v", f, l.Gaps)
	}
	h = machine(t, map[string]string{}, postqueue, &at)
	f, l = look(t, newCollector(t, h, mail.Config{}), nil)
	if f.Queue.Messages != 3 || len(f.Sources) != 0 || len(l.Gaps) != 1 || l.Gaps[0].What != "mail log" {
		t.Errorf("no log: %+v, gaps %v", f, l.Gaps)
	}
	h = machine(t, map[string]string{"/var/log/mail.log": "2026-11-20T08:00:00Z mx postfix/smtpd[1]: connect from x[1.2.3.4]\n"}, postqueue, &at)
	if _, l = look(t, newCollector(t, h, mail.Config{}), nil); len(l.Gaps) != 1 || !strings.Contains(l.Gaps[0].Why, "no line of a mail server") {
		t.Errorf("a silent log: gaps %v", l.Gaps)
	}
	h = machine(t, map[string]string{"/var/log/mail.log": postfix(stamp(at), "A1B2C3", "anna", "203.0.113.7", 1, "sent")}, postqueue[:len(postqueue)-30], &at)
	if f, l = look(t, newCollector(t, h, mail.Config{}), []byte(`{"v":1,`)); f.Queue.Messages != 2 || len(l.Gaps) != 2 || l.Gaps[0].What != "cursor" {
		t.Errorf("cut queue, damaged cursor: %+v, gaps %v", f.Queue, l.Gaps)
	}
	h = machine(t, map[string]string{}, "denied", &at)
	if l, err := newCollector(t, h, mail.Config{}).Collect(t.Context(), nil); err == nil || len(l.Gaps) != 2 {
		t.Errorf("nothing at all: %+v (%v)", l, err)
	}
}

// A postqueue that hangs, and leaves a child, is ended with it; one that floods is stopped.
func TestRealPrograms(t *testing.T) {
	at := now
	for name, text := range map[string]string{
		"hangs":  "sleep 300 & echo $! > PID; printf '%s\\n' '" + strings.SplitN(postqueue, "\n", 2)[0] + "'; wait",
		"floods": "exec yes '" + strings.SplitN(postqueue, "\n", 2)[0] + "'",
	} {
		t.Run(name, func(t *testing.T) {
			h := machine(t, map[string]string{}, "", &at)
			script, pid := h.Path("/usr/sbin/postqueue"), h.Path("/pid")
			if err := os.WriteFile(script, []byte("#!/bin/sh\n"+strings.ReplaceAll(text, "PID", pid)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(script, 0o700); err != nil {
				t.Fatal(err)
			}
			h.Run = func(ctx context.Context, c host.Command) (host.Result, error) {
				c.Name = h.Path(c.Name)
				return host.Exec(ctx, c)
			}
			ctx, cancel := context.WithTimeout(t.Context(), map[string]time.Duration{"hangs": time.Second, "floods": 10 * time.Minute}[name])
			defer cancel()
			l, err := newCollector(t, h, mail.Config{}).Collect(ctx, nil)
			if err != nil || name == "floods" && ctx.Err() != nil {
				t.Fatalf("%v, %v", err, ctx.Err())
			}
			f := l.Facts.(evidence.Mail)
			want := map[string]string{"hangs": "^only 1 messages were listed", "floods": "^(its list is over|only [0-9]+ messages were listed)"}[name]
			if f.Queue == nil || f.Queue.Messages < 1 || !slices.ContainsFunc(l.Gaps, func(g evidence.Gap) bool { return regexp.MustCompile(want).MatchString(g.Why) }) {
				t.Errorf("%+v, gaps %v", f.Queue, l.Gaps)
			}
			if name == "floods" {
				return
			}
			child, err := os.ReadFile(pid)
			if err != nil {
				t.Fatal(err)
			}
			for range 50 {
				state, err := os.ReadFile("/proc/" + strings.TrimSpace(string(child)) + "/stat")
				if errors.Is(err, fs.ErrNotExist) || strings.Contains(string(state), ") Z ") {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Error("the child of a program that hung lives on")
		})
	}
}

func TestSettings(t *testing.T) {
	for _, set := range []func(*mail.Config){
		func(c *mail.Config) { c.Journal = "yes" },
		func(c *mail.Config) { c.MaxBytes = 1 },
		func(c *mail.Config) { c.Files = []string{"maillog"} },
	} {
		if _, err := mail.Spec().New(func(v any) error { set(v.(*mail.Config)); return nil }, nil); err == nil {
			t.Error("a wrong setting was taken")
		}
	}
}
