package antivirus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Declared is what a declared command prints, or a declared file holds: one JSON object.
// Every key may be left out, and stands for "nobody knows" then; an unknown key is an
// error. Times are RFC 3339 ("2026-11-26T09:30:00Z"), days "2026-11-28" or "open".
//
//	engine       version of the engine
//	supported    last day on which the engine gets fixes
//	served       last day on which it gets definitions
//	definitions  list of {name, version, built, got, days, decides}: built by the producer
//	             at, got by this host at, age in whole days as the product says; decides
//	             (default true): renewed daily, so that its age is the product's
//	loaded       the same of what the service looks with
//	update       {result: ok|failed|unknown, reason: blocked|limited|unreachable|broken, at, good}
//	running      the service runs: yes, no, unknown
//	realTime     files are looked at when they are opened: yes, no, unknown
//	licence      valid: yes, no, unknown
//	scan         {at, files, infected, errors, seconds} of the last scan
//	neverScans   true: nothing was ever scanned
//	threats      how many were found and not dealt with
type Declared struct {
	Engine      string          `json:"engine"`
	Supported   string          `json:"supported"`
	Served      string          `json:"served"`
	Definitions []DeclaredSet   `json:"definitions"`
	Loaded      *DeclaredSet    `json:"loaded"`
	Update      *DeclaredUpdate `json:"update"`
	Running     string          `json:"running"`
	RealTime    string          `json:"realTime"`
	Licence     string          `json:"licence"`
	Scan        *DeclaredScan   `json:"scan"`
	NeverScans  bool            `json:"neverScans"`
	Threats     *int64          `json:"threats"`
}

// DeclaredSet is a set of definitions; one that does not say otherwise decides.
type DeclaredSet struct {
	Name    string     `json:"name"`
	Version string     `json:"version"`
	Built   *time.Time `json:"built"`
	Got     *time.Time `json:"got"`
	Days    *int64     `json:"days"`
	Decides *bool      `json:"decides"`
}

// DeclaredUpdate is the last run of what fetches definitions.
type DeclaredUpdate struct {
	Result string     `json:"result"`
	Reason string     `json:"reason"`
	At     *time.Time `json:"at"`
	Good   *time.Time `json:"good"`
}

// DeclaredScan is the last scan.
type DeclaredScan struct {
	At       *time.Time `json:"at"`
	Files    *int64     `json:"files"`
	Infected *int64     `json:"infected"`
	Errors   *int64     `json:"errors"`
	Seconds  *int64     `json:"seconds"`
}

func stated(t *time.Time) *evidence.Time {
	if t == nil {
		return nil
	}
	return moment(*t)
}

func (s DeclaredSet) definitions() evidence.Definitions {
	if s.Name == "" {
		s.Name = "definitions"
	}
	return evidence.Definitions{Name: s.Name, Version: s.Version, Built: stated(s.Built), Got: stated(s.Got), Days: s.Days, Decides: s.Decides == nil || *s.Decides}
}

// ParseDeclared reads a Declared.
func ParseDeclared(name string, data []byte) (evidence.AntivirusProduct, error) {
	p := unknownProduct(name)
	if len(data) > maxOutput {
		return p, fmt.Errorf("%d bytes, over the limit of %d", len(data), maxOutput)
	}
	if err := evidence.CheckJSON(bytes.TrimSpace(data)); err != nil {
		return p, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var d Declared
	if err := dec.Decode(&d); err != nil {
		return p, fmt.Errorf("not JSON as docs/antivirus.md describes it: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("more than one JSON object")
	}
	p.Engine, p.Supported, p.Served, p.Running, p.Licence = d.Engine, d.Supported, d.Served, d.Running, d.Licence
	p.NeverScans, p.Threats = d.NeverScans, d.Threats
	for _, s := range d.Definitions {
		p.Definitions = append(p.Definitions, s.definitions())
	}
	if d.Loaded != nil {
		loaded := d.Loaded.definitions()
		p.Loaded = &loaded
	}
	if d.Update != nil {
		p.Update = evidence.AntivirusUpdate{Result: d.Update.Result, Reason: d.Update.Reason, At: stated(d.Update.At), Good: stated(d.Update.Good)}
	}
	if s := d.Scan; s != nil {
		p.Scan = &evidence.AntivirusScan{At: stated(s.At), Files: s.Files, Infected: s.Infected, Errors: s.Errors, Seconds: s.Seconds}
	}
	if d.RealTime != "" {
		p.RealTime = d.RealTime
	}
	return p, p.Validate()
}

// declared looks at a product by its command or file.
func (l *look) declared(ctx context.Context, o Other) (evidence.AntivirusProduct, bool) {
	what := "product " + o.Name
	var out []byte
	var why string
	if o.File != "" {
		b, err := l.host.ReadFile(o.File, maxOutput)
		if out = b; err != nil {
			why = err.Error()
		}
	} else {
		out, why, _ = l.run(ctx, maxOutput, o.Command[0], o.Command[1:]...)
	}
	if why == "" {
		p, err := ParseDeclared(o.Name, out)
		if err == nil {
			return p, true
		}
		why = err.Error()
	}
	l.gap(what, why)
	return evidence.AntivirusProduct{}, false
}
