package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CaseAsk says which cases are asked for.
type CaseAsk struct {
	Org         string    // of all when empty
	Workflow    string    // of any when empty
	Text        string    // in the title, in any case of letters; any when empty
	From, Until time.Time // when they were opened; zero for no bound
	Open, Ended bool
	Skip, Limit int
}

// CaseCount is how many cases are open and how many have ended.
type CaseCount struct{ Open, Ended int64 }

// CountCases counts those that fit, whichever of both are asked for.
func (r Reader) CountCases(ctx context.Context, ask CaseAsk) (n CaseCount, err error) {
	where, args := ask.where()
	err = each(ctx, r, "counting cases", `SELECT COUNT(CASE WHEN closed = 0 THEN 1 END), COUNT(CASE WHEN closed > 0 THEN 1 END) FROM case_file WHERE `+where, args,
		func(row func(...any) error) error { return row(&n.Open, &n.Ended) })
	return n, err
}

// CasePage lists those that are asked for: open ones, of which there are so many, first and
// of these the oldest, then those that ended last.
func (r Reader) CasePage(ctx context.Context, ask CaseAsk, open int64) (list []Case, err error) {
	where, args := ask.where()
	part := func(state, order string, skip, limit int64) error {
		bounds := ` LIMIT $` + strconv.Itoa(len(args)+1) + ` OFFSET $` + strconv.Itoa(len(args)+2)
		more, err := r.cases(ctx, state+` AND `+where+` ORDER BY `+order+bounds, append(slices.Clone(args), limit, skip)...)
		list = append(list, more...)
		return err
	}
	skip, limit := int64(ask.Skip), int64(ask.Limit)
	if !ask.Open {
		open = 0
	}
	if skip < open {
		if err := part(`closed = 0`, `opened, id`, skip, limit); err != nil {
			return nil, err
		}
	}
	if limit -= int64(len(list)); ask.Ended && limit > 0 {
		err = part(`closed > 0`, `closed DESC, id`, max(0, skip-open), limit)
	}
	return list, err
}

// smallTitle is a title in small letters. LOWER of SQLite, and of PostgreSQL in the locale
// C, knows those of ASCII alone.
func smallTitle() string {
	text := `LOWER(title)`
	for _, r := range "ÀÁÂÄÇÈÉÊËÌÍÎÏÑÒÓÔÖÙÚÛÜ" {
		text = `REPLACE(` + text + `, '` + string(r) + `', '` + strings.ToLower(string(r)) + `')`
	}
	return text
}

// where is the condition on all but whether they are open.
func (a CaseAsk) where() (text string, args []any) {
	var parts []string
	add := func(part string, arg any) {
		args = append(args, arg)
		parts = append(parts, strings.ReplaceAll(part, "?", "$"+strconv.Itoa(len(args))))
	}
	if a.Org != "" {
		add(`org_id = ?`, a.Org)
	}
	if a.Workflow != "" {
		add(`workflow = ?`, a.Workflow)
	}
	if a.Text != "" {
		add(smallTitle()+` LIKE ? ESCAPE '!'`, "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(a.Text))+"%")
	}
	if !a.From.IsZero() {
		add(`opened >= ?`, Micros(a.From))
	}
	if !a.Until.IsZero() {
		add(`opened < ?`, Micros(a.Until))
	}
	return strings.Join(append(parts, "1 = 1"), " AND "), args
}
