package web

import (
	"net/http"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/ledger"
)

// The answers of the read API. docs/api.md says what each field is.
type (
	orgAnswer struct {
		ID       string   `json:"id"`
		Kind     string   `json:"kind"`
		Name     string   `json:"name"`
		Services []string `json:"services"`
	}
	dutyAnswer struct {
		ID      string         `json:"id"`
		Service string         `json:"service"`
		Party   string         `json:"party"`
		Title   string         `json:"title"`
		Cadence string         `json:"cadence"`
		Verdict string         `json:"verdict"`
		Since   *evidence.Time `json:"since,omitempty"` // absent where nobody has judged it
		Why     string         `json:"why"`
		Cure    string         `json:"cure"`
		Cause   string         `json:"cause"`
		Late    *factsAnswer   `json:"late,omitempty"`
		Parts   []partAnswer   `json:"parts,omitempty"`
		Cites   []citeAnswer   `json:"evidence,omitempty"`
	}
	partAnswer struct {
		Name    string        `json:"name"`
		Proof   string        `json:"proof"`
		Verdict string        `json:"verdict"`
		Why     string        `json:"why"`
		Cure    string        `json:"cure"`
		Assets  []assetAnswer `json:"assets,omitempty"`
	}
	assetAnswer struct {
		Name    string `json:"name"`
		Verdict string `json:"verdict"`
		Why     string `json:"why"`
		Cure    string `json:"cure"`
	}
	citeAnswer struct {
		Org   string `json:"org"`
		Epoch int64  `json:"epoch"`
		Index int64  `json:"index"`
	}
	recordAnswer struct {
		Epoch    int64              `json:"epoch"`
		Index    int64              `json:"index"`
		Type     evidence.EntryType `json:"type"`
		Agent    string             `json:"agent"`
		Seq      int64              `json:"seq"`
		Received evidence.Time      `json:"received"`
		Sound    bool               `json:"sound"`
		Proofs   []ledger.Proof     `json:"proofs"`
		Entry    string             `json:"entry"`
		Items    []itemAnswer       `json:"items"`
	}
	itemAnswer struct {
		Kind    evidence.Kind  `json:"kind"`
		Outcome string         `json:"outcome"`
		Reason  string         `json:"reason,omitempty"`
		From    evidence.Time  `json:"from"`
		To      evidence.Time  `json:"to"`
		Gaps    []evidence.Gap `json:"gaps"`
		Facts   any            `json:"facts"`
	}
	agentAnswer struct {
		ID      string        `json:"id"`
		Name    string        `json:"name"`
		OS      string        `json:"os"`
		Version string        `json:"version"`
		State   string        `json:"state"`
		Silent  bool          `json:"silent"`
		KeyID   string        `json:"keyId"`
		Seq     int64         `json:"seq"`
		Seen    evidence.Time `json:"seen"`
	}
	alertAnswer struct {
		ID       string          `json:"id"`
		Org      string          `json:"org"`
		Duty     string          `json:"duty"`
		Part     string          `json:"part"`
		Asset    string          `json:"asset"`
		State    string          `json:"state"`
		Verdict  string          `json:"verdict"`
		Why      string          `json:"why"`
		Opened   evidence.Time   `json:"opened"`
		Resolved *evidence.Time  `json:"resolved"`
		Fired    int             `json:"fired"`    // how often within a day, this time included
		Silences []silenceAnswer `json:"silences"` // that cover it while it fires
	}
)

// moment writes the zero time as 1970, which evidence.Time can spell.
func moment(t time.Time) evidence.Time {
	if t.Year() < 1970 {
		t = time.Unix(0, 0)
	}
	return evidence.At(t)
}

func (w *Web) apiOrgs(rw http.ResponseWriter, r *http.Request) error {
	orgs, err := w.Store.Orgs(r.Context())
	if err != nil {
		return err
	}
	out := []orgAnswer{}
	for _, o := range orgs {
		if viewerOf(r.Context()).sees(o.ID) {
			out = append(out, orgAnswer{o.ID, o.Kind, o.Name, o.Services})
		}
	}
	writeJSON(rw, http.StatusOK, map[string]any{"orgs": out})
	return nil
}

