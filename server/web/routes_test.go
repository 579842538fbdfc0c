package web_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
	"github.com/attesto/attesto/server/web"
)

// Who walks: a stranger; the customer's admin, viewer and auditor; another
// customer's admin; the provider's admin, operator, viewer and auditor.
var walkers = []string{"stranger", "admin", "viewer", "auditor", "foreign", "p-admin", "p-operator", "p-viewer", "p-auditor"}

// Which tokens try the API: a wrong one; the customer's for reading and writing;
// another customer's for writing; the provider's for reading and writing.
var tokens = []string{"wrong", "read", "write", "foreign-write", "p-read", "p-write"}

// visit is a route with an organisation and what else its path names. want has a
// letter for each of walkers, then for each of tokens where the route is of the
// API: o let in, s sent to sign in, u not signed in, f forbidden, n nothing there.
type visit struct{ pattern, path, want string }

// visits is who may do what, stated once more and apart from the code.
func visits(w *town) []visit {
	c, p := "/orgs/"+w.customer.ID, "/orgs/"+w.provider.ID
	erp, mail := fmt.Sprint(w.erpIndex), fmt.Sprint(w.mailIndex)
	node := fmt.Sprint(w.nodeIndex)
	return []visit{
		{"GET /{$}", "/", "soooooooo"},
		{"GET /signin", "/signin", "ooooooooo"},
		{"POST /signin", "/signin", "ooooooooo"},
		{"POST /language", "/language", "ooooooooo"},

		{"GET /settings", "/settings", "soooooooo"},
		{"POST /settings/password", "/settings/password", "soooooooo"},
		{"POST /settings/logins/{login}/end", "/settings/logins/s_nobody/end", "snnnnnnnn"},
		{"POST /settings/logins/end", "/settings/logins/end", "soooooooo"},
		{"GET /signin/oidc", "/signin/oidc", "nnnnnnnnn"}, // not configured here
		{"GET /signin/oidc/callback", "/signin/oidc/callback", "nnnnnnnnn"},
		{"POST /signin/passkey/ask", "/signin/passkey/ask", "ooooooooo"},
		{"POST /signin/passkey", "/signin/passkey", "ooooooooo"},
		{"POST /settings/passkeys/new", "/settings/passkeys/new", "sffffffff"}, // no password was said
		{"POST /settings/passkeys", "/settings/passkeys", "soooooooo"},
		{"POST /settings/passkeys/{key}/remove", "/settings/passkeys/p_nothing/remove", "soooooooo"},
		{"GET /signin/second", "/signin/second", "ooooooooo"},
		{"POST /signin/second", "/signin/second", "ooooooooo"},
		{"POST /settings/totp/new", "/settings/totp/new", "soooooooo"},
		{"POST /settings/totp", "/settings/totp", "soooooooo"},
		{"POST /settings/totp/off", "/settings/totp/off", "soooooooo"},
		{"POST /settings/recovery", "/settings/recovery", "soooooooo"},
		{"GET /reset", "/reset", "ooooooooo"},
		{"POST /reset", "/reset", "ooooooooo"},
		{"GET /reset/{link}", "/reset/nothing", "nnnnnnnnn"},
		{"POST /reset/{link}", "/reset/nothing", "nnnnnnnnn"},
		{"GET /invitation/{link}", "/invitation/nothing", "nnnnnnnnn"},
		{"POST /invitation/{link}", "/invitation/nothing", "nnnnnnnnn"},
		{"GET /setup/{link}", "/setup/nothing", "nnnnnnnnn"},
		{"POST /setup/{link}", "/setup/nothing", "nnnnnnnnn"},
		{"GET /customers/new", "/customers/new", "sffffofff"},
		{"POST /customers", "/customers", "sffffofff"},
		{"GET /orgs/{org}/users", c + "/users", "soffnofnn"},
		{"GET /orgs/{org}/users", p + "/users", "snnnnofff"},
		{"POST /orgs/{org}/users", c + "/users", "soffnofnn"},
		{"POST /orgs/{org}/users", p + "/users", "snnnnofff"},
		{"POST /orgs/{org}/users/{user}/role", c + "/users/" + w.walked + "/role", "soffnofnn"},
		{"POST /orgs/{org}/users/{user}/role", p + "/users/" + w.walked + "/role", "snnnnofff"}, // the form is looked at first
		{"POST /orgs/{org}/users/{user}/logins/end", c + "/users/" + w.walked + "/logins/end", "soffnofnn"},
		{"POST /orgs/{org}/users/{user}/logins/end", p + "/users/" + w.walked + "/logins/end", "snnnnnfff"}, // a customer's user
		{"POST /orgs/{org}/users/{user}/factors/remove", c + "/users/" + w.walked + "/factors/remove", "soffnofnn"},
		{"POST /orgs/{org}/users/{user}/factors/remove", p + "/users/" + w.walked + "/factors/remove", "snnnnnfff"},
		{"POST /orgs/{org}/users/{user}/disable", c + "/users/" + w.walked + "/disable", "soffnofnn"},
		{"POST /orgs/{org}/users/{user}/remove", c + "/users/u_nobody/remove", "snffnnfnn"},
		{"POST /orgs/{org}/users/{user}/remove", p + "/users/" + w.walked + "/remove", "snnnnnfff"},
		{"POST /orgs/{org}/invitations/{link}/withdraw", c + "/invitations/k_nothing/withdraw", "snffnnfnn"},
		{"POST /orgs/{org}/second", c + "/second", "soffnofnn"},
		{"POST /orgs/{org}/second", p + "/second", "snnnnofff"},
		{"GET /orgs/{org}/activity", c + "/activity", "sooonoonn"},
		{"GET /orgs/{org}/activity", p + "/activity", "snnnnoooo"},
		{"GET /orgs/{org}/tokens", c + "/tokens", "soffnofnn"},
		{"GET /orgs/{org}/tokens", p + "/tokens", "snnnnofff"},
		{"POST /orgs/{org}/tokens", c + "/tokens", "soffnofnn"},
		{"POST /orgs/{org}/tokens", p + "/tokens", "snnnnofff"},
		{"POST /orgs/{org}/tokens/{token}/revoke", c + "/tokens/t_nothing/revoke", "snffnnfnn"},
		{"POST /orgs/{org}/tokens/{token}/revoke", p + "/tokens/t_nothing/revoke", "snnnnnfff"},
		{"GET /orgs/{org}/board", c + "/board", "sooonoonn"},
		{"GET /orgs/{org}/board", p + "/board", "snnnnoooo"},
		{"GET /orgs/{org}/board", "/orgs/o_nobody/board", "snnnnnnnn"},
		{"GET /orgs/{org}/duties/{duty}", c + "/duties/SC-C5", "sooonoonn"},
		{"GET /orgs/{org}/duties/{duty}", c + "/duties/PE-P3", "sooonoonn"},
		{"GET /orgs/{org}/duties/{duty}", p + "/duties/PE-P3", "snnnnoooo"},
		{"GET /orgs/{org}/duties/{duty}", p + "/duties/SC-C5", "snnnnnnnn"}, // a customer's duty
		{"POST /orgs/{org}/duties/{duty}/review", c + "/duties/SC-C5/review", "soffnffnn"},
		{"POST /orgs/{org}/duties/{duty}/review", c + "/duties/PE-P1/review", "sfffnoonn"},
		{"POST /orgs/{org}/duties/{duty}/review", p + "/duties/PE-P1/review", "snnnnooff"},
		{"POST /orgs/{org}/duties/{duty}/figures", c + "/duties/SC-C5/figures", "soffnffnn"},
		{"POST /orgs/{org}/duties/{duty}/figures", c + "/duties/PE-P3/figures", "sfffnnnnn"}, // the provider sets its own on its own board
		{"POST /orgs/{org}/duties/{duty}/figures", p + "/duties/PE-P3/figures", "snnnnooff"},
		{"GET /orgs/{org}/records/{index}", c + "/records/" + erp, "sooonoonn"},
		{"GET /orgs/{org}/records/{index}", p + "/records/" + mail, "soooooooo"},
		{"GET /orgs/{org}/records/{index}", p + "/records/" + node, "sooonoooo"}, // of a service that the other customer lacks
		{"GET /orgs/{org}/records/{index}", p + "/records/0", "snnnnoooo"},       // an enrollment
		{"GET /orgs/{org}/records/{index}", c + "/records/99999", "snnnnnnnn"},
		{"GET /orgs/{org}/records/{index}", c + "/records/-1", "snnnnnnnn"},
		{"GET /orgs/{org}/records/{index}/envelope", c + "/records/" + erp + "/envelope", "sooonoonn"},
		{"GET /orgs/{org}/records/{index}/envelope", p + "/records/" + mail + "/envelope", "soooooooo"},
		{"GET /orgs/{org}/records/{index}/envelope", p + "/records/0/envelope", "snnnnoooo"},
		{"GET /orgs/{org}/agents", c + "/agents", "sooonoonn"},
		{"GET /orgs/{org}/agents", p + "/agents", "snnnnoooo"},
		{"POST /orgs/{org}/agents/token", c + "/agents/token", "soffnoonn"},
		{"POST /orgs/{org}/agents/token", p + "/agents/token", "snnnnooff"},
		{"GET /orgs/{org}/settings", c + "/settings", "sooonoonn"},
		{"GET /orgs/{org}/settings", p + "/settings", "snnnnoooo"},
		{"POST /orgs/{org}/settings", c + "/settings", "soffnoonn"},
		{"POST /orgs/{org}/settings", p + "/settings", "snnnnooff"},
		{"POST /orgs/{org}/channels", c + "/channels", "soffnoonn"},
		{"POST /orgs/{org}/channels", p + "/channels", "snnnnooff"},
		{"POST /orgs/{org}/channels/{channel}/test", c + "/channels/" + w.channel + "/test", "soffnoonn"},
		{"POST /orgs/{org}/channels/{channel}/test", p + "/channels/" + w.channel + "/test", "snnnnnnff"}, // the customer's
		{"POST /orgs/{org}/channels/{channel}/remove", p + "/channels/" + w.channel + "/remove", "snnnnnnff"},
		{"POST /orgs/{org}/channels/{channel}/remove", c + "/channels/c_none/remove", "snffnnnnn"},
		{"GET /orgs/{org}/alerts", c + "/alerts", "sooonoonn"},
		{"GET /orgs/{org}/alerts", p + "/alerts", "snnnnoooo"},

		{"GET /api/v1/orgs", "/api/v1/orgs", "uoooooooo" + "uooooo"},
		{"GET /api/v1/orgs/{org}/duties", "/api/v1" + c + "/duties", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/duties", "/api/v1" + p + "/duties", "unnnnoooo" + "unnnoo"},
		{"GET /api/v1/orgs/{org}/duties/{duty}", "/api/v1" + c + "/duties/PE-P3", "uooonoonn" + "uoonoo"},
		{"POST /api/v1/orgs/{org}/duties/{duty}/review", "/api/v1" + c + "/duties/SC-C5/review", "uoffnffnn" + "ufonff"},
		{"POST /api/v1/orgs/{org}/duties/{duty}/review", "/api/v1" + c + "/duties/PE-P1/review", "ufffnoonn" + "uffnfo"},
		{"GET /api/v1/orgs/{org}/records/{index}", "/api/v1" + c + "/records/" + erp, "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/records/{index}", "/api/v1" + p + "/records/" + mail, "uoooooooo" + "uooooo"},
		{"GET /api/v1/orgs/{org}/records/{index}", "/api/v1" + p + "/records/" + node, "uooonoooo" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/records/{index}/proof", "/api/v1" + c + "/records/" + erp + "/proof", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/records/{index}/proof", "/api/v1" + p + "/records/" + mail + "/proof", "uoooooooo" + "uooooo"},
		{"GET /api/v1/orgs/{org}/records/{index}/proof", "/api/v1" + p + "/records/" + node + "/proof", "uooonoooo" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/records/{index}/proof", "/api/v1" + p + "/records/0/proof", "unnnnoooo" + "unnnoo"},
		{"GET /api/v1/orgs/{org}/agents", "/api/v1" + c + "/agents", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/alerts", "/api/v1" + c + "/alerts", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/alerts", "/api/v1" + p + "/alerts", "unnnnoooo" + "unnnoo"},

		{"GET /log/{org}/{epoch}/checkpoint", "/log/" + w.customer.ID + "/1/checkpoint", "uooonoonn" + "uoonoo"},
		{"GET /log/{org}/{epoch}/checkpoint", "/log/" + w.provider.ID + "/1/checkpoint", "unnnnoooo" + "unnnoo"},
		{"GET /log/{org}/{epoch}/tile/{path...}", "/log/" + w.customer.ID + "/1/tile/0/000.p/1", "uooonoonn" + "uoonoo"},
		{"GET /log/{org}/{epoch}/tile/{path...}", "/log/" + w.customer.ID + "/1/tile/entries/000.p/1", "uooonoonn" + "uoonoo"},
		{"GET /log/{org}/{epoch}/tile/{path...}", "/log/" + w.provider.ID + "/1/tile/entries/000.p/1", "unnnnoooo" + "unnnoo"},

		{"POST /orgs/{org}/agents/{agent}/approve", c + "/agents/" + w.erp.id + "/approve", "soffnoonn"},
		{"POST /orgs/{org}/agents/{agent}/approve", c + "/agents/" + w.mail.id + "/approve", "snffnnnnn"}, // the provider's agent
		{"POST /orgs/{org}/agents/{agent}/approve", p + "/agents/" + w.mail.id + "/approve", "snnnnooff"},
		{"POST /orgs/{org}/agents/{agent}/revoke", c + "/agents/" + w.mail.id + "/revoke", "snffnnnnn"},
		{"POST /orgs/{org}/agents/{agent}/revoke", c + "/agents/" + w.files.id + "/revoke", "soffnoonn"},
		{"POST /orgs/{org}/agents/{agent}/revoke", p + "/agents/" + w.web.id + "/revoke", "snnnnooff"},

		{"GET /orgs/{org}/digest/{service}", c + "/digest/sc", "sooonoonn"},
		{"GET /orgs/{org}/digest/{service}", p + "/digest/pe", "snnnnoooo"},
		{"POST /orgs/{org}/digest/{service}", c + "/digest/sc", "soffnffnn"},
		{"POST /orgs/{org}/digest/{service}", p + "/digest/pe", "snnnnooff"},
		{"GET /api/v1/orgs/{org}/digest/{service}", "/api/v1" + c + "/digest/sc", "uooonoonn" + "uoonoo"},
		{"POST /api/v1/orgs/{org}/digest/{service}", "/api/v1" + c + "/digest/sc", "uoffnffnn" + "ufonff"},
		{"GET /api/v1/openapi.json", "/api/v1/openapi.json", "ooooooooo" + "uooooo"},
		{"GET /api/v1/orgs/{org}/activity", "/api/v1" + c + "/activity", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/activity", "/api/v1" + p + "/activity", "unnnnoooo" + "unnnoo"},
		{"GET /orgs/{org}/alerts/{alert}", c + "/alerts/" + w.ownAlert, "sooonoonn"},
		{"GET /orgs/{org}/alerts/{alert}", c + "/alerts/" + w.theirsAlert, "sooonoonn"}, // the provider's, which concerns the customer
		{"GET /orgs/{org}/alerts/{alert}", p + "/alerts/" + w.theirsAlert, "snnnnoooo"},
		{"GET /orgs/{org}/alerts/{alert}", p + "/alerts/" + w.ownAlert, "snnnnoonn"}, // a customer's, for who runs all
		{"GET /orgs/{org}/alerts/{alert}", "/orgs/" + w.other.ID + "/alerts/" + w.ownAlert, "snnnnnnnn"},
		{"GET /api/v1/orgs/{org}/alerts/{alert}", "/api/v1" + c + "/alerts/" + w.ownAlert, "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/alerts/{alert}", "/api/v1" + p + "/alerts/" + w.theirsAlert, "unnnnoooo" + "unnnoo"},
		{"GET /orgs/{org}/need", c + "/need", "sooonoonn"},
		{"GET /orgs/{org}/need", p + "/need", "snnnnnnnn"}, // the provider has none
		{"POST /orgs/{org}/need", c + "/need", "soffnffnn"},
		{"GET /orgs/{org}/restores", c + "/restores", "sooonoonn"},
		{"POST /orgs/{org}/restores", c + "/restores", "soffnffnn"},
		{"POST /orgs/{org}/restores/{test}/cosign", c + "/restores/st_none/cosign", "sfffnnnnn"}, // none of this id, for who may
		{"GET /api/v1/orgs/{org}/need", "/api/v1" + c + "/need", "uooonoonn" + "uoonoo"},
		{"POST /api/v1/orgs/{org}/need", "/api/v1" + c + "/need", "uoffnffnn" + "ufonff"},
		{"GET /api/v1/orgs/{org}/restores", "/api/v1" + c + "/restores", "uooonoonn" + "uoonoo"},
		{"POST /api/v1/orgs/{org}/restores", "/api/v1" + c + "/restores", "uoffnffnn" + "ufonff"},
		{"POST /api/v1/orgs/{org}/restores/{test}/cosign", "/api/v1" + c + "/restores/st_none/cosign", "ufffnnnnn" + "uffnfn"},
		{"GET /review/{link}", "/review/rl_none.none", "ooooooooo"},  // refused as used, whoever asks
		{"POST /review/{link}", "/review/rl_none.none", "ooooooooo"}, // likewise
		{"GET /orgs/{org}/agents/{agent}", c + "/agents/" + w.erp.id, "sooonoonn"},
		{"GET /orgs/{org}/agents/{agent}", c + "/agents/" + w.mail.id, "snnnnnnnn"}, // the provider's
		{"POST /orgs/{org}/agents/{agent}/serves", c + "/agents/" + w.erp.id + "/serves", "soffnoonn"},
		{"POST /orgs/{org}/agents/{agent}/serves", p + "/agents/" + w.node.id + "/serves", "snnnnooff"},
		{"GET /orgs/{org}/services", c + "/services", "sooonoonn"},
		{"POST /orgs/{org}/services", "/orgs/" + w.other.ID + "/services", "snnnfoonn"},
		{"POST /orgs/{org}/services", p + "/services", "snnnnooff"},
		{"GET /api/v1/orgs/{org}/agents/{agent}", "/api/v1" + c + "/agents/" + w.erp.id, "uooonoonn" + "uoonoo"},
		{"POST /api/v1/orgs/{org}/agents/{agent}/serves", "/api/v1" + c + "/agents/" + w.erp.id + "/serves", "uoffnoonn" + "ufonfo"},
		{"GET /api/v1/orgs/{org}/services", "/api/v1" + c + "/services", "uooonoonn" + "uoonoo"},
		{"POST /api/v1/orgs/{org}/services", "/api/v1/orgs/" + w.other.ID + "/services", "unnnfoonn" + "ufnffo"},

		{"POST /orgs/{org}/duties/{duty}/statement", c + "/duties/WH-C2/statement", "soffnoonn"},
		{"POST /orgs/{org}/duties/{duty}/statement", c + "/duties/WH-P6/statement", "soffnoonn"},
		{"POST /orgs/{org}/duties/{duty}/statement", p + "/duties/WH-P6/statement", "snnnnooff"},
		{"GET /orgs/{org}/cases", c + "/cases", "sooonoonn"},
		{"GET /orgs/{org}/cases", p + "/cases", "snnnnoooo"},
		{"GET /orgs/{org}/cases/{case}", c + "/cases/" + w.notice, "sooonoonn"},
		{"GET /orgs/{org}/cases/{case}", c + "/cases/" + w.vendor, "snnnnnnnn"}, // the provider's own
		{"GET /orgs/{org}/cases/{case}", p + "/cases/" + w.vendor, "snnnnoooo"},
		{"GET /orgs/{org}/cases/{case}", "/orgs/" + w.other.ID + "/cases/" + w.notice, "snnnnnnnn"},
		{"POST /orgs/{org}/workflows/{workflow}", c + "/workflows/notice", "sfffnoonn"},
		{"POST /orgs/{org}/workflows/{workflow}", c + "/workflows/incident", "soffnffnn"},
		{"POST /orgs/{org}/workflows/{workflow}", c + "/workflows/export", "soffnoonn"},
		{"POST /orgs/{org}/workflows/{workflow}", c + "/workflows/nothing", "snnnnnnnn"},
		{"POST /orgs/{org}/workflows/{workflow}", p + "/workflows/vendor", "snnnnooff"},
		{"POST /orgs/{org}/cases/{case}/steps/{step}", c + "/cases/" + w.notice + "/steps/told", "sfffnoonn"},
		{"POST /orgs/{org}/cases/{case}/steps/{step}", c + "/cases/" + w.notice + "/steps/acted", "soffnffnn"},
		{"POST /orgs/{org}/cases/{case}/steps/{step}", c + "/cases/" + w.notice + "/steps/withdraw", "sfffnoonn"},
		{"POST /orgs/{org}/cases/{case}/steps/{step}", c + "/cases/" + w.vendor + "/steps/informed", "snnnnnnnn"},
		{"POST /orgs/{org}/cases/{case}/steps/{step}", p + "/cases/" + w.vendor + "/steps/informed", "snnnnooff"},
		{"POST /orgs/{org}/cases/{case}/steps/{step}", c + "/cases/" + w.vendor + "/steps/pass", "snnnnnnnn"},
		{"POST /orgs/{org}/cases/{case}/steps/{step}", p + "/cases/" + w.vendor + "/steps/pass", "snnnnooff"},
		{"POST /orgs/{org}/alerts/{alert}/ack", c + "/alerts/" + w.theirsAlert + "/ack", "snnnnnnnn"},
		{"POST /orgs/{org}/alerts/{alert}/ack", c + "/alerts/" + w.ownAlert + "/ack", "soffnffnn"},
		{"POST /orgs/{org}/alerts/{alert}/silence", c + "/alerts/" + w.theirsAlert + "/silence", "snnnnnnnn"},
		{"POST /orgs/{org}/alerts/{alert}/silence", c + "/alerts/" + w.ownAlert + "/silence", "soffnffnn"},
		{"POST /orgs/{org}/alerts/{alert}/silence", p + "/alerts/" + w.theirsAlert + "/silence", "snnnnooff"},
		{"POST /orgs/{org}/agents/{agent}/silence", c + "/agents/" + w.erp.id + "/silence", "soffnffnn"},
		{"POST /orgs/{org}/agents/{agent}/silence", p + "/agents/" + w.mail.id + "/silence", "snnnnooff"},
		{"POST /orgs/{org}/silences/{silence}/end", c + "/silences/si_none/end", "snffnffnn"},
		{"POST /orgs/{org}/silences/{silence}/end", p + "/silences/si_none/end", "snnnnnnff"},
		{"GET /orgs/{org}/files/{epoch}/{index}", c + "/files/1/" + fmt.Sprint(w.fileIndex), "sooonoonn"},
		{"GET /orgs/{org}/files/{epoch}/{index}", c + "/files/1/" + erp, "snnnnnnnn"}, // no file there

		{"POST /api/v1/orgs/{org}/duties/{duty}/statement", "/api/v1" + c + "/duties/WH-C2/statement", "uoffnoonn" + "ufonfo"},
		{"GET /api/v1/orgs/{org}/duties/{duty}/days", "/api/v1" + c + "/duties/PE-P3/days", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/duties/{duty}/days", "/api/v1" + p + "/duties/SC-C5/days", "unnnnnnnn" + "unnnnn"},
		{"GET /api/v1/orgs/{org}/duties/{duty}/continuity", "/api/v1" + c + "/duties/PE-P3/continuity", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/state", "/api/v1" + c + "/state", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/state", "/api/v1" + p + "/state", "unnnnoooo" + "unnnoo"},
		{"GET /api/v1/orgs/{org}/cases", "/api/v1" + c + "/cases", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/cases/{case}", "/api/v1" + c + "/cases/" + w.notice, "uooonoonn" + "uoonoo"},
		{"POST /api/v1/orgs/{org}/workflows/{workflow}", "/api/v1" + c + "/workflows/notice", "ufffnoonn" + "uffnfo"},
		{"POST /api/v1/orgs/{org}/workflows/{workflow}", "/api/v1" + c + "/workflows/incident", "uoffnffnn" + "ufonff"},
		{"POST /api/v1/orgs/{org}/cases/{case}/steps/{step}", "/api/v1" + c + "/cases/" + w.notice + "/steps/acted", "uoffnffnn" + "ufonff"},
		{"POST /api/v1/orgs/{org}/alerts/{alert}/ack", "/api/v1" + c + "/alerts/" + w.theirsAlert + "/ack", "unnnnnnnn" + "ufnnfn"},
		{"GET /api/v1/orgs/{org}/silences", "/api/v1" + c + "/silences", "uooonoonn" + "uoonoo"},
		{"GET /api/v1/orgs/{org}/silences", "/api/v1" + p + "/silences", "unnnnoooo" + "unnnoo"},
		{"POST /api/v1/orgs/{org}/alerts/{alert}/silence", "/api/v1" + c + "/alerts/" + w.theirsAlert + "/silence", "unnnnnnnn" + "ufnnfn"},
		{"POST /api/v1/orgs/{org}/alerts/{alert}/silence", "/api/v1" + c + "/alerts/" + w.ownAlert + "/silence", "uoffnffnn" + "ufonff"},
		{"POST /api/v1/orgs/{org}/agents/{agent}/silence", "/api/v1" + c + "/agents/" + w.erp.id + "/silence", "uoffnffnn" + "ufonff"},
		{"POST /api/v1/orgs/{org}/silences/{silence}/end", "/api/v1" + c + "/silences/si_none/end", "unffnffnn" + "ufnnff"},

		{"POST /signout", "/signout", "soooooooo"}, // last: it ends the sessions
	}
}

// beyond is what an auditor of the customer gets whose span ended before its first
// record, where that is not "forbidden": pages with a date show their last moment, the
// log says nothing of contents, and a record is not there.
var beyond = map[string]string{
	"GET /orgs/{org}/board": "o", "GET /orgs/{org}/activity": "o", "GET /api/v1/orgs/{org}/activity": "o", "GET /api/v1/orgs/{org}/state": "o", "GET /api/v1/orgs/{org}/duties/{duty}/days": "o", "GET /api/v1/orgs/{org}/duties/{duty}/continuity": "o",
	"GET /orgs/{org}/records/{index}": "n", "GET /orgs/{org}/records/{index}/envelope": "n", "GET /api/v1/orgs/{org}/records/{index}": "n", "GET /api/v1/orgs/{org}/records/{index}/proof": "n",
	"GET /orgs/{org}/files/{epoch}/{index}": "n", "GET /log/{org}/{epoch}/checkpoint": "o", "GET /log/{org}/{epoch}/tile/{path...}": "o",
}

// crowd is everyone who walks.
type crowd struct {
	*town
	clients map[string]*http.Client
	tokens  map[string]string
}

func gather(t *testing.T) *crowd {
	w := seeded(newSite(t, storetest.SQLite(t)))
	w.walked = w.user(w.extra(w.customer, "walked@bianchi.example").email).ID
	c := &crowd{town: w, clients: map[string]*http.Client{"stranger": w.browser(), "foreign": w.signedIn(w.add(w.other, store.RoleAdmin))}}
	for _, role := range []string{store.RoleAdmin, store.RoleViewer, store.RoleAuditor} {
		c.clients[role] = w.signedIn(w.add(w.customer, role))
	}
	for _, role := range []string{store.RoleAdmin, store.RoleOperator, store.RoleViewer, store.RoleAuditor} {
		c.clients["p-"+role] = w.signedIn(w.add(w.provider, role))
	}
	day := 24 * time.Hour
	for who, m := range map[string]store.Member{
		"inside": {From: w.now.Add(-30 * day), Until: w.now.Add(day), Ends: w.now.Add(day)}, "beyond": {From: w.now.Add(-60 * day), Until: w.now.Add(-30 * day), Ends: w.now.Add(day)},
		"ended": {Ends: w.now.Add(-time.Minute)},
	} {
		c.clients[who] = w.signedIn(w.auditor(who+"@bianchi.example", m))
	}
	c.tokens = map[string]string{"wrong": "attapi_wrong", "read": w.apiToken(w.customer, false), "write": w.apiToken(w.customer, true),
		"foreign-write": w.apiToken(w.other, true), "p-read": w.apiToken(w.provider, false), "p-write": w.apiToken(w.provider, true)}
	return c
}

// auditor makes an auditor of the customer with bounds.
func (s *site) auditor(email string, m store.Member) person {
	s.t.Helper()
	p := s.extra(s.customer, email)
	m.Org, m.User, m.Role = s.customer.ID, s.user(email).ID, store.RoleAuditor
	if err := s.store.Tx(context.Background(), func(ctx context.Context, tx *store.Tx) error { return tx.SetMember(ctx, m) }); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// walk makes a visit as everyone, and returns who got another answer than declared.
func (c *crowd) walk(v visit) []string {
	var faults []string
	method, _, _ := strings.Cut(v.pattern, " ")
	api := strings.HasPrefix(v.path, "/api/") || strings.HasPrefix(v.path, "/log/")
	if want := len(walkers) + map[bool]int{true: len(tokens)}[api]; len(v.want) != want {
		c.t.Fatalf("%s: %d answers are declared, want %d", v.pattern, len(v.want), want)
	}
	var form url.Values
	if method == "POST" {
		form = url.Values{"lang": {"en"}, "reason": {"retired"}}
	}
	check := func(who, want string, client *http.Client, header map[string]string) {
		res, body := c.send(client, method, v.path, form, header)
		if got := letter(res, body); got != want {
			faults = append(faults, fmt.Sprintf("%s %s as %s: %s (status %d), want %s", method, v.path, who, got, res.StatusCode, want))
		}
	}
	for i, who := range walkers {
		check(who, v.want[i:i+1], c.clients[who], nil)
	}
	for who, want := range c.bounded(v) {
		check(who, want, c.clients[who], nil)
	}
	for i, name := range tokens {
		if api {
			check("token "+name, v.want[len(walkers)+i:len(walkers)+i+1], c.browser(), map[string]string{"Authorization": "Bearer " + c.tokens[name]})
		}
	}
	return faults
}

// bounded is what auditors with bounds get: inside their span what every auditor gets;
// when their access has ended what a member of nothing gets.
func (c *crowd) bounded(v visit) map[string]string {
	auditor := v.want[slices.Index(walkers, "auditor"):][:1]
	want := map[string]string{"inside": auditor, "beyond": auditor, "ended": auditor}
	if !strings.Contains(v.pattern, "{org}") {
		if v.path == "/" {
			want["ended"] = "f"
		}
		return want
	}
	want["ended"] = "n"
	if !strings.Contains(v.path, "/"+c.customer.ID+"/") {
		if auditor == "o" { // a record of the provider, which serves the customer
			want["beyond"] = "n"
		}
		return want
	}
	if auditor == "o" {
		want["beyond"] = cmp.Or(beyond[v.pattern], "f")
	} else if beyond[v.pattern] == "" {
		want["beyond"] = "f" // before it is looked whether there is such a thing
	}
	return want
}

// TestEveryRouteAsEveryone walks every route as everyone, on their own and on
// others' organisations, and holds each answer to the tables above.
func TestEveryRouteAsEveryone(t *testing.T) {
	c := gather(t)
	walked := map[string]bool{}
	for _, v := range visits(c.town) {
		walked[v.pattern] = true
		for _, fault := range c.walk(v) {
			t.Error(fault)
		}
	}
	for _, pattern := range web.Patterns() {
		if !walked[pattern] {
			t.Errorf("%s is not walked: declare who may use it", pattern)
		}
		delete(walked, pattern)
	}
	for _, left := range slices.Sorted(maps.Keys(walked)) {
		t.Errorf("%s is walked and does not exist", left)
	}
	// The provider asks its people for a second factor: without one nothing of this opens.
	c.asksSecond(c.provider, 1)
	c.now = c.now.Add(time.Hour) // the walk has tried too many passwords
	bare := c.signedIn(c.add(c.provider, store.RoleAdmin))
	for _, v := range visits(c.town) {
		stranger, owing := v.want[:1], v.want[slices.Index(walkers, "p-admin"):][:1]
		if stranger == "o" || stranger == "n" || owing != "o" || slices.Contains(owed, v.pattern) {
			continue
		}
		method, _, _ := strings.Cut(v.pattern, " ")
		res, body := c.send(bare, method, v.path, url.Values{}, nil)
		if res.Header.Get("Location") != "/settings" && !strings.Contains(body, `"second_owed"`) {
			t.Errorf("%s %s without a second factor: status %d", method, v.path, res.StatusCode)
		}
	}
}

// A hole is found: routes that let in one more than they should make the walk fail.
func TestTheWalkFindsAHole(t *testing.T) {
	holes := web.Plant(t)
	c := gather(t)
	found := map[string]bool{}
	for _, v := range visits(c.town) {
		if slices.Contains(holes, v.pattern) && len(c.walk(v)) > 0 {
			found[v.pattern] = true
		}
	}
	for _, pattern := range holes {
		if !found[pattern] {
			t.Errorf("the hole in %s is not found", pattern)
		}
	}
}

// letter says in short how a request was answered.
func letter(res *http.Response, body string) string {
	switch {
	case res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/signin?"):
		return "s"
	case res.StatusCode == http.StatusUnauthorized && strings.Contains(body, `"bad_token"`):
		return "u"
	case res.StatusCode == http.StatusForbidden:
		return "f"
	case res.StatusCode == http.StatusNotFound:
		return "n"
	case res.StatusCode < 400, strings.Contains(body, `action="/signin"`):
		return "o" // a refused password is an answer of the sign-in page, too
	case res.StatusCode == http.StatusBadRequest, res.StatusCode == http.StatusConflict, res.StatusCode == http.StatusTooManyRequests:
		return "o" // let in, and told what is wrong with the form, or to wait
	}
	return fmt.Sprint(res.StatusCode)
}

// A customer sees of the provider's records that they exist, when and that they
// are proven, and none of the facts; who works for the provider sees them all.
func TestProvidersFactsStayTheProviders(t *testing.T) {
	w := seeded(newSite(t, storetest.SQLite(t)))
	secrets := []string{"192.0.2.25", "bl.spamcop.net", "mailboxes", "libssl3", "mx1.nordest.example"}
	paths := []string{path("/orgs/%s/records/%d", w.provider.ID, w.mailIndex), path("/api/v1/orgs/%s/records/%d", w.provider.ID, w.mailIndex),
		path("/orgs/%s/records/%d/envelope", w.provider.ID, w.mailIndex)}
	customer, operator := w.signedIn(w.add(w.customer, store.RoleAdmin)), w.signedIn(w.add(w.provider, store.RoleOperator))
	for _, p := range paths {
		res, body := w.get(customer, p)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d", p, res.StatusCode)
		}
		for _, secret := range secrets {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows a customer %q of the provider's", p, secret)
			}
		}
	}
	if _, body := w.get(customer, paths[0]); !strings.Contains(body, "belong to the provider") {
		t.Error("the page does not say why there are no facts")
	}
	for _, p := range paths[:2] {
		_, body := w.get(operator, p)
		for _, secret := range secrets[:4] {
			if !strings.Contains(body, secret) {
				t.Errorf("%s does not show the provider %q", p, secret)
			}
		}
	}
}
