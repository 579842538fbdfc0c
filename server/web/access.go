package web

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/store"
)

// viewer is who asks, and what that lets them see. The zero viewer is a stranger.
type viewer struct {
	user  store.User
	login store.Login             // the browser in which the user is signed in
	roles map[string]string       // role by organisation, of those that are not over
	spans map[string]store.Member // of auditors: what they see, by organisation
	all   string                  // role in every organisation: of the provider's admins, operators and tokens
	via   *store.APIToken         // the token that was used instead of signing in
	zone  string                  // the provider's, for pages outside an organisation
	owes  string                  // the organisation that asks for a second factor which the user has yet to set up

	provider string // the provider's organisation, for its members
}

func (v viewer) known() bool { return v.user.ID != "" || v.via != nil }

// id names who acts, in evidence.
func (v viewer) id() string {
	if v.via != nil {
		return v.via.ID
	}
	return v.user.ID
}

// sees reports whether the viewer may read all of an organisation.
func (v viewer) sees(org string) bool { return v.roles[org] != "" || v.all != "" }

// shows reports whether what was logged at a moment is for the viewer to see, in an
// organisation that they see.
func (v viewer) shows(org string, at time.Time) bool {
	m, bounded := v.spans[org]
	return !bounded || v.all != "" || m.Shows(at)
}

// span is when what the viewer may see of an organisation was logged; zero for no bound.
func (v viewer) span(org string) (from, until time.Time) {
	if m, bounded := v.spans[org]; bounded && v.all == "" {
		return m.From, m.Until
	}
	return time.Time{}, time.Time{}
}

// admins reports whether the viewer decides who belongs to an organisation. No token
// does.
func (v viewer) admins(org string) bool {
	return v.via == nil && (v.roles[org] == store.RoleAdmin || v.all == store.RoleAdmin)
}

// runs reports whether the viewer does the provider's daily work.
func (v viewer) runs() bool { return v.all == store.RoleAdmin || v.all == store.RoleOperator }

// manages reports whether the viewer may change an organisation's agents.
func (v viewer) manages(org string) bool { return v.roles[org] == store.RoleAdmin || v.runs() }

// actsFor reports whether the viewer may confirm a review of the organisation's
// duty: each party for its own duties only.
func (v viewer) actsFor(org, party string) bool {
	if party == duties.Provider {
		return v.runs()
	}
	return v.roles[org] == store.RoleAdmin
}

// opens reports whether the viewer may open a workflow with an organisation.
func (v viewer) opens(org store.Org, f duties.Workflow) bool {
	if f.Opens != duties.Either {
		return v.actsFor(org.ID, f.Opens)
	}
	return v.actsFor(org.ID, duties.Provider) || v.actsFor(org.ID, duties.Customer)
}

// other reports whether the viewer is a person of the party that did not open a case of
// an organisation, which the other one opened, and that has a part in it.
func (v viewer) other(org store.Org, opener string) bool {
	role := v.roles[org.ID]
	switch {
	case v.via != nil || org.Kind == store.Provider:
		return false
	case opener == duties.Provider: // who works for both cannot attest the customer's look
		return !v.runs() && (role == store.RoleAdmin || role == store.RoleViewer)
	}
	return opener == duties.Customer && v.runs() && role == ""
}

// orgs are the organisations that the viewer is a member of, in a steady order.
func (v viewer) orgs() []string { return slices.Sorted(maps.Keys(v.roles)) }

type contextKey int

const (
	viewerKey contextKey = iota
	orgKey
	addrKey
)

func viewerOf(ctx context.Context) viewer {
	v, _ := ctx.Value(viewerKey).(viewer)
	return v
}

// orgOf is the organisation that the path names.
func orgOf(ctx context.Context) store.Org {
	o, _ := ctx.Value(orgKey).(store.Org)
	return o
}

// problem is an answer that is not what was asked for. Key names its words in
// every language.
type problem struct {
	status int
	key    string
	cause  error  // for the log, never shown
	detail string // what is wrong with what was sent, in English, for who writes a script
}

