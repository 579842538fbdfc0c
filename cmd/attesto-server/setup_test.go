package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is what a program has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// started serves an empty database until the test ends; it returns the server's
// address and what it prints.
func (c cli) started() (base string, out *output, stop func()) {
	c.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	out = &output{}
	go func() {
		ended <- run(ctx, []string{"serve", "--listen", at, "--config", filepath.Join(c.dir, "server.yaml")}, strings.NewReader(""), out, &output{})
	}()
	stop = func() {
		cancel()
		if code := <-ended; code != exitOK {
			c.t.Errorf("serve ended with %d", code)
		}
	}
	for range 200 {
		if res, err := http.Get("http://" + at + "/healthz"); err == nil {
			_ = res.Body.Close()
			return "http://" + at, out, stop
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatal("the server does not answer")
	return "", nil, nil
}

var setupLink = regexp.MustCompile(`http://\S+/setup/\w+`)

// A server that nobody can sign in to prints how to set it up; the first account ends
// that, and from then on it prints nothing of the kind.
func TestFirstStart(t *testing.T) {
	c := newCLI(t)
	_, out, stop := c.started()
	first := setupLink.FindString(out.String())
	stop()
	base, out, stop := c.started()
	link := setupLink.FindString(out.String())
	if first == "" || link == "" || !strings.HasPrefix(link, base) {
		t.Fatalf("printed: %q", out.String())
	}
	path := link[len(base):]
	status := func(method, path string, form url.Values) int {
		t.Helper()
		req, err := http.NewRequest(method, base+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if got := status("GET", setupLink.FindString(first)[strings.Index(first, "/setup/"):], nil); got != http.StatusNotFound {
		t.Errorf("the link of the first start: status %d", got)
	}
	if got := status("GET", path, nil); got != http.StatusOK {
		t.Errorf("the link: status %d", got)
	}
	form := url.Values{"org": {"Example Hosting"}, "zone": {"Europe/Rome"}, "name": {"Anna"}, "email": {"anna@example.com"}, "password": {"ruscello tappeto 41"}, "again": {"ruscello tappeto 41"}}
	for name, wrong := range map[string][2]string{"no name": {"org", " "}, "no zone": {"zone", "Europe/Nowhere"}, "no address": {"email", "anna"}, "weak": {"password", "password1234"}} {
		bad := url.Values{}
		for key := range form {
			bad.Set(key, form.Get(key))
		}
		bad.Set(wrong[0], wrong[1])
		if got := status("POST", path, bad); got != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, got)
		}
	}
	if got := status("POST", path, form); got != http.StatusSeeOther {
		t.Errorf("setting up: status %d", got)
	}
	for _, method := range []string{"GET", "POST"} {
		if got := status(method, path, form); got != http.StatusNotFound {
			t.Errorf("%s after the first account: status %d", method, got)
		}
	}
	stop()
	if got := c.must("user", "list", "--json"); !strings.Contains(got, `"email":"anna@example.com","name":"Anna","org":"Example Hosting","role":"admin"`) {
		t.Errorf("users: %s", got)
	}
	_, out, stop = c.started()
	stop()
	if out.String() != "" {
		t.Errorf("with an account: %q", out.String())
	}
}

// Who makes the first account at the command line ends the link, too.
func TestSetUpAtTheCommandLine(t *testing.T) {
	c := newCLI(t)
	base, out, stop := c.started()
	defer stop()
	link := setupLink.FindString(out.String())
	c.must("org", "add", "--kind", "provider", "--name", "Example Hosting")
	c.must("user", "add", "--email", "anna@example.com", "--org", "Example Hosting", "--role", "admin")
	res, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("%s%s: status %d", base, link, res.StatusCode)
	}
}
