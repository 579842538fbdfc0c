package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/attesto/attesto/evidence"
)

// maxAnswer bounds what is read of the server's answer, in bytes.
const maxAnswer = 8 << 20

// client talks to the server. It retries what can pass (connection faults, 429,
// 5xx) a few times and heeds Retry-After; longer outages are the pusher's business.
type client struct {
	base  *url.URL
	token string
	agent string // User-Agent
	http  *retryablehttp.Client
}

// checkServer accepts https, and http for this very machine only.
func checkServer(server string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.TrimSpace(server), "/"))
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("server %q: want a URL such as https://attesto.example.com", server)
	}
	if u.Scheme == "http" {
		ip := net.ParseIP(u.Hostname())
		if u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("server %q: plain http is for this machine itself only; use https", server)
		}
	}
	return u, nil
}

func newClient(cfg Config, server, token, version string, log *slog.Logger) (*client, error) {
	base, err := checkServer(server)
	if err != nil {
		return nil, err
	}
	transport := cfg.network
	if transport == nil {
		if transport, err = newTransport(cfg); err != nil {
			return nil, err
		}
	}
	rc := retryablehttp.NewClient()
	rc.HTTPClient = &http.Client{Transport: transport, Timeout: 10 * time.Minute, // a full batch may take long on a thin line
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	rc.Logger = quietLogger{log}
	rc.RetryMax = 3
	rc.RetryWaitMin = 500 * time.Millisecond
	rc.RetryWaitMax = 20 * time.Second
	rc.Backoff = backoff
	rc.CheckRetry = retryable
	rc.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return &client{base: base, token: token, agent: "attesto-agent/" + version, http: rc}, nil
}

// close lets go of idle connections.
func (c *client) close() { c.http.HTTPClient.CloseIdleConnections() }

func newTransport(cfg Config) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 1
	t.ResponseHeaderTimeout = time.Minute // a silent server may not hold us up
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.Proxy != "" {
		proxy, err := url.Parse(cfg.Proxy)
		if err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	if cfg.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s holds no PEM certificate", cfg.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// backoff adds jitter to retryablehttp's own.
func backoff(low, high time.Duration, attempt int, res *http.Response) time.Duration {
	return min(retryablehttp.LinearJitterBackoff(low, 4*low, attempt, res), high)
}

// retryable leaves it to the pusher to wait as long as a server asks for.
func retryable(ctx context.Context, res *http.Response, err error) (bool, error) {
	if res != nil && retryAfter(res) > 0 {
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, res, err)
}

// quietLogger passes retryablehttp's words on at debug level: a retry is no
// news; the pusher reports an outage once.
type quietLogger struct{ log *slog.Logger }

func (q quietLogger) Error(msg string, kv ...any) { q.log.Debug(msg, kv...) }
func (q quietLogger) Info(msg string, kv ...any)  { q.log.Debug(msg, kv...) }
func (q quietLogger) Debug(msg string, kv ...any) { q.log.Debug(msg, kv...) }
func (q quietLogger) Warn(msg string, kv ...any)  { q.log.Debug(msg, kv...) }

// refusal is an answer that is not 2xx.
type refusal struct {
	status     int
	retryAfter time.Duration // what the server asked for, 0 if nothing
	said       *evidence.Error
}

func (r *refusal) Error() string {
	if r.said != nil {
		return fmt.Sprintf("server said %d: %v", r.status, r.said)
	}
	text := fmt.Sprintf("server answered %d %s", r.status, http.StatusText(r.status))
	if r.status < 500 && r.status != http.StatusTooManyRequests {
		text += "; is this the address of an Attesto server?"
	}
	return text
}

func (c *client) send(ctx context.Context, method, path, contentType string, body []byte, answer any) error {
	path, query, _ := strings.Cut(path, "?")
	at := c.base.JoinPath(path)
	at.RawQuery = query
	target := at.String()
	req, err := retryablehttp.NewRequestWithContext(ctx, method, target,
		retryablehttp.ReaderFunc(func() (io.Reader, error) { return bytes.NewReader(body), nil }))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", c.agent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if res == nil {
		return fmt.Errorf("reaching %s: %w", c.base.Host, withCure(plainURL(err)))
	}
	defer res.Body.Close() //nolint:errcheck // read to its end or given up
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.base.Host, err)
	}
	if len(b) > maxAnswer {
		return fmt.Errorf("answer of %s is larger than %d bytes", c.base.Host, maxAnswer)
	}
	if res.StatusCode/100 != 2 {
		r := &refusal{status: res.StatusCode, retryAfter: retryAfter(res)}
		var ea evidence.ErrorAnswer
		if evidence.DecodeAnswer(b, &ea) == nil {
			r.said = ea.Error
		}
		return r
	}
	if answer == nil {
		return nil
	}
	if err := evidence.DecodeAnswer(b, answer); err != nil {
		return fmt.Errorf("answer of %s: %w", c.base.Host, err)
	}
	return nil
}

func (c *client) post(ctx context.Context, path string, ask, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("encoding request: %w", err)
	}
	return c.send(ctx, http.MethodPost, path, "application/json", body, answer)
}

func retryAfter(res *http.Response) time.Duration {
	value := res.Header.Get("Retry-After")
	if d, err := time.ParseDuration(value + "s"); err == nil && d > 0 {
		return min(d, time.Hour)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(at), 0), time.Hour)
	}
	return 0
}

// withCure adds what to do about a certificate that this host does not believe.
func withCure(err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; if the certificate is of an authority of your own, name that authority's in ca_file of the configuration", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w; if this host's clock is right (date), the server needs a new certificate", err)
	}
	return err
}

// plainURL takes the request line off an error: what failed is named already.
func plainURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
