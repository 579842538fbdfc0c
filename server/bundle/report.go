package bundle

import (
	"bytes"
	_ "embed" // report.yaml
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/server/duties"
)

//go:embed report.yaml
var reportWords []byte

// report writes report.pdf: what the bundle holds and how the duties stood, for people,
// in the organisation's language.
func (w *writer) report() error {
	all := map[string]map[string]string{}
	if err := yaml.Unmarshal(reportWords, &all); err != nil {
		return fmt.Errorf("words of the report: %w", err)
	}
	lang := w.org.Lang
	if all[lang] == nil {
		lang = duties.English
	}
	p := newPDF(lang, all[lang], w.m.Created.Time, w.org.Name)
	w.reportHead(p)
	w.reportCounts(p)
	w.reportDuties(p)
	var b bytes.Buffer
	if err := p.Output(&b); err != nil {
		return fmt.Errorf("writing report.pdf: %w", err)
	}
	return w.put("report.pdf", b.Bytes())
}

func (w *writer) reportHead(p *pdf) {
	zone := w.org.Location()
	at := func(t time.Time) string { return duties.Moment(p.lang, t.In(zone)) }
	p.font("B", 18)
	p.CellFormat(0, 10, p.text(p.words["title"]), "", 1, "L", false, 0, "")
	p.Ln(2)
	p.line("org", w.org.Name+" ("+w.org.ID+")")
	p.line("period", at(w.m.From.Time)+" - "+at(w.m.To.Time))
	p.line("made", at(w.m.Created.Time))
	p.line("server", w.Keyset.Server)
	p.line("root", string(w.Root.ID()))
	for i, st := range w.states {
		p.line("head", fmt.Sprintf(p.words["head_text"], st.Origin, w.m.Epochs[i].Size, st.Root))
	}
	if len(w.q.Duties) > 0 {
		p.line("scope", strings.Join(w.q.Duties, ", "))
	}
	p.Ln(2)
	p.font("", 9)
	p.MultiCell(0, lineHeight, p.text(p.words["how"]), "1", "L", false)
	p.Ln(3)
}

// states are the columns of the counts, worst first.
var states = []duties.Verdict{duties.Breached, duties.Unproven, duties.Fulfilled, duties.NoOccasion, duties.NotApplicable}

// reportCounts writes how many duties of each party are in each state.
func (w *writer) reportCounts(p *pdf) {
	counts := map[string]int{}
	for _, d := range w.duties {
		counts[d.Party+" "+d.State]++
	}
	column := (textWidth - labelWidth) / float64(len(states))
	p.SetX(pageMargin + labelWidth)
	for _, v := range states {
		p.badge(column-1, v.String())
		p.SetX(p.GetX() + 1)
	}
	p.Ln(lineHeight + 1)
	for _, party := range []string{duties.Provider, duties.Customer} {
		p.font("B", 9)
		p.CellFormat(labelWidth, lineHeight, p.text(p.words[party]), "B", 0, "L", false, 0, "")
		p.font("", 9)
		for _, v := range states {
			p.CellFormat(column, lineHeight, strconv.Itoa(counts[party+" "+v.String()]), "B", 0, "C", false, 0, "")
		}
		p.Ln(lineHeight)
	}
	p.Ln(4)
}

func (w *writer) reportDuties(p *pdf) {
	p.font("B", 13)
	p.CellFormat(0, 8, p.text(p.words["duties"]), "", 1, "L", false, 0, "")
	service := ""
	for _, d := range w.duties {
		if d.Service != service {
			service = d.Service
			p.room(9 + 20) // a heading does not stand alone
			p.Ln(2)
			p.font("B", 11)
			p.CellFormat(0, 7, p.text(w.Catalogue.ServiceTitle(p.lang, service)), "B", 1, "L", false, 0, "")
		}
		p.duty(d, duties.Day(p.lang, d.Since.In(w.org.Location())))
	}
}

// Millimetres of a duty: its id, its state, the lines below its title.
const (
	idWidth    = 18.0
	badgeWidth = 32.0
	smallLine  = 4.0
)

// duty writes a duty, how it stood, who owes it, and why.
func (p *pdf) duty(d Duty, since string) {
	title, why := p.text(d.Title[p.lang]), p.text(d.Why[p.lang])
	p.font("B", 9)
	lines := len(p.SplitLines([]byte(title), textWidth-idWidth-badgeWidth-2))
	p.font("", 8)
	p.room(1 + float64(lines)*lineHeight + float64(1+len(p.SplitLines([]byte(why), textWidth-idWidth)))*smallLine)
	p.Ln(1)
	top := p.GetY()
	p.SetX(pageMargin + textWidth - badgeWidth)
	p.badge(badgeWidth, d.State)
	p.SetXY(pageMargin, top)
	p.font("B", 9)
	p.CellFormat(idWidth, lineHeight, d.ID, "", 0, "L", false, 0, "")
	p.MultiCell(textWidth-idWidth-badgeWidth-2, lineHeight, title, "", "L", false)
	p.SetX(pageMargin + idWidth)
	p.font("", 8)
	p.SetTextColor(soft, soft, soft)
	p.CellFormat(0, smallLine, p.text(p.words[d.Party]+", "+fmt.Sprintf(p.words["since"], since)+p.covered(d.Period)), "", 1, "L", false, 0, "")
	p.SetTextColor(0, 0, 0)
	p.SetX(pageMargin + idWidth)
	p.MultiCell(textWidth-idWidth, smallLine, why, "", "L", false)
}

// covered says how much of the period was proven.
func (p *pdf) covered(of Period) string {
	if of.Expected == 0 {
		return ""
	}
	return "; " + fmt.Sprintf(p.words["covered"], of.Covered, of.Expected, of.WindowDays)
}
