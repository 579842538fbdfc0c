package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

type dutyBody struct {
	cell
	At          time.Time
	Other       string // the title in the other language
	OtherWhy    string
	OtherCure   string
	Parts       []partBody
	Turns       []turnBody
	Cites       []citeBody
	MayReview   bool
	Reviewed    bool   // the duty asks for a review
	Seal        string // of what is shown, where the reader may confirm it
	MayState    bool   // the reader may state that the duty is met, or does not apply
	MayWaive    bool   // the reader may state that the duty does not apply here
	Attested    bool   // the duty asks for a statement
	Latest      string // the last day that a statement may hold until
	Statement   []statementBody
	Year        yearBody
	Figures     []figure // that it is judged by
	FigureTurns []figureTurn
	MaySet      bool // the reader may set them
	Log         logFoot
	Silenced    []alertBody // open alerts of which its party is not told
}

type partBody struct {
	duties.Part
	Name      string
	Verdict   string
	Since     time.Time
	Why, Cure string
	Assets    []assetBody
}

type assetBody struct {
	Name, Verdict, Why, Cure string
}

type turnBody struct {
	Part, Was, Verdict string
	At                 time.Time
	Why                string
}

// citeBody names a record that a finding rests on, by its place in a log.
type citeBody struct {
	Org, OrgName string
	Epoch, Index int64
	AgentName    string // "" for the server itself, and for the provider's hosts where the reader is not of the provider
	Looks        []store.Item
	Received     time.Time
}

const (
	maxTurns  = 50
	maxCites  = 24
	maxAssets = 100
)

func (w *Web) duty(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.dutyOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "duty", body.ID, body)
}

func (w *Web) dutyOf(r *http.Request) (dutyBody, error) {
	org := orgOf(r.Context())
	d, ok := w.Catalogue.Duty(r.PathValue("duty"))
	if !ok || !shows(org, d) {
		return dutyBody{}, notFound()
	}
	stored, err := w.Store.Cells(r.Context(), org.ID, d.ID)
	if err != nil {
		return dutyBody{}, err
	}
	lang := w.views.lang(r)
	other := duties.Italian
	if lang == duties.Italian {
		other = duties.English
	}
	body := dutyBody{cell: cell{Duty: d, Name: d.Title.In(lang), Rhythm: d.CadenceText.In(lang), Verdict: duties.Unproven.String(), Cause: duties.CauseNotInstalled},
		Other: d.Title.In(other), MayReview: viewerOf(r.Context()).actsFor(org.ID, d.Party)}
	byPart := map[string]store.Cell{}
	var cites []duties.Cite
	for _, c := range stored {
		byPart[c.Part] = c
		var more []duties.Cite
		if c.Cites != "" && json.Unmarshal([]byte(c.Cites), &more) == nil {
			cites = append(cites, more...)
		}
	}
	if c, ok := byPart[""]; ok {
		body.Verdict, body.Since, body.At, body.Cause = c.Verdict, c.Since, c.At, c.Cause
		body.Why, body.Cure = w.words(lang, c.Why)
		body.OtherWhy, body.OtherCure = w.words(other, c.Why)
	}
	for _, p := range d.Parts {
		body.Reviewed = body.Reviewed || p.Proof == duties.ProofReview
		body.Parts = append(body.Parts, w.partOf(lang, p, byPart[p.Name]))
	}
	if body.Turns, err = w.turns(r, lang, org.ID, d); err != nil {
		return body, err
	}
	if body.Cites, err = w.cited(r, cites); err != nil {
		return body, err
	}
	if err := w.statements(r, &body); err != nil {
		return body, err
	}
	if body.Year, err = w.yearOf(r, d, lang); err != nil {
		return body, err
	}
	if err := w.dutyFigures(r, &body); err != nil {
		return body, err
	}
	if body.Silenced, err = w.silencedDuty(r, d); err != nil {
		return body, err
	}
	if body.Reviewed && body.MayReview {
		if body.Seal, err = w.ReviewSeal(r.Context(), org.ID, d); err != nil {
			return body, err
		}
	}
	body.Log, err = w.logFoot(r, org.ID)
	return body, err
}

type statementBody struct {
	Kind  string
	Good  bool
	Until time.Time
	Over  bool
	Owner string // in whose log it stands
	saidBody
}

// statements adds what people stated about the duty, newest first. The words of the
// provider's are the provider's.
func (w *Web) statements(r *http.Request, body *dutyBody) error {
	ctx, org, v := r.Context(), orgOf(r.Context()), viewerOf(r.Context())
	body.Attested, body.MayState = body.Has(duties.ProofAttestation), v.actsFor(org.ID, body.Party)
	body.MayWaive = v.actsFor(org.ID, duties.Provider) || v.actsFor(org.ID, duties.Customer)
	body.Latest = w.Now().Add(body.Holds()).In(org.Location()).Format(time.DateOnly)
	owner := org.ID
	if body.Party == duties.Provider && org.Kind != store.Provider {
		provider, err := w.Store.ProviderOrg(ctx)
		if err != nil {
			return err
		}
		owner = provider.ID
	}
	list, err := w.Store.Statements(ctx, owner, body.ID, 10)
	if err != nil {
		return err
	}
	if owner != org.ID { // what was waived on this board
		own, err := w.Store.Statements(ctx, org.ID, body.ID, 10)
		if err != nil {
			return err
		}
		list = append(list, own...)
	}
	for i := len(list) - 1; i >= 0; i-- {
		s := list[i]
		owner := s.Org
		if !v.shows(org.ID, s.At) {
			continue
		}
		b := statementBody{Kind: s.Kind, Good: s.Good, Until: s.Until, Over: !w.Now().Before(s.Until), Owner: owner, saidBody: saidBody{At: s.At}}
		if v.sees(owner) {
			if b.saidBody, err = w.saidAt(r, s.User, s.At, store.Place{Org: owner, Log: s.Log, Index: s.Index, SHA: s.Data}); err != nil {
				return err
			}
		}
		body.Statement = append(body.Statement, b)
	}
	return nil
}

