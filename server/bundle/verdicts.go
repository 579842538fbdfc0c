package bundle

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// Duty is one line of duties.json: how a duty stood at the export, and how much of the
// period it was proven.
type Duty struct {
	ID       string              `json:"id"`
	Service  string              `json:"service"`
	Party    string              `json:"party"`
	Title    map[string]string   `json:"title"`
	Cadence  map[string]string   `json:"cadence"`
	State    string              `json:"state"`
	Since    evidence.Time       `json:"since"`
	Judged   evidence.Time       `json:"judged"`
	Why      map[string]string   `json:"why"`
	Evidence []evidence.LogPlace `json:"evidence"`
	Period   Period              `json:"period"`
}

var languages = []string{duties.English, duties.Italian}

// verdicts writes duties.json, and for each duty what the server signs about it.
func (w *writer) verdicts() error {
	list, err := w.r.Verdicts(w.ctx, w.org.ID)
	if err != nil {
		return err
	}
	gone, err := w.givenUp(list)
	if err != nil {
		return err
	}
	list = append(list, gone...)
	all, err := w.r.Logs(w.ctx)
	if err != nil {
		return err
	}
	origins := map[string]string{}
	for _, st := range all {
		origins[st.ID] = st.Origin
	}
	out := []Duty{}
	results := map[string]evidence.TestResult{}
	for _, v := range list {
		d, ok := w.Catalogue.Duty(v.Duty)
		if v.Part != "" || !ok || len(w.q.Duties) > 0 && !slices.Contains(w.q.Duties, v.Duty) {
			continue
		}
		line := w.duty(d, v, origins)
		out = append(out, line)
		results[d.ID] = evidence.TestResult{Result: result(v.Verdict), Configuration: []evidence.ResourceDescriptor{evidence.Resource("catalogue", w.Catalogue.Digest())},
			Attesto: evidence.DutyVerdict{Org: w.org.ID, Duty: d.ID, State: line.State, Since: line.Since, Judged: line.Judged, Evidence: line.Evidence, Why: v.Why}}
	}
	order := map[string]int{}
	for i, d := range w.Catalogue.Duties() {
		order[d.ID] = i
	}
	slices.SortFunc(out, func(a, b Duty) int { return order[a.ID] - order[b.ID] })
	if err := w.periods(out); err != nil {
		return err
	}
	w.duties = out
	raw, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return err
	}
	if err := w.put("duties.json", append(raw, '\n')); err != nil {
		return err
	}
	for _, d := range out {
		env, err := evidence.SealTestResult(w.Signer, results[d.ID], "duties.json", append(raw, '\n'))
		if err != nil {
			return err
		}
		if err := w.put("verdicts/"+d.ID+".dsse.json", env.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// givenUp are the duties that stood on the board in the period and have left it since, with
// their services.
func (w *writer) givenUp(there []store.Verdict) (list []store.Verdict, err error) {
	past, err := w.r.History(w.ctx, w.org.ID, "", w.q.From)
	for id, p := range past {
		stood := func(t duties.Turn) bool { return t.Why.Key != duties.GivenUp().Key && t.At.Before(w.q.To) }
		if last := p.Turns[len(p.Turns)-1]; slices.ContainsFunc(p.Turns, stood) && !slices.ContainsFunc(there, func(v store.Verdict) bool { return v.Duty == id }) {
			list = append(list, store.Verdict{Org: w.org.ID, Duty: id, Verdict: last.Verdict, Since: last.At, At: last.At, Why: last.Why})
		}
	}
	return list, err
}

func (w *writer) duty(d duties.Duty, v store.Verdict, origins map[string]string) Duty {
	out := Duty{ID: d.ID, Service: d.Service, Party: d.Party, Title: map[string]string{}, Cadence: map[string]string{}, State: v.Verdict.String(),
		Since: evidence.At(v.Since), Judged: evidence.At(v.At), Why: map[string]string{}, Evidence: []evidence.LogPlace{}}
	for _, lang := range languages {
		out.Title[lang], out.Cadence[lang] = d.Title.In(lang), d.CadenceText.In(lang)
		out.Why[lang], _ = w.Catalogue.Shown(lang, v.Why)
	}
	for _, c := range v.Cites {
		out.Evidence = append(out.Evidence, evidence.LogPlace{Origin: origins[c.Log], Index: c.Index})
	}
	return out
}

func result(v duties.Verdict) string {
	switch v {
	case duties.Fulfilled:
		return "PASSED"
	case duties.Breached:
		return "FAILED"
	}
	return "WARNED"
}

// notMissing passes over what is not there: a blob that never came or was erased
// is for the verifier to report.
func notMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
