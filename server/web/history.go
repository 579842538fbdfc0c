package web

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/attesto/attesto/server/duties"
)

const (
	barDays   = 90
	yearWeeks = 53
	// maxPeriod bounds a period that is asked for, in days.
	maxPeriod = 3 * 366
	// clocksDiffer is by how much the clock of who asks for now may be ahead.
	clocksDiffer = time.Minute
)

// dayMark is a day of a calendar.
type dayMark struct {
	X, Y    int
	Verdict string // "none" for what was not judged, "late" for what evidence that came late shows as met
	From    time.Time
	Month   int // from 1, on its first day; else 0
}

// dayRun is a stretch of days with one verdict, as a bar shows it; Last is its last day.
type dayRun struct {
	X, Days    int
	Verdict    string
	From, Last time.Time
}

// runsOf joins windows of a day each that follow one another with the same verdict.
func runsOf(list []duties.Window) []dayRun {
	var out []dayRun
	for i, w := range list {
		if n := len(out) - 1; n >= 0 && out[n].Verdict == mark(w) {
			out[n].Days, out[n].Last = out[n].Days+1, w.From
			continue
		}
		out = append(out, dayRun{X: i, Days: 1, Verdict: mark(w), From: w.From, Last: w.From})
	}
	return out
}

func mark(w duties.Window) string {
	switch {
	case !w.Judged:
		return "none"
	case w.Verdict == duties.Unproven && w.Good():
		return "late"
	}
	return w.Verdict.String()
}

// calendar lays days out in columns of weeks, Mondays on top.
func calendar(list []duties.Window, zone *time.Location) []dayMark {
	out := make([]dayMark, len(list))
	for i, w := range list {
		out[i] = dayMark{Verdict: mark(w), From: w.From}
		at := out[i].From.In(zone)
		if at.Day() == 1 {
			out[i].Month = int(at.Month())
		}
		day := int(at.Weekday()+6) % 7
		out[i].Y = day
		if i > 0 {
			out[i].X = out[i-1].X
			if day == 0 {
				out[i].X++
			}
		}
	}
	return out
}

// bars are the last days of each duty.
func (w *Web) bars(r *http.Request, list []duties.Duty) (map[string][]dayRun, error) {
	org := orgOf(r.Context())
	end := duties.Midnight(w.Now(), org.Location(), 1)
	from := duties.Midnight(end, org.Location(), -barDays)
	past, err := w.Store.History(r.Context(), org.ID, "", from)
	if err != nil {
		return nil, err
	}
	counts, err := w.Store.LateCounts(r.Context(), org.ID)
	if err != nil {
		return nil, err
	}
	out := map[string][]dayRun{}
	for _, d := range list {
		out[d.ID] = runsOf(hide(r.Context(), d.Roll(past[d.ID], from, end, w.Now(), 1, org.Location(), counts)))
	}
	return out, nil
}

// yearBody is a duty's year, and how much of a period of it was proven.
type yearBody struct {
	Days       []dayMark
	From, To   string // the period, both days included
	Sum        duties.Continuity
	Share      int // of the expected windows that were covered, in hundredths
	Gaps       []gapBody
	WindowDays int
}

type gapBody struct {
	From, Last time.Time // both days included
	Windows    int
	Verdict    string
	Cause      string
	Late       bool // evidence that came late shows that the duty was met
	Why        string
}

// period is what a request asks for, the last three months without a word; to is
// excluded.
func (w *Web) period(r *http.Request) (from, to time.Time, err error) {
	zone := orgOf(r.Context()).Location()
	to = duties.Midnight(w.Now(), zone, 1)
	from = to.AddDate(0, -3, 0)
	for name, t := range map[string]*time.Time{"from": &from, "to": &to} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		day, err := duties.ParseDay(text, zone)
		if err != nil {
			return from, to, &problem{status: http.StatusBadRequest, key: "bad_period", cause: err}
		}
		if *t = day; name == "to" {
			*t = duties.Midnight(day, zone, 1)
		}
	}
	if !from.Before(to) || to.Sub(from) > maxPeriod*24*time.Hour {
		return from, to, &problem{status: http.StatusBadRequest, key: "bad_period"}
	}
	return clamp(r.Context(), from, to)
}

// windows reads a duty's windows in the period that the request asks for.
func (w *Web) windows(r *http.Request, d duties.Duty, days int) (list []duties.Window, from, to time.Time, err error) {
	if from, to, err = w.period(r); err != nil {
		return nil, from, to, err
	}
	list, err = w.rolled(r, d, from, to, days)
	return list, from, to, err
}

// rolled reads a duty's windows of some days, from a day to another.
func (w *Web) rolled(r *http.Request, d duties.Duty, from, to time.Time, days int) ([]duties.Window, error) {
	org := orgOf(r.Context())
	past, err := w.Store.History(r.Context(), org.ID, d.ID, from)
	if err != nil {
		return nil, err
	}
	counts, err := w.Store.LateCounts(r.Context(), org.ID)
	return hide(r.Context(), d.Roll(past[d.ID], from, to, w.Now(), days, org.Location(), counts)), err
}

