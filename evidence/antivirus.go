package evidence

import (
	"fmt"
	"slices"
	"time"
)

// Antivirus says which antivirus products a host has, how old what they know is, whether
// they are updated, and whether they look. That one runs proves nothing: age is a fact.
type Antivirus struct {
	Products []AntivirusProduct `json:"products"`
}

// AntivirusProduct is one.
type AntivirusProduct struct {
	Name   string `json:"name"`             // "clamav", "imunify", "defender", or as the operator calls it
	Engine string `json:"engine,omitempty"` // version; empty if it is not known
	// Supported is the last day on which the engine gets fixes from its producer, Served
	// the last on which it may fetch definitions: days, "open" where none is named yet,
	// empty where nobody knows. Listed is the day of the list that says so.
	Supported string `json:"supported,omitempty"`
	Served    string `json:"served,omitempty"`
	Listed    string `json:"listed,omitempty"`

	Definitions []Definitions   `json:"definitions"`      // on disk, the newest of each name
	Loaded      *Definitions    `json:"loaded,omitempty"` // that the running service looks with
	Update      AntivirusUpdate `json:"update"`
	Running     string          `json:"running,omitempty"` // Yes, No, Unknown; empty where it has no service
	RealTime    string          `json:"realTime"`          // files are looked at when they are opened: Yes, No, Unknown
	Passive     bool            `json:"passive,omitempty"` // leaves that to another product
	Licence     string          `json:"licence,omitempty"` // valid: Yes, No, Unknown; empty where none is needed
	Scan        *AntivirusScan  `json:"scan,omitempty"`    // the last one that ended
	NeverScans  bool            `json:"neverScans,omitempty"`
	Threats     *int64          `json:"threats,omitempty"` // found and not dealt with; absent if it is not known
}

// Definitions are a set of signatures.
type Definitions struct {
	Name    string `json:"name"` // "daily"
	Version string `json:"version,omitempty"`
	// Decides says that the producer renews it every day, so that its age is the product's.
	Decides bool   `json:"decides,omitempty"`
	Built   *Time  `json:"built,omitempty"` // by its producer
	Got     *Time  `json:"got,omitempty"`   // by this host, where the product does not tell when it was built
	Days    *int64 `json:"days,omitempty"`  // its age in whole days, as the product itself says
	Level   *int64 `json:"level,omitempty"` // functions that it needs of the engine (ClamAV: f-level)
}

// The results of an AntivirusUpdate.
const (
	UpdateOK      = "ok"      // everything is the newest that is offered
	UpdateFailed  = "failed"  // Reason says why
	UpdateUnknown = "unknown" // no run was seen, or not its end
)

// The reasons of a failed update.
const (
	UpdateBlocked     = "blocked"     // the producer refuses this engine or this host
	UpdateLimited     = "limited"     // asked too often, told to wait
	UpdateUnreachable = "unreachable" // no connection, name or answer
	UpdateBroken      = "broken"      // what came was not whole, or could not be put into place
)

// AntivirusUpdate is the last run of what fetches definitions.
type AntivirusUpdate struct {
	Result string `json:"result"` // UpdateOK …
	Reason string `json:"reason,omitempty"`
	At     *Time  `json:"at,omitempty"`   // that run
	Good   *Time  `json:"good,omitempty"` // the last run that was UpdateOK
	// Outdated says that the updater itself calls its engine too old.
	Outdated bool `json:"outdated,omitempty"`
}

// AntivirusScan is a look through files.
type AntivirusScan struct {
	At       *Time  `json:"at,omitempty"` // its end; absent if it is not known
	Files    *int64 `json:"files,omitempty"`
	Infected *int64 `json:"infected,omitempty"`
	Errors   *int64 `json:"errors,omitempty"` // files that could not be looked at
	Seconds  *int64 `json:"seconds,omitempty"`
}

// MaxAntivirus bounds the products of a look, MaxDefinitions the sets of each.
const (
	MaxAntivirus   = 20
	MaxDefinitions = 64
)

// Kind returns KindAntivirus.
func (Antivirus) Kind() Kind { return KindAntivirus }

