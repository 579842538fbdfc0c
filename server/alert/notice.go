package alert

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/server/duties"
)

// NewAgent is the key of the notice that a host has enrolled. Its arguments: host,
// key, from, os, token, and waits if it waits for approval.
const NewAgent = "agent_enrolled"

// CaseOpened is the key of the notice of a case: what the provider found and the
// customer must know of. Its arguments: case, title, text and service.
const CaseOpened = "case_opened"

// CaseReported is the key of the notice, to the provider, of a case that a customer has
// opened. Its arguments: case, org and customer (its id and name), title, text and service.
const CaseReported = "case_reported"

// caseWords are the texts of a case's notice.
type caseWords struct{ subject, lead, about, todo, cure string }

var caseNotices = map[string]map[string]caseWords{
	CaseOpened: {
		duties.English: {subject: "Notice: %s (%s)", lead: "The provider has a notice for %s.", about: "About", todo: "What to do",
			cure: "Acknowledge the notice on its page, solve the problem, and record that there: both times count."},
		duties.Italian: {subject: "Avviso: %s (%s)", lead: "C'è un avviso del provider per %s.", about: "Oggetto", todo: "Che cosa fare",
			cure: "Prendere in carico l'avviso nella sua pagina, risolvere il problema e registrarlo lì: contano entrambi i tempi."},
	},
	CaseReported: {
		duties.English: {subject: "From a customer: %s (%s)", lead: "%s has opened a case with the provider.", about: "About", todo: "What to do",
			cure: "Read the case on its page, and record there what you do about it."},
		duties.Italian: {subject: "Da un cliente: %s (%s)", lead: "%s ha aperto un caso con il provider.", about: "Oggetto", todo: "Che cosa fare",
			cure: "Leggere il caso nella sua pagina e registrare lì che cosa se ne fa."},
	},
}

// noticeWords are the texts of a notice.
type noticeWords struct {
	subject, lead, waits       string
	host, from, os, token, key string
	cureWaits, cure            string
	subjectWaits, at, todo     string
}

var notices = map[string]noticeWords{
	duties.English: {
		subject: "New agent: %s (%s)", subjectWaits: "An agent waits for approval: %s (%s)",
		lead:  "A host has enrolled and sends evidence for %s.",
		waits: "A host has enrolled for %s. What it sends counts once you approve it.",
		host:  "Host", from: "From", os: "System", token: "Token", key: "Key", at: "When", todo: "What to do",
		cureWaits: "Compare the key with what attesto-agent status shows on that host. If you know the host, approve it on the page \"Agents\" or with attesto-server agent approve; if not, revoke it.",
		cure:      "Compare the key with what attesto-agent status shows on that host. If it was not enrolled by somebody entitled to, revoke it: on the page \"Agents\" or with attesto-server agent revoke.",
	},
	duties.Italian: {
		subject: "Nuovo agente: %s (%s)", subjectWaits: "Un agente attende l'approvazione: %s (%s)",
		lead:  "C'è un nuovo host che invia prove per %s.",
		waits: "C'è un nuovo host per %s. Quello che invia conta solo dopo l'approvazione.",
		host:  "Host", from: "Da", os: "Sistema", token: "Token", key: "Chiave", at: "Quando", todo: "Che cosa fare",
		cureWaits: "Confrontare la chiave con quella che mostra attesto-agent status su quell'host. Se l'host è conosciuto, approvarlo nella pagina \"Agenti\" o con attesto-server agent approve; altrimenti revocarlo.",
		cure:      "Confrontare la chiave con quella che mostra attesto-agent status su quell'host. Se non lo ha aggiunto una persona autorizzata, revocarlo: nella pagina \"Agenti\" o con attesto-server agent revoke.",
	},
}

// notice makes the mail of an alert that is no duty's.
func (w Writer) notice(m Message, d Delivery) (Message, error) {
	switch d.Alert.Why.Key {
	case NewAgent:
	case CaseOpened, CaseReported:
		return w.caseNotice(m, d), nil
	case ReportsPutOff:
		return w.reportsPutOff(m, d), nil
	case ReviewDue:
		return w.reviewDue(m, d)
	case StatementEnds:
		return w.statementEnds(m, d)
	default:
		return Message{}, Refusal{fmt.Errorf("no text for the notice %q", d.Alert.Why.Key)}
	}
	n, args := notices[m.Lang], d.Alert.Why.Args
	subject, lead := n.subject, n.lead
	m.Cure = n.cure
	if args["waits"] != "" {
		subject, lead, m.Cure = n.subjectWaits, n.waits, n.cureWaits
	}
	m.Subject, m.Why = fmt.Sprintf(subject, d.Alert.Name, d.To.Name), fmt.Sprintf(lead, d.To.Name)
	if w.Agents != nil {
		m.Link = w.Agents(d.To.ID)
	}
	zone := d.To.Zone
	if zone == nil {
		zone = time.UTC
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", m.Why)
	text := languages[m.Lang]
	for _, line := range [][2]string{{n.host, d.Alert.Name}, {n.key, args["key"]}, {n.from, args["from"]}, {n.os, args["os"]}, {n.token, args["token"]},
		{n.at, duties.Moment(m.Lang, d.Alert.Opened.In(zone))}, {n.todo, m.Cure}, {text.see, m.Link}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%-14s %s\n", line[0]+":", line[1])
		}
	}
	fmt.Fprintf(&b, "\n-- \n"+text.log+"\n%s\n", m.OrgName, m.LogSize, m.LogRoot, text.footer)
	m.Body = b.String()
	return m, nil
}

// caseNotice makes the mail of a case's notice.
func (w Writer) caseNotice(m Message, d Delivery) Message {
	n, args := caseNotices[d.Alert.Why.Key][m.Lang], d.Alert.Why.Args
	customer := cmp.Or(args["customer"], d.To.Name)
	m.Subject, m.Why, m.Cure = fmt.Sprintf(n.subject, d.Alert.Name, customer), fmt.Sprintf(n.lead, customer), n.cure
	if w.Case != nil {
		m.Link = w.Case(cmp.Or(args["org"], d.Alert.Org), args["case"])
	}
	text := languages[m.Lang]
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%-14s %s\n", m.Why, n.about+":", d.Alert.Name)
	if args["text"] != "" {
		fmt.Fprintf(&b, "\n%s\n\n", args["text"])
	}
	fmt.Fprintf(&b, "%-14s %s\n", n.todo+":", m.Cure)
	if m.Link != "" {
		fmt.Fprintf(&b, "%-14s %s\n", text.see+":", m.Link)
	}
	fmt.Fprintf(&b, "\n-- \n"+text.log+"\n%s\n", m.OrgName, m.LogSize, m.LogRoot, text.footer)
	m.Body = b.String()
	return m
}
