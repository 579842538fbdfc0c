package duties

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// mailCheck judges whether an account of a mail server shows signs of being in other
// hands, or sends in masses. None of the signs alone suffices, unless a duty says so.
var mailCheck = check{
	kind:     evidence.KindMail,
	params:   []string{"fresh", "window", "slack", "signs", "strength"},
	optional: true,
	judge:    judgeMail,
}

func judgeMail(h host) []AssetFinding {
	facts, gaps, err := decode[evidence.Mail](h)
	if err != nil {
		return h.unreadable(err)
	}
	start := h.watchedSince(h.local(h.newest().To).Add(-h.duration("window")), h.local(h.looks[0].From))
	w := mailWindow{host: h, upTo: start, accounts: map[string]*suspect{}}
	for _, s := range h.looks {
		w.add(s)
	}
	found := w.suspects()
	if len(gaps) > 0 {
		found = append(found, h.find(Unproven, "", say("gaps", "host", h.agent.Name, "gaps", gapText(gaps))))
	} else if w.unread != nil {
		found = append(found, *w.unread)
	}
	if len(found) > 0 {
		return found
	}
	waiting := "?"
	if facts.Queue != nil {
		waiting = fmt.Sprint(facts.Queue.Messages)
	}
	ok := h.find(Fulfilled, "", say("mail_quiet", "host", h.agent.Name, "from", h.clock(start), "to", h.clock(w.upTo), "messages", w.messages,
		"recipients", w.recipients, "weak", len(w.accounts), "waiting", waiting))
	ok.Cites = w.cites
	return []AssetFinding{ok}
}

// suspect is an account with the strongest of each of its signs within the window.
type suspect struct {
	name  string
	signs map[string]evidence.MailSign
	last  time.Time // of the looks that showed one
	cites []Cite
}

// mailWindow walks over looks in order, gathers signs and finds holes.
type mailWindow struct {
	host
	upTo                 time.Time // read without a hole up to here
	messages, recipients int64
	accounts             map[string]*suspect
	unread               *AssetFinding // the first stretch that nobody read whole
	cites                []Cite
}

func (w *mailWindow) add(s Seen) {
	from, to := w.local(s.From), w.local(s.To)
	if to.Before(w.upTo) || s.Outcome == evidence.Failed {
		return // what a failed look did not read, the next one reads, or it is a hole
	}
	facts, gaps, err := evidence.DecodeFacts[evidence.Mail](s.Blob)
	if err != nil {
		return
	}
	if hole := from.Sub(w.upTo); hole > w.duration("slack") {
		w.missing(s, say("mail_hole", "host", w.agent.Name, "from", w.clock(w.upTo), "to", w.clock(from)))
	}
	// A queue that could not be asked for is over with the next look; a log that was not
	// read stays unread.
	gaps = slices.DeleteFunc(gaps, func(g evidence.Gap) bool { return strings.HasPrefix(g.What, "queue of ") || g.What == "cursor" })
	if len(gaps) > 0 {
		w.missing(s, say("gaps", "host", w.agent.Name, "gaps", gapText(gaps)))
	}
	if len(facts.Sources) == 0 { // a queue alone shows no account
		w.missing(s, say("eventlog_no_sources", "host", w.agent.Name, "gaps", gapText(gaps)))
	}
	for _, src := range facts.Sources {
		if !src.Whole {
			w.missing(s, say("eventlog_not_whole", "host", w.agent.Name, "source", src.Source, "to", w.clock(to), "gaps", gapText(gaps)))
		}
	}
	w.upTo = to
	w.messages, w.recipients = w.messages+facts.Messages, w.recipients+facts.Recipients
	w.cites = append(w.cites, Cite{s.Log, s.Index})
	for _, a := range facts.Accounts {
		for _, sign := range a.Signs {
			w.sign(s, a.Name, sign)
		}
	}
}

func (w *mailWindow) missing(s Seen, why Message) {
	if w.unread == nil {
		f := w.find(Unproven, "", why)
		f.Cites = []Cite{{s.Log, s.Index}}
		w.unread = &f
	}
}

func (w *mailWindow) sign(s Seen, name string, sign evidence.MailSign) {
	a := w.accounts[name]
	if a == nil {
		a = &suspect{name: name, signs: map[string]evidence.MailSign{}}
		w.accounts[name] = a
	}
	if old := a.signs[sign.Sign]; sign.Strength > old.Strength || sign.Strength == old.Strength && sign.Count > old.Count {
		a.signs[sign.Sign] = sign
	}
	a.last = w.moment(s)
	a.cites = append(a.cites, Cite{s.Log, s.Index})
}

// suspects are the accounts with enough signs of enough strength.
func (w *mailWindow) suspects() []AssetFinding {
	var found []AssetFinding
	for _, name := range slices.Sorted(maps.Keys(w.accounts)) {
		if f, ok := w.suspected(w.accounts[name]); ok {
			found = append(found, f)
		}
	}
	return found
}

// suspected judges an account by the signs of it together.
func (w *mailWindow) suspected(a *suspect) (f AssetFinding, ok bool) {
	strength := 0
	var codes, figures []string
	for _, name := range evidence.MailSigns() {
		if s, ok := a.signs[name]; ok {
			strength += s.Strength
			codes = append(codes, "mail_"+name)
			figures = append(figures, figure(s))
		}
	}
	if float64(len(a.signs)) < w.number("signs") || float64(strength) < w.number("strength") {
		return f, false
	}
	f = w.find(Breached, a.name, say("mail_suspect", "host", w.agent.Name, "account", a.name, "signs_codes", strings.Join(codes, ", "),
		"figures", strings.Join(figures, ", "), "at", w.clock(a.last)))
	f.Cites, f.Shown = a.cites, a.last
	return f, true
}

// figure writes what a sign rests on: 4000/40 recipients in an hour of usually 40.
func figure(s evidence.MailSign) string {
	switch {
	case s.Sign == evidence.SignRate && s.Usual >= 0:
		return fmt.Sprintf("%d/%d", s.Count, s.Usual)
	case s.Sign == evidence.SignBounces, s.Sign == evidence.SignQueue:
		return fmt.Sprintf("%d %%", s.Count)
	}
	return fmt.Sprint(s.Count)
}
