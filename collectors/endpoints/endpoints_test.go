package endpoints_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/endpoints"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// certificateFor makes a self-signed certificate for localhost.
func certificateFor(t testing.TB, from, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test <b>"}, NotBefore: from, NotAfter: until, DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func collector(t testing.TB, h *host.Host, config string) host.Collector {
	t.Helper()
	c, err := build(h, config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func build(h *host.Host, config string) (host.Collector, error) {
	return endpoints.Spec().New(func(v any) error {
		dec := yaml.NewDecoder(strings.NewReader(config))
		dec.KnownFields(true)
		if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}, h)
}

func blank(t testing.TB) *host.Host {
	return &host.Host{Root: t.TempDir(), Now: time.Now}
}

// one looks once at one target and returns what was seen of it.
func one(t *testing.T, target string) evidence.Endpoint {
	t.Helper()
	look, err := collector(t, blank(t), "{targets: ['"+target+"']}").Collect(t.Context(), nil)
	if err != nil || len(look.Gaps) > 0 {
		t.Fatalf("%v, gaps %v", err, look.Gaps)
	}
	f, ok := look.Facts.(evidence.Endpoints)
	if !ok || len(f.Endpoints) != 1 || f.Validate() != nil {
		t.Fatalf("facts %+v: %v", look.Facts, f.Validate())
	}
	return f.Endpoints[0]
}

// serve runs fn for each connection to a port of its own.
func serve(t *testing.T, fn func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				fn(conn)
			}()
		}
	}()
	return l.Addr().String()
}

func TestWeb(t *testing.T) {
	now := time.Now()
	quiet := log.New(io.Discard, "", 0)
	start := func(cert *tls.Certificate, status int) string {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("key") == "secret" {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
		}))
		srv.Config.ErrorLog = quiet
		if cert == nil {
			srv.Start()
		} else {
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
			srv.StartTLS()
		}
		t.Cleanup(srv.Close)
		return srv.URL
	}
	good := certificateFor(t, now.Add(-time.Hour), now.Add(40*24*time.Hour), "localhost")
	old := certificateFor(t, now.Add(-80*time.Hour), now.Add(-time.Hour), "other.example")
	for _, tt := range []struct {
		name, target, want string
		trouble            string
	}{
		{"up", start(nil, 200), "up  200", ""},
		{"redirect is not followed", start(nil, 302), "up  302", ""},
		{"not found", start(nil, 404), "down status 404", ""},
		{"broken", start(nil, 503), "down status 503", ""},
		{"own certificate", strings.Replace(start(&good, 200), "127.0.0.1", "localhost", 1), "up  200", "[untrusted]"},
		{"expired, for others", strings.Replace(start(&old, 200), "127.0.0.1", "localhost", 1), "up  200", "[expired untrusted wrong_name]"},
		{"plain where TLS was asked", strings.Replace(start(nil, 200), "http:", "https:", 1), "down protocol 0", ""},
		{"nobody listens", "http://127.0.0.1:1/", "down refused 0", ""},
		{"another protocol", "http://" + serve(t, func(c net.Conn) {
			_, _ = bufio.NewReader(c).ReadString('\n') // hanging up before that would be another finding
			fmt.Fprint(c, "SSH-2.0-OpenSSH\r\n")
		}), "down protocol 0", ""},
		{"hangs up", "http://" + serve(t, func(net.Conn) {}), "down closed 0", ""},
		{"no such name", "http://nothing.invalid/", "down name 0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := one(t, tt.target)
			p := e.Probes[0]
			got := fmt.Sprintf("%s %s %d", p.Result, p.Reason, p.Code)
			if tt.name == "no such name" && got == "unknown name 0" {
				return // no name server here
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if trouble := tt.trouble; trouble != "" && (e.TLS == nil || fmt.Sprint(e.TLS.Trouble) != trouble) {
				t.Errorf("TLS %+v, want %s", e.TLS, trouble)
			}
		})
	}
	e := one(t, strings.Replace(start(nil, 200), "http://", "http://user:pass@", 1)+"/health?key=secret")
	if strings.ContainsAny(e.Name, "@?") || e.Probes[0].Code != http.StatusNoContent {
		t.Errorf("name %q, code %d", e.Name, e.Probes[0].Code)
	}
}

type noMail struct{}

func (noMail) NewSession(*smtp.Conn) (smtp.Session, error) { return noMail{}, nil }
func (noMail) Mail(string, *smtp.MailOptions) error        { return smtp.ErrAuthUnsupported }
func (noMail) Rcpt(string, *smtp.RcptOptions) error        { return smtp.ErrAuthUnsupported }
func (noMail) Data(io.Reader) error                        { return smtp.ErrAuthUnsupported }
func (noMail) Reset()                                      {}
func (noMail) Logout() error                               { return nil }

