package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

type casesBody struct {
	Show, Query, Workflow string // Show: "open" or "ended", "" for both
	Workflows             []workflowBody
	Cases                 []caseRow
	Waiting, Ended, All   int64          // of those that fit, whichever are shown
	Open                  []workflowBody // what the reader may open here
	Many                  bool           // of several organisations
	paging
}

// With is the address of the same list with something else asked for.
func (b casesBody) With(name string, value any) string {
	return asking(map[string]string{"show": b.Show, "q": b.Query, "workflow": b.Workflow}, name, value)
}

// Asked reports whether only some cases are asked for.
func (b casesBody) Asked() bool { return b.Show != "" || b.Query != "" || b.Workflow != "" }

type caseRow struct {
	store.Case
	OrgName, Name string
	Waits         string // name of the step that it waits for; "" once it is closed
	Party         string
	Due           time.Time
	Overdue       bool
}

type workflowBody struct {
	ID, Name, About string
	Services        []string
}

// casesPerPage is how many cases stand on a page.
const casesPerPage = 100

func (w *Web) cases(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.casesOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "cases", "cases_title", body)
}

// casesOf lists an organisation's cases; those of all customers on the provider's
// page, for who sees them.
func (w *Web) casesOf(r *http.Request) (casesBody, error) {
	ctx, org, lang := r.Context(), orgOf(r.Context()), w.views.lang(r)
	of := org.ID
	body := casesBody{Show: r.FormValue("show"), Query: strings.TrimSpace(r.FormValue("q")), Workflow: r.FormValue("workflow"),
		Many: org.Kind == store.Provider && viewerOf(ctx).all != ""}
	if body.Many {
		of = ""
	}
	ask := store.CaseAsk{Org: of, Workflow: body.Workflow, Text: body.Query, Open: body.Show != "ended", Ended: body.Show != "open", Limit: casesPerPage}
	ask.From, ask.Until = viewerOf(ctx).span(org.ID)
	n, err := w.Store.CountCases(ctx, ask)
	if err != nil {
		return body, err
	}
	body.Waiting, body.Ended, body.All = n.Open, n.Ended, n.Open+n.Ended
	found := body.All
	switch body.Show {
	case "open":
		found = n.Open
	case "ended":
		found = n.Ended
	}
	body.paging = turn(pageAsked(r), casesPerPage, int(found))
	ask.Skip = body.First - 1
	stored, err := w.Store.CasePage(ctx, ask, n.Open)
	if err != nil {
		return body, err
	}
	orgs, err := w.Store.Orgs(ctx)
	if err != nil {
		return body, err
	}
	names := map[string]string{}
	for _, o := range orgs {
		names[o.ID] = o.Name
	}
	times := w.agreed(ctx)
	for _, c := range stored {
		row, err := w.rowOf(lang, c, names[c.Org], times)
		if err != nil {
			return body, err
		}
		body.Cases = append(body.Cases, row)
	}
	slices.SortStableFunc(body.Cases, func(a, b caseRow) int { return urgency(b) - urgency(a) })
	for _, f := range w.Catalogue.Workflows() {
		body.Workflows = append(body.Workflows, workflowBody{ID: f.ID, Name: f.Title.In(lang)})
		if services := common(f.Services(), w.servicesOf(org)); f.With(org.Kind == store.Provider) && viewerOf(ctx).opens(org, f) && len(services) > 0 {
			body.Open = append(body.Open, workflowBody{f.ID, f.Title.In(lang), f.About.In(lang), services})
		}
	}
	return body, nil
}

// urgency puts overdue cases first and closed ones last.
func urgency(c caseRow) int {
	switch {
	case c.Overdue:
		return 2
	case c.Waits != "":
		return 1
	}
	return 0
}

