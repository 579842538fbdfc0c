// Package web shows the verdicts and the proofs to people, as pages, and to scripts, as
// JSON. Every route, and who may use it, stands in this file.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/attesto/attesto/server/alert"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// Deps is what the pages stand on.
type Deps struct {
	Store     *store.Store
	Catalogue *duties.Catalogue
	Log       *slog.Logger
	Now       func() time.Time
	// PublicURL is how people and agents reach the server; with https, cookies are
	// sent over TLS only.
	PublicURL string
	// Verify proves a stored record from its bytes.
	Verify func(ctx context.Context, org string, epoch, index int64) ([]ledger.Proof, error)
	// AddToken makes an enrollment token for an organisation.
	AddToken func(ctx context.Context, ask TokenAsk) (token string, expires time.Time, err error)
	// ApproveAgent lets an agent prove that waits for approval.
	ApproveAgent func(ctx context.Context, agent, user string) (index int64, err error)
	// RevokeAgent refuses an agent's key from now on.
	RevokeAgent func(ctx context.Context, agent, reason, user string, distrust time.Time) (index int64, err error)
	// SetServices says what an organisation has of the provider.
	SetServices func(ctx context.Context, org string, services []string, user string) error
	// SetServes says for which services and customers an agent stands.
	SetServes func(ctx context.Context, agent string, services, customers []string, user string) error
	// Suggested names services that an agent's host probably runs, and what tells so.
	Suggested func(ctx context.Context, a store.Agent) (services, because []string, err error)
	// Confirm records, in the organisation's log, that a user looked at what a
	// duty rests on.
	Confirm func(ctx context.Context, org, duty, user string) error
	// ReviewSeal seals how a duty stands on a board, for ConfirmShown, which records that
	// a user looked at it then.
	ReviewSeal   func(ctx context.Context, org string, d duties.Duty) (string, error)
	ConfirmShown func(ctx context.Context, org, duty, seal, user string) error
	// Digest is what an organisation has to look at in a service, and the seal with
	// which ConfirmDigest takes it back as it was shown.
	Digest func(ctx context.Context, org, service string) (d duties.Digest, seal string, err error)
	// ConfirmDigest records that a user looked at a digest.
	ConfirmDigest func(ctx context.Context, org, service, seal, user string) error
	// ReviewLink finds a link of a mail, which says when it was used; FollowReviewLink
	// confirms by it, once.
	ReviewLink       func(ctx context.Context, link string) (store.ReviewLink, error)
	FollowReviewLink func(ctx context.Context, link, seal string) error
	// DeclareNeed records what a customer wants backed up; RecordRestore a restore that
	// it tried, and CosignRestore the provider's signature under one.
	DeclareNeed   func(ctx context.Context, org string, need duties.Declared, text, user string) error
	RecordRestore func(ctx context.Context, r Restoring) error
	CosignRestore func(ctx context.Context, org, test, text, user string) error
	// State records what a user states about a duty. What may not be stated is a
	// duties.Refusal; likewise below.
	State func(ctx context.Context, s Stating) error
	// OpenCase opens a workflow and returns the case's id.
	OpenCase func(ctx context.Context, o Opening) (string, error)
	// ReadCase records that a case was read by the party that did not open it.
	ReadCase func(ctx context.Context, org, id, user string) error
	// PassCase opens a case of the provider's with a customer, and returns the new one's id.
	PassCase func(ctx context.Context, p Passing) (string, error)
	// StepCase records the next step of a case, or withdraws the case.
	StepCase func(ctx context.Context, s Stepping) error
	// AckAlert records that a user has taken an alert on.
	AckAlert func(ctx context.Context, org, alert, user string) error
	// Silence keeps messages of alerts from the channels of the organisation whose duties
	// they are, and returns its id; Unsilence ends a silence before its time.
	Silence   func(ctx context.Context, q Silencing) (id string, err error)
	Unsilence func(ctx context.Context, org, silence, user string) error
	// Released reads an epoch of an organisation's log whose head may be handed out.
	Released func(ctx context.Context, org string, epoch int64) (ledger.State, error)
	// ReadOnly reports whether an organisation's log may not be continued.
	ReadOnly func(ctx context.Context, org string) (bool, error)
	// SetParam sets a figure by which a duty of an organisation is judged.
	SetParam func(ctx context.Context, p store.Param) error
	// SetOrg changes an organisation's language and zone.
	SetOrg func(ctx context.Context, o store.Org, user string) error
	// TestChannel sends a message through a channel at once. Its error is what the
	// receiver said, for who manages the channel.
	TestChannel func(ctx context.Context, c alert.Channel) error
	// Keyset is the envelope of the keyset, and the root key's SPKI that signed it.
	Keyset func() (sealed, root []byte)
	// OIDC is the identity provider by which people may sign in; nil for none.
	OIDC *OIDC
	// Proxies are whose word is taken about where a request comes from.
	Proxies Proxies
	// Note records, in the logs of organisations, what somebody did there, in the
	// transaction that does it.
	Note func(ctx context.Context, tx *store.Tx, d Deed) error
	// Mail sends a mail of plain text to one address; nil where no relay is set.
	Mail func(ctx context.Context, m Mail) error
	// AddOrg makes an organisation, and returns it with its id.
	AddOrg func(ctx context.Context, o store.Org) (store.Org, error)
	// LogKey is the key of a log in text form (c2sp.org/signed-note).
	LogKey func(origin string) (string, error)
}

