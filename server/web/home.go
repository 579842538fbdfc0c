package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// counts are an organisation's duties by verdict.
type counts struct {
	Breached, Unproven, Fulfilled, NoOccasion, NotApplicable int
}

func (c *counts) add(verdict string, n int) {
	switch verdict {
	case duties.Breached.String():
		c.Breached += n
	case duties.Fulfilled.String():
		c.Fulfilled += n
	case duties.NoOccasion.String():
		c.NoOccasion += n
	case duties.NotApplicable.String():
		c.NotApplicable += n
	default:
		c.Unproven += n
	}
}

// share is one verdict's part of all duties; From and Count are its place in a bar.
type share struct {
	Verdict     string
	From, Count int
}

// Shares are the counts as a bar shows them, worst first.
func (c counts) Shares() []share {
	list := []share{{"breached", 0, c.Breached}, {"unproven", 0, c.Unproven}, {"fulfilled", 0, c.Fulfilled}, {"no_occasion", 0, c.NoOccasion},
		{"not_applicable", 0, c.NotApplicable}}
	from := 0
	for i := range list {
		list[i].From, from = from, from+list[i].Count
	}
	return slices.DeleteFunc(list, func(s share) bool {
		return s.Count == 0 && (s.Verdict == "no_occasion" || s.Verdict == "not_applicable")
	})
}

// All counts the duties.
func (c counts) All() int {
	return c.Breached + c.Unproven + c.Fulfilled + c.NoOccasion + c.NotApplicable
}

type customerRow struct {
	Org store.Org
	counts
	Strip strip
}

type homeBody struct {
	Query, Show, Service string
	Rows                 []customerRow
	All                  int // customers, whatever is asked for
	Breaching, Open, Met int // of them: with a breach; without one, but unproven; neither
	Heads                []stripHead
	Width                int // of a strip
	paging
}

// perPage is how many customers stand on a page.
const perPage = 50

// home shows the provider's staff, and whoever belongs to several organisations,
// their customers, worst first. It sends everybody else to their only page.
func (w *Web) home(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	rows, err := w.customers(r)
	if err != nil {
		return err
	}
	if !v.runs() && len(rows) == 1 {
		http.Redirect(rw, r, "/orgs/"+rows[0].Org.ID+"/board", http.StatusSeeOther)
		return nil
	}
	if own := v.orgs(); !v.runs() && len(rows) == 0 {
		if len(own) == 0 {
			return forbidden()
		}
		http.Redirect(rw, r, "/orgs/"+own[0]+"/board", http.StatusSeeOther)
		return nil
	}
	body := homeBody{Query: strings.TrimSpace(r.FormValue("q")), Show: r.FormValue("show"), Service: r.FormValue("service"), All: len(rows), Heads: w.places.heads, Width: w.places.width}
	if !slices.Contains(w.Catalogue.Services(), body.Service) {
		body.Service = ""
	}
	body.pick(rows)
	body.paging = turn(pageAsked(r), perPage, len(body.Rows))
	body.Rows = body.Rows[body.First-1 : body.Last]
	if err := w.strips(r, body.Rows); err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "home", "home_title", body)
}

// pick keeps the customers that are asked for, and counts them all by their worst.
func (b *homeBody) pick(rows []customerRow) {
	if !slices.Contains([]string{"breached", "unproven", "fulfilled"}, b.Show) {
		b.Show = ""
	}
	for _, row := range rows {
		worst := "fulfilled"
		switch {
		case row.Breached > 0:
			worst = "breached"
			b.Breaching++
		case row.Unproven > 0:
			worst = "unproven"
			b.Open++
		default:
			b.Met++
		}
		if (b.Show == "" || b.Show == worst) && (b.Service == "" || slices.Contains(row.Org.Services, b.Service)) &&
			strings.Contains(strings.ToLower(row.Org.Name), strings.ToLower(b.Query)) {
			b.Rows = append(b.Rows, row)
		}
	}
}

// With is the address of the same list with one thing changed.
func (b homeBody) With(name string, value any) string {
	return "/" + asking(map[string]string{"q": b.Query, "show": b.Show, "service": b.Service}, name, value)
}

// customers are those that the viewer sees. A duty that was never judged is
// unproven.
func (w *Web) customers(r *http.Request) ([]customerRow, error) {
	orgs, err := w.Store.Orgs(r.Context())
	if err != nil {
		return nil, err
	}
	tallies, err := w.Store.Tallies(r.Context())
	if err != nil {
		return nil, err
	}
	byOrg := map[string]*counts{}
	for _, t := range tallies {
		if byOrg[t.Org] == nil {
			byOrg[t.Org] = &counts{}
		}
		byOrg[t.Org].add(t.Verdict, t.Duties)
	}
	perService := map[string]int{}
	for _, d := range w.Catalogue.Duties() {
		perService[d.Service]++
	}
	rows := []customerRow{}
	for _, o := range orgs {
		if o.Kind != store.Customer || !viewerOf(r.Context()).sees(o.ID) {
			continue
		}
		row := customerRow{Org: o}
		if c := byOrg[o.ID]; c != nil {
			row.counts = *c
		}
		due := 0
		for _, s := range o.Services {
			due += perService[s]
		}
		row.Unproven += max(0, due-row.All())
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b customerRow) int {
		return cmp.Or(cmp.Compare(b.Breached, a.Breached), cmp.Compare(b.Unproven, a.Unproven), cmp.Compare(a.Org.Name, b.Org.Name))
	})
	return rows, nil
}