func common(a, b []string) []string {
	return slices.DeleteFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// agreed gives a case's workflow the times that hold in it.
type agreed func(f duties.Workflow, c store.Case) (duties.Workflow, error)

// agreed reads the times of a party once, however many cases it has. The provider's are its
// own, whatever customer a case is about.
func (w *Web) agreed(ctx context.Context) agreed {
	sets := map[string]map[string]map[string]duties.Params{} // by organisation and duty
	return func(f duties.Workflow, c store.Case) (duties.Workflow, error) {
		provider, err := w.Store.ProviderOrg(ctx)
		for _, org := range []string{provider.ID, c.Org} {
			if err == nil && sets[org] == nil {
				sets[org], err = w.Store.Params(ctx, org)
			}
		}
		return w.Catalogue.Agreed(f, c.Service, func(duty string) map[string]duties.Params {
			if d, _ := w.Catalogue.Duty(duty); d.Party == duties.Provider {
				return sets[provider.ID][duty]
			}
			return sets[c.Org][duty]
		}), err
	}
}

func (w *Web) rowOf(lang string, c store.Case, org string, times agreed) (caseRow, error) {
	row := caseRow{Case: c, OrgName: org, Name: c.Workflow}
	f, ok := w.Catalogue.Workflow(c.Workflow)
	if !ok {
		return row, nil
	}
	f, err := times(f, c)
	if err != nil {
		return row, err
	}
	row.Name = f.Title.In(lang)
	if step, due, waits := judgedCase(c).Next(f); waits {
		row.Waits, row.Party, row.Due, row.Overdue = step.Title.In(lang), step.Party, due, !w.Now().Before(due)
	}
	return row, nil
}

// judgedCase is a case as far as its times go.
func judgedCase(c store.Case) duties.Case {
	k := duties.Case{Opened: c.Opened, Since: c.Since, Closed: c.Closed}
	for _, s := range c.Steps {
		k.Steps = append(k.Steps, duties.Done{Step: s.Step, At: s.At})
	}
	return k
}

type caseBody struct {
	caseRow
	About   string
	Opening saidBody
	Steps   []stepBody

	Read      *saidBody // by the party that did not open it; nil until then
	ReadAfter int       // so many steps

	Next      *stepBody // that the reader may take
	MaySkip   bool
	Withdraw  bool // the reader may withdraw the case
	Duties    []duties.Duty
	Hosts     []string    // that may be meant
	HostsMore bool        // than these
	Unread    bool        // not all hosts could be asked
	PassTo    []store.Org // whom the reader may pass it on to
	Passed    []caseRow   // what it was passed on as
	Log       logFoot
}

type stepBody struct {
	ID, Name, Party string
	Due             time.Time
	Taken, Skipped  bool
	Late            bool
	saidBody
}

// saidBody is what somebody said, with its place in the log.
type saidBody struct {
	At           time.Time
	By, Text     string
	How          string // of actor: what is no person's account
	File         string
	Erased       bool
	Epoch, Index int64
}

func (w *Web) oneCase(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.caseOf(r)
	if err != nil {
		return err
	}
	if err := w.render(rw, r, http.StatusOK, "case", body.Title, body); err != nil {
		return err
	}
	if err := w.readCase(r, body.Case); err != nil { // the page is out
		w.Log.ErrorContext(r.Context(), "a case was read, which could not be put on record", "case", body.ID, "err", err)
	}
	return nil
}

// recordTimeout bounds what is recorded after a page is out: whoever closes it in the
// meantime has seen it.
const recordTimeout = 10 * time.Second

// readCase has it recorded when somebody of the party that did not open a case has read
// it, the first time, unless the log may not be continued.
func (w *Web) readCase(r *http.Request, c store.Case) error {
	if !looked(r) || !c.Read.At.IsZero() || !c.Closed.IsZero() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), recordTimeout)
	defer cancel()
	opener, err := w.opener(ctx, c)
	if err != nil || !viewerOf(ctx).other(orgOf(ctx), opener) {
		return err
	}
	if stopped, err := w.ReadOnly(ctx, c.Org); err != nil || stopped {
		return err
	}
	return w.ReadCase(ctx, c.Org, c.ID, viewerOf(ctx).id())
}

// opener is the party that opened a case; "" where nobody can tell.
func (w *Web) opener(ctx context.Context, c store.Case) (string, error) {
	f, _ := w.Catalogue.Workflow(c.Workflow)
	if f.Opens == duties.Provider || f.Opens == duties.Customer {
		return f.Opens, nil
	}
	provider, err := w.Store.ProviderOrg(ctx)
	if err != nil {
		return "", err
	}
	members, err := w.Store.MembersOf(ctx, c.OpenedBy)
	of := func(org string) bool {
		return slices.ContainsFunc(members, func(m store.Member) bool { return m.Org == org })
	}
	switch {
	case of(provider.ID):
		return duties.Provider, err
	case of(c.Org):
		return duties.Customer, err
	}
	return "", err
}