// Web serves the pages.
type Web struct {
	Deps
	sessions *scs.SessionManager
	limits   *limits // of signing in
	asking   *limits // of asking for mails
	codes    *limits // of second factors
	hashes   hashing
	mailing  chan struct{} // one place for each mail that is on its way
	refusing chan struct{} // one place for each refused sign-in that is being counted
	views    *views
	idp      identityProvider
	places   stripPlaces
	openAPI  map[string]any
	dummy    string // a hash that no password has, so that unknown users take as long
}

// grant says who may use a route.
type grant int

const (
	anyone    grant = iota // signed in or not
	runOrg                 // the provider's admins and operators
	signedIn               // every user, and every token
	person                 // every user
	settingUp              // every user, also one who has yet to set up the second factor that an organisation asks for
	seeOrg                 // members of the organisation in the path, of auditors those whose window has not ended; the provider's admins and operators in all
	seeDated               // seeOrg, and all auditors: what is shown has a date, and the handler keeps it inside their window
	manageOrg              // its admins; the provider's admins and operators in all
	adminOrg               // its admins; the provider's admins in all; no token
	adminAll               // the provider's admins; no token
	stateOrg               // who acts for either party of the duty in the path; for its own alone but for waivers
	reviewOrg              // who acts for the party of the duty in the path
	openCase               // who acts for the party that opens the workflow in the path
	stepCase               // who acts for the party of the step in the path; who opened it may withdraw a case
	actOrg                 // who acts for the organisation in the path
	ackAlert               // who acts for the party of the alert in the path
	seeRecord              // seeOrg; the provider's evidence also whom it serves, without the raw facts
)

// route is one way in. API routes answer in JSON and take bearer tokens.
type route struct {
	pattern string
	grant   grant
	api     bool
	handle  func(*Web, http.ResponseWriter, *http.Request) error
}

