package web

import "time"

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
