package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// Restoring is a restore test that a person records.
type Restoring struct {
	Said
	Test duties.RestoreTest
	Good bool
}

type needBody struct {
	Sets     []duties.DataSet // of the form: what is declared, and room for more
	Declared bool
	Over     bool
	Until    time.Time
	Said     saidBody
	MayState bool
	Services []string
}

// spare is how many empty rows the form has.
const spare = 3

func (w *Web) need(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.needOf(r)
	if err != nil {
		return err
	}
	if body.MayState {
		for range spare {
			body.Sets = append(body.Sets, duties.DataSet{Hours: 24, Days: 30})
		}
	}
	return w.render(rw, r, http.StatusOK, "need", "need_title", body)
}

func (w *Web) needOf(r *http.Request) (needBody, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	if org.Kind != store.Customer {
		return needBody{}, notFound()
	}
	body := needBody{MayState: viewerOf(ctx).actsFor(org.ID, duties.Customer), Services: org.Services}
	list, err := w.Store.Statements(ctx, org.ID, "", maxTests)
	if err != nil {
		return body, err
	}
	for _, s := range list {
		var need duties.Declared
		if s.Kind != duties.StatementNeed || json.Unmarshal([]byte(s.About), &need) != nil {
			continue
		}
		body.Sets, body.Declared, body.Until, body.Over = need.Sets, true, s.Until, !w.Now().Before(s.Until)
		if body.Said, err = w.saidAt(r, s.User, s.At, store.Place{Org: org.ID, Log: s.Log, Index: s.Index, SHA: s.Data}); err != nil {
			return body, err
		}
	}
	return body, nil
}

func (w *Web) declareNeed(rw http.ResponseWriter, r *http.Request) error {
	if err := w.needFrom(r); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/need", http.StatusSeeOther)
	return nil
}