// routes is every way in. A test walks all of them as every role.
var routes = []route{
	{"GET /{$}", signedIn, false, (*Web).home},
	{"GET /signin", anyone, false, (*Web).signinPage},
	{"POST /signin", anyone, false, (*Web).signin},
	{"GET /signin/oidc", anyone, false, (*Web).askOIDC},
	{"GET /signin/oidc/callback", anyone, false, (*Web).oidcBack},
	{"POST /signin/passkey/ask", anyone, false, (*Web).askPasskey},
	{"POST /signin/passkey", anyone, false, (*Web).passkey},
	{"GET /signin/second", anyone, false, (*Web).secondPage},
	{"POST /signin/second", anyone, false, (*Web).second},
	{"POST /signout", settingUp, false, (*Web).signout},
	{"POST /language", anyone, false, (*Web).language},
	{"GET /settings", settingUp, false, (*Web).settings},
	{"POST /settings/password", person, false, (*Web).changePassword},
	{"POST /settings/logins/{login}/end", person, false, (*Web).endLogin},
	{"POST /settings/logins/end", person, false, (*Web).endLogins},
	{"POST /settings/passkeys/new", settingUp, false, (*Web).newPasskey},
	{"POST /settings/passkeys", settingUp, false, (*Web).addPasskey},
	{"POST /settings/passkeys/{key}/remove", person, false, (*Web).removePasskey},
	{"POST /settings/totp/new", settingUp, false, (*Web).newClock},
	{"POST /settings/totp", settingUp, false, (*Web).confirmClock},
	{"POST /settings/totp/off", person, false, (*Web).dropClock},
	{"POST /settings/recovery", person, false, (*Web).renewRecovery},
	{"GET /reset", anyone, false, (*Web).resetPage},
	{"POST /reset", anyone, false, (*Web).askReset},
	{"GET /reset/{link}", anyone, false, (*Web).newPasswordPage},
	{"POST /reset/{link}", anyone, false, (*Web).newPassword},
	{"GET /invitation/{link}", anyone, false, (*Web).invitationPage},
	{"POST /invitation/{link}", anyone, false, (*Web).acceptInvitation},
	{"GET /setup/{link}", anyone, false, (*Web).firstPage},
	{"POST /setup/{link}", anyone, false, (*Web).first},
	{"GET /customers/new", adminAll, false, (*Web).customerPage},
	{"POST /customers", adminAll, false, (*Web).addCustomer},
	{"GET /orgs/{org}/users", adminOrg, false, (*Web).users},
	{"POST /orgs/{org}/users", adminOrg, false, (*Web).invite},
	{"POST /orgs/{org}/users/{user}/role", adminOrg, false, (*Web).changeRole},
	{"POST /orgs/{org}/users/{user}/remove", adminOrg, false, (*Web).removeUser},
	{"POST /orgs/{org}/users/{user}/disable", adminOrg, false, (*Web).disableUser},
	{"POST /orgs/{org}/users/{user}/factors/remove", adminOrg, false, (*Web).removeFactors},
	{"POST /orgs/{org}/users/{user}/logins/end", adminOrg, false, (*Web).endUsersLogins},
	{"POST /orgs/{org}/second", adminOrg, false, (*Web).setSecond},
	{"GET /orgs/{org}/activity", seeDated, false, (*Web).activity},
	{"GET /orgs/{org}/tokens", adminOrg, false, (*Web).tokens},
	{"POST /orgs/{org}/tokens", adminOrg, false, (*Web).makeToken},
	{"POST /orgs/{org}/tokens/{token}/revoke", adminOrg, false, (*Web).revokeToken},
	{"POST /orgs/{org}/invitations/{link}/withdraw", adminOrg, false, (*Web).withdrawInvitation},

	{"GET /orgs/{org}/board", seeDated, false, (*Web).board},
	{"GET /orgs/{org}/duties/{duty}", seeOrg, false, (*Web).duty},
	{"POST /orgs/{org}/duties/{duty}/review", reviewOrg, false, (*Web).review},
	{"POST /orgs/{org}/duties/{duty}/figures", reviewOrg, false, (*Web).setFigure},
	{"GET /orgs/{org}/records/{index}", seeRecord, false, (*Web).record},
	{"GET /orgs/{org}/records/{index}/envelope", seeRecord, false, (*Web).envelope},
	{"GET /orgs/{org}/agents", seeOrg, false, (*Web).agents},
	{"POST /orgs/{org}/agents/token", manageOrg, false, (*Web).addToken},
	{"POST /orgs/{org}/agents/{agent}/approve", manageOrg, false, (*Web).approveAgent},
	{"POST /orgs/{org}/agents/{agent}/revoke", manageOrg, false, (*Web).revokeAgent},
	{"GET /orgs/{org}/agents/{agent}", seeOrg, false, (*Web).agent},
	{"POST /orgs/{org}/agents/{agent}/serves", manageOrg, false, (*Web).setServes},
	{"GET /orgs/{org}/services", seeOrg, false, (*Web).services},
	{"POST /orgs/{org}/services", runOrg, false, (*Web).setServices},
	{"GET /orgs/{org}/settings", seeOrg, false, (*Web).setup},
	{"POST /orgs/{org}/settings", manageOrg, false, (*Web).setOrg},
	{"POST /orgs/{org}/channels", manageOrg, false, (*Web).addChannel},
	{"POST /orgs/{org}/channels/{channel}/test", manageOrg, false, (*Web).testChannel},
	{"POST /orgs/{org}/channels/{channel}/remove", manageOrg, false, (*Web).removeChannel},
	{"GET /orgs/{org}/alerts", seeOrg, false, (*Web).alerts},
	{"GET /orgs/{org}/alerts/{alert}", seeOrg, false, (*Web).alert},
	{"POST /orgs/{org}/alerts/{alert}/ack", ackAlert, false, (*Web).ackAlert},
	{"POST /orgs/{org}/alerts/{alert}/silence", ackAlert, false, (*Web).silenceAlert},
	{"POST /orgs/{org}/agents/{agent}/silence", actOrg, false, (*Web).silenceHost},
	{"POST /orgs/{org}/silences/{silence}/end", actOrg, false, (*Web).unsilence},
	{"POST /orgs/{org}/duties/{duty}/statement", stateOrg, false, (*Web).state},
	{"GET /orgs/{org}/digest/{service}", seeOrg, false, (*Web).digest},
	{"POST /orgs/{org}/digest/{service}", actOrg, false, (*Web).confirmDigest},
	{"GET /orgs/{org}/need", seeOrg, false, (*Web).need},
	{"POST /orgs/{org}/need", actOrg, false, (*Web).declareNeed},
	{"GET /orgs/{org}/restores", seeOrg, false, (*Web).restores},
	{"POST /orgs/{org}/restores", actOrg, false, (*Web).recordRestore},
	{"POST /orgs/{org}/restores/{test}/cosign", runOrg, false, (*Web).cosignRestore},
	{"GET /review/{link}", anyone, false, (*Web).reviewLink},
	{"POST /review/{link}", anyone, false, (*Web).followLink},
	{"GET /orgs/{org}/cases", seeOrg, false, (*Web).cases},
	{"GET /orgs/{org}/cases/{case}", seeOrg, false, (*Web).oneCase},
	{"POST /orgs/{org}/workflows/{workflow}", openCase, false, (*Web).openCase},
	{"POST /orgs/{org}/cases/{case}/steps/{step}", stepCase, false, (*Web).stepCase},
	{"GET /orgs/{org}/files/{epoch}/{index}", seeDated, false, (*Web).file},

	{"GET /api/v1/openapi.json", anyone, true, (*Web).description},
	{"GET /api/v1/orgs", signedIn, true, (*Web).apiOrgs},
	{"GET /api/v1/orgs/{org}/duties", seeOrg, true, (*Web).apiDuties},
	{"GET /api/v1/orgs/{org}/duties/{duty}", seeOrg, true, (*Web).apiDuty},
	{"GET /api/v1/orgs/{org}/duties/{duty}/days", seeDated, true, (*Web).apiDays},
	{"GET /api/v1/orgs/{org}/duties/{duty}/continuity", seeDated, true, (*Web).apiContinuity},
	{"GET /api/v1/orgs/{org}/state", seeDated, true, (*Web).apiBoardAt},
	{"POST /api/v1/orgs/{org}/duties/{duty}/review", reviewOrg, true, (*Web).apiReview},
	{"GET /api/v1/orgs/{org}/records/{index}", seeRecord, true, (*Web).apiRecord},
	{"GET /api/v1/orgs/{org}/records/{index}/proof", seeRecord, true, (*Web).apiProof},
	{"GET /api/v1/orgs/{org}/agents", seeOrg, true, (*Web).apiAgents},
	{"GET /api/v1/orgs/{org}/agents/{agent}", seeOrg, true, (*Web).apiAgent},
	{"POST /api/v1/orgs/{org}/agents/{agent}/serves", manageOrg, true, (*Web).apiSetServes},
	{"GET /api/v1/orgs/{org}/services", seeOrg, true, (*Web).apiServices},
	{"POST /api/v1/orgs/{org}/services", runOrg, true, (*Web).apiSetServices},
	{"GET /api/v1/orgs/{org}/activity", seeDated, true, (*Web).apiActivity},
	{"GET /api/v1/orgs/{org}/alerts", seeOrg, true, (*Web).apiAlerts},
	{"GET /api/v1/orgs/{org}/alerts/{alert}", seeOrg, true, (*Web).apiAlert},
	{"POST /api/v1/orgs/{org}/alerts/{alert}/ack", ackAlert, true, (*Web).apiAckAlert},
	{"GET /api/v1/orgs/{org}/silences", seeOrg, true, (*Web).apiSilences},
	{"POST /api/v1/orgs/{org}/alerts/{alert}/silence", ackAlert, true, (*Web).apiSilenceAlert},
	{"POST /api/v1/orgs/{org}/agents/{agent}/silence", actOrg, true, (*Web).apiSilenceHost},
	{"POST /api/v1/orgs/{org}/silences/{silence}/end", actOrg, true, (*Web).apiUnsilence},
	{"POST /api/v1/orgs/{org}/duties/{duty}/statement", stateOrg, true, (*Web).apiState},
	{"GET /api/v1/orgs/{org}/digest/{service}", seeOrg, true, (*Web).apiDigest},
	{"POST /api/v1/orgs/{org}/digest/{service}", actOrg, true, (*Web).apiConfirmDigest},
	{"GET /api/v1/orgs/{org}/need", seeOrg, true, (*Web).apiNeed},
	{"POST /api/v1/orgs/{org}/need", actOrg, true, (*Web).apiDeclareNeed},
	{"GET /api/v1/orgs/{org}/restores", seeOrg, true, (*Web).apiRestores},
	{"POST /api/v1/orgs/{org}/restores", actOrg, true, (*Web).apiRecordRestore},
	{"POST /api/v1/orgs/{org}/restores/{test}/cosign", runOrg, true, (*Web).apiCosignRestore},
	{"GET /api/v1/orgs/{org}/cases", seeOrg, true, (*Web).apiCases},
	{"GET /api/v1/orgs/{org}/cases/{case}", seeOrg, true, (*Web).apiCase},
	{"POST /api/v1/orgs/{org}/workflows/{workflow}", openCase, true, (*Web).apiOpenCase},
	{"POST /api/v1/orgs/{org}/cases/{case}/steps/{step}", stepCase, true, (*Web).apiStepCase},

	{"GET /log/{org}/{epoch}/checkpoint", seeDated, true, (*Web).logCheckpoint},
	{"GET /log/{org}/{epoch}/tile/{path...}", seeDated, true, (*Web).logTile},
}

