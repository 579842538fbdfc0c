package evidence

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Software says what is installed on the host, what security updates wait, and
// whether what runs is what is installed.
type Software struct {
	OS       OSRelease `json:"os"`
	Kernel   Kernel    `json:"kernel"`
	Managers []Manager `json:"managers"`
	Packages []Package `json:"packages"` // installed, sorted by manager and name
	Pending  []Update  `json:"pending"`  // updates that wait
	Products []Product `json:"products"` // server software recognised among the packages
	Reboot   Reboot    `json:"reboot"`
	// Pro is the host's subscription; absent on all but Ubuntu.
	Pro *UbuntuPro `json:"pro,omitempty"`
	// Web are the sites of this host; absent: nobody looked.
	Web *Web `json:"web,omitempty"`
}

// OSRelease is the operating system and its end of life.
type OSRelease struct {
	ID      string `json:"id"`      // os-release ID, or "windows"
	Version string `json:"version"` // VERSION_ID
	Name    string `json:"name"`
	// EOL is the last day on which this host gets security updates, 2006-01-02.
	// A longer support that is free to all counts (Debian LTS); one that needs a
	// subscription counts where the host has it (Ubuntu ESM). Empty: not known.
	EOL string `json:"eol,omitempty"`
	// RegularEOL is the last day of the regular support, where EOL is that of a longer one.
	RegularEOL string `json:"regularEol,omitempty"`
	EOLFrom    string `json:"eolFrom,omitempty"` // source and date of that figure
}

// Kernel is the running kernel beside the newest one installed of its flavour.
type Kernel struct {
	Running   string `json:"running"`
	Installed string `json:"installed,omitempty"` // empty: none installed, as in a container
	// Effective is the release that the running kernel amounts to with live patches;
	// Patched says that all known ones are applied, where no release is told.
	Effective string `json:"effective,omitempty"`
	Patched   bool   `json:"patched,omitempty"`
}

// Manager is a package manager and how old its knowledge of updates is.
type Manager struct {
	Name     string `json:"name"` // "dpkg", "rpm", "apk", "windows-update"
	Packages int    `json:"packages"`
	// Refreshed is a moment at which its lists were certainly current; the last
	// refresh may be younger where nothing on the host tells. Absent: never, or not known.
	Refreshed   *Time    `json:"refreshed,omitempty"`
	Broken      int      `json:"broken"`                // half-installed or half-configured packages
	BrokenNames []string `json:"brokenNames,omitempty"` // the first of them
	Security    bool     `json:"security"`              // its lists tell security updates from others
	// Altered counts installed files that are missing or have other contents than
	// their package's, configuration aside. Absent: nobody asked for that check.
	Altered *int `json:"altered,omitempty"`
}

// UbuntuPro says whether the host has a subscription that holds, and which longer
// supports are switched on.
type UbuntuPro struct {
	Attached bool `json:"attached"`
	Infra    bool `json:"infra"` // esm-infra: packages of main, past the regular support
	Apps     bool `json:"apps"`  // esm-apps: packages of universe
}

// Package is one installed package.
type Package struct {
	Manager string `json:"m"`
	Name    string `json:"n"`
	Version string `json:"v"`
}

// Update is a newer version that waits.
type Update struct {
	Manager   string `json:"manager"`
	Name      string `json:"name"`
	Installed string `json:"installed"` // empty: not known
	Candidate string `json:"candidate"`
	Source    string `json:"source,omitempty"` // where the candidate comes from: "Debian-Security:12/stable-security", "baseos"
	Security  bool   `json:"security"`
	// Unsorted says that the source does not tell security updates from others.
	Unsorted bool `json:"unsorted,omitempty"`
	// Since is when this host first saw an update of the installed version wait:
	// for a security update, the first security update. A newer candidate does
	// not start the wait anew.
	Since *Time `json:"since,omitempty"`
}

// The origins of a product.
const (
	FromDistribution = "distribution" // maintained with the operating system
	FromProducer     = "producer"     // from the producer's or another's own packages
)

