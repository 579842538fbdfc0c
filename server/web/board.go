package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// cell is a duty as the board shows it.
type cell struct {
	duties.Duty
	Name, Rhythm string // in the reader's language
	Verdict      string
	Since        time.Time
	Why, Cure    string
}

type serviceBlock struct {
	Service   string
	Providers []cell
	Customers []cell
}

type boardBody struct {
	counts
	Services []serviceBlock
	Todo     []cell // what the reader's party should look at, worst first
	More     int    // how many more there are
	Log      logFoot
	Agents   int
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
	if org.Kind == store.Provider {
		http.Redirect(rw, r, "/", http.StatusSeeOther)
		return nil
	}
	cells, err := w.cells(r, org)
	if err != nil {
		return err
	}
	body := boardBody{}
	blocks := map[string]*serviceBlock{}
	for _, s := range duties.Services() {
		blocks[s] = &serviceBlock{Service: s}
	}
	party := duties.Customer
	if viewerOf(r.Context()).runs() {
		party = duties.Provider
	}
	for _, c := range cells {
		body.add(c.Verdict, 1)
		b := blocks[c.Service]
		if c.Party == duties.Provider {
			b.Providers = append(b.Providers, c)
		} else {
			b.Customers = append(b.Customers, c)
		}
		if c.Party == party && (c.Verdict == duties.Breached.String() || c.Verdict == duties.Unproven.String()) && c.Cure != "" {
			body.Todo = append(body.Todo, c)
		}
	}
	for _, s := range duties.Services() {
		body.Services = append(body.Services, *blocks[s])
	}
	slices.SortStableFunc(body.Todo, func(a, b cell) int {
		return rank(a.Verdict) - rank(b.Verdict)
	})
	if len(body.Todo) > maxTodo {
		body.More = len(body.Todo) - maxTodo
		body.Todo = body.Todo[:maxTodo]
	}
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

func rank(verdict string) int {
	if verdict == duties.Breached.String() {
		return 0
	}
	return 1
}

// cells are all duties of the services that an organisation has, with what was
// judged last. A duty that was never judged is unproven.
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
		if !slices.Contains(org.Services, d.Service) {
			continue
		}
		c := cell{Duty: d, Name: d.Title.In(lang), Rhythm: d.CadenceText.In(lang), Verdict: duties.Unproven.String()}
		if s, ok := byDuty[d.ID]; ok {
			c.Verdict, c.Since = s.Verdict, s.Since
			c.Why, c.Cure = w.words(lang, s.Why)
		}
		out = append(out, c)
	}
	return out, nil
}

// words renders a stored message.
func (w *Web) words(lang, stored string) (why, cure string) {
	var m duties.Message
	if stored == "" || json.Unmarshal([]byte(stored), &m) != nil {
		return "", ""
	}
	return w.Catalogue.Render(lang, m)
}

func (w *Web) logFoot(r *http.Request, org string) (logFoot, error) {
	st, err := w.Store.Log(r.Context(), org)
	if err != nil {
		return logFoot{}, err
	}
	return logFoot{st.Origin, st.Size, st.Root.String()}, nil
}
