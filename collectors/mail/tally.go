package mail

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// tally counts what a log tells within one look, on top of what was remembered.
type tally struct {
	*state
	key   []byte
	from  time.Time // what is older is history, no part of the look
	facts evidence.Mail
	seen  map[string]*now
	names map[string]string // of accounts that the look met, by pseudonym
}

// now is an account within the look.
type now struct {
	evidence.MailAccount
	touched map[int64]bool // hours in which it sent
	signs   map[string]evidence.MailSign
	tries   [2]int64 // as the server says, as its authentication says
}

func newTally(s *state, key []byte, from time.Time) *tally {
	return &tally{state: s, key: key, from: from, seen: map[string]*now{}, names: map[string]string{},
		facts: evidence.Mail{Sources: []evidence.LogSource{}, Accounts: []evidence.MailAccount{}}}
}

// pseudonym is the same for an account in every look of this host.
func (t *tally) pseudonym(name string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte("mail\x00" + name))
	return "account-" + hex.EncodeToString(mac.Sum(nil)[:6])
}

func (t *tally) hash(network string) uint32 {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte("network\x00" + network))
	return binary.BigEndian.Uint32(mac.Sum(nil))
}

// maxNames bounds the names that a look keeps for its detail.
const maxNames = 100_000

// of finds an account by its name: what is remembered, and the look's own part of it.
func (t *tally) of(name string) (string, *past, *now) {
	id := t.pseudonym(name)
	if len(t.names) < maxNames {
		t.names[id] = name
	}
	p, n := t.by(id)
	return id, p, n
}

func (t *tally) by(id string) (*past, *now) {
	p, n := t.Accounts[id], t.seen[id]
	if p == nil {
		p = &past{}
		t.Accounts[id] = p
	}
	if n == nil {
		n = &now{touched: map[int64]bool{}, signs: map[string]evidence.MailSign{}}
		t.seen[id] = n
	}
	return p, n
}

// add takes what a line tells, written at a moment.
func (t *tally) add(e entry, at time.Time) {
	if t.Began.IsZero() {
		t.Began = at
	}
	if at.After(t.Written) {
		t.Written = at
	}
	inside := !at.Before(t.from)
	switch e.what {
	case accepted:
		t.accept(e, at, inside)
	case counted:
		if m := t.Messages[e.id]; m != nil && !m.Counted {
			m.Counted = true
			t.recipients(m.Account, e.recipients, at, inside)
		}
	case result:
		t.result(e, at, inside)
	case removed:
		delete(t.Messages, e.id)
	case failure:
		t.failure(e, at, inside)
	case login:
		_, p, n := t.of(e.account)
		t.success(p, n, e, at, inside)
	}
}

func (t *tally) accept(e entry, at time.Time, inside bool) {
	id, p, n := t.of(e.account)
	t.success(p, n, e, at, inside)
	if inside {
		n.Messages++
		t.facts.Messages++
	}
	if e.id != "" {
		t.Messages[e.id] = &message{Account: id, T: at.Unix(), Each: e.counts, Counted: e.counts || e.recipients > 0}
		if len(t.Messages) > 4*maxMessages {
			forget(t.Messages, maxMessages, func(m *message) int64 { return m.T })
		}
	}
	if e.recipients > 0 {
		t.recipients(id, e.recipients, at, inside)
	}
}

func (t *tally) recipients(id string, count int64, at time.Time, inside bool) {
	p, n := t.by(id)
	p.Last = max(p.Last, at.Unix())
	total := p.add(at, count)
	if !inside {
		return
	}
	t.facts.Recipients += count
	n.Recipients += count
	n.touched[at.Unix()/3600] = true
	if total > n.Peak {
		n.Peak = total
		n.signs[evidence.SignRate] = evidence.MailSign{Sign: evidence.SignRate, Count: total, At: evidence.At(at)}
	}
}

func (t *tally) result(e entry, at time.Time, inside bool) {
	if inside {
		switch e.result {
		case sent:
			t.facts.Sent++
		case deferred:
			t.facts.Deferred++
		default:
			t.facts.Bounced++
		}
	}
	m := t.Messages[e.id]
	if m == nil {
		return
	}
	if e.next != "" { // the same message comes again under another id
		t.Messages[e.next] = &message{Account: m.Account, T: at.Unix(), Counted: true}
		return
	}
	if e.result == deferred {
		return // it is tried again: no result yet
	}
	p, n := t.by(m.Account)
	if m.Each {
		t.recipients(m.Account, 1, at, inside)
	}
	if p.Since == 0 || at.Unix()-p.Since > int64(resultsOf/time.Second) {
		p.Since, p.Done, p.Bad = at.Unix(), 0, 0
	}
	if p.Done++; e.result == bounced {
		p.Bad++
	}
	if inside {
		n.signs[evidence.SignBounces] = evidence.MailSign{Sign: evidence.SignBounces, Count: p.Bad * 100 / p.Done, At: evidence.At(at)}
	}
}

// failure counts a refused sign-in. Names that are tried and never were let in are
// remembered for a day, and forgotten first: who tries many names pushes out no account.
func (t *tally) failure(e entry, at time.Time, inside bool) {
	if e.account == "" || t.Accounts[t.pseudonym(e.account)] == nil && len(t.Accounts) >= 4*maxAccounts {
		return // nobody's: the event log's rules count by address
	}
	_, p, n := t.of(e.account)
	which := boolInt(e.byAuth)
	if at.Unix()-p.Failed > 24*3600 {
		p.Fails = [2]int64{}
	}
	p.Fails[which] += e.times
	p.Failed = at.Unix()
	if inside {
		n.tries[which] += e.times
		n.Failures = max(n.tries[0], n.tries[1])
	}
}

