package web_test

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/attesto/attesto/server"
)

// mailbox is a real SMTP server that keeps what it gets.
type mailbox struct {
	t    *testing.T
	got  chan letterGot
	port int
	busy atomic.Pointer[string] // whom it takes no mail for, for now
}

type letterGot struct{ to, subject, body string }

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	m := &mailbox{t: t, got: make(chan letterGot, 20)}
	srv := smtp.NewServer(m)
	srv.Domain = "localhost"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if m.port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return m
}

// config is a server's that sends its mails here.
func (m *mailbox) config() server.Config {
	cfg := server.DefaultConfig()
	cfg.Name = "proof.example"
	cfg.SMTP = server.SMTP{Host: "127.0.0.1", Port: m.port, From: "Attesto <attesto@nordest.example>", TLS: "none"}
	return cfg
}

// NewSession begins to take a mail.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &taking{m: m}, nil }

type taking struct {
	m  *mailbox
	to string
}

func (s *taking) Mail(string, *smtp.MailOptions) error { return nil }
func (s *taking) Rcpt(to string, _ *smtp.RcptOptions) error {
	if busy := s.m.busy.Load(); busy != nil && *busy == to {
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "mailbox busy"}
	}
	s.to = to
	return nil
}
func (s *taking) Reset()        {}
func (s *taking) Logout() error { return nil }
func (s *taking) Data(in io.Reader) error {
	msg, err := mail.ReadMessage(in)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
	if err != nil {
		return err
	}
	s.m.got <- letterGot{s.to, msg.Header.Get("Subject"), string(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))}
	return nil
}

// next is the next mail.
func (m *mailbox) next() letterGot {
	m.t.Helper()
	select {
	case l := <-m.got:
		return l
	case <-time.After(20 * time.Second):
		m.t.Fatal("no mail came")
		return letterGot{}
	}
}

// none fails if a mail came.
func (m *mailbox) none() {
	m.t.Helper()
	select {
	case l := <-m.got:
		m.t.Errorf("a mail came to %s: %s", l.to, l.subject)
	default:
	}
}

var linkInMail = regexp.MustCompile(`https?://[^/\s]+(/(?:reset|invitation)/[a-z0-9]+)`)

// link is the path that a mail leads to.
func (l letterGot) link(t *testing.T) string {
	t.Helper()
	m := linkInMail.FindStringSubmatch(l.body)
	if m == nil {
		t.Fatalf("no link in %q", l.body)
	}
	return m[1]
}
