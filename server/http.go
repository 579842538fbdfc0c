package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/attesto/attesto/evidence"
)

// maxMessage bounds what of a request's own text is repeated in an answer.
const maxMessage = 300

// clip makes text from outside safe to repeat: printable and short.
func clip(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the caller is gone if this fails
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.log.ErrorContext(r.Context(), "encoding an answer", "path", r.URL.Path, "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the caller is gone if this fails
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, e *evidence.Error) {
	e.Message = clip(e.Message, maxMessage)
	s.answer(w, r, status, evidence.ErrorAnswer{Error: e})
}

func (s *Server) later(w http.ResponseWriter, r *http.Request, status int, wait time.Duration, e *evidence.Error) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second))))
	s.refuse(w, r, status, e)
}

// fail tells a caller no more than that the server failed; the log has the cause.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", clip(r.URL.Path, 80), "err", err)
	s.later(w, r, http.StatusServiceUnavailable, 5*time.Second, &evidence.Error{Code: evidence.CodeUnavailable,
		Message: "the server could not store this now", Cure: "nothing is lost: send it again later; if it stays so, the server's own log says why"})
}

// body reads a request's body of at most limit bytes; it has answered when it
// reports false.
func (s *Server) body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		s.refuse(w, r, http.StatusRequestEntityTooLarge, &evidence.Error{Code: evidence.CodeTooLarge,
			Message: fmt.Sprintf("body is over the limit of %d bytes", limit), Cure: "send fewer records at once"})
	case err != nil:
		s.refuse(w, r, http.StatusBadRequest, &evidence.Error{Code: evidence.CodeMalformed,
			Message: "body broke off: " + err.Error(), Cure: "send it again"})
	default:
		return b, true
	}
	return nil, false
}

// bearer is the token of a request's Authorization header, "" without one.
func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}