func TestMail(t *testing.T) {
	now := time.Now()
	cert := certificateFor(t, now.Add(-time.Hour), now.Add(5*24*time.Hour), "localhost")
	start := func(secure bool) string {
		srv := smtp.NewServer(noMail{})
		srv.Domain, srv.ErrorLog = "localhost", log.New(io.Discard, "", 0)
		if secure {
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go srv.Serve(l)
		t.Cleanup(func() { _ = srv.Close() })
		return l.Addr().String()
	}
	// IMAP and POP3 servers are scripted: what they say is taken from RFC 3501 and 2449.
	script := func(lines ...string) func(net.Conn) {
		return func(c net.Conn) {
			r := bufio.NewReader(c)
			for _, line := range lines {
				if line == "TLS" {
					secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
					_ = secure.Handshake()
					return
				}
				if want, ok := strings.CutPrefix(line, "<"); ok {
					if got, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(got, want) {
						return
					}
					continue
				}
				_, _ = io.WriteString(c, line+"\r\n")
			}
		}
	}
	for _, tt := range []struct {
		name, target, want string
		tls                bool
	}{
		{"SMTP with STARTTLS", "smtp://" + start(true), "up ", true},
		{"SMTP without", "smtp://" + start(false), "up no_tls", false},
		{"SMTP that refuses", "smtp://" + serve(t, script("554 go away")), "down status", false},
		{"SMTP that talks rubbish", "smtp://" + serve(t, script("hello")), "down protocol", false},
		{"IMAP with STARTTLS", "imap://" + serve(t, script("* OK ready", "<a CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS", "a OK", "<b STARTTLS", "b OK", "TLS")), "up ", true},
		{"IMAP without", "imap://" + serve(t, script("* OK ready", "<a CAPABILITY", "* CAPABILITY IMAP4rev1", "a OK")), "up no_tls", false},
		{"IMAP that says goodbye", "imap://" + serve(t, script("* BYE overloaded")), "down status", false},
		{"POP3 with STLS", "pop3://" + serve(t, script("+OK ready", "<CAPA", "+OK", "STLS", ".", "<STLS", "+OK", "TLS")), "up ", true},
		{"POP3 that cannot", "pop3://" + serve(t, script("-ERR in maintenance")), "down status", false},
		{"POP3 cut in the middle", "pop3://" + serve(t, script("+OK ready", "<CAPA", "+OK")), "up no_tls", false},
		{"TLS from the start", "imaps://" + serve(t, func(c net.Conn) {
			secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			fmt.Fprint(secure, "* OK ready\r\n")
			_, _ = bufio.NewReader(secure).ReadString('\n')
		}), "up ", true},
		{"no TLS where it was asked", "smtps://" + start(false), "down tls", false},
		{"a database", "tcp://" + serve(t, func(net.Conn) {}), "up ", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := one(t, tt.target)
			if got := e.Probes[0].Result + " " + e.Probes[0].Reason; got != tt.want || (e.TLS != nil) != tt.tls {
				t.Errorf("%s, TLS %+v; want %s, %t", got, e.TLS, tt.want, tt.tls)
			}
		})
	}
}

// A service that never answers ends with the look's deadline, and others are seen.
func TestDeadlineIsKept(t *testing.T) {
	block := make(chan struct{})
	t.Cleanup(func() { close(block) })
	silent := serve(t, func(net.Conn) { <-block })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := collector(t, blank(t), "{targets: ['smtp://"+silent+"', 'http://"+silent+"']}").Collect(ctx, nil); err == nil {
		t.Error("a look that was cut off gave facts")
	}
}

