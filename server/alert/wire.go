package alert

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// wire carries the one request of an attempt: with the deadline that the library's
// requests lack, and to where the service may post alone. It keeps how it went, since
// the library's errors do not tell a refusal from a fault.
type wire struct {
	ctx   context.Context
	under http.RoundTripper
	hosts []string // of the service; empty when it is a server of one's own
	asked bool
	res   *http.Response
	body  []byte // of the answer, its beginning
	err   error  // why there is no answer
}

// wireBody bounds what is read of an answer.
const wireBody = 64 << 10

// RoundTrip posts, once: trying again is the outbox' matter, and no redirect is followed.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.asked || w.err != nil {
		return nil, errors.New("one attempt is one request")
	}
	if !w.may(req.URL) {
		w.err = Refusal{errors.New("not an address of that service")}
		return nil, w.err
	}
	w.asked = true
	out := req.Clone(w.ctx)
	out.Header.Set("User-Agent", "attesto-server")
	res, err := w.under.RoundTrip(out)
	if err != nil {
		w.err = err
		return nil, err
	}
	w.body, err = io.ReadAll(io.LimitReader(res.Body, wireBody))
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		w.err = fmt.Errorf("reading the answer: %w", err)
		return nil, w.err
	}
	w.res, res.Body = res, io.NopCloser(bytes.NewReader(w.body))
	return res, nil
}

func (w *wire) may(u *url.URL) bool {
	if u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	if len(w.hosts) == 0 {
		return true
	}
	return u.Scheme == "https" && (u.Port() == "" || u.Port() == "443") && slices.ContainsFunc(w.hosts, func(h string) bool {
		return u.Hostname() == h || strings.HasPrefix(h, ".") && strings.HasSuffix(u.Hostname(), h)
	})
}

// outcome is how the attempt went; said is what the library made of it.
func (w *wire) outcome(service string, said error) error {
	switch {
	case w.err != nil:
		return fmt.Errorf("posting to %s: %w", service, w.err)
	case w.res == nil && said == nil:
		return fmt.Errorf("posting to %s: nothing was posted", service)
	case w.res == nil:
		return Refusal{fmt.Errorf("posting to %s: nothing was posted: %w", service, said)}
	}
	if err := answer(service, w.res); err != nil {
		return fmt.Errorf("%w %s", err, excerpt(w.body))
	}
	if said != nil {
		return fmt.Errorf("%s answered %s, but did not take the message: %w %s", service, w.res.Status, said, excerpt(w.body))
	}
	return nil
}

// excerpt is the beginning of an answer, on one line.
func excerpt(body []byte) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(string(body[:min(len(body), 2000)]), " "))
	return plain(strings.Join(strings.Fields(text), " "), 200)
}

// nowhere is a transport that posts nothing.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nothing is posted")
}

// masked is an error whose text has no secret in it.
type masked struct {
	error
	text string
}

func (m masked) Error() string { return m.text }

// Unwrap returns the cause.
func (m masked) Unwrap() error { return m.error }

// mask takes out of a text what of the address may be a key: whole, by pieces, and as
// the library writes it into requests.
func (a chatAddress) mask(text string) string {
	password, _ := a.url.User.Password()
	parts := []string{a.url.User.Username(), password, base64.StdEncoding.EncodeToString([]byte(a.url.User.Username() + ":" + password))}
	parts = append(parts, strings.Split(a.url.Path, "/")...)
	if a.service.secretHost {
		parts = append(parts, a.url.Hostname())
	}
	for key, values := range a.url.Query() {
		if !slices.Contains(a.service.options, strings.ToLower(key)) || slices.Contains(a.service.secretOptions, key) {
			parts = append(parts, values...)
		}
	}
	var secrets []string
	for _, p := range parts {
		secrets = append(secrets, p, url.QueryEscape(p), url.PathEscape(p))
		for _, piece := range strings.FieldsFunc(p, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(piece) >= 6 {
				secrets = append(secrets, piece)
			}
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		if len(s) >= 4 && s != "webhook" {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return text
}