// looked reports whether a request is a person's who opens a page: no probe, nothing
// fetched ahead (Sec-Purpose, fetch.spec.whatwg.org) or as a part of another page
// (Sec-Fetch-Dest, w3.org/TR/fetch-metadata). Old browsers say nothing of it.
func looked(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && (dest == "" || dest == "document") && r.Header.Get("Sec-Purpose") == "" && r.Header.Get("Purpose") == ""
}

func (w *Web) caseOf(r *http.Request) (caseBody, error) {
	ctx, org, lang := r.Context(), orgOf(r.Context()), w.views.lang(r)
	c, f, err := w.caseAt(r)
	if err != nil {
		return caseBody{}, err
	}
	times := w.agreed(ctx)
	row, err := w.rowOf(lang, c, org.Name, times)
	if err != nil {
		return caseBody{}, err
	}
	if f, err = times(f, c); err != nil {
		return caseBody{}, err
	}
	body := caseBody{caseRow: row, About: f.About.In(lang)}
	if body.Opening, err = w.saidAt(r, c.OpenedBy, c.Opened, store.Place{Org: c.Org, Log: c.Log, Index: c.Index, SHA: c.Data}); err != nil {
		return body, err
	}
	if !c.Read.At.IsZero() {
		read, err := w.saidAt(r, c.Read.User, c.Read.At, store.Place{Org: c.Org, Log: c.Read.Log, Index: c.Read.Index, SHA: c.Read.Data})
		if err != nil {
			return body, err
		}
		body.Read = &read
	}
	body.ReadAfter = len(slices.DeleteFunc(slices.Clone(c.Steps), func(s store.CaseStep) bool { return s.At.After(c.Read.At) }))
	for i, s := range f.Steps {
		step := stepBody{ID: s.ID, Name: s.Title.In(lang), Party: s.Party, Due: judgedCase(c).DueBy(f, i)}
		if i < len(c.Steps) {
			done := c.Steps[i]
			step.Taken, step.Skipped, step.Late = true, done.Skipped, done.At.After(step.Due)
			if step.saidBody, err = w.saidAt(r, done.User, done.At, store.Place{Org: c.Org, Log: done.Log, Index: done.Index, SHA: done.Data}); err != nil {
				return body, err
			}
		}
		body.Steps = append(body.Steps, step)
	}
	v := viewerOf(ctx)
	if n := len(c.Steps); c.Closed.IsZero() && n < len(f.Steps) {
		if v.actsFor(org.ID, f.Steps[n].Party) {
			body.Next, body.MaySkip = &body.Steps[n], f.Steps[n].MaySkip
		}
		body.Withdraw = v.opens(org, f)
	}
	if f.Early && org.Kind == store.Provider && len(c.Steps) == 0 && v.opens(org, f) {
		if err := w.passable(r, c, &body); err != nil {
			return body, err
		}
	}
	for _, d := range w.Catalogue.Duties() {
		if d.Service == c.Service && f.Proves(d.ID) && shows(org, d) {
			body.Duties = append(body.Duties, d)
		}
	}
	body.Log, err = w.logFoot(r, org.ID)
	return body, err
}

// passable names the hosts that a report may speak of, and the customers that have a
// service for which there can be one, and who do not have it yet.
func (w *Web) passable(r *http.Request, c store.Case, body *caseBody) error {
	passed, err := w.Store.PassedOn(r.Context(), c.ID)
	if err != nil || !c.Closed.IsZero() && len(passed) == 0 {
		return err
	}
	words, _, err := w.spokenAt(r.Context(), store.Place{Org: c.Org, Log: c.Log, Index: c.Index, SHA: c.Data})
	if err != nil {
		return err
	}
	orgs, err := w.Store.Orgs(r.Context())
	body.Hosts, body.HostsMore, body.Unread = words.Hosts, words.HostsMore, words.HostsUnread
	f, _ := w.Catalogue.Workflow(c.Workflow)
	for _, o := range orgs {
		i := slices.IndexFunc(passed, func(p store.Case) bool { return p.Org == o.ID })
		switch {
		case i >= 0:
			body.Passed = append(body.Passed, caseRow{Case: passed[i], OrgName: o.Name})
		case o.Kind == store.Customer && o.Erased.IsZero() && len(common(f.Services(), o.Services)) > 0:
			body.PassTo = append(body.PassTo, o)
		}
	}
	return err
}