func TestPortsThatListen(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0A00000A:01BB 0B00000A:C000 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
`
	h := blank(t)
	if err := os.MkdirAll(filepath.Join(h.Root, "proc/net"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.Root, "proc/net/tcp"), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	found := endpoints.Spec().Detect(t.Context(), h)
	if !found.Useful || found.Found != "smtp port 25" {
		t.Errorf("found %+v: want port 25 alone: 80 is for this host only, 443 is a connection, 22 is not asked", found)
	}
	if found := endpoints.Spec().Detect(t.Context(), blank(t)); found.Useful || len(found.Missing) != 1 {
		t.Errorf("on a host without services: %+v", found)
	}
	look, err := collector(t, blank(t), "").Collect(t.Context(), nil)
	if err != nil || !look.Unsupported || len(look.Gaps) != 1 {
		t.Errorf("a look at nothing: %+v (%v)", look, err)
	}
	if err := os.Chmod(filepath.Join(h.Root, "proc/net/tcp"), 0); err == nil && os.Getuid() != 0 {
		if look, err := collector(t, h, "").Collect(t.Context(), nil); err != nil || len(look.Gaps) < 1 {
			t.Errorf("ports that cannot be read: %+v (%v)", look, err)
		}
	}
}

// An hour of probes makes one record; what changes is told at once; a damaged cursor
// and a clock that went back are gaps.
func TestProbesAreReportedTogether(t *testing.T) {
	var down atomic.Bool
	addr := serve(t, func(c net.Conn) {
		if !down.Load() {
			fmt.Fprint(c, "+OK ready\r\n")
		}
	})
	h := blank(t)
	now := time.Now()
	h.Now = func() time.Time { return now }
	c := collector(t, h, "{discover: false, targets: ['pop3://"+addr+"']}")
	var past []byte
	look := func() host.Look {
		t.Helper()
		l, err := c.Collect(t.Context(), past)
		if err != nil {
			t.Fatal(err)
		}
		past, now = l.Next, now.Add(5*time.Minute)
		return l
	}
	if look().Facts == nil {
		t.Fatal("the first look gave nothing")
	}
	for i := range evidence.MaxProbes - 1 {
		if l := look(); l.Facts != nil {
			t.Fatalf("look %d: %+v", i, l.Facts)
		}
	}
	if l := look(); l.Facts == nil || len(l.Facts.(evidence.Endpoints).Endpoints[0].Probes) != evidence.MaxProbes || l.To.Sub(l.From) != 55*time.Minute {
		t.Fatalf("after an hour: %+v", l)
	}
	look()
	down.Store(true)
	if l := look(); l.Facts == nil || len(l.Facts.(evidence.Endpoints).Endpoints[0].Probes) != 2 {
		t.Fatalf("when it went down: %+v", l)
	}
	look()
	now = now.Add(-24 * time.Hour)
	if l := look(); len(l.Gaps) != 1 || !strings.Contains(l.Gaps[0].Why, "clock") {
		t.Errorf("a clock set back: %+v", l.Gaps)
	}
	past = []byte(`{"v":1}`)
	if l := look(); len(l.Gaps) != 1 {
		t.Errorf("a damaged cursor: %+v", l.Gaps)
	}
}

func TestSettings(t *testing.T) {
	for config, want := range map[string]string{
		"{targets: [shop.example]}":                                   "not an address",
		"{targets: ['ftp://shop.example']}":                           "unknown protocol",
		"{targets: ['tcp://shop.example']}":                           "no port",
		"{targets: ['tcp://shop.example:99999']}":                     "no port",
		"{targets: ['smtp://u@shop.example']}":                        "only http and https",
		"{targets: ['https://a.example/', 'https://a.example/?x=1']}": "twice",
		"{target: []}": "target",
	} {
		if _, err := build(blank(t), config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

func TestFormats(t *testing.T) {
	now := time.Now()
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificateFor(t, now.Add(-time.Hour), now.Add(time.Hour), "a.example").Certificate[0]})
	for name, data := range map[string][]byte{"certificate-pem": chain, "proc-net-tcp": []byte(" 0: 00000000:0019 00000000:0000 0A 0\n")} {
		i := slices.IndexFunc(endpoints.Formats(), func(f host.Format) bool { return f.Name == name })
		look, err := endpoints.Formats()[i].Parse(data, now.Add(2*time.Hour))
		if err != nil || look.Facts == nil {
			t.Fatalf("%s: %+v (%v)", name, look, err)
		}
		if e := look.Facts.(evidence.Endpoints).Endpoints[0]; name == "certificate-pem" && !slices.Contains(e.TLS.Trouble, evidence.EndpointExpired) {
			t.Errorf("an expired certificate: %+v", e.TLS)
		}
	}
	if _, err := endpoints.Formats()[0].Parse([]byte("no certificate"), now); err == nil {
		t.Error("rubbish was read")
	}
}

func FuzzFormats(f *testing.F) {
	f.Add([]byte(" 0: 00000000:0019 00000000:0000 0A 0\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"))
	hosttest.FuzzFormats(f, endpoints.Spec().Formats, time.Unix(1795446525, 0))
}

func FuzzListening(f *testing.F) {
	f.Add([]byte(" 0: 00000000:0019 00000000:0000 0A 0\n"))
	f.Add([]byte(" 0: 00000000000000000000000001000000:0019 0:0 0A\n"))
	bound := hosttest.NewBound("listening sockets", func(b []byte) { endpoints.ParseListening(b) })
	f.Fuzz(func(t *testing.T, b []byte) { bound.Check(t, b) })
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte(`{"v":1,"state":"` + strings.Repeat("0", 64) + `","endpoints":[{"name":"a","proto":"tcp","found":"config","probes":[{"at":"2026-01-01T00:00:00.000Z","result":"up","ms":1}]}]}`))
	h := &host.Host{Root: f.TempDir(), Now: time.Now}
	c := collector(f, h, "{discover: false}")
	bound := hosttest.NewBound("cursor", func(b []byte) { _, _ = c.Collect(context.Background(), b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		bound.Check(t, b)
		if _, err := c.Collect(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	})
}
