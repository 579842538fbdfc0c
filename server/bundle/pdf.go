package bundle

import (
	"fmt"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"github.com/attesto/attesto/server/duties"
)

// Millimetres of a page of A4.
const (
	pageMargin = 15.0
	labelWidth = 38.0
	textWidth  = 210 - 2*pageMargin
	lineHeight = 5.0
)

// soft is the grey of what stands beside, of 255.
const soft = 90

// A state's ground and letters, red, green and blue. Its word stands in it, for paper
// without colours.
var shades = map[string][6]int{
	duties.Breached.String():  {252, 229, 227, 168, 32, 26},
	duties.Unproven.String():  {252, 239, 203, 122, 80, 0},
	duties.Fulfilled.String(): {222, 243, 228, 23, 106, 51},
	"":                        {233, 237, 243, 68, 84, 106},
}

// pdf writes with the fonts that every reader has, which know Western characters only;
// others stand as dots.
type pdf struct {
	*fpdf.Fpdf
	lang  string
	words map[string]string
	text  func(string) string
}

func newPDF(lang string, words map[string]string, at time.Time, org string) *pdf {
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
		p.CellFormat(textWidth-30, lineHeight, p.text(org), "", 0, "L", false, 0, "")
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

// room begins a new page unless so many millimetres are left on this one.
func (p *pdf) room(height float64) {
	if p.GetY()+height > 297-pageMargin-5 {
		p.AddPage()
	}
}

// badge writes a state on its colour.
func (p *pdf) badge(width float64, state string) {
	c, ok := shades[state]
	if !ok {
		c = shades[""]
	}
	p.font("B", 8)
	p.SetFillColor(c[0], c[1], c[2])
	p.SetTextColor(c[3], c[4], c[5])
	p.CellFormat(width, lineHeight-.5, p.text(p.words[state]), "", 0, "C", true, 0, "")
	p.SetTextColor(0, 0, 0)
}
