package alert

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// ReviewDue is the key of the notice of what is to be looked at in a service. Its
// arguments: digest (as JSON) and link.
const ReviewDue = "review_due"

// StatementEnds is the key of the notice that a statement is about to lapse. Its
// arguments: duty, kind, and until.
const StatementEnds = "statement_ends"

type letterWords struct {
	review, reviewLead, confirm, once string
	ends, endsLead, renew             string
	kinds                             map[string]string
	verdicts                          map[duties.Verdict]string
	several                           duties.Text // what a statement is about that concerns several duties
}

var several = duties.Text{EN: "backups", IT: "i backup"}

var letters = map[string]letterWords{
	duties.English: {
		review: "To look at today: %s (%s)", reviewLead: "This is how the duties stand that %s must review.",
		confirm: "Look at it and confirm that you did", once: "The link is valid for two days and works once. It is for you alone: whoever has it can confirm in your place.",
		ends: "Ends on %s: %s (%s)", endsLead: "The %s of %s about %s is valid until %s.", renew: "Look at it again and renew it on the page of the duty",
		kinds:    map[string]string{duties.StatementAttestation: "statement", duties.StatementWaiver: "waiver", duties.StatementStanding: "standing instruction", duties.StatementNeed: "declared need", duties.StatementRestore: "restore test", duties.StatementCosigned: "signature"},
		verdicts: map[duties.Verdict]string{duties.Unproven: "Unproven", duties.Breached: "Breached", duties.Fulfilled: "Fulfilled", duties.NoOccasion: "No occasion", duties.NotApplicable: "Not applicable"},
		several:  several,
	},
	duties.Italian: {
		review: "Da controllare oggi: %s (%s)", reviewLead: "Ecco lo stato degli obblighi che %s deve verificare.",
		confirm: "Guardare e confermare di averlo fatto", once: "Il link vale due giorni e si può usare una volta sola. È solo per chi lo riceve: chiunque lo abbia può confermare al suo posto.",
		ends: "Scade il %s: %s (%s)", endsLead: "La %s di %s su %s vale fino al %s.", renew: "Verificarla di nuovo e rinnovarla nella pagina dell'obbligo",
		kinds:    map[string]string{duties.StatementAttestation: "dichiarazione", duties.StatementWaiver: "dichiarazione di non applicabilità", duties.StatementStanding: "istruzione permanente", duties.StatementNeed: "necessità dichiarata", duties.StatementRestore: "prova di ripristino", duties.StatementCosigned: "firma"},
		verdicts: map[duties.Verdict]string{duties.Unproven: "Non provato", duties.Breached: "Violato", duties.Fulfilled: "Adempiuto", duties.NoOccasion: "Nessuna occasione", duties.NotApplicable: "Non applicabile"}, //nolint:misspell // Italian
		several:  several,
	},
}

// reviewDue makes the mail of a day's digest.
func (w Writer) reviewDue(m Message, d Delivery) (Message, error) {
	var digest duties.Digest
	args := d.Alert.Why.Args
	if err := json.Unmarshal([]byte(args["digest"]), &digest); err != nil {
		return m, Refusal{fmt.Errorf("reading a digest: %w", err)}
	}
	link, err := w.Review(args["link"])
	if err != nil {
		return m, fmt.Errorf("making the link of a review: %w", err)
	}
	n, text := letters[m.Lang], languages[m.Lang]
	m.Subject, m.Why, m.Link = fmt.Sprintf(n.review, w.Catalogue.ServiceTitle(m.Lang, digest.Service), d.To.Name), fmt.Sprintf(n.reviewLead, d.To.Name), link
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", m.Why)
	for _, l := range digest.Duties {
		title := ""
		if duty, ok := w.Catalogue.Duty(l.Duty); ok {
			title = duty.Title.In(m.Lang)
		}
		fmt.Fprintf(&b, "\n%s %s\n", l.Duty, title)
		for _, p := range l.Parts {
			why, _ := w.Catalogue.Shown(m.Lang, p.Why)
			fmt.Fprintf(&b, "  %s: %s\n", n.verdicts[p.Verdict], why)
		}
	}
	fmt.Fprintf(&b, "\n%s:\n%s\n%s\n", n.confirm, m.Link, n.once)
	fmt.Fprintf(&b, "\n-- \n"+text.log+"\n%s\n", m.OrgName, m.LogSize, m.LogRoot, text.footer)
	m.Body = b.String()
	return m, nil
}

// statementEnds makes the mail about a statement that is about to lapse.
func (w Writer) statementEnds(m Message, d Delivery) (Message, error) {
	n, text, args := letters[m.Lang], languages[m.Lang], d.Alert.Why.Args
	duty, ok := w.Catalogue.Duty(args["duty"])
	until, err := time.Parse(time.RFC3339, args["until"])
	if args["duty"] == "" { // of several duties
		ok, duty.Title = true, n.several
	}
	if !ok || err != nil {
		return m, Refusal{fmt.Errorf("statement about duty %q until %q", args["duty"], args["until"])}
	}
	zone := d.To.Zone
	if zone == nil {
		zone = time.UTC
	}
	day, name := duties.Moment(m.Lang, until.In(zone)), strings.TrimSpace(duty.ID+" "+duty.Title.In(m.Lang))
	m.Subject = fmt.Sprintf(n.ends, day, name, d.To.Name)
	m.Why = fmt.Sprintf(n.endsLead, n.kinds[args["kind"]], d.To.Name, name, day)
	switch {
	case duty.ID == "" && w.Need != nil:
		m.Link = w.Need(d.To.ID)
	case duty.ID != "" && w.Link != nil:
		m.Link = w.Link(d.To.ID, duty.ID)
	}
	m.Body = fmt.Sprintf("%s\n\n%s:\n%s\n\n-- \n"+text.log+"\n%s\n", m.Why, n.renew, m.Link, m.OrgName, m.LogSize, m.LogRoot, text.footer)
	return m, nil
}