// Validate checks words and bounds.
func (a Antivirus) Validate() error {
	if len(a.Products) == 0 || len(a.Products) > MaxAntivirus {
		return fmt.Errorf("%d products: want 1 to %d", len(a.Products), MaxAntivirus)
	}
	seen := map[string]bool{}
	for _, p := range a.Products {
		if !codeWord(p.Name, "_-.") || len(p.Name) > 40 || seen[p.Name] {
			return fmt.Errorf("product %q: a word of up to 40 letters, digits, dots and dashes, once", p.Name)
		}
		seen[p.Name] = true
		if err := p.Validate(); err != nil {
			return fmt.Errorf("product %q: %w", p.Name, err)
		}
	}
	return nil
}

var (
	tri           = []string{Yes, No, Unknown}
	updateResults = []string{UpdateOK, UpdateFailed, UpdateUnknown}
	updateReasons = []string{"", UpdateBlocked, UpdateLimited, UpdateUnreachable, UpdateBroken}
)

// Validate checks one product; its name is checked with the others.
func (p AntivirusProduct) Validate() error {
	for _, day := range []string{p.Supported, p.Served, p.Listed} {
		if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" && day != "open" {
			return fmt.Errorf("day %q: want 2026-11-28, open or nothing", day)
		}
	}
	if len(p.Engine) > 60 || len(p.Definitions) > MaxDefinitions {
		return fmt.Errorf("engine %q, %d definitions: want at most 60 bytes and %d", p.Engine, len(p.Definitions), MaxDefinitions)
	}
	if !slices.Contains(tri, p.RealTime) || p.Running != "" && !slices.Contains(tri, p.Running) || p.Licence != "" && !slices.Contains(tri, p.Licence) {
		return fmt.Errorf("realTime %q, running %q, licence %q: want yes, no or unknown", p.RealTime, p.Running, p.Licence)
	}
	if !slices.Contains(updateResults, p.Update.Result) || !slices.Contains(updateReasons, p.Update.Reason) || (p.Update.Result == UpdateFailed) != (p.Update.Reason != "") {
		return fmt.Errorf("update %q, reason %q", p.Update.Result, p.Update.Reason)
	}
	sets := p.Definitions
	if p.Loaded != nil {
		sets = append(slices.Clone(sets), *p.Loaded)
	}
	for _, d := range sets {
		if err := d.validate(); err != nil {
			return err
		}
	}
	counts := []*int64{p.Threats}
	if p.Scan != nil {
		counts = append(counts, p.Scan.Files, p.Scan.Infected, p.Scan.Errors, p.Scan.Seconds)
	}
	for _, n := range counts {
		if n != nil && *n < 0 {
			return fmt.Errorf("a count below 0: %d", *n)
		}
	}
	if p.NeverScans && p.Scan != nil {
		return fmt.Errorf("never scans, with a scan")
	}
	return nil
}

func (d Definitions) validate() error {
	if d.Name == "" || len(d.Name) > 100 || len(d.Version) > 60 {
		return fmt.Errorf("definitions %q, version %q: want a name of up to 100 bytes, a version of up to 60", d.Name, d.Version)
	}
	if d.Days != nil && (*d.Days < 0 || *d.Days > 100_000) || d.Level != nil && (*d.Level < 0 || *d.Level > 1_000_000) {
		return fmt.Errorf("definitions %q: days or level out of bounds", d.Name)
	}
	return nil
}

// Age is how old what the product looks with is: the youngest set that decides, of those
// that its service has loaded where that is known. looked is the moment of the look. ok
// is false if nobody knows.
func (p AntivirusProduct) Age(looked, now time.Time) (age time.Duration, ok bool) {
	sets := p.Definitions
	if p.Loaded != nil && p.Loaded.Decides {
		sets = []Definitions{*p.Loaded}
	}
	for _, d := range sets {
		if !d.Decides {
			continue
		}
		var a time.Duration
		switch {
		case d.Built != nil:
			a = now.Sub(d.Built.Time)
		case d.Got != nil:
			a = now.Sub(d.Got.Time)
		case d.Days != nil:
			a = now.Sub(looked) + time.Duration(*d.Days)*24*time.Hour
		default:
			continue
		}
		if !ok || a < age {
			age, ok = a, true
		}
	}
	return age, ok
}