// caseAt is the case that the path names, of the organisation that it names.
func (w *Web) caseAt(r *http.Request) (store.Case, duties.Workflow, error) {
	c, err := w.Store.Case(r.Context(), r.PathValue("case"))
	if errors.Is(err, store.ErrNotFound) || err == nil && (c.Org != r.PathValue("org") || !viewerOf(r.Context()).shows(c.Org, c.Opened)) {
		return c, duties.Workflow{}, notFound()
	}
	f, ok := w.Catalogue.Workflow(c.Workflow)
	if err == nil && !ok {
		return c, f, notFound()
	}
	return c, f, err
}

func (w *Web) saidAt(r *http.Request, user string, at time.Time, place store.Place) (saidBody, error) {
	by, err := w.actorOf(r.Context(), user)
	if err != nil {
		return saidBody{}, err
	}
	b := saidBody{At: at, By: cmp.Or(by.Name, by.Mail), How: by.How, Index: place.Index}
	words, there, err := w.spokenAt(r.Context(), place)
	if err != nil {
		return b, err
	}
	b.Text, b.Erased = words.Text, !there
	if words.File != nil {
		b.File = words.File.Name
	}
	b.Epoch, err = w.epochOf(r.Context(), place.Org, place.Log)
	return b, err
}

// epochOf is which of an organisation's logs one is; 1 for one that is not known.
func (w *Web) epochOf(ctx context.Context, org, log string) (int64, error) {
	logs, err := w.Store.LogsOf(ctx, org)
	for _, st := range logs {
		if st.ID == log {
			return st.Epoch, err
		}
	}
	return 1, err
}

func (w *Web) openCase(rw http.ResponseWriter, r *http.Request) error {
	id, err := w.openFrom(r)
	if err == nil {
		http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/cases/"+id, http.StatusSeeOther)
	}
	return err
}

func (w *Web) apiOpenCase(rw http.ResponseWriter, r *http.Request) error {
	id, err := w.openFrom(r)
	if err == nil {
		writeJSON(rw, http.StatusCreated, map[string]string{"id": id})
	}
	return err
}

func (w *Web) openFrom(r *http.Request) (string, error) {
	f, s, err := said(r)
	if err != nil {
		return "", err
	}
	id, err := w.OpenCase(r.Context(), Opening{Said: s, Workflow: r.PathValue("workflow"), Service: f.Service, Title: f.Title})
	return id, refused(err)
}

func (w *Web) stepCase(rw http.ResponseWriter, r *http.Request) error {
	org, id, err := w.stepFrom(r)
	if err == nil {
		http.Redirect(rw, r, "/orgs/"+org+"/cases/"+id, http.StatusSeeOther)
	}
	return err
}

