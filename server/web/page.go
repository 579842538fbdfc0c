package web

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// page is what every template gets. Its methods are the templates' functions.
type page struct {
	Lang, Title, Digest string
	Path, Return        string // Return: where to come back to after changing the language
	Viewer              pageViewer
	Org                 store.Org // zero outside an organisation
	Body                any
	words               *i18n.Localizer
	plain               map[string]string
	catalogue           *duties.Catalogue
	zone                *time.Location
	now                 time.Time
}

type pageViewer struct {
	Known, Staff bool
	Several      bool   // belongs to several organisations
	In           bool   // sees all of the page's organisation
	AdminAll     bool   // decides who is a customer
	Admin        bool   // decides who belongs to the organisation whose pages are offered
	Home         string // the path of the organisation whose pages are offered elsewhere
	Owes         bool   // has to set up a second factor before all else
	Name, Email  string
}

// T is a text in the reader's language; args are pairs of name and value.
func (p page) T(key string, args ...any) (string, error) {
	if s, ok := p.plain[key]; ok {
		return s, nil
	}
	data := map[string]any{}
	var count any
	for i := 0; i+1 < len(args); i += 2 {
		name := fmt.Sprint(args[i])
		data[name] = args[i+1]
		if name == "Count" {
			data[name] = counted(args[i+1])
			count = data[name]
		}
	}
	return p.words.Localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: data, PluralCount: count})
}

// Word is a text whose key is made of a code from data. A code that this version
// has no word for stands for itself.
func (p page) Word(prefix string, code any) string {
	value := strings.ReplaceAll(fmt.Sprint(code), ".", "_")
	if s, err := p.T(prefix + "_" + value); err == nil {
		return s
	}
	if prefix == "service" { // of the operator's own
		return short(p.catalogue.ServiceTitle(p.Lang, fmt.Sprint(code)))
	}
	return short(fmt.Sprint(code))
}

// Code puts a reason that stands in facts as a code into words.
func (p page) Code(code string) string { return short(p.catalogue.Code(p.Lang, code)) }

// Short cuts a long text from outside.
func (page) Short(s any) string { return short(fmt.Sprint(s)) }

var (
	layouts = map[string]string{duties.English: "2 Jan 2006 15:04", duties.Italian: "02/01/2006 15:04"}
	exact   = map[string]string{duties.English: "2 Jan 2006 15:04:05.000 MST", duties.Italian: "02/01/2006 15:04:05.000 MST"}
	days    = map[string]string{duties.English: "2 Jan 2006", duties.Italian: "02/01/2006"}
)

// When writes a moment in the organisation's zone, to the minute.
func (p page) When(t any) string { return p.moment(t, layouts[p.Lang]) }

// Exact writes a moment in the organisation's zone with all that is known of it.
func (p page) Exact(t any) string { return p.moment(t, exact[p.Lang]) }

// Stamp writes, with the zone, the moment of which a page tells: the one given, else now.
func (p page) Stamp(at ...time.Time) string {
	t := p.now
	for _, given := range at {
		if !given.IsZero() {
			t = given
		}
	}
	return p.moment(t, layouts[p.Lang]+" MST")
}

// Day writes the calendar day of a moment, or a day that is stated as 2006-01-02.
func (p page) Day(t any) string {
	if s, ok := t.(string); ok {
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return s
		}
		return at.Format(days[p.Lang])
	}
	return p.moment(t, days[p.Lang])
}

// DayBefore writes the last whole day before a moment.
func (p page) DayBefore(t time.Time) string { return p.Day(t.Add(-time.Second)) }

// RoleForm is what the fields of a role begin with.
func (page) RoleForm(id, role string, roles []string, ends string) roleForm {
	return roleForm{id, role, ends, roles}
}

// Sure is what the field begins with in which a user says the password again.
func (page) Sure(id string, own bool) sureForm { return sureForm{id, own} }

type sureForm struct {
	ID  string
	Own bool // the user has a password
}

type roleForm struct {
	ID, Role, Ends string
	Roles          []string
}

