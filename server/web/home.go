package web

import (
	"cmp"
	"net/http"
	"slices"

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

type customerRow struct {
	Org store.Org
	counts
}

// home sends a customer's member to their board, and shows the provider's staff
// all customers, worst first.
func (w *Web) home(rw http.ResponseWriter, r *http.Request) error {
	v := viewerOf(r.Context())
	if v.staff == "" {
		for org := range v.roles {
			http.Redirect(rw, r, "/orgs/"+org+"/board", http.StatusSeeOther)
			return nil
		}
		return forbidden()
	}
	rows, err := w.customers(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "home", "home_title", rows)
}

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
	rows := []customerRow{}
	for _, o := range orgs {
		if o.Kind != store.Customer {
			continue
		}
		row := customerRow{Org: o}
		if c := byOrg[o.ID]; c != nil {
			row.counts = *c
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b customerRow) int {
		return cmp.Or(cmp.Compare(b.Breached, a.Breached), cmp.Compare(b.Unproven, a.Unproven), cmp.Compare(a.Org.Name, b.Org.Name))
	})
	return rows, nil
}
