package web

import (
	"slices"
	"testing"
	"time"
)

// Patterns lists every way in, for the test that walks them.
func Patterns() []string {
	var list []string
	for _, r := range routes {
		list = append(list, r.pattern)
	}
	return list
}

// Inert and Local are tried directly.
var (
	Inert = inert
	Local = local
)

// Limits is the guessing limit over a clock of the test's own.
type Limits struct{ l *limits }

func NewLimits(now func() time.Time) Limits    { return Limits{newLimits(now)} }
func (l Limits) Allow(addr, email string) bool { return l.l.allow(addr, email) }
func (l Limits) Passed(addr, email string)     { l.l.passed(addr, email) }
func (l Limits) Remembered() int               { return len(l.l.counts) + len(l.l.older) + len(l.l.known) }
func PasswordHolds(password, hash string) bool { return passwordHolds(password, hash) }

// Plant makes holes in the table of routes until the test ends, each in another way,
// and returns where.
func Plant(t *testing.T) []string {
	holes := map[string]grant{"GET /orgs/{org}/users": manageOrg, "POST /orgs/{org}/users/{user}/role": seeOrg, "GET /orgs/{org}/cases": seeDated,
		"POST /orgs/{org}/agents/token": seeOrg, "GET /customers/new": person, "GET /api/v1/orgs/{org}/agents": seeRecord, "GET /settings": anyone}
	was := routes
	routes = slices.Clone(routes)
	t.Cleanup(func() { routes = was })
	var list []string
	for i, r := range routes {
		if g, ok := holes[r.pattern]; ok {
			routes[i].grant = g
			list = append(list, r.pattern)
		}
	}
	if len(list) != len(holes) {
		t.Fatalf("holes in %v", list)
	}
	return list
}