// maxForm bounds a request's body, in bytes, where no file comes along.
const maxForm = 64 << 10

// limit bounds a request's body.
func (rt route) limit() int64 {
	if rt.grant == openCase || rt.grant == stepCase || rt.grant == reviewOrg || rt.grant == stateOrg || rt.grant == actOrg || rt.pattern == "POST /review/{link}" {
		return maxUpload
	}
	return maxForm
}

// New makes the pages' handler.
func New(d Deps) (http.Handler, error) {
	w := &Web{Deps: d, limits: newLimits(d.Now), asking: newLimits(d.Now), codes: newLimits(d.Now), mailing: make(chan struct{}, maxMailing), refusing: make(chan struct{}, maxRefusing),
		openAPI: openAPI(d.Catalogue), hashes: make(hashing, maxHashing), places: placesOf(d.Catalogue)}
	w.codes.most = perSecond
	var err error
	if w.views, err = allViews(); err != nil {
		return nil, err
	}
	if w.dummy, err = nobodys(); err != nil {
		return nil, err
	}
	w.sessions = w.newSessions()
	pages := http.NewServeMux()
	for _, r := range routes {
		pages.Handle(r.pattern, bounded(w.guard(r), r.limit()))
	}
	pages.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) { w.fail(rw, r, isAPI(r), elsewhere(pages, rw, r)) })
	cross := http.NewCrossOriginProtection()
	if origin := strings.TrimSuffix(d.PublicURL, "/"); origin != "" {
		if err := cross.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("public URL: %w", err)
		}
	}
	cross.SetDenyHandler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.fail(rw, r, isAPI(r), &problem{status: http.StatusForbidden, key: "cross_origin"})
	}))
	static, err := allStatic()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/static/", static)
	mux.Handle("/", w.sessions.LoadAndSave(cross.Handler(pages)))
	return d.Proxies.located(secure(mux, strings.HasPrefix(d.PublicURL, "https://"))), nil
}

// elsewhere is the answer where no route is: there is nothing, or there is with another
// method, which it names (RFC 9110, 15.5.6).
func elsewhere(pages *http.ServeMux, rw http.ResponseWriter, r *http.Request) error {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := pages.Handler(other); pattern != "/" && method != r.Method {
			allow = append(allow, method)
		}
	}
	if allow == nil {
		return notFound()
	}
	rw.Header().Set("Allow", strings.Join(allow, ", "))
	return &problem{status: http.StatusMethodNotAllowed, key: "method", detail: "want " + strings.Join(allow, " or ")}
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// secure sets the headers that hold for every answer. Scripts and styles come
// from this server only; nothing is inline.
func secure(next http.Handler, https bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if https {
			h.Set("Strict-Transport-Security", "max-age=31536000") // RFC 6797: a year
		}
		next.ServeHTTP(w, r)
	})
}
