package web

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"

	"github.com/attesto/attesto/server/duties"
)

//go:embed templates i18n
var files embed.FS

var languages = []string{duties.English, duties.Italian}

func supported(lang string) bool { return lang == duties.English || lang == duties.Italian }

// views are the parsed templates and texts.
type views struct {
	pages   map[string]*template.Template
	words   map[string]*i18n.Localizer
	plain   map[string]map[string]string // texts without arguments, by language and key
	matcher language.Matcher
	digest  string // of the static files, so that browsers fetch changed ones
}

// allViews are read from the program once; they never change.
var allViews = sync.OnceValues(newViews)

func newViews() (*views, error) {
	v := &views{pages: map[string]*template.Template{}, words: map[string]*i18n.Localizer{}, plain: map[string]map[string]string{}}
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("yaml", yaml.Unmarshal)
	var tags []language.Tag
	for _, lang := range languages {
		file, err := bundle.LoadMessageFileFS(files, "i18n/active."+lang+".yaml")
		if err != nil {
			return nil, fmt.Errorf("texts in %s: %w", lang, err)
		}
		v.plain[lang] = map[string]string{}
		for _, m := range file.Messages {
			if m.One == "" && !strings.Contains(m.Other, "{{") {
				v.plain[lang][m.ID] = m.Other
			}
		}
		v.words[lang] = i18n.NewLocalizer(bundle, lang)
		tags = append(tags, language.Make(lang))
	}
	v.matcher = language.NewMatcher(tags)
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base == "layout" || base == "parts" || base == "facts" {
			continue
		}
		t, err := template.New("layout.html").ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/facts.html", name)
		if err != nil {
			return nil, err
		}
		v.pages[base] = t
	}
	v.digest, err = staticDigest()
	return v, err
}

// lang is the reader's language: the cookie's, else the browser's.
func (v *views) lang(r *http.Request) string {
	if c, err := r.Cookie(langCookie); err == nil && supported(c.Value) {
		return c.Value
	}
	_, i := language.MatchStrings(v.matcher, r.Header.Get("Accept-Language"))
	return languages[i]
}

// render writes a page; it is whole or it is an error.
func (w *Web) render(rw http.ResponseWriter, r *http.Request, status int, name, title string, body any) error {
	var b bytes.Buffer
	if err := w.views.pages[name].Execute(&b, w.page(r, title, body)); err != nil {
		return fmt.Errorf("rendering %s: %w", name, err)
	}
	out := inert(b.Bytes())
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Accept-Encoding, Accept-Language")
	if takesGzip(r) {
		var err error
		if out, err = zipped(out, gzip.BestSpeed); err != nil {
			return fmt.Errorf("compressing %s: %w", name, err)
		}
		h.Set("Content-Encoding", "gzip")
	}
	rw.WriteHeader(status)
	_, _ = rw.Write(out) // a reader that is gone changes nothing
	return nil
}

// fail answers an error as page or JSON; its cause goes to the log only.
func (w *Web) fail(rw http.ResponseWriter, r *http.Request, api bool, err error) {
	var p *problem
	switch {
	case errors.Is(err, errSignIn) && r.Header.Get("HX-Request") != "":
		rw.Header().Set("HX-Redirect", "/signin") // a part of a page cannot show the form
		rw.WriteHeader(http.StatusUnauthorized)
		return
	case errors.Is(err, errSignIn) && !api:
		next := "/"
		if r.Method == http.MethodGet {
			next = r.URL.RequestURI()
		}
		http.Redirect(rw, r, "/signin?next="+url.QueryEscape(next), http.StatusSeeOther)
		return
	case errors.Is(err, errOwes) && r.Header.Get("HX-Request") != "":
		rw.Header().Set("HX-Redirect", "/settings")
		rw.WriteHeader(http.StatusForbidden)
		return
	case errors.Is(err, errOwes) && !api:
		http.Redirect(rw, r, "/settings", http.StatusSeeOther)
		return
	case errors.Is(err, errOwes):
		p = &problem{status: http.StatusForbidden, key: "second_owed"}
	case errors.Is(err, errSignIn):
		p = &problem{status: http.StatusUnauthorized, key: "bad_token"}
	case errors.As(err, &p):
	default:
		p = &problem{status: http.StatusInternalServerError, key: "internal", cause: err}
	}
	if p.status >= http.StatusInternalServerError && r.Context().Err() == nil {
		w.Log.ErrorContext(r.Context(), "answering", "path", r.URL.Path, "error", err)
	}
	if api {
		if p.status == http.StatusUnauthorized {
			rw.Header().Set("WWW-Authenticate", "Bearer")
		}
		page := w.page(r, p.key, nil)
		message, _ := page.T("error_" + p.key)
		cure, _ := page.T("error_" + p.key + "_cure")
		said := map[string]string{"code": p.key, "message": message, "cure": cure}
		if p.detail != "" {
			said["detail"] = p.detail
		}
		writeJSON(rw, p.status, map[string]any{"error": said})
		return
	}
	if err := w.render(rw, r, p.status, "error", "error_"+p.key, p.key); err != nil {
		w.Log.ErrorContext(r.Context(), "rendering an error", "error", err)
		http.Error(rw, "internal error", http.StatusInternalServerError)
	}
}

func writeJSON(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	enc := json.NewEncoder(rw)
	enc.SetEscapeHTML(true)
	_ = enc.Encode(v) // a reader that is gone changes nothing
}
