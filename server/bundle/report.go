package bundle

import (
	"bytes"
	_ "embed" // report.yaml
	"fmt"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/server/duties"
)

//go:embed report.yaml
var reportWords []byte

// Millimetres of a page of A4.
const (
	pageMargin = 15.0
	labelWidth = 38.0
	textWidth  = 210 - 2*pageMargin
	lineHeight = 5.0
)

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
	p := newPDF(lang, all[lang], w.m.Created.Time)
	w.reportHead(p)
	w.reportDuties(p)
	var b bytes.Buffer
	if err := p.Output(&b); err != nil {
		return fmt.Errorf("writing report.pdf: %w", err)
	}
	return w.put("report.pdf", b.Bytes())
}

// pdf writes with the fonts that every reader has, which know Western characters only;
// others stand as dots.
type pdf struct {
	*fpdf.Fpdf
	lang  string
	words map[string]string
	text  func(string) string
}

func newPDF(lang string, words map[string]string, at time.Time) *pdf {
	p := &pdf{fpdf.New("P", "mm", "A4", ""), lang, words, nil}
	p.text = p.UnicodeTranslatorFromDescriptor("cp1252")
	p.SetCreationDate(at)
	p.SetModificationDate(at)
	p.SetCatalogSort(true)
	p.SetLang(lang)
	p.SetTitle(words["title"], true)
	p.SetMargins(pageMargin, pageMargin, pageMargin)
	p.SetAutoPageBreak(true, pageMargin+5)
	p.AliasNbPages("{pages}")
	p.SetFooterFunc(func() {
		p.SetY(-pageMargin)
		p.font("", 8)
		p.CellFormat(0, lineHeight, p.text(fmt.Sprintf(words["page"], p.PageNo())), "", 0, "R", false, 0, "")
	})
	p.AddPage()
	return p
}

func (p *pdf) font(style string, size float64) { p.SetFont("Helvetica", style, size) }

// line writes a label and what belongs to it.
func (p *pdf) line(label, text string) {
	p.font("B", 9)
	p.CellFormat(labelWidth, lineHeight, p.text(p.words[label]), "", 0, "L", false, 0, "")
	p.font("", 9)
	p.MultiCell(textWidth-labelWidth, lineHeight, p.text(text), "", "L", false)
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

func (w *writer) reportDuties(p *pdf) {
	p.font("B", 13)
	p.CellFormat(0, 8, p.text(p.words["duties"]), "", 1, "L", false, 0, "")
	service := ""
	for _, d := range w.duties {
		if d.Service != service {
			service = d.Service
			p.Ln(2)
			p.font("B", 11)
			p.CellFormat(0, 7, p.text(w.Catalogue.ServiceTitle(p.lang, service)), "B", 1, "L", false, 0, "")
		}
		p.duty(d, duties.Day(p.lang, d.Since.In(w.org.Location())))
	}
}

// duty writes a duty, who owes it, how it stood, and why.
func (p *pdf) duty(d Duty, since string) {
	if p.GetY() > 297-pageMargin-25 {
		p.AddPage()
	}
	p.Ln(1)
	p.font("B", 9)
	p.CellFormat(18, lineHeight, d.ID, "", 0, "L", false, 0, "")
	p.MultiCell(textWidth-18, lineHeight, p.text(d.Title[p.lang]), "", "L", false)
	p.SetX(pageMargin + 18)
	p.CellFormat(0, 4, p.text(p.words[d.Party]+": "+p.words[d.State]+", "+fmt.Sprintf(p.words["since"], since)+p.covered(d.Period)), "", 1, "L", false, 0, "")
	p.font("", 8)
	p.SetX(pageMargin + 18)
	p.MultiCell(textWidth-18, 4, p.text(d.Why[p.lang]), "", "L", false)
}

// covered says how much of the period was proven.
func (p *pdf) covered(of Period) string {
	if of.Expected == 0 {
		return ""
	}
	return "; " + fmt.Sprintf(p.words["covered"], of.Covered, of.Expected, of.WindowDays)
}
