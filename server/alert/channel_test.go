package alert_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
)

var certificate tls.Certificate

// TestMain makes a certificate that this process trusts, so that STARTTLS and TLS
// are the real ones.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "alert")
	if err == nil {
		certificate, err = selfSigned(filepath.Join(dir, "ca.pem"))
	}
	if err == nil {
		err = os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "ca.pem"))
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func selfSigned(path string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(path, text, 0o600)
}

// relay is a real SMTP server.
type relay struct {
	refuse   error
	dataFail error
	password string
	got      atomic.Int64
	raw      atomic.Value
}

func (r *relay) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{r: r}, nil }

type session struct {
	r      *relay
	signed bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "attesto" || password != s.r.password {
			return smtp.ErrAuthFailed
		}
		s.signed = true
		return nil
	}), nil
}
func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.r.password != "" && !s.signed {
		return smtp.ErrAuthRequired
	}
	return nil
}
func (s *session) Rcpt(string, *smtp.RcptOptions) error { return s.r.refuse }
func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) Data(in io.Reader) error {
	b, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if s.r.dataFail != nil {
		return s.r.dataFail
	}
	s.r.raw.Store(string(b))
	s.r.got.Add(1)
	return nil
}

func (r *relay) listen(t *testing.T, secure string) (port int) {
	t.Helper()
	srv := smtp.NewServer(r)
	srv.Domain = "127.0.0.1"
	if secure != alert.TLSNone {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	if secure == alert.TLSFull {
		l = tls.NewListener(l, srv.TLSConfig)
	}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return port
}

var message = alert.Message{ID: "d_1", Event: alert.Firing, Subject: "Violato: PE-P3 è in lista", Body: "Che cosa: perché\r\n.\r\nfine\n",
	Alert: alert.Alert{Duty: "PE-P3", Verdict: duties.Breached}}

func TestMailIsSent(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, secure := range []string{alert.TLSNone, alert.TLSStart, alert.TLSFull} {
		for _, user := range []string{"", "attesto"} {
			if secure == alert.TLSNone && user != "" {
				continue // a password never goes over a plain connection
			}
			t.Run(secure+user, func(t *testing.T) {
				r := &relay{}
				if user != "" {
					r.password = "geheim"
				}
				m := alert.Mailer{Host: "127.0.0.1", Port: r.listen(t, secure), From: "Attesto <a@proof.example>", TLS: secure, User: user, PasswordFile: password, Domain: "proof.example"}
				if err := m.Notify(context.Background(), alert.Channel{Target: "ops@example.com"}, message); err != nil {
					t.Fatal(err)
				}
				raw, _ := r.raw.Load().(string)
				for _, want := range []string{"Message-ID: <d_1@proof.example>", "To: <ops@example.com>", "Auto-Submitted: auto-generated", "Che cosa: perch=C3=A9"} {
					if !strings.Contains(raw, want) {
						t.Errorf("the mail lacks %q:\n%s", want, raw)
					}
				}
				if r.got.Load() != 1 {
					t.Errorf("%d mails", r.got.Load())
				}
			})
		}
	}
}

func TestMailFails(t *testing.T) {
	plain := &relay{}
	tests := []struct {
		name    string
		relay   *relay
		secure  string // of the relay
		want    string // of the client
		change  func(*alert.Mailer)
		refused bool
	}{
		{name: "no such user", relay: &relay{refuse: &smtp.SMTPError{Code: 550, Message: "no such user"}}, secure: alert.TLSNone, want: alert.TLSNone, refused: true},
		{name: "greylisted", relay: &relay{refuse: &smtp.SMTPError{Code: 451, Message: "later"}}, secure: alert.TLSNone, want: alert.TLSNone},
		{name: "content refused", relay: &relay{dataFail: &smtp.SMTPError{Code: 554, Message: "spam"}}, secure: alert.TLSNone, want: alert.TLSNone, refused: true},
		{name: "disk full", relay: &relay{dataFail: &smtp.SMTPError{Code: 452, Message: "full"}}, secure: alert.TLSNone, want: alert.TLSNone},
		{name: "no STARTTLS where it is asked for", relay: plain, secure: alert.TLSNone, want: alert.TLSStart},
		{name: "nobody listens", relay: plain, secure: alert.TLSNone, want: alert.TLSNone, change: func(m *alert.Mailer) { m.Port = 1 }},
		{name: "no password file", relay: plain, secure: alert.TLSStart, want: alert.TLSStart, change: func(m *alert.Mailer) { m.User = "attesto"; m.PasswordFile = "/nowhere" }},
		{name: "bad sender", relay: plain, secure: alert.TLSNone, want: alert.TLSNone, change: func(m *alert.Mailer) { m.From = "nobody" }, refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := alert.Mailer{Host: "127.0.0.1", Port: tt.relay.listen(t, tt.secure), From: "a@proof.example", TLS: tt.want, Domain: "proof.example"}
			if tt.change != nil {
				tt.change(&m)
			}
			err := m.Notify(context.Background(), alert.Channel{Target: "ops@example.com"}, message)
			var refusal alert.Refusal
			if err == nil || errors.As(err, &refusal) != tt.refused {
				t.Errorf("error %v, refused %v, want %v", err, !tt.refused, tt.refused)
			}
			if tt.relay.got.Load() != 0 {
				t.Error("a mail went out")
			}
		})
	}
}