func (p page) moment(t any, layout string) string {
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
	return at.In(p.zone).Format(layout)
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

// Lasted says how long something went on, in the largest unit that fits.
func (p page) Lasted(from, to time.Time) (string, error) {
	switch d := to.Sub(from); {
	case d < 2*time.Hour:
		return p.T("lasted_minutes", "Count", max(1, int(d.Minutes())))
	case d < 48*time.Hour:
		return p.T("lasted_hours", "Count", int(d.Hours()))
	default:
		return p.T("lasted_days", "Count", int(d.Hours()/24))
	}
}

// Bytes writes a size with a binary unit.
func (p page) Bytes(n int64) string {
	const unit = 1024
	if n < 0 {
		return "?"
	}
	v, i := float64(n), 0
	for v >= unit && i < 5 {
		v, i = v/unit, i+1
	}
	if i == 0 {
		return p.Count(n) + " B"
	}
	return fmt.Sprintf("%s %ciB", p.Num(v, 1), " KMGTP"[i])
}

// Num writes a number with so many digits after the language's decimal sign.
func (p page) Num(v float64, digits int) string {
	return message.NewPrinter(language.Make(p.Lang)).Sprint(number.Decimal(v, number.Scale(digits)))
}

// Count writes a whole number with the language's separators.
func (p page) Count(n any) string {
	return message.NewPrinter(language.Make(p.Lang)).Sprint(number.Decimal(counted(n)))
}

// counted is the number that facts hold, or point to where they may have none.
func counted(n any) any {
	switch n := n.(type) {
	case *int64:
		return *n
	case *int:
		return *n
	}
	return n
}

// Figure writes a parameter's value with its unit.
func (p page) Figure(v float64, unit string) (string, error) {
	digits := 0
	if v != math.Trunc(v) {
		digits = 2
	}
	switch unit {
	case duties.UnitFlag:
		if v != 0 {
			return p.T("yes")
		}
		return p.T("no")
	case duties.UnitPercent:
		return p.Num(v, digits) + " %", nil
	case duties.UnitCount:
		return p.Num(v, digits), nil
	}
	n, word := int(math.Ceil(v)), ""
	var err error
	switch unit {
	case duties.UnitMinutes:
		word, err = p.T("figure_minutes", "Count", n)
	case duties.UnitHours:
		word, err = p.T("figure_hours", "Count", n)
	default:
		word, err = p.T("figure_days", "Count", n)
	}
	return p.Num(v, digits) + " " + word, err
}

// Verdicts are the words of all verdicts, worst first, as a legend lists them.
func (page) Verdicts() []string {
	return []string{duties.Breached.String(), duties.Unproven.String(), duties.Fulfilled.String(), duties.NoOccasion.String(), duties.NotApplicable.String()}
}

// Legend is a day of each verdict, as a calendar shows it, and one whose evidence came late.
func (p page) Legend() []dayMark {
	var out []dayMark
	for _, v := range append(p.Verdicts(), "late") {
		out = append(out, dayMark{Verdict: v})
	}
	return out
}

// Span writes a stretch of days, both included.
func (p page) Span(from, last time.Time) string {
	if from.Equal(last) {
		return p.Day(from)
	}
	return p.Day(from) + " – " + p.Day(last)
}

// Top is where the mark of a verdict begins in a bar of height 1: the worse, the
// higher it is.
func (page) Top(verdict string) string {
	switch verdict {
	case duties.Breached.String(), "none":
		return "0"
	case duties.Unproven.String():
		return ".3"
	}
	return ".5"
}

// Mark draws the mark of a verdict as it stands in a strip, for a legend.
func (page) Mark(verdict string) string {
	h := markHeight(verdict)
	return fmt.Sprintf("M0 %dh%dv%dh-%dz", stripRow-1-h, stripCell-1, h, stripCell-1)
}

// With gives a part of a page its own body beside the page's functions.
func (p page) With(body any) page {
	p.Body = body
	return p
}

// At reports whether the page is, or is below, a path.
func (p page) At(path string) bool { return p.Path == path || strings.HasPrefix(p.Path, path+"/") }

// AtAny reports whether the page is, or is below, one of the paths under a common one.
func (p page) AtAny(base string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool { return p.At(base + path) })
}

func (w *Web) page(r *http.Request, title string, body any) page {
	lang := w.views.lang(r)
	v := viewerOf(r.Context())
	p := page{Lang: lang, Path: r.URL.Path, Digest: w.views.digest, Org: orgOf(r.Context()), Body: body,
		words: w.views.words[lang], plain: w.views.plain[lang], catalogue: w.Catalogue, zone: time.UTC, now: w.Now(),
		Viewer: pageViewer{Known: v.known(), Staff: v.runs(), Owes: v.owes != "", Several: len(v.roles) > 1, Name: cmp.Or(v.user.Name, v.user.Email), Email: v.user.Email}}
	if p.Return = r.URL.RequestURI(); r.Method != http.MethodGet {
		p.Return = back(r)
	}
	if own := v.orgs(); v.provider != "" {
		p.Viewer.Home = "/orgs/" + v.provider
	} else if len(own) == 1 {
		p.Viewer.Home = "/orgs/" + own[0]
	}
	p.Viewer.In = p.Org.ID != "" && v.sees(p.Org.ID)
	p.Viewer.AdminAll = v.via == nil && v.all == store.RoleAdmin
	if p.Viewer.Admin = v.admins(strings.TrimPrefix(p.Viewer.Home, "/orgs/")); p.Viewer.In {
		p.Viewer.Admin = v.admins(p.Org.ID)
	}
	if zone, err := time.LoadLocation(cmp.Or(p.Org.Zone, v.zone)); err == nil {
		p.zone = zone
	}
	if words, err := p.T(title); err == nil {
		p.Title = words
	} else {
		p.Title = title
	}
	return p
}

// back is the page from which a form was sent.
func back(r *http.Request) string {
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return "/"
	}
	return local(from.RequestURI())
}
