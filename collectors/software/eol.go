package software

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/evidence"
)

//go:embed eol.yaml
var eolData []byte

// dataAge is the age at which the built-in days are no longer taken for whole.
const dataAge = 365 * 24 * time.Hour

// LifeCycles are the ends of life that this build knows.
type LifeCycles struct {
	Source   string                          `yaml:"source"`
	Revision string                          `yaml:"revision"`
	Date     string                          `yaml:"date"` // of the revision
	Products map[string]map[string]LifeCycle `yaml:"products"`
}

// LifeCycle is the ends of one release's supports, as days, or "open".
type LifeCycle struct {
	EOL      string `yaml:"eol"`
	Regular  string `yaml:"regular"`
	Extended string `yaml:"extended"`
	from     string // source and date, where it is not that of the whole data
}

const open = "open"

// ParseLifeCycles reads the data file of ends of life.
func ParseLifeCycles(b []byte) (LifeCycles, error) {
	var l LifeCycles
	if err := yaml.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("ends of life: %w", err)
	}
	if _, err := time.Parse(time.DateOnly, l.Date); err != nil || l.Source == "" {
		return l, fmt.Errorf("ends of life: source %q and date %q are needed", l.Source, l.Date)
	}
	for product, releases := range l.Products {
		for name, r := range releases {
			for _, day := range []string{r.EOL, r.Regular, r.Extended} {
				if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" && day != open {
					return l, fmt.Errorf("ends of life: %s %s: %w", product, name, err)
				}
			}
			if r.EOL == "" {
				return l, fmt.Errorf("ends of life: %s %s has no eol", product, name)
			}
		}
	}
	return l, nil
}

// lifeCycles is the data of this build. It is embedded, and a test reads it, so
// it cannot fail on a host.
var lifeCycles = sync.OnceValue(func() LifeCycles {
	l, err := ParseLifeCycles(eolData)
	if err != nil {
		panic(err)
	}
	return l
})

// find looks up a version, by as many of its parts as a release's name has: of
// 8.2.29 the releases 8.2.29, 8.2 and 8.
func (l LifeCycles) find(product, version string) (LifeCycle, bool) {
	for v := version; v != ""; {
		if r, ok := l.Products[product][v]; ok {
			return r, true
		}
		i := strings.LastIndexByte(v, '.')
		if i < 0 {
			break
		}
		v = v[:i]
	}
	return LifeCycle{}, false
}

// newest reports whether a version is newer than every release in the data.
func (l LifeCycles) newest(product, version string) bool {
	for name := range l.Products[product] {
		if compareVersions(version, name) <= 0 {
			return false
		}
	}
	return len(l.Products[product]) > 0
}

func (r LifeCycle) day() string {
	if r.EOL == open {
		return ""
	}
	return r.EOL
}

// osProducts are endoflife.date's names for os-release IDs, where they differ.
var osProducts = map[string]string{
	"rocky": "rocky-linux", "ol": "oracle-linux", "amzn": "amazon-linux", "alpine": "alpine-linux",
	"opensuse-leap": "opensuse", "sles_sap": "sles", "windows": "windows-server",
}

// osProduct is the product whose releases an operating system's are. CentOS Linux
// and CentOS Stream share an ID.
func osProduct(o OS) string {
	if o.ID == "centos" && strings.Contains(o.Name, "Stream") {
		return "centos-stream"
	}
	if p, ok := osProducts[o.ID]; ok {
		return p
	}
	return o.ID
}

// osFacts joins an operating system to its end of life.
func (l *look) osFacts(o OS) evidence.OSRelease {
	f := evidence.OSRelease{ID: o.ID, Version: o.Version, Name: o.Name}
	r, ok := l.cycles.find(osProduct(o), o.Version)
	if !ok || r.day() == "" {
		return f
	}
	f.EOL, f.RegularEOL, f.EOLFrom = r.EOL, r.Regular, l.cycles.Source+" "+l.cycles.Date
	if r.from != "" {
		f.EOLFrom = r.from
	}
	if r.Regular != "" {
		f.EOLFrom += ", long term support"
	}
	return f
}

// withESM is Ubuntu with Expanded Security Maintenance, which a subscription to
// Ubuntu Pro brings.
func (l *look) withESM(o OS) evidence.OSRelease {
	f := l.osFacts(o)
	r, ok := l.cycles.find(osProduct(o), o.Version)
	if !ok || r.Extended == "" {
		return f
	}
	f.RegularEOL, f.EOL = f.EOL, r.Extended
	f.EOLFrom += ", Ubuntu Pro with esm-infra"
	return f
}

const proStatus = "/var/lib/ubuntu-advantage/status.json"

// readPro reads the subscription of an Ubuntu.
func (l *look) readPro(o OS) {
	if o.ID != "ubuntu" {
		return
	}
	l.pro = &evidence.UbuntuPro{}
	b, err := l.h.ReadFile(proStatus, 1<<20)
	if err != nil {
		return // without Ubuntu Pro the file is not there; the regular day then holds
	}
	if *l.pro, err = ParseProStatus(b, l.now); err != nil {
		l.gap("Ubuntu Pro", "%v", err)
	}
}

// ParseProStatus reads Ubuntu Pro's status file, or pro status --format json
// (documentation.ubuntu.com/pro-client). A subscription that has ended counts for none.
func ParseProStatus(b []byte, now time.Time) (evidence.UbuntuPro, error) {
	var s struct {
		Attached *bool  `json:"attached"`
		Expires  string `json:"expires"`
		Services []struct {
			Name   string `json:"name"`
			Status string `json:"status"`
		} `json:"services"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return evidence.UbuntuPro{}, fmt.Errorf("status of Ubuntu Pro: %w", err)
	}
	if s.Attached == nil {
		return evidence.UbuntuPro{}, errors.New("status of Ubuntu Pro: does not say whether the host is attached")
	}
	if end, err := time.Parse(time.RFC3339, s.Expires); err == nil && now.After(end) || !*s.Attached {
		return evidence.UbuntuPro{}, nil
	}
	p := evidence.UbuntuPro{Attached: true}
	for _, service := range s.Services {
		p.Infra = p.Infra || service.Name == "esm-infra" && service.Status == "enabled"
		p.Apps = p.Apps || service.Name == "esm-apps" && service.Status == "enabled"
	}
	return p, nil
}