func (w *Web) partOf(lang string, p duties.Part, c store.Cell) partBody {
	b := partBody{Part: p, Name: p.Title.In(lang), Verdict: duties.Unproven.String()}
	if c.Verdict != "" {
		b.Verdict, b.Since = c.Verdict, c.Since
		b.Why, b.Cure = w.words(lang, c.Why)
	}
	var assets []duties.AssetFinding
	if c.Assets != "" && json.Unmarshal([]byte(c.Assets), &assets) == nil {
		for i, a := range assets {
			if i == maxAssets {
				break
			}
			why, cure := w.Catalogue.Shown(lang, a.Why)
			b.Assets = append(b.Assets, assetBody{a.String(), a.Verdict.String(), why, cure})
		}
	}
	return b
}

func (w *Web) turns(r *http.Request, lang, org string, d duties.Duty) ([]turnBody, error) {
	stored, err := w.Store.Turns(r.Context(), org, d.ID, maxTurns)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, p := range d.Parts {
		names[p.Name] = p.Title.In(lang)
	}
	var out []turnBody
	for _, t := range stored {
		if !viewerOf(r.Context()).shows(org, t.At) || t.Part != "" && len(d.Parts) == 1 { // an only part turns with the whole
			continue
		}
		why, _ := w.words(lang, t.Why)
		out = append(out, turnBody{names[t.Part], t.Was, t.Verdict, t.At, why})
	}
	return out, nil
}

// cited reads what the pages tell of each record that a finding rests on: those of
// this organisation's log and of the provider's.
func (w *Web) cited(r *http.Request, cites []duties.Cite) ([]citeBody, error) {
	if len(cites) == 0 {
		return nil, nil
	}
	ctx := r.Context()
	orgs, err := w.citedOrgs(ctx, cites)
	if err != nil {
		return nil, err
	}
	var out []citeBody
	for _, org := range orgs {
		logs, err := w.Store.LogsOf(ctx, org.ID)
		if err != nil {
			return nil, err
		}
		epochs := map[string]int64{}
		for _, st := range logs {
			epochs[st.ID] = st.Epoch
		}
		names := map[string]string{}
		if viewerOf(ctx).sees(org.ID) {
			agents, err := w.Store.Agents(ctx, org.ID)
			if err != nil {
				return nil, err
			}
			for _, a := range agents {
				names[a.ID] = a.Name
			}
		}
		seen := map[duties.Cite]bool{}
		for _, c := range cites {
			if epochs[c.Log] == 0 || seen[c] || len(out) == maxCites {
				continue
			}
			seen[c] = true
			b := citeBody{Org: org.ID, OrgName: org.Name, Epoch: epochs[c.Log], Index: c.Index}
			if b.Looks, err = w.Store.ItemsAt(ctx, org.ID, c.Log, c.Index, c.Index+1); err != nil {
				return nil, err
			}
			for _, it := range b.Looks {
				b.AgentName, b.Received = names[it.Agent], it.Received
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// citedOrgs are the organisations in whose logs stands what a duty rests on, as far as a
// page shows them: its own and the provider's. What the provider did for its customers
// stands in theirs, for who sees them.
func (w *Web) citedOrgs(ctx context.Context, cites []duties.Cite) ([]store.Org, error) {
	own := orgOf(ctx)
	orgs := []store.Org{own}
	if own.Kind != store.Provider {
		p, err := w.Store.ProviderOrg(ctx)
		if errors.Is(err, store.ErrNotFound) {
			return orgs, nil
		}
		return append(orgs, p), err
	}
	asked := map[string]bool{}
	for _, c := range cites {
		if viewerOf(ctx).all == "" || asked[c.Log] || len(orgs) == maxCites {
			continue
		}
		asked[c.Log] = true
		st, err := w.Store.LogByID(ctx, c.Log)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(orgs, func(o store.Org) bool { return o.ID == st.Org }) {
			continue
		}
		o, err := w.Store.Org(ctx, st.Org)
		if err != nil {
			return nil, err
		}
		orgs = append(orgs, o)
	}
	return orgs, nil
}

// review records that the reader looked at what the duty rests on.
func (w *Web) review(rw http.ResponseWriter, r *http.Request) error {
	if err := w.confirm(r); err != nil {
		return err
	}
	http.Redirect(rw, r, fmt.Sprintf("/orgs/%s/duties/%s", orgOf(r.Context()).ID, r.PathValue("duty")), http.StatusSeeOther)
	return nil
}

func (w *Web) confirm(r *http.Request) error {
	org := orgOf(r.Context())
	d, ok := w.Catalogue.Duty(r.PathValue("duty"))
	if !ok || !shows(org, d) {
		return notFound()
	}
	for _, p := range d.Parts {
		if p.Proof == duties.ProofReview {
			if seal := r.PostFormValue("seal"); seal != "" {
				return refused(w.ConfirmShown(r.Context(), org.ID, d.ID, seal, viewerOf(r.Context()).id()))
			}
			return w.Confirm(r.Context(), org.ID, d.ID, viewerOf(r.Context()).id())
		}
	}
	return &problem{status: http.StatusConflict, key: "no_review"}
}