func hooks(allowPrivate bool) *alert.Hooks {
	return alert.NewHooks(allowPrivate, slog.New(slog.DiscardHandler))
}

func TestWebhookAnswers(t *testing.T) {
	tests := []struct {
		status  int
		header  string
		ok      bool
		refused bool
		later   time.Duration
	}{
		{status: 200, ok: true}, {status: 204, ok: true},
		{status: 302, refused: true}, {status: 307, refused: true},
		{status: 400, refused: true}, {status: 401, refused: true}, {status: 404, refused: true}, {status: 410, refused: true},
		{status: 408}, {status: 425}, {status: 429, header: "120", later: 2 * time.Minute}, {status: 503, header: "30", later: 30 * time.Second},
		{status: 500}, {status: 502, header: "soon"},
	}
	for _, tt := range tests {
		t.Run(http.StatusText(tt.status), func(t *testing.T) {
			var calls atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.Header().Set("Location", "/elsewhere")
				w.Header().Set("Retry-After", tt.header)
				w.WriteHeader(tt.status)
			}))
			defer srv.Close()
			secret, _ := alert.NewSecret()
			err := hooks(true).Notify(context.Background(), alert.Channel{Target: srv.URL, Secret: secret}, message)
			var refusal alert.Refusal
			if (err == nil) != tt.ok || errors.As(err, &refusal) != tt.refused {
				t.Errorf("error %v", err)
			}
			var later alert.Later
			if errors.As(err, &later) && later.After != tt.later {
				t.Errorf("later %s, want %s", later.After, tt.later)
			}
			if calls.Load() != 1 {
				t.Errorf("%d calls within one attempt", calls.Load())
			}
		})
	}
}

func TestWebhookKeepsToPublicAddresses(t *testing.T) {
	var calls atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer srv.Close()
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
		"0.0.0.0", "[::]", "[fd00::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "224.0.0.1", "255.255.255.255"} {
		err := hooks(false).Notify(context.Background(), alert.Channel{Target: "http://" + net.JoinHostPort(strings.Trim(host, "[]"), "80") + "/?token=geheim"}, message)
		if strings.HasPrefix(host, "127") || host == "localhost" {
			err = hooks(false).Notify(context.Background(), alert.Channel{Target: "http://" + host + ":" + strconv.Itoa(port)}, message)
		}
		var refusal alert.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "allow_private") {
			t.Errorf("%s: %v", host, err)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error tells a token: %v", host, err)
		}
	}
	if calls.Load() != 0 {
		t.Error("a private address was called")
	}
}

func TestWebhookThatIsSlowOrAway(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{srv.URL, "http://" + away.Addr().String()} {
		err := hooks(true).Notify(ctx, alert.Channel{Target: target}, message)
		var refusal alert.Refusal
		if err == nil || errors.As(err, &refusal) {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// TestSignature uses the test vector of the Standard Webhooks libraries
// (standardwebhooks.com), which OpenSSL confirms.
func TestSignature(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := alert.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestTargets(t *testing.T) {
	for address, ok := range map[string]bool{"ops@example.com": true, "ops": false, "A <ops@example.com>": false, "": false, "a@b\r\nc": false} {
		if err := alert.CheckEmail(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
	for target, ok := range map[string]bool{"https://example.com/x": true, "http://10.0.0.1": true, "ftp://example.com": false, "example.com": false, "https://": false, "https://a b": false} {
		if err := alert.CheckURL(target); (err == nil) != ok {
			t.Errorf("%q: %v", target, err)
		}
	}
}
