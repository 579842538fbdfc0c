package web

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// toldWord is one thing that a line of the trail is about, as the log has it: codes and
// names, which pages put into the reader's words.
type toldWord struct{ Key, Text string }

// told are the words of a detail that the trail shows, in this order.
var told = []string{"email", "role", "name", "part", "value", "title", "workflow", "step", "service", "services", "refused", "first", "last", "via", "from", "to", "browser", "scopes",
	"kind", "target", "after", "host", "agent", "case", "alert"}

func (r activityRow) told(key string) string {
	i := slices.IndexFunc(r.Told, func(t toldWord) bool { return t.Key == key })
	if i < 0 {
		return ""
	}
	return r.Told[i].Text
}

func (r *activityRow) tell(key, text string) {
	if text = strings.TrimSpace(text); text != "" && r.told(key) == "" {
		r.Told = append(r.Told, toldWord{key, text})
	}
}

// saidIn reads what stands beside a line of the trail, as long as it was not erased.
func (w *Web) saidIn(ctx context.Context, at store.Place, row *activityRow) error {
	blob, err := w.Store.Blob(ctx, at)
	if errors.Is(err, store.ErrNotFound) || err == nil && blob.Data == nil {
		row.Erased = err == nil
		return nil
	}
	if err != nil {
		return err
	}
	raw, err := evidence.ParseDetailBlob(blob.Data)
	if err != nil {
		return nil //nolint:nilerr // the row says what is known
	}
	said := map[string]any{}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil //nolint:nilerr // likewise
	}
	for _, key := range told {
		switch v := said[key].(type) {
		case string:
			row.tell(key, v)
		case []any:
			var list []string
			for _, one := range v {
				if text, ok := one.(string); ok {
					list = append(list, text)
				}
			}
			row.tell(key, strings.Join(list, ","))
		}
	}
	return nil
}

// named adds the names of what a line of the trail names by id. What is gone has none.
func (w *Web) named(ctx context.Context, row *activityRow) error {
	var errs []error
	if id := row.told("agent"); id != "" {
		a, err := w.Store.Agent(ctx, id)
		row.tell("host", a.Name)
		errs = append(errs, err)
	}
	if id := row.told("case"); id != "" {
		c, err := w.Store.Case(ctx, id)
		row.tell("title", c.Title)
		errs = append(errs, err)
	}
	if id := row.told("alert"); id != "" {
		a, err := w.Store.Alert(ctx, id)
		row.tell("duty", a.Duty)
		row.tell("name", a.Name)
		errs = append(errs, err)
	}
	by, err := w.actorOf(ctx, row.By.ID)
	row.By = by
	for _, err := range append(errs, err) {
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Told writes what a line of the trail is about, in the reader's language.
func (p page) Told(row activityRow) []string {
	var out []string
	for _, t := range row.Told {
		if text := p.told(row, t); text != "" {
			out = append(out, short(text))
		}
	}
	return out
}

func (p page) told(row activityRow, t toldWord) string {
	figure := row.Event == eventFigure
	switch t.Key {
	case "role", "via", "service":
		return p.Word(t.Key, t.Text)
	case "after":
		n, _ := strconv.Atoi(t.Text)
		words, _ := p.T("after_hours", "Count", n)
		return words
	case "kind":
		return p.Word("channel", t.Text)
	case "basis":
		return p.Word("basis", t.Text)
	case "reason":
		if row.Event == eventAnew {
			return p.Word("anew", t.Text)
		}
		return p.Word("reason", t.Text)
	case "scopes":
		return p.scopes(t.Text)
	case "services":
		var list []string
		for s := range strings.SplitSeq(t.Text, ",") {
			list = append(list, p.Word("service", s))
		}
		return strings.Join(list, ", ")
	case "duty":
		return p.dutyTold(t.Text)
	case "workflow", "step":
		return p.stepTold(row, t.Key)
	case "name":
		if figure {
			return p.figureTold(row)
		}
	case "refused":
		n, _ := strconv.Atoi(t.Text)
		words, _ := p.T("refused_count", "Count", n)
		return words
	case "first":
		words, _ := p.T("refused_between", "First", p.momentTold(t.Text), "Last", p.momentTold(row.told("last")))
		return words
	case "part", "value", "last":
		return ""
	case "from", "to":
		return p.momentTold(t.Text)
	case "agent":
		if row.told("host") != "" {
			return ""
		}
	case "case", "alert":
		return ""
	}
	return t.Text
}

func (p page) scopes(text string) string {
	read, _ := p.T("scope_read")
	list := []string{read}
	for _, s := range (store.APIToken{Scopes: text}).May() {
		list = append(list, p.Word("scope", s))
	}
	return strings.Join(list, ", ")
}

// momentTold writes a moment as people do; an address stands for itself.
func (p page) momentTold(text string) string {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return p.When(at)
	}
	return text
}

func (p page) dutyTold(id string) string {
	if d, ok := p.catalogue.Duty(id); ok {
		return d.Title.In(p.Lang) + " (" + id + ")"
	}
	return id
}

// stepTold is what was done in a case: the step, or the workflow where there is none.
func (p page) stepTold(row activityRow, key string) string {
	f, ok := p.catalogue.Workflow(row.told("workflow"))
	if !ok {
		return row.told(key)
	}
	s, step := f.Step(row.told("step"))
	switch {
	case key == "step" && step:
		return s.Title.In(p.Lang)
	case key == "step":
		return row.told(key)
	case step:
		return "" // its title says more
	}
	return f.Title.In(p.Lang)
}

// figureTold is a parameter that was set, and to what.
func (p page) figureTold(row activityRow) string {
	name, value := row.told("name"), row.told("value")
	n, err := strconv.ParseFloat(value, 64)
	d, _ := p.catalogue.Duty(row.told("duty"))
	for _, part := range d.Parts {
		f, ok := part.Params[name]
		if !ok || part.Name != row.told("part") {
			continue
		}
		if name = f.Title.In(p.Lang); err == nil {
			value, _ = p.Figure(n, f.Unit)
		}
	}
	if d.ID == "" { // of the organisation as a whole: a yes or a no
		name = p.Word("param", name)
		value, _ = p.Figure(n, duties.UnitFlag)
	}
	if err != nil {
		value, _ = p.T("figure_default")
	}
	return name + ": " + value
}
