package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/attesto/attesto/server/duties"
)

// Payload is the JSON body of a webhook.
type Payload struct {
	ID      string         `json:"id"`              // of the delivery: the same over all attempts, equal to the header webhook-id
	Event   string         `json:"event"`           // "firing", "reminder", "escalated" or "resolved"
	Round   int            `json:"round,omitempty"` // of a reminder, counted from 1
	At      time.Time      `json:"at"`
	Org     PayloadOrg     `json:"org"` // who is told
	Alert   PayloadAlert   `json:"alert"`
	Log     PayloadLog     `json:"log"` // newest head of the log of who is told
	Subject string         `json:"subject"`
	Why     string         `json:"why"`
	Cure    string         `json:"cure"`
	Link    string         `json:"link,omitempty"`
	Reason  duties.Message `json:"reason"` // Why by key and arguments
}

// PayloadOrg names an organisation.
type PayloadOrg struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// PayloadAlert is the alert in a webhook.
type PayloadAlert struct {
	ID       string         `json:"id"`
	Org      PayloadOrg     `json:"org"` // whose duty it is
	Duty     string         `json:"duty"`
	Part     string         `json:"part"`
	Asset    string         `json:"asset"`
	Party    string         `json:"party"`
	Verdict  duties.Verdict `json:"verdict"`
	Opened   time.Time      `json:"opened"`
	Fired    int            `json:"fired"` // how often within 24 hours, this time included
	Acked    *time.Time     `json:"acked,omitempty"`
	Resolved *time.Time     `json:"resolved,omitempty"`
}

// PayloadLog is a head of a log.
type PayloadLog struct {
	Size int64  `json:"size"`
	Root string `json:"root"` // base64
}

func payload(m Message) Payload {
	p := Payload{
		ID: m.ID, Event: m.Event, Round: m.Round, At: m.At.UTC(), Org: PayloadOrg{m.Org, m.OrgName}, Log: PayloadLog{m.LogSize, m.LogRoot},
		Alert: PayloadAlert{ID: m.Alert.ID, Org: PayloadOrg{m.Alert.Org, m.Owner}, Duty: m.Alert.Duty, Part: m.Alert.Part, Asset: m.Alert.Name,
			Party: m.Alert.Party, Verdict: m.Alert.Verdict, Opened: m.Alert.Opened.UTC(), Fired: m.Alert.Fired},
		Subject: m.Subject, Why: m.Why, Cure: m.Cure, Link: m.Link, Reason: m.Alert.Why,
	}
	if acked := m.Alert.Acked.UTC(); !m.Alert.Acked.IsZero() {
		p.Alert.Acked = &acked
	}
	if m.Event == Resolved {
		at := m.Alert.Resolved.UTC()
		p.Alert.Resolved, p.Reason = &at, m.Alert.Ended
	}
	return p
}

// Hooks posts messages to webhooks, signed as standardwebhooks.com says: header
// webhook-signature is "v1," and the base64 of HMAC-SHA256 over
// "<webhook-id>.<webhook-timestamp>.<body>" with the channel's secret.
type Hooks struct {
	client *retryablehttp.Client
}

// secretPrefix marks a webhook's secret as text.
const secretPrefix = "whsec_"

// NewSecret makes a secret for a webhook, and the text form for its receiver.
func NewSecret() (secret []byte, text string) {
	secret = make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand aborts the program instead
	return secret, secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// NotPublic is what the error of a webhook says whose address is not public.
const NotPublic = " is not a public address"

// Sign makes the header webhook-signature.
func Sign(secret []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%d.", id, at.Unix()) // a hash takes everything
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Transport carries what is posted to others. Unless allowPrivate, it does not connect
// to addresses that are not public, whatever name they hide behind. No proxy is used.
func Transport(allowPrivate bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !allowPrivate {
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return checkPublic(address) }
	}
	return &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 20 * time.Second,
		MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true}
}

// NewHooks makes a poster of webhooks over Transport. Redirects are not followed.
func NewHooks(allowPrivate bool, log *slog.Logger) *Hooks {
	c := retryablehttp.NewClient()
	c.Logger = log
	c.HTTPClient = &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     Transport(allowPrivate),
	}
	// Within one attempt only a connection that could not be made is tried again:
	// then nothing was received. The rest is the outbox' matter.
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, 200*time.Millisecond, time.Second
	c.CheckRetry = func(ctx context.Context, _ *http.Response, err error) (bool, error) {
		var op *net.OpError
		again := errors.As(err, &op) && op.Op == "dial" && !refused(err)
		return again && ctx.Err() == nil, ctx.Err()
	}
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return &Hooks{c}
}

// notPublic are ranges of the IANA special-purpose address registries that
// netip.Addr has no word for.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

func checkPublic(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return Refusal{fmt.Errorf("address %q: %w", address, err)}
	}
	ip := ap.Addr().Unmap()
	public := ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
	for _, p := range notPublic {
		public = public && !p.Contains(ip)
	}
	if !public {
		return Refusal{fmt.Errorf("%s%s; to allow it, set webhooks.allow_private in the server's configuration", ip, NotPublic)}
	}
	return nil
}

// Notify posts a message once. A 4xx answer is a Refusal, except 408, 425 and
// 429, and so is a redirect.
func (h *Hooks) Notify(ctx context.Context, c Channel, m Message) error {
	body, err := json.Marshal(payload(m))
	if err != nil {
		return Refusal{fmt.Errorf("encoding the webhook: %w", err)}
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, c.Target, bytes.NewReader(body))
	if err != nil {
		return Refusal{fmt.Errorf("webhook %q: %w", c.Target, err)}
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "attesto-server")
	req.Header.Set("webhook-id", m.ID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", Sign(c.Secret, m.ID, now, body))
	res, err := h.client.Do(req)
	if err != nil {
		var inner *url.Error // it names the whole address, which may hold a token
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return fmt.Errorf("posting to webhook of %s: %w", req.URL.Host, err)
	}
	// A little of the answer is read so that the connection can be used again.
	_, readErr := io.CopyN(io.Discard, res.Body, 64<<10)
	if closeErr := res.Body.Close(); readErr != nil && !errors.Is(readErr, io.EOF) || closeErr != nil {
		h.client.HTTPClient.CloseIdleConnections()
	}
	return answer("webhook", res)
}

// answer is what the answer of a receiver means.
func answer(who string, res *http.Response) error {
	code := res.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	err := fmt.Errorf("%s answered %s", who, res.Status)
	switch {
	case code >= 300 && code < 400:
		return Refusal{fmt.Errorf("%w: redirects are not followed; set the final address", err)}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return Later{err, retryAfter(res.Header.Get("Retry-After"))}
	}
	return Refusal{err}
}

// retryAfter reads the header of that name (RFC 9110 section 10.2.3), 0 if it
// says nothing.
func retryAfter(v string) time.Duration {
	if seconds, err := strconv.Atoi(v); err == nil && seconds > 0 {
		return min(time.Duration(seconds), 86400) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// CheckURL says why an address cannot be a webhook's, or nil.
func CheckURL(target string) error {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || strings.ContainsAny(target, " \n") {
		return fmt.Errorf("webhook address %q: want https://HOST/PATH", target)
	}
	return nil
}