// success notes that somebody was let in.
func (t *tally) success(p *past, n *now, e entry, at time.Time, inside bool) {
	p.Last = max(p.Last, at.Unix())
	if inside {
		n.Logins++
	}
	tried, fresh := max(p.Fails[0], p.Fails[1]), at.Unix()-p.Failed <= 24*3600
	p.Fails = [2]int64{}
	strength := 1
	if net, ok := network(e.addr); ok {
		within, known := p.from(t.hash(net.String()), at)
		if !known {
			strength = 2
		}
		if inside && within > n.Networks {
			n.Networks = within
			n.signs[evidence.SignNetworks] = evidence.MailSign{Sign: evidence.SignNetworks, Count: int64(within), At: evidence.At(at)}
		}
	}
	if inside && fresh && tried >= leastTries && tried > n.signs[evidence.SignGuessed].Count {
		n.signs[evidence.SignGuessed] = evidence.MailSign{Sign: evidence.SignGuessed, Strength: strength, Count: tried, Usual: leastTries, At: evidence.At(at)}
	}
}

// The least figures of a sign. They are ours: no public norm was found. What a duty makes
// of signs is set on the server.
const (
	leastRate     = 100 // recipients in an hour
	leastUnknown  = 300 // the same, of an account without history
	leastNetworks = 3   // within an hour
	leastTries    = 10  // failures within a day before a success
	leastResults  = 20  // within six hours, of which some bounced
	leastQueued   = 50  // messages of one account
)

// steps gives 3, 2 or 1 for the first limit that a figure reaches, else 0.
func steps(n, strong, medium, weak int64) int {
	switch {
	case n >= strong:
		return 3
	case n >= medium:
		return 2
	case n >= weak:
		return 1
	}
	return 0
}

// weigh decides which figures are signs, and how strong.
func (t *tally) weigh(p *past, n *now, at time.Time, queued, waiting int64) {
	n.Usual = p.usual(t.Began, at, n.touched)
	n.Queued = queued
	if at.Unix()-p.Since > int64(resultsOf/time.Second) {
		p.Since, p.Done, p.Bad = 0, 0, 0
	}
	n.Done, n.Bounced = p.Done, p.Bad
	set := func(sign string, strength int, usual int64) {
		s, ok := n.signs[sign]
		if !ok || strength == 0 {
			delete(n.signs, sign)
			return
		}
		s.Strength, s.Usual = strength, usual
		n.signs[sign] = s
	}
	switch base := max(n.Usual, 10); {
	case n.Usual < 0:
		set(evidence.SignRate, min(2, steps(n.Peak, 1<<60, 1000, leastUnknown)), -1)
	case n.Peak < leastRate || n.Peak <= n.Usual:
		set(evidence.SignRate, 0, 0)
	default:
		set(evidence.SignRate, steps(n.Peak/base, 10, 5, 2), n.Usual)
	}
	set(evidence.SignNetworks, steps(int64(n.Networks), 8, 5, leastNetworks), -1)
	if p.Done < leastResults {
		set(evidence.SignBounces, 0, 0)
	} else {
		set(evidence.SignBounces, steps(p.Bad*100/p.Done, 50, 30, 20), -1)
	}
	if waiting > 0 && queued >= leastQueued {
		n.signs[evidence.SignQueue] = evidence.MailSign{Sign: evidence.SignQueue, Count: queued * 100 / waiting, At: evidence.At(at)}
		strength := 0
		switch share := queued * 100 / waiting; {
		case share >= 50:
			strength = steps(queued, 1000, 200, leastQueued)
		case share >= 25:
			strength = 1
		}
		set(evidence.SignQueue, strength, -1)
	}
}

// keptTop is how many accounts without a sign a look shows: those that sent most.
const keptTop = 10

// done closes the look: queued are the messages that wait, by pseudonym.
func (t *tally) done(at time.Time, queued map[string]int64, waiting int64, name func(string) string) evidence.Mail {
	for id, n := range queued {
		if t.Accounts[id] != nil || n >= leastQueued { // also one that never signs in, such as a web server's
			t.by(id)
		}
	}
	var with, without []evidence.MailAccount
	for id, n := range t.seen {
		p := t.Accounts[id]
		t.weigh(p, n, at, queued[id], waiting)
		n.Name = name(id)
		for _, sign := range evidence.MailSigns() {
			if s, ok := n.signs[sign]; ok {
				n.Signs = append(n.Signs, s)
			}
		}
		if n.Logins+n.Failures+n.Messages+n.Recipients > 0 {
			t.facts.Seen++
		}
		switch {
		case len(n.Signs) > 0:
			with = append(with, n.MailAccount)
		case n.Recipients > 0:
			without = append(without, n.MailAccount)
		}
	}
	host.SortFunc(with, func(a, b evidence.MailAccount) int { return cmp.Or(weight(b)-weight(a), cmp.Compare(a.Name, b.Name)) })
	host.SortFunc(without, func(a, b evidence.MailAccount) int {
		return cmp.Or(cmp.Compare(b.Recipients, a.Recipients), cmp.Compare(a.Name, b.Name))
	})
	with = with[:min(len(with), evidence.MaxMailAccounts)]
	without = without[:min(len(without), keptTop, evidence.MaxMailAccounts-len(with))]
	t.facts.Accounts = append(append(t.facts.Accounts, with...), without...)
	if !t.Began.IsZero() {
		t.facts.Days = min(int(history.Hours()/24), max(0, int(at.Sub(t.Began).Hours()/24)))
	}
	return t.facts
}

func weight(a evidence.MailAccount) int {
	sum := 0
	for _, s := range a.Signs {
		sum += s.Strength
	}
	return sum
}