func answerOf(c cell) dutyAnswer {
	a := dutyAnswer{ID: c.ID, Service: c.Service, Party: c.Party, Title: c.Name, Cadence: c.Cadence, Verdict: c.Verdict,
		Why: c.Why, Cure: c.Cure, Cause: string(c.Cause), Late: c.Late}
	if !c.Since.IsZero() {
		since := evidence.At(c.Since)
		a.Since = &since
	}
	return a
}

func (w *Web) apiDuties(rw http.ResponseWriter, r *http.Request) error {
	cells, err := w.cells(r, orgOf(r.Context()))
	if err != nil {
		return err
	}
	out := []dutyAnswer{}
	for _, c := range cells {
		out = append(out, answerOf(c))
	}
	writeJSON(rw, http.StatusOK, map[string]any{"duties": out})
	return nil
}

func (w *Web) apiDuty(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.dutyOf(r)
	if err != nil {
		return err
	}
	out := answerOf(body.cell)
	for _, p := range body.Parts {
		part := partAnswer{Name: p.Part.Name, Proof: p.Proof, Verdict: p.Verdict, Why: p.Why, Cure: p.Cure}
		for _, a := range p.Assets {
			part.Assets = append(part.Assets, assetAnswer(a))
		}
		out.Parts = append(out.Parts, part)
	}
	for _, c := range body.Cites {
		out.Cites = append(out.Cites, citeAnswer{c.Org, c.Epoch, c.Index})
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}

func (w *Web) apiReview(rw http.ResponseWriter, r *http.Request) error {
	if err := w.confirm(r); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Web) apiRecord(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.recordOf(r)
	if err != nil {
		return err
	}
	out := recordAnswer{Epoch: body.Epoch, Index: body.Index, Type: body.Type, Agent: body.Agent, Seq: body.Seq, Received: moment(body.Received),
		Sound: body.Sound, Proofs: body.Proofs, Entry: body.Entry, Items: []itemAnswer{}}
	for _, it := range body.Items {
		gaps := it.Gaps
		if gaps == nil {
			gaps = []evidence.Gap{}
		}
		out.Items = append(out.Items, itemAnswer{it.Kind, it.Outcome, it.Reason, moment(it.From), moment(it.To), gaps, it.Facts})
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}

func (w *Web) apiAgents(rw http.ResponseWriter, r *http.Request) error {
	list, err := w.agentsOf(r)
	if err != nil {
		return err
	}
	out := []agentAnswer{}
	for _, a := range list {
		out = append(out, agentAnswer{a.ID, a.Name, a.OS, a.Version, a.State, a.Silent, a.KeyID, a.Seq, moment(a.Seen)})
	}
	writeJSON(rw, http.StatusOK, map[string]any{"agents": out})
	return nil
}

func (w *Web) apiAlerts(rw http.ResponseWriter, r *http.Request) error {
	list, err := w.alertsOf(r)
	if err != nil {
		return err
	}
	if err := w.silenced(r.Context(), "", list); err != nil {
		return err
	}
	out := []alertAnswer{}
	for _, a := range list {
		out = append(out, alertAnswerOf(a))
	}
	writeJSON(rw, http.StatusOK, map[string]any{"alerts": out})
	return nil
}

func alertAnswerOf(a alertBody) alertAnswer {
	b := alertAnswer{ID: a.ID, Org: a.Org, Duty: a.Duty, Part: a.Part, Asset: a.Name, State: a.State, Verdict: a.Verdict, Why: a.Why, Opened: moment(a.Opened), Fired: a.Fired, Silences: silenceAnswers(a.Silences)}
	if a.State == alert.Resolved {
		b.Resolved = since(a.Resolved)
	}
	return b
}
