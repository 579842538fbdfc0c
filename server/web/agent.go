package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/store"
)

// agentPage is one host: what it sent last, what is not as it should be there, and what
// it proves.
type agentPage struct {
	Agent     agentBody
	Firing    []alertBody // of this host, the newest first
	Suggested []string    // services that its host probably runs, and that it is not tagged with
	Because   string      // what tells so
	Services  []string
	Customers []store.Org // whom it may work for; of the provider's agents
	Provider  bool
	MayManage bool
	Reasons   []string      // for revoking it
	Silences  []silenceBody // of all that it raises
	Silencing *silenceForm  // where the reader may silence it
}

func (w *Web) agent(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.agentPageOf(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "agent", body.Agent.Name, body)
}

func (w *Web) agentPageOf(r *http.Request) (agentPage, error) {
	ctx, org := r.Context(), orgOf(r.Context())
	a, err := w.agentOf(r, r.PathValue("agent"))
	if err != nil {
		return agentPage{}, err
	}
	one := []agentBody{w.agentBodyOf(a)}
	if err := w.look(ctx, org.ID, one); err != nil {
		return agentPage{}, err
	}
	body := agentPage{Agent: one[0], Services: w.servicesOf(org), MayManage: viewerOf(ctx).manages(org.ID), Provider: org.Kind == store.Provider, Reasons: reasons}
	if body.Firing, err = w.firingOn(r, a); err != nil {
		return body, err
	}
	held, err := w.silences(ctx, org.ID)
	if err == nil {
		body.Silences, err = held.that(ctx, func(s alert.Silence) bool { return s.Host() && s.Asset == a.ID })
	}
	if err != nil {
		return body, err
	}
	if viewerOf(ctx).actsFor(org.ID, org.Kind) {
		body.Silencing = newSilenceForm("/orgs/" + org.ID + "/agents/" + a.ID + "/silence")
		body.Silencing.Host = true
	}
	suggested, because, err := w.Suggested(ctx, a)
	if err != nil {
		return body, err
	}
	body.Because = strings.Join(because, ", ")
	body.Suggested = common(suggested, body.Services)
	if !body.Provider || viewerOf(ctx).all == "" {
		return body, nil
	}
	orgs, err := w.Store.Orgs(ctx)
	body.Customers = slices.DeleteFunc(orgs, func(o store.Org) bool { return o.Kind != store.Customer || !o.Erased.IsZero() })
	return body, err
}

// firingOn lists the open alerts about a host and what is on it.
func (w *Web) firingOn(r *http.Request, a store.Agent) ([]alertBody, error) {
	list, err := w.Store.FiringOn(r.Context(), a.Org, a.ID)
	return w.alertBodies(r, list, nil), err
}

type servesAnswer struct {
	agentAnswer
	Services  []string     `json:"services"`
	Customers []string     `json:"customers"` // all that have the services when empty
	Suggested []string     `json:"suggested"` // services that the host probably runs and that it is not tagged with
	Because   string       `json:"because,omitempty"`
	Looks     []lookAnswer `json:"looks"` // the newest of each kind
}

type lookAnswer struct {
	Kind     evidence.Kind `json:"kind"`
	Outcome  string        `json:"outcome"`
	Reason   string        `json:"reason"`
	Received evidence.Time `json:"received"`
	Epoch    int64         `json:"epoch"` // of the log
	Index    int64         `json:"index"`
}

func (w *Web) apiAgent(rw http.ResponseWriter, r *http.Request) error {
	body, err := w.agentPageOf(r)
	if err != nil {
		return err
	}
	a := body.Agent
	out := servesAnswer{agentAnswer{a.ID, a.Name, a.OS, a.Version, a.State, a.Silent, a.KeyID, a.Seq, moment(a.Seen)},
		listOf(a.Services), listOf(a.Customers), listOf(body.Suggested), body.Because, []lookAnswer{}}
	for _, l := range a.Looks {
		out.Looks = append(out.Looks, lookAnswer{l.Kind, l.Outcome, l.Reason, moment(l.Received), l.Epoch, l.Index})
	}
	writeJSON(rw, http.StatusOK, out)
	return nil
}