func (p *problem) Error() string { return p.key }
func (p *problem) Unwrap() error { return p.cause }

func notFound() error  { return &problem{status: http.StatusNotFound, key: "not_found"} }
func outside() error   { return &problem{status: http.StatusForbidden, key: "outside"} }
func forbidden() error { return &problem{status: http.StatusForbidden, key: "forbidden"} }

var (
	errSignIn = errors.New("not signed in")
	errOwes   = errors.New("a second factor has to be set up first")
)

// guard lets through who the route's grant admits. Of an organisation that the
// viewer may not see, nothing is said, not even that it exists.
func (w *Web) guard(rt route) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		err := readable(r)
		var v viewer
		if err == nil {
			v, err = w.who(r, rt.api)
		}
		if err == nil {
			r = r.WithContext(context.WithValue(r.Context(), viewerKey, v))
			r, err = w.admit(r, v, rt.grant)
		}
		if err == nil {
			err = readForm(r, rt.api)
		}
		if err == nil {
			err = rt.handle(w, rw, r)
		}
		if err != nil {
			w.fail(rw, r, rt.api, err)
		}
	})
}

func (w *Web) admit(r *http.Request, v viewer, g grant) (*http.Request, error) {
	if g == anyone {
		return r, nil
	}
	if !v.known() {
		return r, errSignIn
	}
	if v.owes != "" && g != settingUp {
		return r, errOwes
	}
	if v.via != nil && r.Method != http.MethodGet && r.Method != http.MethodHead && !slices.Contains(v.via.May(), operations[r.Pattern].scope) {
		return r, &problem{status: http.StatusForbidden, key: "scope"}
	}
	switch g {
	case signedIn:
		return r, nil
	case person, settingUp:
		if v.via != nil {
			return r, forbidden()
		}
		return r, nil
	case adminAll:
		if v.via != nil || v.all != store.RoleAdmin {
			return r, forbidden()
		}
		return r, nil
	}
	org, err := w.Store.Org(r.Context(), r.PathValue("org"))
	if errors.Is(err, store.ErrNotFound) {
		return r, notFound()
	}
	if err != nil {
		return r, err
	}
	switch {
	case v.sees(org.ID):
	case g == seeRecord && org.Kind == store.Provider:
	default:
		return r, notFound()
	}
	if g != seeDated && g != seeRecord && !v.shows(org.ID, w.Now()) {
		return r, outside()
	}
	may, err := w.acts(r, v, org, g)
	if err == nil && !may {
		err = forbidden()
	}
	return r.WithContext(context.WithValue(r.Context(), orgKey, org)), err
}

// acts reports whether the viewer may do what a route of an organisation does.
func (w *Web) acts(r *http.Request, v viewer, org store.Org, g grant) (bool, error) {
	switch g {
	case actOrg:
		return v.actsFor(org.ID, org.Kind), nil
	case runOrg:
		return v.runs(), nil
	case manageOrg:
		return v.manages(org.ID), nil
	case adminOrg:
		return v.admins(org.ID), nil
	case stateOrg:
		if _, ok := w.Catalogue.Duty(r.PathValue("duty")); !ok {
			return false, notFound()
		}
		return v.actsFor(org.ID, duties.Provider) || v.actsFor(org.ID, duties.Customer), nil
	case reviewOrg:
		d, ok := w.Catalogue.Duty(r.PathValue("duty"))
		if !ok {
			return false, notFound()
		}
		return v.actsFor(org.ID, d.Party), nil
	case openCase:
		f, ok := w.Catalogue.Workflow(r.PathValue("workflow"))
		if !ok {
			return false, notFound()
		}
		return v.opens(org, f), nil
	case stepCase:
		_, f, err := w.caseAt(r)
		if err != nil || r.PathValue("step") == withdraw || r.PathValue("step") == pass {
			return err == nil && v.opens(org, f), err
		}
		s, ok := f.Step(r.PathValue("step"))
		if !ok {
			return false, notFound()
		}
		return v.actsFor(org.ID, s.Party), nil
	case ackAlert:
		party, err := w.Store.AlertParty(r.Context(), org.ID, r.PathValue("alert"))
		if errors.Is(err, store.ErrNotFound) {
			err = notFound()
		}
		return v.actsFor(org.ID, party), err
	}
	return true, nil
}

