package alert

import (
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// Message is what a channel carries.
type Message struct {
	ID       string // of the delivery, the same over all attempts
	Event    string // Firing, Reminder, Escalated, Resolved or EventTest
	Round    int    // of a reminder, counted from 1
	At       time.Time
	Lang     string
	Org      string // id of the organisation that is told
	OrgName  string
	Owner    string // name of the organisation whose duty it is
	Alert    Alert
	Duties   []string // id and title of the duties concerned; of a webhook one
	Why      string
	Cure     string
	Opened   time.Time
	Link     string
	Subject  string
	Body     string // plain text
	LogSize  int64  // newest head of the log of the organisation that is told
	LogRoot  string
	Attempts int
}

// EventTest is the event of a message that only tries a channel.
const EventTest = "test"

var testWords = map[string][2]string{
	duties.English: {"Test: alerts of %s arrive here", "Somebody tried this channel from the board of %s. Alerts will arrive the same way. There is nothing to do."},
	duties.Italian: {"Prova: gli allarmi di %s arrivano qui", "Qualcuno ha provato questo canale dal quadro di %s. Gli allarmi arriveranno nello stesso modo. Non c'è nulla da fare."},
}

// TestMessage tries a channel of an organisation.
func TestMessage(id, org, name, lang string, at time.Time) Message {
	words, ok := testWords[lang]
	if !ok {
		words = testWords[duties.English]
	}
	m := Message{ID: id, Event: EventTest, At: at, Lang: lang, Org: org, OrgName: name, Subject: fmt.Sprintf(words[0], name), Why: fmt.Sprintf(words[1], name), Attempts: 1}
	m.Body = m.Why + "\n"
	return m
}

// Writer writes messages in the language of who is told.
type Writer struct {
	Catalogue *duties.Catalogue
	// Link is the address of a duty's page on an organisation's board; empty when
	// the server's public address is not configured.
	Link func(org, duty string) string
	// Agents is the address of an organisation's page of agents; likewise.
	Agents func(org string) string
	// Need is the address of the page on which an organisation declares its need.
	Need func(org string) string
	// Review is the address at which the holder of a link confirms a review.
	Review func(link string) (string, error)
	// Case is the address of a case's page; likewise.
	Case func(org, id string) string
}

// words are the fixed texts of a mail.
type words struct {
	verdicts                                          map[string]string
	resolved, host, since, until, why, cure, see, log string
	footer                                            string
	still                                             [2]string // of a verdict, for a day and for several
	nobody, taken, untaken, unsteady, often           string
}

var languages = map[string]words{
	duties.English: {
		verdicts: map[string]string{"breached": "Breached", "unproven": "No longer proven"},
		resolved: "Resolved", host: "Where", since: "Since", until: "Until", why: "What", cure: "What to do", see: "See", log: "Log of %s: %d entries, root %s",
		footer: "Keep this mail: the line above fixes what the log held when it was sent.",
		still:  [2]string{"%s for %d day", "%s for %d days"},
		nobody: "Nobody has acted. %s", taken: "Taken on", untaken: "by nobody since %s",
		unsteady: "Unsteady", often: "fired %d times within 24 hours; it is over once it has been in order for an hour without a break",
	},
	duties.Italian: {
		verdicts: map[string]string{"breached": "Violato", "unproven": "Non più provato"},
		resolved: "Risolto", host: "Dove", since: "Dal", until: "Al", why: "Che cosa", cure: "Che cosa fare", see: "Vedi", log: "Registro di %s: %d voci, radice %s",
		footer: "Tenere questo messaggio: la riga sopra fissa che cosa conteneva il registro all'invio.",
		still:  [2]string{"%s da %d giorno", "%s da %d giorni"},
		nobody: "Nessuno è intervenuto. %s", taken: "In carico", untaken: "a nessuno dal %s",
		unsteady: "Instabile", often: "scattato %d volte in 24 ore; finisce dopo un'ora in ordine senza interruzioni",
	},
}

// Write makes the message of deliveries to one channel that say the same of one
// asset for one or more duties. size and root are the newest head of the log of
// the organisation that is told.
func (w Writer) Write(list []Delivery, size int64, root string) (Message, error) {
	d := list[0]
	lang := d.To.Lang
	text, ok := languages[lang]
	if !ok {
		lang, text = duties.English, languages[duties.English]
	}
	m := Message{ID: d.ID, Event: d.Event, Round: d.Round, At: d.Alert.Opened, Lang: lang, Org: d.To.ID, OrgName: d.To.Name, Owner: d.Owner, Alert: d.Alert,
		Opened: d.Alert.Opened, LogSize: size, LogRoot: root, Attempts: d.Attempts}
	if d.Alert.Duty == "" {
		return w.notice(m, d)
	}
	for _, other := range list {
		duty, ok := w.Catalogue.Duty(other.Alert.Duty)
		if !ok {
			return Message{}, Refusal{fmt.Errorf("duty %s is not in the catalogue", other.Alert.Duty)}
		}
		m.Duties = append(m.Duties, duty.ID+" "+duty.Title.In(lang))
	}
	if w.Link != nil {
		m.Link = w.Link(d.To.ID, d.Alert.Duty)
	}
	state := text.verdicts[d.Alert.Verdict.String()]
	m.Why, m.Cure = w.Catalogue.Shown(lang, d.Alert.Why)
	switch d.Event {
	case Resolved:
		m.At, state = d.Alert.Resolved, text.resolved
		m.Why, m.Cure = w.Catalogue.Shown(lang, d.Alert.Ended)
	case Reminder:
		days := max(1, int(d.Created.Sub(d.Alert.Opened).Hours())/24)
		m.At, state = d.Created, fmt.Sprintf(text.still[min(days, 2)-1], state, days)
	case Escalated:
		m.At, state = d.Created, fmt.Sprintf(text.nobody, state)
	}
	more := ""
	if len(list) > 1 {
		more = fmt.Sprintf(" +%d", len(list)-1)
	}
	m.Subject = fmt.Sprintf("%s: %s%s (%s, %s)", state, m.Duties[0], more, d.Owner, d.Alert.Name)
	m.Body = text.body(m, state, d.To.Zone)
	return m, nil
}

func (t words) body(m Message, state string, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	clock := func(at time.Time) string { return duties.Moment(m.Lang, at.In(zone)) }
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", state, strings.Join(m.Duties, "\n"+strings.Repeat(" ", len([]rune(state))+2)))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-14s %s\n", name+":", value)
		}
	}
	line(t.host, m.Owner+", "+m.Alert.Name)
	line(t.since, clock(m.Opened))
	if m.Event == Resolved {
		line(t.until, clock(m.At))
	}
	switch {
	case m.Event != Reminder && m.Event != Escalated:
	case m.Alert.Acked.IsZero():
		line(t.taken, fmt.Sprintf(t.untaken, clock(m.Opened)))
	default:
		line(t.taken, clock(m.Alert.Acked))
	}
	if m.Event != Resolved && m.Alert.Unsteady() {
		line(t.unsteady, fmt.Sprintf(t.often, m.Alert.Fired))
	}
	line(t.why, m.Why)
	line(t.cure, m.Cure)
	line(t.see, m.Link)
	fmt.Fprintf(&b, "\n-- \n"+t.log+"\n%s\n", m.OrgName, m.LogSize, m.LogRoot, t.footer)
	return b.String()
}
