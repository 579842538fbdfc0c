package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// cell is a duty as the board shows it.
type cell struct {
	duties.Duty
	Name, Rhythm string // in the reader's language
	Verdict      string
	Since        time.Time
	Why, Cure    string
	Cause        duties.Cause
	Days         []dayRun     // the last ones, oldest first
	Late         *factsAnswer // of a past moment: what evidence that came late says of it, nil where it says the same
}

type serviceBlock struct {
	Service string
	Review  bool // the reader's party has something to look at here each day
	counts
	Parties []partyBlock
}

// partyBlock are the duties of one party in one service.
type partyBlock struct {
	counts
	Party, Owner string
	Duties       []cell
}

type boardBody struct {
	counts
	Show     string // the verdict that is shown alone, "" for all
	Services []serviceBlock
	Todo     []cell // what the reader's party should look at, worst first
	More     int    // how many more there are
	Log      logFoot
	Agents   int
	Fresh    bool       // nothing was judged yet
	At       time.Time  // the moment that is shown; zero for now
	AtText   string     // of the form
	Moments  []backThen // that are proposed, to look back at
}

// backThen is a moment to look back at.
type backThen struct {
	Name string // a day, week, month or year ago
	Text string // as the address has it
}

// Showing is the address of the board with the duties of one verdict, or all, at the
// moment that is shown.
func (b boardBody) Showing(verdict string) string {
	q := url.Values{}
	if verdict != "" {
		q.Set("show", verdict)
	}
	if b.AtText != "" {
		q.Set("at", b.AtText)
	}
	return "?" + q.Encode()
}

// moments are yesterday, a week and a month ago, as the day ended.
func moments(now time.Time, zone *time.Location) []backThen {
	day := now.In(zone)
	return []backThen{{"day", day.AddDate(0, 0, -1).Format(time.DateOnly)}, {"week", day.AddDate(0, 0, -7).Format(time.DateOnly)},
		{"month", day.AddDate(0, -1, 0).Format(time.DateOnly)}, {"year", day.AddDate(-1, 0, 0).Format(time.DateOnly)}}
}

// logFoot is the head of an organisation's log, at the foot of a page: whoever
// keeps it can prove later what the log was.
type logFoot struct {
	Origin string
	Size   int64
	Root   string
}

const maxTodo = 6

func (w *Web) board(rw http.ResponseWriter, r *http.Request) error {
	org := orgOf(r.Context())
	cells, err := w.cells(r, org)
	if err != nil {
		return err
	}
	p, err := w.Store.ProviderOrg(r.Context())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	body := boardBody{Moments: moments(w.Now(), org.Location()), Fresh: !slices.ContainsFunc(cells, func(c cell) bool { return !c.Since.IsZero() })}
	if cells, err = w.boardAt(r, cells, &body); err != nil {
		return err
	}
	if v, err := duties.ParseVerdict(r.FormValue("show")); err == nil {
		body.Show = v.String()
	}
	for _, s := range w.Catalogue.Services() {
		block := serviceBlock{Service: s, Parties: []partyBlock{{Party: duties.Provider, Owner: p.Name}}}
		if org.Kind == store.Customer {
			block.Parties = append(block.Parties, partyBlock{Party: duties.Customer, Owner: org.Name})
		}
		shown := 0
		for _, c := range cells {
			if c.Service != s {
				continue
			}
			block.Review = block.Review || c.Has(duties.ProofReview) && c.Party == org.Kind && viewerOf(r.Context()).actsFor(org.ID, org.Kind)
			block.add(c.Verdict, 1)
			body.add(c.Verdict, 1)
			party := &block.Parties[0]
			if c.Party != party.Party {
				party = &block.Parties[1]
			}
			party.add(c.Verdict, 1)
			if body.Show != "" && c.Verdict != body.Show {
				continue
			}
			party.Duties = append(party.Duties, c)
			shown++
		}
		if shown > 0 {
			body.Services = append(body.Services, block)
		}
	}
	body.todo(cells, viewerOf(r.Context()).runs())
	if body.Log, err = w.logFoot(r, org.ID); err != nil {
		return err
	}
	agents, err := w.Store.Agents(r.Context(), org.ID)
	if err != nil {
		return err
	}
	body.Agents = len(agents)
	return w.render(rw, r, http.StatusOK, "board", org.Name, body)
}

