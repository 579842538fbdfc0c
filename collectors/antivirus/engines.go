package antivirus

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
)

//go:embed engines.yaml
var engineData []byte

// Engines are the ends of ClamAV's releases that this build knows.
type Engines struct {
	Source   string               `yaml:"source"`
	Revision string               `yaml:"revision"`
	Date     string               `yaml:"date"` // on which the list held
	Releases map[string]EngineEnd `yaml:"releases"`
}

// EngineEnd is the last day of fixes and of definitions for a release, or "open".
type EngineEnd struct {
	Supported string `yaml:"supported"`
	Served    string `yaml:"served"`
}

// ParseEngines reads the data file of engines.
func ParseEngines(b []byte) (Engines, error) {
	var e Engines
	if err := yaml.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("engines: %w", err)
	}
	if _, err := time.Parse(time.DateOnly, e.Date); err != nil || e.Source == "" || len(e.Releases) == 0 {
		return e, fmt.Errorf("engines: source %q, date %q and releases are needed", e.Source, e.Date)
	}
	for name, r := range e.Releases {
		for _, day := range []string{r.Supported, r.Served} {
			if _, err := time.Parse(time.DateOnly, day); err != nil && day != "open" {
				return e, fmt.Errorf("engines: %s: day %q", name, day)
			}
		}
	}
	return e, nil
}

// engines is the data of this build. It is embedded, and a test reads it, so it cannot
// fail on a host.
var engines = sync.OnceValue(func() Engines {
	e, err := ParseEngines(engineData)
	if err != nil {
		panic(err)
	}
	return e
})

// put writes what is known of a product's engine: of 1.4.6 the releases 1.4.6, 1.4 and 1.
// An engine that is newer than the list is left without days.
func (e Engines) put(p *evidence.AntivirusProduct) {
	for v := p.Engine; v != ""; {
		if r, ok := e.Releases[v]; ok {
			p.Supported, p.Served, p.Listed = r.Supported, r.Served, e.Date
			return
		}
		i := strings.LastIndexAny(v, ".-+~")
		if i < 0 {
			return
		}
		v = v[:i]
	}
}