func (w *Web) apiDeclareNeed(rw http.ResponseWriter, r *http.Request) error {
	if err := w.needFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

// needing is what the API sends to declare a need.
type needing struct {
	Sets []duties.DataSet `json:"sets"`
	Text string           `json:"text"`
}

func (w *Web) needFrom(r *http.Request) error {
	if orgOf(r.Context()).Kind != store.Customer {
		return notFound()
	}
	var in needing
	if !isForm(r) {
		if err := decode(r, &in); err != nil {
			return err
		}
	} else {
		in = needing{setsOf(r), strings.TrimSpace(r.PostForm.Get("text"))}
	}
	for i := range in.Sets {
		in.Sets[i].Name = oneLine(in.Sets[i].Name) // mails name it
	}
	return refused(w.DeclareNeed(r.Context(), orgOf(r.Context()).ID, duties.Declared{Sets: in.Sets}, in.Text, viewerOf(r.Context()).id()))
}

// setsOf reads the rows of the form; those without a name are left out.
func setsOf(r *http.Request) []duties.DataSet {
	f := r.PostForm
	at := func(name string, i int) string {
		if i < len(f[name]) {
			return strings.TrimSpace(f[name][i])
		}
		return ""
	}
	var list []duties.DataSet
	for i := range f["name"] {
		if at("name", i) == "" {
			continue
		}
		number := func(name string) int { // what is no number is refused as out of range
			n, err := strconv.Atoi(at(name, i))
			if err != nil {
				return -1
			}
			return n
		}
		row := strconv.Itoa(i)
		list = append(list, duties.DataSet{Service: at("service", i), Name: at("name", i), Job: at("job", i), Host: at("host", i), Hours: number("hours"), Days: number("days"),
			Encrypted: slices.Contains(f["encrypted"], row), Own: slices.Contains(f["own"], row)})
	}
	return list
}

type needAnswer struct {
	Declared bool             `json:"declared"`
	At       string           `json:"at,omitempty"`
	Until    string           `json:"until,omitempty"`
	Index    int64            `json:"index,omitempty"` // of the log entry
	Sets     []duties.DataSet `json:"sets"`
}

func (w *Web) apiNeed(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.needOf(r)
	if err != nil {
		return err
	}
	out := needAnswer{Declared: body.Declared, At: rfc(body.Said.At), Until: rfc(body.Until), Index: body.Said.Index, Sets: body.Sets}
	if out.Sets == nil {
		out.Sets = []duties.DataSet{}
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}

type restoresBody struct {
	Tests     []restoreBody // newest first
	MayState  bool
	MayCosign bool
	Services  []string
	Now       string // for the form
}

type restoreBody struct {
	ID   string
	Test duties.RestoreTest
	Good bool
	saidBody
	Signed *saidBody // by the other party
}

// maxTests bounds how many statements of an organisation are read for a page.
const maxTests = 200

func (w *Web) restores(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.restoresOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "restores", "restores_title", body)
}

func (w *Web) restoresOf(r *http.Request) (restoresBody, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	if org.Kind != store.Customer {
		return restoresBody{}, notFound()
	}
	v := viewerOf(ctx)
	body := restoresBody{MayState: v.actsFor(org.ID, duties.Customer), MayCosign: v.runs(), Services: org.Services, Now: w.Now().In(org.Location()).Format("2006-01-02T15:04")}
	list, err := w.Store.Statements(ctx, org.ID, "", maxTests)
	if err != nil {
		return body, err
	}
	said := func(s store.Statement) (saidBody, error) {
		return w.saidAt(r, s.User, s.At, store.Place{Org: org.ID, Log: s.Log, Index: s.Index, SHA: s.Data})
	}
	signed := map[string]*saidBody{}
	for _, s := range slices.Backward(list) {
		switch s.Kind {
		case duties.StatementCosigned:
			b, err := said(s)
			if err != nil {
				return body, err
			}
			signed[s.About] = &b
		case duties.StatementRestore:
			t := restoreBody{ID: s.ID, Good: s.Good, Signed: signed[duties.CosignedAbout(s.ID)]}
			if json.Unmarshal([]byte(s.About), &t.Test) != nil {
				continue
			}
			if t.saidBody, err = said(s); err != nil {
				return body, err
			}
			body.Tests = append(body.Tests, t)
		}
	}
	return body, nil
}

func (w *Web) recordRestore(rw http.ResponseWriter, r *http.Request) error {
	if err := w.restoreFrom(r); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/restores", http.StatusSeeOther)
	return nil
}

func (w *Web) apiRecordRestore(rw http.ResponseWriter, r *http.Request) error {
	if err := w.restoreFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Web) restoreFrom(r *http.Request) error {
	org := orgOf(r.Context())
	if org.Kind != store.Customer {
		return notFound()
	}
	f, s, err := said(r)
	if err != nil {
		return err
	}
	point, err := time.Parse(time.RFC3339, f.Point)
	if err != nil {
		point, err = time.ParseInLocation("2006-01-02T15:04", f.Point, org.Location())
	}
	if err != nil || f.Result != "good" && f.Result != "bad" {
		return &problem{status: http.StatusBadRequest, key: "bad_form", cause: err, detail: "want a moment for point, such as 2026-06-01T12:00:00Z, and a result good or bad"}
	}
	test := duties.RestoreTest{Service: f.Service, What: strings.TrimSpace(f.Title), Point: point.UTC(), Minutes: f.Minutes, Decrypted: f.Decrypted}
	return refused(w.RecordRestore(r.Context(), Restoring{Said: s, Test: test, Good: f.Result == "good"}))
}

func (w *Web) cosignRestore(rw http.ResponseWriter, r *http.Request) error {
	if err := w.cosignFrom(r); err != nil {
		return err
	}
	http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/restores", http.StatusSeeOther)
	return nil
}

func (w *Web) apiCosignRestore(rw http.ResponseWriter, r *http.Request) error {
	if err := w.cosignFrom(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Web) cosignFrom(r *http.Request) error {
	_, s, err := said(r)
	if err != nil {
		return err
	}
	return refused(w.CosignRestore(r.Context(), s.Org, r.PathValue("test"), s.Text, s.User))
}

type restoreAnswer struct {
	ID string `json:"id"`
	duties.RestoreTest
	Good       bool   `json:"good"`
	At         string `json:"at"`
	Index      int64  `json:"index"` // of the log entry
	CosignedAt string `json:"cosignedAt,omitempty"`
}

func (w *Web) apiRestores(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.restoresOf(r)
	if err != nil {
		return err
	}
	out := []restoreAnswer{}
	for _, t := range body.Tests {
		a := restoreAnswer{ID: t.ID, RestoreTest: t.Test, Good: t.Good, At: rfc(t.At), Index: t.Index}
		if t.Signed != nil {
			a.CosignedAt = rfc(t.Signed.At)
		}
		out = append(out, a)
	}
	writeJSON(rw, http.StatusOK, map[string]any{"restores": out})
	return nil
}
