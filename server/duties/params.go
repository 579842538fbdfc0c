package duties

import (
	"errors"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// The units of parameters.
const (
	UnitMinutes = "minutes"
	UnitHours   = "hours"
	UnitDays    = "days"
	UnitPercent = "percent"
	UnitCount   = "count"
	UnitFlag    = "flag" // 0 or 1
)

var unitLength = map[string]time.Duration{
	UnitMinutes: time.Minute, UnitHours: time.Hour, UnitDays: 24 * time.Hour,
	UnitPercent: 0, UnitCount: 0, UnitFlag: 0,
}

// Param is a number that a check depends on and that an organisation can set.
type Param struct {
	Title   Text    `yaml:"title"`
	Unit    string  `yaml:"unit"`
	Default float64 `yaml:"default"`
	Min     float64 `yaml:"min"`
	Max     float64 `yaml:"max"`
	Source  Source  `yaml:"source"` // who says so
	Every   bool    `yaml:"every"`  // it is how old what proves the duty may be: it goes with how often that must be proven
	Bound   bool    `yaml:"-"`      // the duty leaves less open than the check does
}

// Source says who asks for a figure: a text in both languages, or one for all, such as
// the name of a norm or of a manual page.
type Source struct{ Text }

// UnmarshalYAML reads {en: …, it: …} or a plain text.
func (s *Source) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		s.Text = Text{EN: n.Value, IT: n.Value}
		return nil
	}
	texts := map[string]string{}
	if err := n.Decode(&texts); err != nil {
		return err //nolint:wrapcheck // it names the line, and the reader of files looks for that
	}
	for lang := range texts {
		if lang != English && lang != Italian {
			return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: source: want a text, or {en: …, it: …}", n.Line)}}
		}
	}
	s.Text = Text{EN: texts[English], IT: texts[Italian]}
	return nil
}

func (p Param) validate() error {
	errs := []error{lacks("title", p.Title)}
	if _, ok := unitLength[p.Unit]; !ok {
		errs = append(errs, under("", fmt.Errorf("unit %q: want minutes, hours, days, percent, count or flag", p.Unit), "unit"))
	}
	if p.Source == (Source{}) {
		errs = append(errs, missing("source is missing: say who asks for this figure"))
	} else {
		errs = append(errs, under("", lacks("source", p.Source.Text), "source"))
	}
	if p.Every && unitLength[p.Unit] == 0 {
		errs = append(errs, under("", errors.New("every: true is for a time: its unit is minutes, hours or days"), "every"))
	}
	return errors.Join(append(errs, under("the default", p.Allows(p.Default), "default"))...)
}

// Allows says why a value is outside the parameter's range, or nil.
func (p Param) Allows(v float64) error {
	switch {
	case p.Unit == UnitFlag && v != 0 && v != 1:
		return fmt.Errorf("%g is neither 1 (yes) nor 0 (no)", v)
	case v >= p.Min && v <= p.Max: // no number is neither
		return nil
	case p.Bound:
		return fmt.Errorf("%s is outside %s, which is all that the duty leaves open: for anything looser its party signs a waiver (“does not apply”) on the duty's page", p.write(v), p.Range())
	}
	return fmt.Errorf("%s is outside %s", p.write(v), p.Range())
}

// Range writes what the parameter may be set to.
func (p Param) Range() string {
	if p.Min == p.Max {
		return p.write(p.Min) + " alone"
	}
	return fmt.Sprintf("%g to %s", p.Min, p.write(p.Max))
}

func (p Param) write(v float64) string {
	switch p.Unit {
	case UnitFlag:
		return map[bool]string{true: "1 (yes)", false: "0 (no)"}[v != 0]
	case UnitCount:
		return fmt.Sprintf("%g", v)
	}
	return fmt.Sprintf("%g %s", v, p.Unit)
}

// values are the figures that a part is judged with.
type values struct {
	params map[string]Param
	set    Params
}

// number returns a parameter's value; a value out of range counts as not set.
// The catalogue's validation guarantees that the name exists.
func (v values) number(name string) float64 {
	p := v.params[name]
	if n, ok := v.set[name]; ok && p.Allows(n) == nil {
		return n
	}
	return p.Default
}

func (v values) duration(name string) time.Duration {
	return time.Duration(v.number(name) * float64(unitLength[v.params[name].Unit]))
}

func (v values) flag(name string) bool { return v.number(name) != 0 }
