package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/attesto/attesto/evidence"
)

// maxDrained is how much of a body that is too large is read and thrown away, in bytes: a
// browser that has not sent all of it shows no answer.
const maxDrained = 64 << 20

// bounded bounds a request's body, in bytes, and lets who answers throw the rest away.
func bounded(next http.Handler, limit int64) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Body = &body{http.MaxBytesReader(rw, r.Body, limit), r.Body}
		next.ServeHTTP(rw, r)
	})
}

// body is a bounded one, and what it is a part of.
type body struct {
	io.ReadCloser
	whole io.Reader
}

// readable refuses what no store keeps: PostgreSQL takes neither a NUL nor what is no UTF-8
// in a text. Names in the path that hold any are of nothing there is.
func readable(r *http.Request) error {
	if !isText(r.URL.Path) {
		return notFound()
	}
	return textsIn(r.URL.Query())
}

func textsIn(values url.Values) error {
	for name, list := range values {
		for _, v := range append(list, name) {
			if !isText(v) {
				return &problem{status: http.StatusBadRequest, key: "bad_form", detail: fmt.Sprintf("%q holds a NUL or is no UTF-8", short(name))}
			}
		}
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// readForm reads the form of a request, if it brings one.
func readForm(r *http.Request, api bool) error {
	var err error
	switch sent(r) {
	case "multipart/form-data":
		err = r.ParseMultipartForm(maxUpload)
	case "application/x-www-form-urlencoded":
		err = r.ParseForm()
	}
	if err != nil {
		return unreadable(r, err)
	}
	for name := range r.PostForm {
		if api && strings.HasPrefix(strings.TrimSpace(name), "{") { // as curl sends it when it is told no type
			return &problem{status: http.StatusUnsupportedMediaType, key: "want_json"}
		}
	}
	return textsIn(r.PostForm)
}

// isForm reports whether a request brings a form; else it brings JSON, if anything.
func isForm(r *http.Request) bool {
	kind := sent(r)
	return kind == "multipart/form-data" || kind == "application/x-www-form-urlencoded"
}

// sent is the media type of what a request brings.
func sent(r *http.Request) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind
}

// decode reads the one JSON value of a request; names that it does not know are faults.
func decode(r *http.Request, into any) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return unreadable(r, err)
	}
	if len(raw) == 0 && sent(r) != "application/json" {
		return nil // a step without a word
	}
	if err := evidence.CheckJSON(raw); err != nil {
		return unreadable(r, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return unreadable(r, err)
	}
	dec = json.NewDecoder(bytes.NewReader(raw))
	for t, err := dec.Token(); !errors.Is(err, io.EOF); t, err = dec.Token() {
		if s, ok := t.(string); err != nil || ok && !isText(s) {
			return unreadable(r, errors.New("a text holds a NUL"))
		}
	}
	return nil
}

// unreadable is the answer to a body that cannot be read, once all of it was sent.
func unreadable(r *http.Request, err error) error {
	var large *http.MaxBytesError
	if !errors.As(err, &large) {
		return &problem{status: http.StatusBadRequest, key: "bad_form", cause: err, detail: short(err.Error())}
	}
	if b, ok := r.Body.(*body); ok {
		_, _ = io.CopyN(io.Discard, b.whole, maxDrained) // who goes on sending after that gets no answer
	}
	return &problem{status: http.StatusRequestEntityTooLarge, key: "too_large", cause: err, detail: fmt.Sprintf("more than %d bytes", large.Limit)}
}

// oneLine makes one line of a text, as of a name that heads a mail: white space of any kind
// becomes a blank, and what could make it read otherwise than it is written goes.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case deceives(r) && !unicode.IsSpace(r):
			return -1
		}
		return r
	}, s)), " ")
}

// fileName is the last part of a path of any system.
func fileName(s string) string {
	name := oneLine(path.Base(strings.ReplaceAll(s, `\`, "/")))
	if name == "." || name == ".." || name == "/" {
		return ""
	}
	return name
}