// boardAt gives the cells their last days or, where the request asks for a moment,
// what they were then.
func (w *Web) boardAt(r *http.Request, cells []cell, body *boardBody) ([]cell, error) {
	at, err := w.instant(r)
	if err == nil {
		at, err = w.within(r.Context(), at)
	}
	if err != nil {
		return nil, err
	}
	if !at.IsZero() {
		body.At, body.AtText = at, at.In(orgOf(r.Context()).Location()).Format("2006-01-02T15:04")
		return w.then(r, cells, at)
	}
	bars, err := w.bars(r, w.Catalogue.Duties())
	for i := range cells {
		cells[i].Days = bars[cells[i].ID]
	}
	return cells, err
}

// todo picks what the reader's party can mend, breaches first.
func (b *boardBody) todo(cells []cell, provider bool) {
	for _, c := range cells {
		open := c.Verdict == duties.Breached.String() || c.Verdict == duties.Unproven.String()
		if open && c.Cure != "" && (c.Party == duties.Provider) == provider {
			b.Todo = append(b.Todo, c)
		}
	}
	slices.SortStableFunc(b.Todo, func(x, y cell) int { return rank(x.Verdict) - rank(y.Verdict) })
	if len(b.Todo) > maxTodo {
		b.More, b.Todo = len(b.Todo)-maxTodo, b.Todo[:maxTodo]
	}
}

func rank(verdict string) int {
	if verdict == duties.Breached.String() {
		return 0
	}
	return 1
}

// shows reports whether a duty stands on an organisation's board: those of both
// parties in the services that a customer has, and its own on the provider's.
func shows(o store.Org, d duties.Duty) bool {
	if o.Kind == store.Provider {
		return d.Party == duties.Provider
	}
	return slices.Contains(o.Services, d.Service)
}

// cells are the duties of a board, with what was judged last. A duty that was
// never judged is unproven.
func (w *Web) cells(r *http.Request, org store.Org) ([]cell, error) {
	stored, err := w.Store.Board(r.Context(), org.ID)
	if err != nil {
		return nil, err
	}
	byDuty := map[string]store.Cell{}
	for _, c := range stored {
		byDuty[c.Duty] = c
	}
	lang := w.views.lang(r)
	var out []cell
	for _, d := range w.Catalogue.Duties() {
		if !shows(org, d) {
			continue
		}
		c := w.cellOf(lang, d)
		if s, ok := byDuty[d.ID]; ok {
			c.Verdict, c.Since, c.Cause = s.Verdict, s.Since, s.Cause
			c.Why, c.Cure = w.words(lang, s.Why)
		}
		out = append(out, c)
	}
	return out, nil
}

// cellOf is the cell of a duty that was never judged.
func (w *Web) cellOf(lang string, d duties.Duty) cell {
	return cell{Duty: d, Name: d.Title.In(lang), Rhythm: d.CadenceText.In(lang), Verdict: duties.Unproven.String(), Cause: duties.CauseNotInstalled, Why: w.views.plain[lang]["not_judged"]}
}

// words renders a stored message.
func (w *Web) words(lang, stored string) (why, cure string) {
	var m duties.Message
	if stored == "" || json.Unmarshal([]byte(stored), &m) != nil {
		return "", ""
	}
	return w.Catalogue.Shown(lang, m)
}

func (w *Web) logFoot(r *http.Request, org string) (logFoot, error) {
	st, err := w.Store.Log(r.Context(), org)
	if err != nil {
		return logFoot{}, err
	}
	return footOf(st), nil
}

func footOf(st ledger.State) logFoot { return logFoot{st.Origin, st.Size, st.Root.String()} }
