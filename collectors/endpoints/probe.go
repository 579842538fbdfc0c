package endpoints

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/attesto/attesto/evidence"
)

// trouble is why a service is not up.
type trouble struct {
	reason string
	code   int
}

func (t trouble) Error() string { return fmt.Sprintf("%s (%d)", t.reason, t.code) }

// probe asks the service once.
func (t target) probe(ctx context.Context, now evidence.Time, clock func() time.Time) evidence.Endpoint {
	e := evidence.Endpoint{Name: t.name, Proto: t.proto, Found: t.found}
	start := time.Now()
	code, session, err := t.ask(ctx)
	p := evidence.Probe{At: now, Result: evidence.ProbeUp, Code: code, Millis: int(time.Since(start).Milliseconds())}
	if err != nil {
		p.Result, p.Reason, p.Code = verdict(err)
	}
	if session != nil && len(session.PeerCertificates) > 0 {
		e.TLS = shown(session, t.server, clock())
	} else if p.Result == evidence.ProbeUp && t.found == evidence.EndpointConfigured && startTLS(t.proto) {
		p.Reason = evidence.EndpointNoTLS
	}
	e.Probes = []evidence.Probe{p}
	return e
}

// ask speaks the protocol as far as its greeting.
func (t target) ask(ctx context.Context) (int, *tls.ConnectionState, error) {
	switch t.proto {
	case evidence.ProtoHTTP, evidence.ProtoHTTPS:
		return t.web(ctx)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing was written that must arrive
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	switch t.proto {
	case evidence.ProtoTCP:
		return 0, nil, nil
	case evidence.ProtoSMTPS, evidence.ProtoIMAPS, evidence.ProtoPOP3S:
		secure, state, err := t.encrypt(ctx, conn)
		if err != nil {
			return 0, state, err
		}
		code, _, err := greet(secure, t.proto)
		return code, state, err
	}
	code, offers, err := greet(conn, t.proto)
	if err != nil || !offers {
		return code, nil, err
	}
	_, state, err := t.encrypt(ctx, conn)
	return code, state, err
}

// encrypt begins TLS. Whom the certificates are worth is for shown to say: a service
// with a broken chain is up, and the chain is reported.
func (t target) encrypt(ctx context.Context, conn net.Conn) (net.Conn, *tls.ConnectionState, error) {
	secure := tls.Client(conn, t.config())
	err := secure.HandshakeContext(ctx)
	state := secure.ConnectionState()
	if err != nil {
		return nil, &state, errors.Join(trouble{evidence.EndpointTLS, 0}, err)
	}
	return secure, &state, nil
}

func (t target) config() *tls.Config {
	return &tls.Config{ServerName: t.server, MinVersion: tls.VersionTLS10, InsecureSkipVerify: true} //nolint:gosec // shown verifies and reports; old versions are reported
}

func (t target) web(ctx context.Context) (int, *tls.ConnectionState, error) {
	transport := &http.Transport{TLSClientConfig: t.config(), DisableKeepAlives: true, ResponseHeaderTimeout: patience, MaxResponseHeaderBytes: 64 << 10}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "attesto-agent")
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // the head is the answer
	_ = res.Body.Close()
	if res.StatusCode >= 500 || res.StatusCode >= 400 && t.found == evidence.EndpointConfigured {
		return res.StatusCode, res.TLS, trouble{evidence.EndpointStatus, res.StatusCode}
	}
	return res.StatusCode, res.TLS, nil
}

// greet reads the greeting of a mail protocol and asks for encryption where the
// service offers it; offers says that TLS can begin now.
func greet(conn net.Conn, proto string) (code int, offers bool, err error) {
	c := textproto.NewConn(struct {
		io.Reader
		io.WriteCloser
	}{io.LimitReader(conn, 64<<10), conn})
	switch proto {
	case evidence.ProtoSMTP, evidence.ProtoSMTPS:
		return greetSMTP(c)
	case evidence.ProtoIMAP, evidence.ProtoIMAPS:
		offers, err = greetLines(c, "* OK", "a CAPABILITY", "a ", "STARTTLS", "b STARTTLS", "b OK")
	default:
		offers, err = greetLines(c, "+OK", "CAPA", ".", "STLS", "STLS", "+OK")
	}
	return 0, offers, err
}

// greetSMTP follows RFC 5321 section 3.1 and RFC 3207.
func greetSMTP(c *textproto.Conn) (int, bool, error) {
	code, _, err := c.ReadResponse(220)
	var no *textproto.Error
	if errors.As(err, &no) {
		return no.Code, false, trouble{evidence.EndpointStatus, no.Code}
	}
	if err != nil {
		return 0, false, err
	}
	name, err := os.Hostname()
	if err != nil || strings.ContainsAny(name, " \r\n") || name == "" {
		name = "localhost"
	}
	if err := c.PrintfLine("EHLO %s", name); err != nil {
		return code, false, err
	}
	_, text, err := c.ReadResponse(250)
	if err != nil || !strings.Contains("\n"+strings.ToUpper(text)+"\n", "\nSTARTTLS\n") {
		return code, false, nil //nolint:nilerr // it speaks SMTP, and offers no more
	}
	if err := c.PrintfLine("STARTTLS"); err != nil {
		return code, false, err
	}
	_, _, err = c.ReadResponse(220)
	return code, err == nil, nil
}