// who finds out who asks: by session on pages, by bearer token on the API, where
// a session counts too (same-origin only).
func (w *Web) who(r *http.Request, api bool) (viewer, error) {
	if text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && api {
		return w.bearer(r.Context(), text)
	}
	l, err := w.loginOf(r)
	if errors.Is(err, store.ErrNotFound) {
		return viewer{}, nil
	}
	if err != nil {
		return viewer{}, err
	}
	u, err := w.Store.User(r.Context(), l.User)
	if errors.Is(err, store.ErrNotFound) || (err == nil && !u.Disabled.IsZero()) {
		return viewer{}, nil
	}
	if err != nil {
		return viewer{}, err
	}
	members, err := w.Store.MembersOf(r.Context(), u.ID)
	if err != nil {
		return viewer{}, err
	}
	v := viewer{user: u, login: l, roles: map[string]string{}, spans: map[string]store.Member{}}
	for _, m := range members {
		if !m.Holds(w.Now()) {
			continue
		}
		if v.roles[m.Org] = m.Role; m.Role == store.RoleAuditor {
			v.spans[m.Org] = m
		}
	}
	if v.owes, err = w.owing(r.Context(), v); err != nil {
		return viewer{}, err
	}
	return w.withAll(r.Context(), v)
}

// owing is the organisation that asks a user for a second factor that they have not;
// "" for none. For who came by an identity provider that one answers.
func (w *Web) owing(ctx context.Context, v viewer) (string, error) {
	if v.login.Via == viaOIDC {
		return "", nil
	}
	askers, err := w.Store.SecondAskers(ctx, v.user.ID)
	i := slices.IndexFunc(askers, func(org string) bool { return v.roles[org] != "" })
	if err != nil || i < 0 {
		return "", err
	}
	clock, passkeys, err := w.secondsOf(ctx, v.user.ID)
	if err != nil || clock || passkeys {
		return "", err
	}
	return askers[i], nil
}

// withAll lets the provider's admins and operators into every organisation. Its
// viewers and auditors see the provider's own.
func (w *Web) withAll(ctx context.Context, v viewer) (viewer, error) {
	p, err := w.Store.ProviderOrg(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return v, nil
	}
	v.zone = p.Zone
	if v.roles[p.ID] != "" {
		v.provider = p.ID
	}
	if role := v.roles[p.ID]; v.via != nil || role == store.RoleAdmin || role == store.RoleOperator {
		v.all = role
	}
	return v, err
}

// bearer finds out what a token stands for: an organisation's admin when it may
// write, else a viewer. A provider's token reaches every organisation.
func (w *Web) bearer(ctx context.Context, text string) (viewer, error) {
	t, err := w.Store.APITokenByHash(ctx, evidence.Sum([]byte(text)))
	if errors.Is(err, store.ErrNotFound) || (err == nil && !t.Expires.IsZero() && w.Now().After(t.Expires)) {
		return viewer{}, &problem{status: http.StatusUnauthorized, key: "bad_token"}
	}
	if err != nil {
		return viewer{}, err
	}
	if w.Now().Sub(t.Used) > seenStep {
		if err := w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.UseAPIToken(ctx, t.ID, w.Now()) }); err != nil {
			return viewer{}, err
		}
	}
	role := store.RoleViewer
	if len(t.May()) > 0 {
		role = store.RoleAdmin
	}
	return w.withAll(ctx, viewer{roles: map[string]string{t.Org: role}, via: &t})
}
