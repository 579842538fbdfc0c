package server_test

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
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// certificate writes a new certificate for a name into two files.
func certificate(t *testing.T, name, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if file != "" {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// secured serves on a free port of this host until the test ends.
func secured(t *testing.T, l net.Listener, change func(*server.Config)) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	quiet := slog.New(slog.DiscardHandler)
	st, err := store.Open(ctx, storetest.SQLite(t), quiet)
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.DefaultConfig()
	cfg.Name, cfg.Data = "proof.example", t.TempDir()
	change(&cfg)
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	keys, err := server.OpenKeys(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(ctx, cfg, server.Deps{Store: st, Keys: keys, Log: quiet, Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// shown is the certificate that a server shows for a name; nil when it shows none.
func shown(t *testing.T, l net.Listener, name string) *x509.Certificate {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
	c, err := d.DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		return nil
	}
	defer func() { _ = c.Close() }()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0]
}

// Exchanged files are taken without a restart; files that do not fit are not.
func TestCertificateFilesAreReadAnew(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	certificate(t, "first.example", cert, key)
	now := time.Now()
	files, err := server.NewCertFiles(cert, key, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	name := func() string {
		t.Helper()
		now = now.Add(time.Minute)
		c, err := files(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.Subject.CommonName
	}
	if got := name(); got != "first.example" {
		t.Errorf("at first: %s", got)
	}
	certificate(t, "second.example", cert, "") // its key is not there yet
	if got := name(); got != "first.example" {
		t.Errorf("with a certificate whose key is missing: %s", got)
	}
	certificate(t, "third.example", cert, key)
	if got := name(); got != "third.example" {
		t.Errorf("after the exchange: %s", got)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "third.example" {
		t.Errorf("with a file missing: %s", got)
	}
	if _, err := server.NewCertFiles(cert, key, time.Now); err == nil {
		t.Error("a server starts without its key")
	}
	certificate(t, "fourth.example", cert, key)
	l := listener(t)
	secured(t, l, func(c *server.Config) { c.TLS.Cert, c.TLS.Key, c.PublicURL = cert, key, "https://fourth.example" })
	if got := shown(t, l, "fourth.example"); got == nil || got.Subject.CommonName != "fourth.example" {
		t.Errorf("the server shows %v", got)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	res, err := client.Get("https://" + l.Addr().String() + "/signin")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("status %d by HTTP/%d, HSTS %q", res.StatusCode, res.ProtoMajor, res.Header.Get("Strict-Transport-Security"))
	}
}

// A certificate comes from a real ACME server (Let's Encrypt's Pebble), which proves the
// name on the server's own listener.
func TestCertificateByACME(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	l := listener(t)
	directory, roots := pebble(t, unused(t), port(l))
	secured(t, l, func(c *server.Config) {
		c.TLS.ACME = &server.ACME{Domains: []string{"proof.example"}, Email: "admin@proof.example", Directory: directory, CA: roots}
	})
	obtained(t, l)
	if foreign := shown(t, l, "other.example"); foreign != nil && foreign.VerifyHostname("other.example") == nil {
		t.Error("a certificate for a name that is not configured")
	}
}

// Where a port for plain HTTP is named, the name is proven there and nowhere else, and
// whatever else is asked for is sent on to the server's public address alone.
func TestCertificateByACMEOverHTTP(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	l, plain := listener(t), unused(t)
	directory, roots := pebble(t, plain, unused(t))
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(plain))
	secured(t, l, func(c *server.Config) {
		c.PublicURL = "https://proof.example/"
		c.TLS.ACME = &server.ACME{Domains: []string{"proof.example"}, Email: "admin@proof.example", Directory: directory, CA: roots, HTTP: at}
	})
	obtained(t, l)
	for line, want := range map[string]string{
		"GET /signin?next=/settings":                     "https://proof.example/signin?next=/settings",
		"POST /signin":                                   "https://proof.example/signin",
		"GET //evil.example/x":                           "https://proof.example//evil.example/x",
		"GET http://evil.example/x":                      "https://proof.example/x",
		"GET a:@evil.example":                            "https://proof.example",
		"GET a:.evil.example":                            "https://proof.example",
		"GET /.well-known/acme-challenge/c3Rvb2QgaGVyZQ": "https://proof.example/.well-known/acme-challenge/c3Rvb2QgaGVyZQ",
	} {
		status, to := asked(t, at, line+" HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
		if status != http.StatusPermanentRedirect || to != want {
			t.Errorf("%s: status %d to %q, want %q", line, status, to, want)
		}
	}
}

// asked sends a request as it stands, and returns the answer's status and Location.
func asked(t *testing.T, at, request string) (status int, to string) {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header.Get("Location")
}

// obtained waits until a server shows the certificate that Pebble gives it.
func obtained(t *testing.T, l net.Listener) {
	t.Helper()
	for range 300 {
		if c := shown(t, l, "proof.example"); c != nil && c.VerifyHostname("proof.example") == nil && strings.HasPrefix(c.Issuer.CommonName, "Pebble") {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("no certificate came")
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// unused is a port on which nobody listens.
func unused(t *testing.T) int {
	l := listener(t)
	_ = l.Close()
	return port(l)
}

// pebble runs an ACME server that looks for every name on these ports of this host, and
// returns its directory and a file with the certificate of its HTTPS.
func pebble(t *testing.T, plain, secure int) (directory, roots string) {
	t.Helper()
	resolver := listener(t) // Pebble asks over TCP
	names := &dns.Server{Listener: resolver, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg)
		a.SetReply(q)
		if len(q.Question) == 1 && q.Question[0].Qtype == dns.TypeA {
			a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(a)
	})}
	go func() { _ = names.ActivateAndServe() }()
	t.Cleanup(func() { _ = names.Shutdown() })
	quiet := log.New(io.Discard, "", 0)
	memory := db.NewMemoryStore()
	issuer := ca.New(quiet, memory, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the only one"}})
	prover := va.New(quiet, plain, secure, false, resolver.Addr().String(), memory)
	front := wfe.New(quiet, memory, prover, issuer, []string{"pebble.letsencrypt.org"}, false, false, 1, 1)
	srv := httptest.NewTLSServer(front.Handler())
	t.Cleanup(srv.Close)
	roots = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return srv.URL + wfe.DirectoryPath, roots
}