func (w *Web) yearOf(r *http.Request, d duties.Duty, lang string) (yearBody, error) {
	org := orgOf(r.Context())
	zone := org.Location()
	end := duties.Midnight(w.Now(), zone, 1)
	start := duties.Midnight(end, zone, -7*yearWeeks+1)
	for start.Weekday() != time.Monday {
		start = duties.Midnight(start, zone, 1)
	}
	year, err := w.rolled(r, d, start, end, 1)
	if err != nil {
		return yearBody{}, err
	}
	body := yearBody{Days: calendar(year, zone), WindowDays: d.Rhythm()}
	list, from, to, err := w.windows(r, d, body.WindowDays)
	if err != nil {
		return body, err
	}
	body.From, body.To = from.Format(time.DateOnly), duties.Midnight(to, zone, -1).Format(time.DateOnly)
	body.Sum = duties.Sum(list)
	if body.Sum.Expected > 0 {
		body.Share = body.Sum.Covered * 100 / body.Sum.Expected
	}
	for _, g := range body.Sum.Gaps {
		why, _ := w.Catalogue.Shown(lang, g.Why)
		body.Gaps = append(body.Gaps, gapBody{g.From, duties.Midnight(g.To, zone, -1), g.Windows, g.Verdict.String(), string(g.Cause), g.Late, why})
	}
	return body, nil
}

type dayAnswer struct {
	From    string           `json:"from"`
	To      string           `json:"to"`
	Verdict string           `json:"verdict"` // "" for what was not judged
	Open    bool             `json:"open"`
	Seconds map[string]int64 `json:"seconds"`
	Why     string           `json:"why"`
	Cause   string           `json:"cause"` // "" for what is proven
	Late    *factsAnswer     `json:"late"`  // null where no evidence came late
	First   string           `json:"first"` // the verdict before other rules judged it again; "" where it is the same
}

// factsAnswer is what evidence that came late says.
type factsAnswer struct {
	Verdict string `json:"verdict"`
	Why     string `json:"why"`
}

func (w *Web) dutyAt(r *http.Request) (duties.Duty, error) {
	d, ok := w.Catalogue.Duty(r.PathValue("duty"))
	if !ok || !shows(orgOf(r.Context()), d) {
		return d, notFound()
	}
	return d, nil
}

// dutyWas is dutyAt, or a duty that once stood on the board: its service was given up since.
func (w *Web) dutyWas(r *http.Request) (duties.Duty, error) {
	d, err := w.dutyAt(r)
	if err == nil || d.ID == "" {
		return d, err
	}
	past, bad := w.Store.History(r.Context(), orgOf(r.Context()).ID, d.ID, w.Now())
	if bad == nil && len(past[d.ID].Turns) == 0 {
		bad = err
	}
	return d, bad
}

func (w *Web) apiDays(rw http.ResponseWriter, r *http.Request) error {
	d, err := w.dutyWas(r)
	if err != nil {
		return err
	}
	list, _, _, err := w.windows(r, d, 1)
	if err != nil {
		return err
	}
	out := []dayAnswer{}
	for _, x := range list {
		why, _ := w.Catalogue.Shown(w.views.lang(r), x.Why)
		a := dayAnswer{From: rfc(x.From), To: rfc(x.To), Open: x.Open, Seconds: map[string]int64{}}
		if x.Judged {
			a.Verdict, a.Why, a.Cause = x.Verdict.String(), why, string(x.Cause())
		}
		if x.Late {
			why, _ := w.Catalogue.Shown(w.views.lang(r), x.FactsWhy)
			a.Late = &factsAnswer{x.Facts.String(), why}
		}
		if x.Rules {
			a.First = x.First.String()
		}
		for _, v := range duties.Verdicts() {
			if x.Time[v] > 0 {
				a.Seconds[v.String()] = int64(x.Time[v].Seconds())
			}
		}
		out = append(out, a)
	}
	writeJSON(rw, http.StatusOK, map[string]any{"days": out})
	return nil
}

// The answer of the API: how much of a period was proven, in windows of some days.
type (
	continuityAnswer struct {
		From          string      `json:"from"`
		To            string      `json:"to"`
		WindowDays    int         `json:"windowDays"`
		Expected      int         `json:"expected"`
		Covered       int         `json:"covered"`
		Fulfilled     int         `json:"fulfilled"`
		NoOccasion    int         `json:"noOccasion"`
		Breached      int         `json:"breached"`
		Unproven      int         `json:"unproven"`
		Late          int         `json:"late"`
		NotApplicable int         `json:"notApplicable"`
		Before        int         `json:"before"`
		Gaps          []gapAnswer `json:"gaps"`
	}
	gapAnswer struct {
		From    string `json:"from"`
		To      string `json:"to"`
		Windows int    `json:"windows"`
		Verdict string `json:"verdict"`
		Cause   string `json:"cause"`
		Late    bool   `json:"late"`
		Why     string `json:"why"`
	}
)

