package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/store"
)

// agentsBody are the agents that were asked for.
type agentsBody struct {
	Show, Query string // Show: how they stand, "" for all
	Agents      []agentBody
	Counts      map[string]int // of all, by how they stand
	All         int
	More        int // that fit and are not shown
	Replaceable []agentBody
	MayManage   bool
	ReadOnly    bool // the log lost what was confirmed and is not continued
	Token       *tokenBody
	Services    []string // that a new agent may prove
}

// How an agent stands, what asks for somebody first.
const (
	standsWaiting = "waiting" // for approval
	standsForked  = "forked"
	standsSilent  = "silent"
	standsNew     = "new" // enrolled, and nothing came yet
	standsSending = "sending"
	standsRevoked = "revoked"
)

var standings = []string{standsWaiting, standsForked, standsSilent, standsNew, standsSending, standsRevoked}

type agentBody struct {
	store.Agent
	KeyID  string
	Worth  evidence.Assurance // of what it signs
	Silent bool               // nothing was heard for longer than an hour and a half
	Skewed bool
	Looks  []store.Newest
}

// Stands is how the agent stands.
func (a agentBody) Stands() string {
	switch {
	case a.State == store.AgentRevoked:
		return standsRevoked
	case a.State == store.AgentForked:
		return standsForked
	case a.Standing() == store.AgentWaiting:
		return standsWaiting
	case a.Silent:
		return standsSilent
	case a.Seq == 0:
		return standsNew
	}
	return standsSending
}

// The bounds of what the page of agents lists.
const (
	maxShownAgents = 60
	maxReplaceable = 200 // beyond them, the page of the agent that is replaced
)

// pick keeps the agents that are asked for, what asks for somebody first, and counts
// them all.
func (b *agentsBody) pick(list []agentBody) {
	find := strings.ToLower(b.Query)
	b.All, b.Counts = len(list), map[string]int{}
	for _, a := range list {
		b.Counts[a.Stands()]++
		text := strings.ToLower(strings.Join([]string{a.Name, a.ID, a.KeyID, a.OS, a.Version}, " "))
		if (b.Show == "" || b.Show == a.Stands()) && strings.Contains(text, find) {
			b.Agents = append(b.Agents, a)
		}
		if a.State != store.AgentRevoked {
			b.Replaceable = append(b.Replaceable, a)
		}
	}
	if len(b.Replaceable) > maxReplaceable {
		b.Replaceable = nil
	}
	slices.SortStableFunc(b.Agents, func(x, y agentBody) int {
		return slices.Index(standings, x.Stands()) - slices.Index(standings, y.Stands())
	})
	if len(b.Agents) > maxShownAgents {
		b.More, b.Agents = len(b.Agents)-maxShownAgents, b.Agents[:maxShownAgents]
	}
}

// Standings are the ways to stand that some agent does.
func (b agentsBody) Standings() []string {
	return slices.DeleteFunc(slices.Clone(standings), func(s string) bool { return b.Counts[s] == 0 })
}

// With is the address of the same list with agents that stand otherwise.
func (b agentsBody) With(show string) string {
	return asking(map[string]string{"q": b.Query}, "show", show)
}

type tokenBody struct {
	Token, Server string
	Hosts         int64
	Expires       time.Time
}

// howto are the commands that install and enroll an agent on one system.
type howto struct {
	System, Title string
	Lines         []string
}

// Here reports whether only the server's own host can reach it by this address: agents on
// others speak HTTPS alone.
func (t tokenBody) Here() bool { return strings.HasPrefix(t.Server, "http://") }