// Product is server software with a life cycle of its own.
type Product struct {
	Name    string `json:"name"` // endoflife.date's product id, such as "postfix" or "php"
	Version string `json:"version"`
	From    string `json:"from,omitempty"` // distribution or producer; empty: not known
	// EOL is the last day of the producer's security support, 2006-01-02. It is
	// empty for a product that the distribution maintains (the operating
	// system's day counts), where the producer names no day, and where nobody knows.
	EOL string `json:"eol,omitempty"`
	// Open says that the producer supports it and names no last day.
	Open bool `json:"open,omitempty"`
}

// The three states of a question that may have no answer.
const (
	Yes     = "yes"
	No      = "no"
	Unknown = "unknown"
)

// Reboot says whether the host, or programs on it, must be restarted for
// installed updates to run.
type Reboot struct {
	Needed string   `json:"needed"` // yes, no, unknown
	Why    []string `json:"why,omitempty"`
	Since  *Time    `json:"since,omitempty"`
}

// Kind returns KindSoftware.
func (Software) Kind() Kind { return KindSoftware }

// Validate checks words, days and counts, and that names and versions are there.
func (s Software) Validate() error {
	switch s.Reboot.Needed {
	case Yes, No, Unknown:
	default:
		return fmt.Errorf("reboot needed: %q", s.Reboot.Needed)
	}
	if s.Reboot.Needed == Yes && len(s.Reboot.Why) == 0 {
		return fmt.Errorf("reboot needed: no reason is given")
	}
	for _, day := range []string{s.OS.EOL, s.OS.RegularEOL} {
		if err := checkDay(day); err != nil {
			return fmt.Errorf("end of life of %q: %w", s.OS.ID, err)
		}
	}
	managers := map[string]bool{}
	for _, m := range s.Managers {
		if err := m.validate(); err != nil {
			return err
		}
		if managers[m.Name] {
			return fmt.Errorf("manager %q stands twice", m.Name)
		}
		managers[m.Name] = true
	}
	for _, p := range s.Packages {
		if !managers[p.Manager] || !plainWord(p.Name) || !plainWord(p.Version) {
			return fmt.Errorf("package %q of %q, version %q: a listed manager, a name and a version are needed", p.Name, p.Manager, p.Version)
		}
	}
	for _, u := range s.Pending {
		if !managers[u.Manager] || !plainWord(u.Name) || !plainWord(u.Candidate) {
			return fmt.Errorf("pending update %q of %q to %q: a listed manager, a name and a version are needed", u.Name, u.Manager, u.Candidate)
		}
		if u.Security && u.Unsorted {
			return fmt.Errorf("pending update %q: a security update is not unsorted", u.Name)
		}
	}
	for _, p := range s.Products {
		if err := p.validate(); err != nil {
			return err
		}
	}
	return s.Web.validate()
}

func (m Manager) validate() error {
	if m.Name == "" || m.Packages < 0 || m.Broken < 0 || len(m.BrokenNames) > m.Broken || m.Altered != nil && *m.Altered < 0 {
		return fmt.Errorf("manager %q: %d packages, %d broken, %d named", m.Name, m.Packages, m.Broken, len(m.BrokenNames))
	}
	return nil
}

func (p Product) validate() error {
	if !plainWord(p.Name) || !plainWord(p.Version) {
		return fmt.Errorf("product %q, version %q: both are needed", p.Name, p.Version)
	}
	switch p.From {
	case "", FromDistribution, FromProducer:
	default:
		return fmt.Errorf("product %q from %q", p.Name, p.From)
	}
	if err := checkDay(p.EOL); err != nil {
		return fmt.Errorf("end of life of %q: %w", p.Name, err)
	}
	if p.Open && p.EOL != "" {
		return fmt.Errorf("end of life of %q: %s, and open", p.Name, p.EOL)
	}
	return nil
}

// plainWord reports whether a name or version is there, short and printable.
func plainWord(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, unicode.IsControl)
}

func checkDay(day string) error {
	if day == "" {
		return nil
	}
	if t, err := time.Parse(time.DateOnly, day); err != nil || t.Format(time.DateOnly) != day {
		return fmt.Errorf("%q is no day of the form %s", day, time.DateOnly)
	}
	return nil
}
