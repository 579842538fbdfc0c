package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// figureService are the figures by which the duties of a service are judged.
type figureService struct {
	Service string
	Duties  []figureDuty
}

type figureDuty struct {
	ID, Name string
	Figures  []figure
}

// figure is a parameter of a duty's part, as it is in force for an organisation.
type figure struct {
	PartName, Key    string // as the catalogue has them
	Part, Name, Unit string // in the reader's language
	Value, Default   float64
	Min, Max         float64
	Source           string
	Set              bool // by the organisation: else it is the catalogue's
}

// figureTurn is when a figure was set, and by whom.
type figureTurn struct {
	Name, Unit, By string
	At             time.Time
	Default        bool // it was set back to the catalogue's
	Value          float64
}

// owner is the organisation that owes a duty of a board.
func (w *Web) owner(r *http.Request, d duties.Duty) (store.Org, error) {
	org := orgOf(r.Context())
	if d.Party != duties.Provider || org.Kind == store.Provider {
		return org, nil
	}
	p, err := w.Store.ProviderOrg(r.Context())
	if errors.Is(err, store.ErrNotFound) {
		return org, nil
	}
	return p, err
}

// figures lists by which figures the duties of an organisation's board are judged.
func (w *Web) figures(r *http.Request) ([]figureService, error) {
	org, lang := orgOf(r.Context()), w.views.lang(r)
	set := map[string]map[string]map[string]duties.Params{} // by organisation
	var out []figureService
	for _, d := range w.Catalogue.Duties() {
		if !shows(org, d) {
			continue
		}
		o, err := w.owner(r, d)
		if err != nil {
			return nil, err
		}
		if set[o.ID] == nil {
			if set[o.ID], err = w.Store.Params(r.Context(), o.ID); err != nil {
				return nil, err
			}
		}
		list := figuresOf(d, lang, set[o.ID][d.ID])
		if len(list) == 0 {
			continue
		}
		if n := len(out) - 1; n < 0 || out[n].Service != d.Service {
			out = append(out, figureService{Service: d.Service})
		}
		s := &out[len(out)-1]
		s.Duties = append(s.Duties, figureDuty{d.ID, d.Title.In(lang), list})
	}
	return out, nil
}

func figuresOf(d duties.Duty, lang string, set map[string]duties.Params) []figure {
	var out []figure
	for _, p := range d.Parts {
		var part []figure
		for key, f := range p.Params {
			g := figure{PartName: p.Name, Key: key, Part: p.Title.In(lang), Name: f.Title.In(lang), Unit: f.Unit, Value: f.Default, Default: f.Default,
				Min: f.Min, Max: f.Max, Source: f.Source.In(lang)}
			if v, ok := set[p.Name][key]; ok && f.Allows(v) == nil {
				g.Value, g.Set = v, true
			}
			part = append(part, g)
		}
		slices.SortFunc(part, func(a, b figure) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, part...)
	}
	return out
}

// dutyFigures adds to a duty's page its figures and what they were.
func (w *Web) dutyFigures(r *http.Request, body *dutyBody) error {
	ctx, lang := r.Context(), w.views.lang(r)
	o, err := w.owner(r, body.Duty)
	if err != nil {
		return err
	}
	all, err := w.Store.ParamsSet(ctx, o.ID)
	if err != nil {
		return err
	}
	set := map[string]duties.Params{}
	for _, p := range all {
		if p.Duty != body.ID {
			continue
		}
		if set[p.Part] == nil {
			set[p.Part] = duties.Params{}
		}
		t := figureTurn{Name: p.Name, At: p.At, Default: p.Value == nil}
		if delete(set[p.Part], p.Name); p.Value != nil {
			t.Value, set[p.Part][p.Name] = *p.Value, *p.Value
		}
		if viewerOf(ctx).sees(o.ID) && p.User != "" {
			t.By = w.nameOf(ctx, p.User)
		}
		for _, part := range body.Duty.Parts {
			if f, ok := part.Params[p.Name]; ok && part.Name == p.Part {
				t.Name, t.Unit = f.Title.In(lang), f.Unit
			}
		}
		body.FigureTurns = append(body.FigureTurns, t)
	}
	slices.Reverse(body.FigureTurns)
	body.Figures = figuresOf(body.Duty, lang, set)
	body.MaySet = o.ID == orgOf(ctx).ID && viewerOf(ctx).actsFor(o.ID, body.Party)
	return nil
}

// setFigure sets a figure of a duty that the organisation of the board owes; an empty
// value sets it back.
func (w *Web) setFigure(rw http.ResponseWriter, r *http.Request) error {
	d, err := w.dutyAt(r)
	if err != nil {
		return err
	}
	org := orgOf(r.Context())
	if o, err := w.owner(r, d); err != nil || o.ID != org.ID {
		return errors.Join(err, notFound())
	}
	p := store.Param{Org: org.ID, Duty: d.ID, Part: r.PostFormValue("part"), Name: r.PostFormValue("name"), User: viewerOf(r.Context()).id()}
	i := slices.IndexFunc(d.Parts, func(part duties.Part) bool { return part.Name == p.Part })
	if i < 0 {
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	f, ok := d.Parts[i].Params[p.Name]
	if !ok {
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	if text := strings.TrimSpace(strings.Replace(r.PostFormValue("value"), ",", ".", 1)); text != "" {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || f.Allows(v) != nil {
			return &problem{status: http.StatusBadRequest, key: "bad_figure"}
		}
		p.Value = &v
	}
	if err := w.SetParam(r.Context(), p); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+org.ID+"/duties/"+d.ID+"#figures", http.StatusSeeOther)
	return nil
}