func (w *Web) apiContinuity(rw http.ResponseWriter, r *http.Request) error {
	d, err := w.dutyWas(r)
	if err != nil {
		return err
	}
	list, from, to, err := w.windows(r, d, d.Rhythm())
	if err != nil {
		return err
	}
	sum := duties.Sum(list)
	gaps := []gapAnswer{}
	for _, g := range sum.Gaps {
		why, _ := w.Catalogue.Shown(w.views.lang(r), g.Why)
		gaps = append(gaps, gapAnswer{rfc(g.From), rfc(g.To), g.Windows, g.Verdict.String(), string(g.Cause), g.Late, why})
	}
	writeJSON(rw, http.StatusOK, continuityAnswer{rfc(from), rfc(to), d.Rhythm(), sum.Expected, sum.Covered,
		sum.Count[duties.Fulfilled], sum.Count[duties.NoOccasion], sum.Count[duties.Breached], sum.Count[duties.Unproven],
		sum.Late, sum.Count[duties.NotApplicable], sum.Before, gaps})
	return nil
}

// instant is the moment that a request asks for; zero without a word. Of today it is
// now; what is still to come has no verdict.
func (w *Web) instant(r *http.Request) (time.Time, error) {
	text := r.URL.Query().Get("at")
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		zone := orgOf(r.Context()).Location()
		at, err := time.ParseInLocation(layout, text, zone)
		if layout == time.DateOnly {
			at, err = duties.ParseDay(text, zone)
		}
		if err != nil {
			continue
		}
		now := w.Now()
		if layout == time.DateOnly && at.Before(now) {
			at = duties.Midnight(at, zone, 1).Add(-time.Millisecond) // as the day ended: what lapses with it has
			if at.After(now) {
				at = now
			}
		}
		if at.After(now.Add(clocksDiffer)) {
			return time.Time{}, &problem{status: http.StatusBadRequest, key: "future_moment", cause: fmt.Errorf("moment %q", text)}
		}
		return at, nil
	}
	return time.Time{}, &problem{status: http.StatusBadRequest, key: "bad_period", cause: fmt.Errorf("moment %q", text)}
}

// then gives the cells of a board as they stood at a moment, with those of services that
// were given up since.
func (w *Web) then(r *http.Request, cells []cell, at time.Time) ([]cell, error) {
	past, err := w.Store.History(r.Context(), orgOf(r.Context()).ID, "", at)
	if err != nil {
		return nil, err
	}
	lang := w.views.lang(r)
	cells = w.withGivenUp(lang, cells, past, at)
	for i := range cells {
		c := &cells[i]
		c.Verdict, c.Since, c.Why, c.Cure, c.Cause = duties.Unproven.String(), time.Time{}, w.views.plain[lang]["not_judged_then"], "", duties.CauseNotInstalled
		known, facts, ok := past[c.ID].At(at)
		if !ok {
			continue
		}
		c.Verdict, c.Since, c.Cause = known.Verdict.String(), known.At, known.Cause()
		c.Why, _ = w.Catalogue.Shown(lang, known.Why)
		if facts.Verdict != known.Verdict {
			why, _ := w.Catalogue.Shown(lang, facts.Why)
			c.Late = &factsAnswer{facts.Verdict.String(), why}
		}
	}
	return cells, nil
}

// withGivenUp adds the duties that stood on a board at a moment and no longer do.
func (w *Web) withGivenUp(lang string, cells []cell, past map[string]duties.Past, at time.Time) []cell {
	var out []cell
	for _, d := range w.Catalogue.Duties() {
		if i := slices.IndexFunc(cells, func(c cell) bool { return c.ID == d.ID }); i >= 0 {
			out = append(out, cells[i])
		} else if known, _, ok := past[d.ID].At(at); ok && known.Why.Key != duties.GivenUp().Key {
			out = append(out, w.cellOf(lang, d))
		}
	}
	return out
}

// stateAnswer is a board as it stood at a moment.
type stateAnswer struct {
	At     string       `json:"at"`
	Duties []dutyAnswer `json:"duties"`
}

func (w *Web) apiBoardAt(rw http.ResponseWriter, r *http.Request) error {
	at, err := w.instant(r)
	if err == nil {
		at, err = w.within(r.Context(), at)
	}
	if err != nil {
		return err
	}
	if at.IsZero() {
		at = w.Now()
	}
	cells, err := w.cells(r, orgOf(r.Context()))
	if err == nil {
		cells, err = w.then(r, cells, at)
	}
	if err != nil {
		return err
	}
	out := []dutyAnswer{}
	for _, c := range cells {
		out = append(out, answerOf(c))
	}
	writeJSON(rw, http.StatusOK, stateAnswer{rfc(at), out})
	return nil
}