// greetLines does the same for IMAP (RFC 3501) and POP3 (RFC 2449, RFC 2595): after
// the greeting it asks what the service can do, up to the line that begins with end.
func greetLines(c *textproto.Conn, greeting, ask, end, can, begin, agreed string) (bool, error) {
	line, err := c.ReadLine()
	if err != nil {
		return false, err
	}
	if !strings.HasPrefix(line, greeting) {
		if strings.HasPrefix(line, "* BYE") || strings.HasPrefix(line, "-ERR") || strings.HasPrefix(line, "* NO") {
			return false, trouble{evidence.EndpointStatus, 0}
		}
		return false, trouble{evidence.EndpointProtocol, 0}
	}
	if err := c.PrintfLine("%s", ask); err != nil {
		return false, err
	}
	offers := strings.Contains(strings.ToUpper(line), can)
	for range 100 {
		line, err := c.ReadLine()
		if err != nil || strings.HasPrefix(line, "-ERR") {
			return false, nil //nolint:nilerr // it has greeted, and offers no more
		}
		offers = offers || strings.Contains(strings.ToUpper(line), can)
		if strings.HasPrefix(line, end) {
			break
		}
	}
	if !offers {
		return false, nil
	}
	if err := c.PrintfLine("%s", begin); err != nil {
		return false, err
	}
	line, err = c.ReadLine()
	return err == nil && strings.HasPrefix(line, agreed), nil
}

// verdict puts an error into words. What this host itself lacks is unknown, not down.
func verdict(err error) (result, reason string, code int) {
	var t trouble
	var dns *net.DNSError
	var text textproto.ProtocolError
	switch {
	case errors.As(err, &t):
		return evidence.ProbeDown, t.reason, t.code
	case errors.As(err, &dns) && !dns.IsNotFound:
		return evidence.ProbeUnknown, evidence.EndpointName, 0
	case errors.As(err, &dns):
		return evidence.ProbeDown, evidence.EndpointName, 0
	case errors.Is(err, syscall.ECONNREFUSED):
		return evidence.ProbeDown, evidence.EndpointRefused, 0
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EACCES):
		return evidence.ProbeUnknown, evidence.EndpointNetwork, 0
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ETIMEDOUT):
		return evidence.ProbeDown, evidence.EndpointTimeout, 0
	case errors.As(err, &text), errors.Is(err, http.ErrSchemeMismatch), strings.Contains(err.Error(), "malformed"), errors.Is(err, strconv.ErrSyntax), errors.Is(err, bufio.ErrTooLong):
		return evidence.ProbeDown, evidence.EndpointProtocol, 0
	case strings.Contains(err.Error(), "tls:"):
		return evidence.ProbeDown, evidence.EndpointTLS, 0
	}
	return evidence.ProbeDown, evidence.EndpointClosed, 0
}

func startTLS(proto string) bool {
	return proto == evidence.ProtoSMTP || proto == evidence.ProtoIMAP || proto == evidence.ProtoPOP3
}

// shown is what the service showed, and what is wrong with it.
func shown(s *tls.ConnectionState, server string, now time.Time) *evidence.TLS {
	return describe(s.PeerCertificates, tls.VersionName(s.Version), server, now)
}

// maxShown bounds a chain; what is over it is no chain of an authority that counts.
const maxShown = 8

// describe reads a chain as it was sent, the service's own certificate first.
func describe(chain []*x509.Certificate, version, server string, now time.Time) *evidence.TLS {
	t := &evidence.TLS{Version: version}
	between := x509.NewCertPool()
	for i, c := range chain[:min(len(chain), maxShown)] {
		t.Chain = append(t.Chain, certificate(c))
		if i > 0 {
			between.AddCert(c)
		}
		switch {
		case now.After(c.NotAfter):
			t.Trouble = add(t.Trouble, evidence.EndpointExpired)
		case now.Before(c.NotBefore):
			t.Trouble = add(t.Trouble, evidence.EndpointNotYetValid)
		}
	}
	own := chain[0]
	// Whether the chain leads to an authority is asked apart from its time.
	if _, err := own.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: within(own)}); err != nil {
		t.Trouble = add(t.Trouble, evidence.EndpointUntrusted)
	}
	if server != "" && own.VerifyHostname(server) != nil {
		t.Trouble = add(t.Trouble, evidence.EndpointWrongName)
	}
	return t
}

// within is a moment at which a certificate was in force.
func within(c *x509.Certificate) time.Time {
	if now := time.Now(); now.After(c.NotBefore) && now.Before(c.NotAfter) {
		return now
	}
	return c.NotAfter
}

func add(list []string, reason string) []string {
	for _, r := range list {
		if r == reason {
			return list
		}
	}
	return append(list, reason)
}

func certificate(c *x509.Certificate) evidence.Certificate {
	subject, issuer := c.Subject.CommonName, c.Issuer.CommonName
	if subject == "" && len(c.DNSNames) > 0 {
		subject = c.DNSNames[0]
	}
	if issuer == "" && len(c.Issuer.Organization) > 0 {
		issuer = c.Issuer.Organization[0]
	}
	return evidence.Certificate{Subject: cut(subject), Issuer: cut(issuer), From: evidence.At(c.NotBefore), Until: evidence.At(c.NotAfter), SHA256: evidence.Sum(c.Raw)}
}

func cut(s string) string {
	if s = strings.ToValidUTF8(s, "?"); len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
