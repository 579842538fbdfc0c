package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/duties"
)

func (a *app) catalogueCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "catalogue", Short: "Show the duties and how each is proven; check files of own ones"}
	cmd.AddCommand(a.catalogueListCommand(), a.catalogueCheckCommand(), a.catalogueFactsCommand())
	return cmd
}

func (a *app) catalogueCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE…",
		Short: "Check files of own services, duties and parameters",
		Long: `Check files of own services, duties, checks and parameters as the server would read
them from the folder that catalogue names in its configuration. Each fault is named
with file, line and what to do. Exit status 1 if there is any.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			files := map[string][]byte{}
			for _, name := range args {
				b, err := os.ReadFile(name)
				if err != nil {
					return fmt.Errorf("reading an own catalogue: %w", err)
				}
				files[name] = b
			}
			c, err := duties.With(files, time.Now())
			if err == nil {
				err = errors.Join(c.Over()...)
			}
			if err != nil {
				return err
			}
			own := 0
			for _, d := range c.Duties() {
				if d.Own {
					own++
				}
			}
			say(a.out, "sound: %d duties, %d of them own, in %d services\n", len(c.Duties()), own, len(c.Services()))
			return nil
		},
	}
}

func (a *app) catalogueFactsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "facts [KIND]",
		Short: "List the kinds of facts, or the fields of one, that rules of own checks can use",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, k := range evidence.FactsKinds() {
					say(a.out, "%s\n", k)
				}
				return nil
			}
			fields, err := duties.RuleFields(evidence.Kind(args[0]))
			if err != nil {
				return misused(err)
			}
			for _, f := range fields {
				say(a.out, "%s\n", f)
			}
			return nil
		},
	}
}

func (a *app) catalogueListCommand() *cobra.Command {
	var asJSON bool
	var lang string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the duties and how each is proven",
		Long: `List the duties and how each is proven.

The list has the 57 duties that are built in, and the operator's own where the
configuration names a catalogue. A part in brackets has no way of proof in this version: it is shown as unproven.
With --json one object a line, with parameters (type, default, range, source) and
the clauses that ask for the duty.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			c, err := cfg.ReadCatalogue(time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return a.catalogueJSON(c, lang)
			}
			var rows [][]string
			for _, d := range c.Duties() {
				rows = append(rows, []string{d.ID, d.Party, d.Title.In(lang), d.CadenceText.In(lang), provenBy(d)})
			}
			return a.table(false, []string{"id", "party", "title", "cadence", "proven by"}, rows)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().StringVar(&lang, "lang", duties.English, "language of titles, and of sources in JSON, en or it")
	return cmd
}

// provenBy writes the parts of a duty.
func provenBy(d duties.Duty) string {
	var parts []string
	for _, p := range d.Parts {
		text := p.Proof
		if p.Check != "" {
			text += " " + p.Check
		}
		if !p.Judged {
			text = "[" + text + "]"
		}
		parts = append(parts, text)
	}
	if d.Any {
		return strings.Join(parts, " or ")
	}
	return strings.Join(parts, " + ")
}

type dutyJSON struct {
	ID       string     `json:"id"`
	Service  string     `json:"service"`
	Party    string     `json:"party"`
	Title    textJSON   `json:"title"`
	Cadence  string     `json:"cadence"`
	Every    int64      `json:"every_seconds"` // 0: at each event
	SetByYou bool       `json:"set_by_you"`
	Proven   string     `json:"proven"` // in words
	Any      bool       `json:"any"`    // one part is enough
	Own      bool       `json:"own"`    // of the operator, not built in
	Parts    []partJSON `json:"parts"`
	Clauses  clauses    `json:"clauses"`
}

type textJSON struct {
	EN string `json:"en"`
	IT string `json:"it"`
}

type partJSON struct {
	Name   string      `json:"name"`
	Proof  string      `json:"proof"`
	Check  string      `json:"check,omitempty"`
	Judged bool        `json:"judged"`
	Title  textJSON    `json:"title"`
	Params []paramJSON `json:"params"`
}

type paramJSON struct {
	Name    string   `json:"name"`
	Title   textJSON `json:"title"`
	Unit    string   `json:"unit"`
	Default float64  `json:"default"`
	Min     float64  `json:"min"`
	Max     float64  `json:"max"`
	Source  string   `json:"source"`
}

type clauses struct {
	Family   string   `json:"family"`
	GDPR     []string `json:"gdpr,omitempty"`
	NIS2     []string `json:"reg_2024_2690,omitempty"`
	Dlgs138  []string `json:"dlgs_138_2024_art_24_2,omitempty"`
	ISO27001 []string `json:"iso_27001_2022,omitempty"`
	AgID     []string `json:"agid,omitempty"`
	Codes    []string `json:"codes_of_conduct,omitempty"`
}

func (a *app) catalogueJSON(c *duties.Catalogue, lang string) error {
	enc := json.NewEncoder(a.out)
	for _, d := range c.Duties() {
		f := d.Family
		out := dutyJSON{ID: d.ID, Service: d.Service, Party: d.Party, Title: textJSON(d.Title), Cadence: d.Cadence, Every: int64(d.Every.Seconds()),
			SetByYou: d.SetByYou, Proven: provenBy(d), Any: d.Any, Own: d.Own, Parts: []partJSON{},
			Clauses: clauses{f.ID, f.GDPR, f.NIS2, f.Dlgs138, f.ISO27001, f.AgID, f.Codes}}
		for _, p := range d.Parts {
			part := partJSON{Name: p.Name, Proof: p.Proof, Check: p.Check, Judged: p.Judged, Title: textJSON(p.Title), Params: []paramJSON{}}
			for _, name := range slices.Sorted(maps.Keys(p.Params)) {
				v := p.Params[name]
				part.Params = append(part.Params, paramJSON{name, textJSON(v.Title), v.Unit, v.Default, v.Min, v.Max, v.Source.In(lang)})
			}
			out.Parts = append(out.Parts, part)
		}
		if err := enc.Encode(out); err != nil {
			return err
		}
	}
	return nil
}
