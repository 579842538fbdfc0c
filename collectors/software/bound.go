package software

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/attesto/attesto/evidence"
)

// Budgets of the facts' parts, in bytes of JSON, so that all together stay below
// evidence.MaxBlob. What waits comes before what is installed.
const (
	pendingBudget = 512 << 10
	siteBudget    = 256 << 10
	totalBudget   = evidence.MaxBlob - 128<<10
	gapBudget     = 100
)

// bound cuts the inventory, and if need be the updates that are not for security,
// and says so.
func (l *look) bound() {
	if n := len(l.gaps) - gapBudget; n > 0 {
		l.gaps = append(l.gaps[:gapBudget:gapBudget], evidence.Gap{What: "gaps", Why: fmt.Sprintf("%d more", n)})
	}
	spent := 0
	var security, rest []evidence.Update
	for _, u := range l.pending {
		if u.Security {
			security = append(security, u)
		} else {
			rest = append(rest, u)
		}
	}
	if fit(security, &spent, pendingBudget)+fit(rest, &spent, pendingBudget) < len(l.pending) {
		spent = 0
		security = security[:fit(security, &spent, pendingBudget)]
		rest = rest[:fit(rest, &spent, pendingBudget)]
		l.gap("pending updates", "%d of %d are left out: there are too many to send", len(l.pending)-len(security)-len(rest), len(l.pending))
		l.pending = append(security, rest...)
	}
	if l.web != nil {
		if n := fit(l.web.Sites, &spent, pendingBudget+siteBudget); n < len(l.web.Sites) {
			l.gap(webGap, "the last %d of %d are left out: there are too many to send", len(l.web.Sites)-n, len(l.web.Sites))
			l.web.Sites = l.web.Sites[:n]
		}
	}
	if n := fit(l.packages, &spent, totalBudget); n < len(l.packages) {
		l.gap("installed packages", "the last %d of %d are left out of the inventory: there are too many to send", len(l.packages)-n, len(l.packages))
		l.packages = l.packages[:n]
	}
}

// fit counts the elements of list that fit into what is left of budget.
func fit[T any](list []T, spent *int, budget int) int {
	for i, e := range list {
		b, err := json.Marshal(e)
		if err != nil || *spent+len(b)+1 > budget {
			return i
		}
		*spent += len(b) + 1
	}
	return len(list)
}

// clip makes foreign text fit for facts: one line, printable, at most 200 bytes.
func clip(s string) string { return clipTo(s, 200) }

func clipTo(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