// For gives the commands of a system; System is deb, rpm or windows.
func (t tokenBody) For(system, title string) howto {
	enroll := "attesto-agent enroll --server " + t.Server + " --token " + t.Token
	h := howto{System: system, Title: title}
	switch system {
	case "windows":
		h.Lines = []string{`New-Item -ItemType Directory -Force "$env:ProgramFiles\Attesto" | Out-Null`,
			`Copy-Item .\attesto-agent.exe "$env:ProgramFiles\Attesto"`, `cd "$env:ProgramFiles\Attesto"`, `.\` + enroll,
			`New-Service attesto-agent -StartupType Automatic -BinaryPathName "` + "`" + `"$PWD\attesto-agent.exe` + "`" + `" run"`, `Start-Service attesto-agent`, `.\attesto-agent.exe doctor`}
	case "rpm":
		h.Lines = []string{"sudo dnf install ./attesto-agent-*.rpm", "sudo " + enroll, "sudo systemctl enable --now attesto-agent"}
	default:
		h.Lines = []string{"sudo apt install ./attesto-agent_*.deb", "sudo " + enroll, "sudo systemctl enable --now attesto-agent"}
	}
	return h
}

const (
	silentAfter = 90 * time.Minute
	skewLimit   = 5 * time.Minute
)

func (w *Web) agents(rw http.ResponseWriter, r *http.Request) error {
	return w.agentsPage(rw, r, nil)
}

func (w *Web) agentsPage(rw http.ResponseWriter, r *http.Request, token *tokenBody) error {
	list, err := w.agentsOf(r)
	if err != nil {
		return err
	}
	ctx, org := r.Context(), orgOf(r.Context())
	body := agentsBody{Show: r.FormValue("show"), Query: strings.TrimSpace(r.FormValue("q")), MayManage: viewerOf(ctx).manages(org.ID), Token: token,
		Services: w.servicesOf(org)}
	body.pick(list)
	if err := w.look(ctx, org.ID, body.Agents); err != nil {
		return err
	}
	if body.ReadOnly, err = w.ReadOnly(ctx, org.ID); err != nil {
		return err
	}
	return w.render(rw, r, http.StatusOK, "agents", "agents_title", body)
}

// agentsOf lists an organisation's agents by name, without their looks.
func (w *Web) agentsOf(r *http.Request) ([]agentBody, error) {
	agents, err := w.Store.Agents(r.Context(), orgOf(r.Context()).ID)
	out := make([]agentBody, len(agents))
	for i, a := range agents {
		out[i] = w.agentBodyOf(a)
	}
	return out, err
}

func (w *Web) agentBodyOf(a store.Agent) agentBody {
	return agentBody{Agent: a, Skewed: a.Skew.Abs() > skewLimit, Worth: evidence.AssuranceOf(a.Protection), Silent: w.silent(a), KeyID: keyOf(a)}
}

// look adds the newest look of each kind.
func (w *Web) look(ctx context.Context, org string, list []agentBody) error {
	ids, at := make([]string, len(list)), map[string]int{}
	for i, a := range list {
		ids[i], at[a.ID] = a.ID, i
	}
	looks, err := w.Store.NewestLooks(ctx, org, ids)
	for _, l := range looks {
		a := &list[at[l.Agent]]
		a.Looks = append(a.Looks, l)
	}
	return err
}

func (w *Web) silent(a store.Agent) bool {
	return a.Standing() == store.AgentActive && w.Now().Sub(later(a.Seen, a.Enrolled)) > silentAfter
}

// keyOf is the id of an agent's key; empty for one that does not hold.
func keyOf(a store.Agent) string {
	key, err := evidence.ParsePublicKey(a.SPKI)
	if err != nil {
		return ""
	}
	return string(key.ID())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// TokenAsk is what a person wants of an enrollment token.
type TokenAsk struct {
	Org      string
	Services []string
	Hosts    int64         // how many may enroll with it
	Life     time.Duration // how long it holds
	Hold     bool          // hosts wait for approval
	Replaces string        // the agent that the host had before
	Note     string
}

// lives are how long a token may hold that is made on a page.
var lives = map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}

// maxHosts bounds the hosts of a token that is made on a page.
const maxHosts = 500

// tokenAsk reads the form; one that says nothing is for one host and an hour.
func (w *Web) tokenAsk(r *http.Request) (TokenAsk, error) {
	org := orgOf(r.Context())
	ask := TokenAsk{Org: org.ID, Services: r.PostForm["service"], Hosts: 1, Life: time.Hour, Hold: r.PostForm.Has("hold"),
		Replaces: r.PostForm.Get("replaces"), Note: "made on the board by " + viewerOf(r.Context()).id()}
	if len(ask.Services) == 0 {
		ask.Services = org.Services
	}
	for _, s := range ask.Services {
		if !slices.Contains(w.servicesOf(org), s) {
			return ask, &problem{status: http.StatusBadRequest, key: "bad_form"}
		}
	}
	if text := r.PostForm.Get("hosts"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > maxHosts {
			return ask, &problem{status: http.StatusBadRequest, key: "bad_form"}
		}
		ask.Hosts = n
	}
	if text := r.PostForm.Get("life"); text != "" {
		var ok bool
		if ask.Life, ok = lives[text]; !ok {
			return ask, &problem{status: http.StatusBadRequest, key: "bad_form"}
		}
	}
	return ask, nil
}

// servicesOf are those that an organisation's hosts may prove: a customer's own,
// the provider's all of them.
func (w *Web) servicesOf(o store.Org) []string {
	if o.Kind == store.Provider {
		return w.Catalogue.Services()
	}
	return o.Services
}

// addToken makes a token and shows it once, with the commands to use it.
func (w *Web) addToken(rw http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	ask, err := w.tokenAsk(r)
	if err != nil {
		return err
	}
	if ask.Replaces != "" {
		if _, err := w.agentOf(r, ask.Replaces); err != nil {
			return err
		}
	}
	token, expires, err := w.AddToken(r.Context(), ask)
	if err != nil {
		return err
	}
	server := strings.TrimSuffix(w.PublicURL, "/")
	if server == "" {
		server = "https://" + r.Host
		if host, _, err := net.SplitHostPort(r.Host); r.TLS == nil && err == nil && net.ParseIP(host).IsLoopback() {
			server = "http://" + r.Host
		}
	}
	return w.agentsPage(rw, r, &tokenBody{token, server, ask.Hosts, expires})
}

// agentOf is an agent of the organisation in the path.
func (w *Web) agentOf(r *http.Request, id string) (store.Agent, error) {
	a, err := w.Store.Agent(r.Context(), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && a.Org != orgOf(r.Context()).ID {
		return a, notFound()
	}
	return a, err
}

func (w *Web) approveAgent(rw http.ResponseWriter, r *http.Request) error {
	a, err := w.agentOf(r, r.PathValue("agent"))
	if err == nil && a.Standing() == store.AgentWaiting { // another click was faster
		_, err = w.ApproveAgent(r.Context(), a.ID, viewerOf(r.Context()).id())
	}
	return w.backToAgents(rw, r, err)
}

// reasons are those for revoking an agent, as the page offers them.
var reasons = []string{"retired", "replaced", "lost", "stolen", "cloned"}

func (w *Web) revokeAgent(rw http.ResponseWriter, r *http.Request) error {
	a, err := w.agentOf(r, r.PathValue("agent"))
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil || !slices.Contains(reasons, r.PostForm.Get("reason")) {
		return &problem{status: http.StatusBadRequest, key: "bad_form"}
	}
	if a.State != store.AgentRevoked {
		_, err = w.RevokeAgent(r.Context(), a.ID, r.PostForm.Get("reason"), viewerOf(r.Context()).id(), time.Time{})
	}
	return w.backToAgents(rw, r, err)
}

func (w *Web) backToAgents(rw http.ResponseWriter, r *http.Request, err error) error {
	if err == nil {
		http.Redirect(rw, r, "/orgs/"+orgOf(r.Context()).ID+"/agents", http.StatusSeeOther)
	}
	return err
}
