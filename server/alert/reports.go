package alert

import (
	"fmt"
	"strings"

	"github.com/attesto/attesto/server/duties"
)

// ReportsPutOff is the key of the notice that reports of abuse are put off. Its arguments:
// bound, one of the following, and most, how many are taken.
const ReportsPutOff = "reports_put_off"

// The bounds of reports of abuse.
const (
	ManyWait  = "many_wait"  // for a decision
	ManyNew   = "many_new"   // in an hour, of what no case is open about
	ManyAgain = "many_again" // in an hour, of what a case is open about
)

type putOffWords struct {
	subject, lead string
	bounds, cures map[string]string
}

const (
	cureWait = "Decide on those that wait, on the page \"Cases\": each has its term. Withdraw those that are unfounded."
	cureRate = "See whether they come from whom they should: reports.from in the server's configuration names who may send. Those that wait are on the page \"Cases\"."
)

var putOffs = map[string]putOffWords{
	duties.English: {subject: "Reports of abuse are put off (%s)", lead: "Reports of abuse to %s are not accepted for now: senders are told to try again later. What they report is not known until then.",
		bounds: map[string]string{ManyWait: "%s reports wait for a decision", ManyNew: "%s new reports came within an hour", ManyAgain: "%s reports of what was already known came within an hour"},
		cures:  map[string]string{ManyWait: cureWait, ManyNew: cureRate, ManyAgain: cureRate}},
	duties.Italian: {subject: "Segnalazioni di abuso rinviate (%s)", lead: "Le segnalazioni di abuso a %s per ora non sono accettate: ai mittenti si dice di riprovare più tardi. Che cosa segnalano non è noto fino ad allora.",
		bounds: map[string]string{ManyWait: "%s segnalazioni attendono una decisione", ManyNew: "%s nuove segnalazioni sono arrivate in un'ora", ManyAgain: "%s segnalazioni di fatti già noti sono arrivate in un'ora"},
		cures: map[string]string{ManyWait: "Decidere su quelle in attesa, nella pagina \"Casi\": ciascuna ha il suo termine. Ritirare quelle infondate.",
			ManyNew:   "Verificare che arrivino da chi devono: reports.from nella configurazione del server dice chi può inviare. Quelle in attesa sono nella pagina \"Casi\".",
			ManyAgain: "Verificare che arrivino da chi devono: reports.from nella configurazione del server dice chi può inviare. Quelle in attesa sono nella pagina \"Casi\"."}},
}

// reportsPutOff makes the mail that says so.
func (w Writer) reportsPutOff(m Message, d Delivery) Message {
	n, args, text := putOffs[m.Lang], d.Alert.Why.Args, languages[m.Lang]
	m.Subject, m.Why, m.Cure = fmt.Sprintf(n.subject, d.To.Name), fmt.Sprintf(n.lead, d.Alert.Name), n.cures[args["bound"]]
	if w.Case != nil {
		m.Link = strings.TrimSuffix(w.Case(d.Alert.Org, ""), "/")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", m.Why)
	for _, line := range [][2]string{{text.why, fmt.Sprintf(n.bounds[args["bound"]], args["most"])}, {text.cure, m.Cure}, {text.see, m.Link}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%-14s %s\n", line[0]+":", line[1])
		}
	}
	fmt.Fprintf(&b, "\n-- \n"+text.log+"\n%s\n", m.OrgName, m.LogSize, m.LogRoot, text.footer)
	m.Body = b.String()
	return m
}