func (w *Web) apiStepCase(rw http.ResponseWriter, r *http.Request) error {
	if _, _, err := w.stepFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

// The names of the steps that withdraw a case, and open it with a customer.
const (
	withdraw = "withdraw"
	pass     = "pass"
)

// stepFrom takes the step that a request asks for, and says where the case stands then.
func (w *Web) stepFrom(r *http.Request) (org, id string, err error) {
	f, s, err := said(r)
	if err != nil {
		return "", "", err
	}
	step := r.PathValue("step")
	if step == pass {
		id, err := w.PassCase(r.Context(), Passing{Org: s.Org, User: s.User, Case: r.PathValue("case"), To: f.Customer, Mail: f.Mail})
		return f.Customer, id, refused(err)
	}
	return s.Org, r.PathValue("case"), refused(w.StepCase(r.Context(), Stepping{Said: s, Case: r.PathValue("case"), Step: step, Skip: f.Skip, Withdraw: step == withdraw}))
}

func (w *Web) ackAlert(rw http.ResponseWriter, r *http.Request) error {
	if err := refused(w.AckAlert(r.Context(), orgOf(r.Context()).ID, r.PathValue("alert"), viewerOf(r.Context()).id())); err != nil {
		return err
	}
	http.Redirect(rw, r, back(r), http.StatusSeeOther)
	return nil
}

func (w *Web) apiAckAlert(rw http.ResponseWriter, r *http.Request) error {
	if err := refused(w.AckAlert(r.Context(), orgOf(r.Context()).ID, r.PathValue("alert"), viewerOf(r.Context()).id())); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

// file hands out the file that stands beside a log entry.
func (w *Web) file(rw http.ResponseWriter, r *http.Request) error {
	index, err := strconv.ParseInt(r.PathValue("index"), 10, 64)
	epoch, bad := strconv.ParseInt(r.PathValue("epoch"), 10, 64)
	if err != nil || bad != nil {
		return notFound()
	}
	rec, err := w.Store.Record(r.Context(), orgOf(r.Context()).ID, epoch, index)
	if errors.Is(err, store.ErrNotFound) || err == nil && (len(rec.Items) == 0 || !viewerOf(r.Context()).reaches(rec.Org, rec.Received)) {
		return notFound()
	}
	if err != nil {
		return err
	}
	words, _, err := w.spokenAt(r.Context(), rec.Place(rec.Items[0].Detail))
	if err != nil || words.File == nil {
		return notFound()
	}
	rw.Header().Set("Content-Type", "application/octet-stream")
	rw.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": words.File.Name}))
	rw.Header().Set("Content-Length", fmt.Sprint(len(words.File.Data)))
	_, _ = rw.Write(words.File.Data) // a reader that is gone changes nothing
	return nil
}

// casesAnswer are cases, and whether there are others.
type casesAnswer struct {
	Cases []caseAnswer `json:"cases"`
	More  bool         `json:"more"` // than are listed
}

type caseAnswer struct {
	ID        string       `json:"id"`
	Org       string       `json:"org"`
	Workflow  string       `json:"workflow"`
	Service   string       `json:"service"`
	Title     string       `json:"title"`
	Opened    string       `json:"opened"`
	Closed    string       `json:"closed,omitempty"`
	Again     int64        `json:"reportedAgain,omitempty"`
	Read      string       `json:"read,omitempty"` // by the party that did not open it, for the first time
	Withdrawn bool         `json:"withdrawn,omitempty"`
	Waits     string       `json:"waits,omitempty"`
	Due       string       `json:"due,omitempty"`
	Overdue   bool         `json:"overdue"`
	Index     int64        `json:"index"`
	Steps     []stepAnswer `json:"steps"`
}

type stepAnswer struct {
	Step    string `json:"step"`
	At      string `json:"at"`
	Skipped bool   `json:"skipped,omitempty"`
	Index   int64  `json:"index"`
}

func (w *Web) answerCase(row caseRow) caseAnswer {
	out := caseAnswer{ID: row.ID, Org: row.Org, Workflow: row.Workflow, Service: row.Service, Title: row.Title, Opened: rfc(row.Opened), Closed: rfc(row.Closed), Read: rfc(row.Read.At), Again: row.Again,
		Withdrawn: row.Withdrawn, Overdue: row.Overdue, Index: row.Index, Steps: []stepAnswer{}}
	if f, ok := w.Catalogue.Workflow(row.Workflow); ok && row.Waits != "" {
		out.Waits, out.Due = f.Steps[len(row.Steps)].ID, rfc(row.Due)
	}
	for _, s := range row.Steps {
		out.Steps = append(out.Steps, stepAnswer{s.Step, rfc(s.At), s.Skipped, s.Index})
	}
	return out
}

func rfc(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func (w *Web) apiCases(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.casesOf(r)
	if err != nil {
		return err
	}
	out := casesAnswer{Cases: []caseAnswer{}, More: body.Next() > 0}
	for _, c := range body.Cases {
		out.Cases = append(out.Cases, w.answerCase(c))
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}

func (w *Web) apiCase(rw http.ResponseWriter, r *http.Request) error {
	c, _, err := w.caseAt(r)
	if err != nil {
		return err
	}
	row, err := w.rowOf(w.views.lang(r), c, "", w.agreed(r.Context()))
	if err != nil {
		return err
	}
	writeJSON(rw, http.StatusOK, w.answerCase(row))
	return nil
}
