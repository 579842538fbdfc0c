package mail

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	stateVersion = 1
	maxState     = 4 << 20
	maxAccounts  = 3000 // that are remembered; those that were idle longest are forgotten
	maxMessages  = 4000 // on their way, whose account is remembered
	maxHours     = 16   // an account's busiest hours: enough for the 99th percentile of 30 days
	maxNetworks  = 64   // of an account within an hour
	maxHome      = 16   // networks that an account is known to come from
	history      = 30 * 24 * time.Hour
	enough       = 7 * 24 * time.Hour // of history to compare with
	resultsOf    = 6 * time.Hour
)

// state is what the next look must know. Accounts stand in it by their pseudonyms.
type state struct {
	V        int                 `json:"v"`
	Log      json.RawMessage     `json:"log,omitempty"`
	Began    time.Time           `json:"began,omitzero"`   // of the history
	Written  time.Time           `json:"written,omitzero"` // the last line of a mail program
	Accounts map[string]*past    `json:"accounts"`
	Messages map[string]*message `json:"messages"` // on their way, by id
}

// past is what is remembered of an account.
type past struct {
	Last   int64     `json:"last"`            // seconds since 1970
	Hours  []hour    `json:"hours,omitempty"` // the present one and the busiest of the history
	Nets   []netSeen `json:"nets,omitempty"`  // signed in from within the last hour
	Home   []netSeen `json:"home,omitempty"`  // known for longer
	Fails  [2]int64  `json:"fails,omitzero"`  // refused since the last success: as the server says, as its authentication says
	Failed int64     `json:"failed,omitempty"`
	Since  int64     `json:"since,omitempty"` // of Done and Bad
	Done   int64     `json:"done,omitempty"`
	Bad    int64     `json:"bad,omitempty"`
}

type hour struct {
	H int64 `json:"h"` // hours since 1970
	N int64 `json:"n"` // recipients
}

type netSeen struct {
	P uint32 `json:"p"` // keyed hash of the network
	T int64  `json:"t"`
}

// message is one on its way.
type message struct {
	Account string `json:"a"`
	T       int64  `json:"t"`
	Counted bool   `json:"c,omitempty"` // its recipients were counted
	Each    bool   `json:"e,omitempty"` // each result counts one
}

func newState() *state {
	return &state{V: stateVersion, Accounts: map[string]*past{}, Messages: map[string]*message{}}
}

func readState(b []byte) (*state, error) {
	s := newState()
	if len(b) == 0 {
		return s, nil
	}
	if len(b) > maxState {
		return newState(), fmt.Errorf("%d bytes, over the limit of %d", len(b), maxState)
	}
	if err := evidence.CheckJSON(b); err != nil {
		return newState(), err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return newState(), err
	}
	if s.V != stateVersion {
		return newState(), fmt.Errorf("version %d, want %d", s.V, stateVersion)
	}
	if s.Accounts == nil || s.Messages == nil {
		return newState(), fmt.Errorf("accounts or messages are missing")
	}
	for _, p := range s.Accounts {
		if p == nil || len(p.Hours) > maxHours+3 || len(p.Nets) > maxNetworks || len(p.Home) > maxHome {
			return newState(), fmt.Errorf("an account out of bounds")
		}
	}
	for _, m := range s.Messages {
		if m == nil {
			return newState(), fmt.Errorf("a message without content")
		}
	}
	return s, nil
}

// encode forgets what is too old or too much, and writes the rest.
func (s *state) encode(now time.Time) ([]byte, error) {
	if old := now.Add(-history); s.Began.Before(old) {
		s.Began = old
	}
	oldest := now.Add(-history).Unix()
	for id, p := range s.Accounts {
		if p.Last < oldest && p.Failed < now.Add(-24*time.Hour).Unix() {
			delete(s.Accounts, id)
		}
	}
	for id, m := range s.Messages {
		if m.T < now.Add(-5*24*time.Hour).Unix() { // maximal_queue_lifetime
			delete(s.Messages, id)
		}
	}
	forget(s.Accounts, maxAccounts, func(p *past) int64 {
		if p.Last == 0 { // never let in: before all that were
			return p.Failed - int64(2*history/time.Second)
		}
		return p.Last
	})
	forget(s.Messages, maxMessages, func(m *message) int64 { return m.T })
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the mail collector's cursor: %w", err)
	}
	return b, nil
}

// forget drops the oldest of more than limit.
func forget[V any](m map[string]V, limit int, at func(V) int64) {
	if len(m) <= limit {
		return
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	host.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(at(m[b]), at(m[a])), cmp.Compare(a, b)) })
	for _, k := range keys[limit:] {
		delete(m, k)
	}
}

// add counts recipients of an hour and returns how many it has by now.
func (p *past) add(at time.Time, n int64) int64 {
	h := at.Unix() / 3600
	i := slices.IndexFunc(p.Hours, func(x hour) bool { return x.H == h })
	if i < 0 {
		p.Hours = append(p.Hours, hour{H: h})
		i = len(p.Hours) - 1
	}
	p.Hours[i].N += n
	total := p.Hours[i].N
	if len(p.Hours) > maxHours+2 {
		p.trim(h)
	}
	return total
}

// trim keeps the present hours and the busiest of the history.
func (p *past) trim(present int64) {
	oldest := present - int64(history/time.Hour)
	p.Hours = slices.DeleteFunc(p.Hours, func(x hour) bool { return x.H < oldest })
	host.SortFunc(p.Hours, func(a, b hour) int {
		if late := cmp.Compare(boolInt(b.H >= present-1), boolInt(a.H >= present-1)); late != 0 {
			return late
		}
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(b.H, a.H))
	})
	p.Hours = p.Hours[:min(len(p.Hours), maxHours+2)]
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// usual is the 99th percentile of recipients per hour in a history of so many hours that
// ends where the hours of a look begin; hours without mail count as 0. -1: too little is known.
func (p *past) usual(began, now time.Time, touched map[int64]bool) int64 {
	known := now.Sub(began)
	if known > history {
		known = history
	}
	if began.IsZero() || known < enough {
		return -1
	}
	oldest := now.Add(-history).Unix() / 3600
	var all []int64
	for _, x := range p.Hours {
		if !touched[x.H] && x.H >= oldest {
			all = append(all, x.N)
		}
	}
	host.SortFunc(all, func(a, b int64) int { return cmp.Compare(b, a) })
	if rank := int(known.Hours() / 100); rank < len(all) {
		return all[rank]
	}
	return 0
}

// from notes a sign-in from a network and returns how many there were within the hour
// before, and whether this one was known for longer.
func (p *past) from(net uint32, at time.Time) (within int, known bool) {
	t := at.Unix()
	p.Nets = slices.DeleteFunc(p.Nets, func(n netSeen) bool { return n.P == net || n.T < t-3600 })
	if len(p.Nets) < maxNetworks {
		p.Nets = append(p.Nets, netSeen{net, t})
	}
	i := slices.IndexFunc(p.Home, func(n netSeen) bool { return n.P == net })
	switch {
	case i >= 0:
		known = true
		p.Home[i].T = max(p.Home[i].T, t)
	case len(p.Home) < maxHome:
		p.Home = append(p.Home, netSeen{net, t})
	default:
		oldest := 0
		for j := range p.Home {
			if p.Home[j].T < p.Home[oldest].T {
				oldest = j
			}
		}
		p.Home[oldest] = netSeen{net, t}
	}
	return len(p.Nets), known
}
