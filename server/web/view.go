package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

//go:embed templates i18n
var files embed.FS

var languages = []string{duties.English, duties.Italian}

func supported(lang string) bool { return lang == duties.English || lang == duties.Italian }

// views are the parsed templates and texts.
type views struct {
	pages   map[string]*template.Template
	words   map[string]*i18n.Localizer
	matcher language.Matcher
	digest  string // of the static files, so that browsers fetch changed ones
}

func newViews() (*views, error) {
	v := &views{pages: map[string]*template.Template{}, words: map[string]*i18n.Localizer{}}
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("yaml", yaml.Unmarshal)
	var tags []language.Tag
	for _, lang := range languages {
		if _, err := bundle.LoadMessageFileFS(files, "i18n/active."+lang+".yaml"); err != nil {
			return nil, fmt.Errorf("texts in %s: %w", lang, err)
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
		if base == "layout" || base == "parts" {
			continue
		}
		t, err := template.New("layout.html").ParseFS(files, "templates/layout.html", "templates/parts.html", name)
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

// page is what every template gets. Its methods are the templates' functions.
type page struct {
	Lang, Title, Path, Digest string
	Viewer                    pageViewer
	Org                       store.Org // zero outside an organisation
	Body                      any
	words                     *i18n.Localizer
	zone                      *time.Location
	now                       time.Time
}

type pageViewer struct {
	Known, Staff bool
	Name, Email  string
}

// T is a text in the reader's language; args are pairs of name and value.
func (p page) T(key string, args ...any) (string, error) {
	data := map[string]any{}
	var count any
	for i := 0; i+1 < len(args); i += 2 {
		name := fmt.Sprint(args[i])
		data[name] = args[i+1]
		if name == "Count" {
			count = args[i+1]
		}
	}
	return p.words.Localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: data, PluralCount: count})
}

var layouts = map[string]string{duties.English: "2 Jan 2006 15:04", duties.Italian: "02/01/2006 15:04"}

// When writes a moment in the organisation's zone.
func (p page) When(t any) string {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case evidence.Time:
		at = t.Time
	case *evidence.Time:
		if t != nil {
			at = t.Time
		}
	}
	if at.IsZero() || at.Unix() == 0 {
		s, _ := p.T("never")
		return s
	}
	return at.In(p.zone).Format(layouts[p.Lang])
}

// ISO is a moment for machines, in the datetime attribute.
func (page) ISO(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Ago says how long ago a moment was, in the largest unit that fits.
func (p page) Ago(t time.Time) (string, error) {
	d := p.now.Sub(t)
	switch {
	case t.IsZero() || t.Unix() == 0:
		return p.T("never")
	case d < 2*time.Minute:
		return p.T("ago_now")
	case d < 2*time.Hour:
		return p.T("ago_minutes", "Count", int(d.Minutes()))
	case d < 48*time.Hour:
		return p.T("ago_hours", "Count", int(d.Hours()))
	}
	return p.T("ago_days", "Count", int(d.Hours()/24))
}

// Bytes writes a size with a binary unit.
func (page) Bytes(n int64) string {
	const unit = 1024
	if n < 0 {
		return "?"
	}
	v, i := float64(n), 0
	for v >= unit && i < 5 {
		v, i = v/unit, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", v, " KMGTP"[i])
}

// With gives a part of a page its own body beside the page's functions.
func (p page) With(body any) page {
	p.Body = body
	return p
}

func (w *Web) page(r *http.Request, title string, body any) page {
	lang := w.views.lang(r)
	v := viewerOf(r.Context())
	p := page{Lang: lang, Path: r.URL.Path, Digest: w.views.digest, Org: orgOf(r.Context()), Body: body,
		words: w.views.words[lang], zone: time.UTC, now: w.Now(),
		Viewer: pageViewer{Known: v.known(), Staff: v.runs(), Name: v.user.Name, Email: v.user.Email}}
	if p.Viewer.Name == "" {
		p.Viewer.Name = v.user.Email
	}
	if zone, err := time.LoadLocation(p.Org.Zone); err == nil && p.Org.Zone != "" {
		p.zone = zone
	}
	if words, err := p.T(title); err == nil {
		p.Title = words
	} else {
		p.Title = title
	}
	return p
}

// render writes a page; it is whole or it is an error.
func (w *Web) render(rw http.ResponseWriter, r *http.Request, status int, name, title string, body any) error {
	var b bytes.Buffer
	if err := w.views.pages[name].Execute(&b, w.page(r, title, body)); err != nil {
		return fmt.Errorf("rendering %s: %w", name, err)
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.WriteHeader(status)
	_, _ = b.WriteTo(rw) // a reader that is gone changes nothing
	return nil
}

// fail answers an error as page or JSON; its cause goes to the log only.
func (w *Web) fail(rw http.ResponseWriter, r *http.Request, api bool, err error) {
	var p *problem
	switch {
	case errors.Is(err, errSignIn) && !api:
		http.Redirect(rw, r, "/signin?next="+template.URLQueryEscaper(r.URL.RequestURI()), http.StatusSeeOther)
		return
	case errors.Is(err, errSignIn):
		p = &problem{status: http.StatusUnauthorized, key: "bad_token"}
	case errors.As(err, &p):
	default:
		p = &problem{status: http.StatusInternalServerError, key: "internal", cause: err}
	}
	if p.cause != nil || p.status >= http.StatusInternalServerError {
		w.Log.ErrorContext(r.Context(), "answering", "path", r.URL.Path, "error", errors.Join(p.cause, err))
	}
	if api {
		page := w.page(r, p.key, nil)
		message, _ := page.T("error_" + p.key)
		cure, _ := page.T("error_" + p.key + "_cure")
		writeJSON(rw, p.status, map[string]any{"error": map[string]string{"code": p.key, "message": message, "cure": cure}})
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
