package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/attesto/attesto/server/duties"
)

// A strip shows every duty of a customer in one row: a group for each service, the
// provider's duties above the customer's. The worse a duty stands, the higher is its
// mark, so that colour is not the only sign.
type strip []stripPath

// stripPath draws the marks of one verdict, in units of a strip's own.
type stripPath struct{ Verdict, D string }

// A mark is a cell of stripCell by stripRow units, less a gap of 1.
const (
	stripCell  = 5
	stripRow   = 6
	stripBreak = 5 // between services
)

// stripHead is where the marks of a service stand.
type stripHead struct {
	Service  string
	X, Width int
}

// stripPlaces are the places of all duties: groups as wide as the list of the party
// that has more of them. It is the same for every customer.
type stripPlaces struct {
	heads []stripHead
	at    map[string][2]int // by duty
	order []string
	width int
}

func placesOf(c *duties.Catalogue) stripPlaces {
	p := stripPlaces{at: map[string][2]int{}}
	x := 0
	for _, s := range c.Services() {
		count := map[string]int{}
		for _, d := range c.Duties() {
			if d.Service != s {
				continue
			}
			y := 0
			if d.Party == duties.Customer {
				y = stripRow
			}
			p.at[d.ID] = [2]int{x + count[d.Party]*stripCell, y}
			p.order = append(p.order, d.ID)
			count[d.Party]++
		}
		width := max(count[duties.Provider], count[duties.Customer]) * stripCell
		p.heads = append(p.heads, stripHead{s, x, width})
		p.width = x + width
		x = p.width + stripBreak
	}
	return p
}

// markHeight is how high a mark is, in units.
func markHeight(verdict string) int {
	switch verdict {
	case duties.Breached.String():
		return 5
	case duties.Unproven.String():
		return 3
	case duties.Fulfilled.String():
		return 2
	}
	return 1
}

// draw makes a strip of a customer's verdicts; a duty without one is unproven.
func (p stripPlaces) draw(services []string, verdicts map[string]string, c *duties.Catalogue) strip {
	paths := map[string]*strings.Builder{}
	for _, id := range p.order {
		d, ok := c.Duty(id)
		if !ok || !slices.Contains(services, d.Service) {
			continue
		}
		v := verdicts[id]
		if v == "" {
			v = duties.Unproven.String()
		}
		if paths[v] == nil {
			paths[v] = &strings.Builder{}
		}
		at, h := p.at[id], markHeight(v)
		fmt.Fprintf(paths[v], "M%d %dh%dv%dh-%dz", at[0], at[1]+stripRow-1-h, stripCell-1, h, stripCell-1)
	}
	var out strip
	for _, v := range duties.Verdicts() {
		if b := paths[v.String()]; b != nil {
			out = append(out, stripPath{v.String(), b.String()})
		}
	}
	return out
}

// strips gives each row its strip.
func (w *Web) strips(r *http.Request, rows []customerRow) error {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.Org.ID
	}
	list, err := w.Store.BoardVerdicts(r.Context(), ids)
	if err != nil {
		return err
	}
	byOrg := map[string]map[string]string{}
	for _, v := range list {
		if byOrg[v.Org] == nil {
			byOrg[v.Org] = map[string]string{}
		}
		byOrg[v.Org][v.Duty] = v.Verdict
	}
	for i := range rows {
		rows[i].Strip = w.places.draw(rows[i].Org.Services, byOrg[rows[i].Org.ID], w.Catalogue)
	}
	return nil
}
