package duties

import (
	"strconv"
	"time"

	"github.com/attesto/attesto/evidence"
)

// accountsCheck judges the age of passwords, the rules for new ones, how one can sign
// in from afar, and who may read files with secrets; which of them, each duty sets.
var accountsCheck = check{
	kind:   evidence.KindAccounts,
	params: []string{"fresh", "age", "length", "remote", "secrets", "admins"},
	judge:  judgeAccounts,
}

func judgeAccounts(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Accounts](h)
	if err != nil {
		return h.unreadable(err)
	}
	var found []AssetFinding
	add := func(v Verdict, key string, pairs ...any) {
		found = append(found, h.find(v, "", say(key, append([]any{"host", h.agent.Name}, pairs...)...)))
	}
	var next time.Time // when the age of a password tells otherwise
	age := h.duration("age")
	if age > 0 {
		found, next = h.passwords(facts, age)
	}
	if len(facts.Accounts) == 0 && (age > 0 || h.flag("admins")) { // there is root at least
		add(Unproven, "accounts_none")
	}
	if length := h.number("length"); length > 0 {
		switch p := facts.Policy; {
		case p.MinLength == nil || !p.Quality:
			add(Breached, "policy_none")
		case float64(*p.MinLength) < length:
			add(Breached, "policy_short", "length", *p.MinLength, "limit", length)
		}
	}
	if h.flag("remote") {
		switch r := facts.Remote; {
		case r == nil && len(of(gaps, "settings of sshd")) > 0:
			add(Unproven, "gaps", "gaps", gapText(gaps))
		case r == nil:
		case r.Empty, r.Root == "yes":
			add(Breached, "remote_open")
		}
	}
	if h.flag("admins") {
		found = append(found, h.admins(facts, gaps)...)
	}
	if h.flag("secrets") {
		held := false
		for _, s := range facts.Secrets {
			held = held || s.Count > 0
			if s.Open > 0 {
				add(Breached, "secrets_open", "kind_codes", "secret_"+s.Kind, "open", s.Open, "count", s.Count)
			}
		}
		if !held {
			add(Unproven, "secrets_none")
		}
	}
	if rest := besides(gaps, "ages of passwords", "settings of sshd", "rules of sudo"); len(rest) > 0 { // those count where they are asked for
		add(Unproven, "gaps", "gaps", gapText(rest))
	}
	if len(found) == 0 {
		add(Fulfilled, "accounts_good", "count", len(facts.Accounts), "at", h.clock(h.moment(h.newest())))
	}
	for i := range found {
		found[i].Due = soonest(found[i].Due, next)
	}
	return found
}

// admins finds accounts that have root's rights beside it, or get them without a password.
func (h host) admins(facts evidence.Accounts, gaps []evidence.Gap) []AssetFinding {
	var roots, free []string
	for _, a := range facts.Accounts {
		if a.Admin && a.Name != "root" && a.State != evidence.AccountLocked {
			roots = append(roots, a.Name)
		}
	}
	if facts.Sudo != nil {
		for _, f := range facts.Sudo.Free {
			if f.All && f.Who != "root" {
				free = append(free, f.Who)
			}
		}
	}
	var found []AssetFinding
	if len(roots) > 0 {
		found = append(found, h.find(Breached, "", say("admins_more", "host", h.agent.Name, "count", len(roots), "accounts", listed(roots))))
	}
	if len(free) > 0 {
		found = append(found, h.find(Breached, "", say("admins_free", "host", h.agent.Name, "count", len(free), "accounts", listed(free))))
	}
	if unread := of(gaps, "rules of sudo"); facts.Sudo == nil && len(unread) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(unread))))
	}
	return found
}

// dayAhead is how far a password's day may lie ahead: it is a day of some zone.
const dayAhead = 2 * 24 * time.Hour

// passwords finds the accounts whose password is too old, is none, or has an age that
// nobody knows, and when time alone changes that.
func (h host) passwords(facts evidence.Accounts, limit time.Duration) (found []AssetFinding, next time.Time) {
	var old, empty, unknown []string
	for _, a := range facts.Accounts {
		switch {
		case a.Expired || a.State == evidence.AccountLocked:
		case a.State == evidence.AccountEmpty:
			empty = append(empty, a.Name)
		case a.State == evidence.AccountUnknown, a.Changed == nil && !a.Must:
			unknown = append(unknown, a.Name)
		case a.Changed != nil && a.Changed.Sub(h.at) > dayAhead: // set by hand, or by a wrong clock
			unknown, next = append(unknown, a.Name), soonest(next, a.Changed.Add(-dayAhead))
		case a.Must:
		case h.at.Sub(a.Changed.Time) > limit:
			old = append(old, a.Name)
		default:
			next = soonest(next, h.upcoming(a.Changed.Add(limit)))
		}
	}
	add := func(v Verdict, key string, names []string, pairs ...any) {
		if len(names) > 0 {
			found = append(found, h.find(v, "", say(key, append([]any{"host", h.agent.Name, "count", len(names), "accounts", listed(names)}, pairs...)...)))
		}
	}
	add(Breached, "passwords_empty", empty)
	add(Breached, "passwords_old", old, "limit", strconv.Itoa(int(limit.Hours()/24)))
	add(Unproven, "passwords_unknown", unknown)
	return found, next
}
