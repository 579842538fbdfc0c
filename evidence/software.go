package evidence

import "fmt"

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
}

// OSRelease is the operating system and its end of life.
type OSRelease struct {
	ID      string `json:"id"`      // os-release ID, or "windows"
	Version string `json:"version"` // VERSION_ID
	Name    string `json:"name"`
	EOL     string `json:"eol,omitempty"`     // last day of the vendor's security support, 2006-01-02; empty: not known
	EOLFrom string `json:"eolFrom,omitempty"` // source and date of that figure
}

// Kernel is the running kernel beside the newest one installed.
type Kernel struct {
	Running   string `json:"running"`
	Installed string `json:"installed,omitempty"` // empty: not known, as in a container
}

// Manager is a package manager and how old its knowledge of updates is.
type Manager struct {
	Name      string `json:"name"` // "dpkg", "rpm", "apk", "windows-update"
	Packages  int    `json:"packages"`
	Refreshed *Time  `json:"refreshed,omitempty"` // last successful refresh of its lists; absent: never or not known
	Broken    int    `json:"broken"`              // half-installed or half-configured packages
	Security  bool   `json:"security"`            // its lists tell security updates from others
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
	Installed string `json:"installed"`
	Candidate string `json:"candidate"`
	Security  bool   `json:"security"`
	Since     *Time  `json:"since,omitempty"` // when this host first saw it pending
}

// Product is server software with a life cycle of its own.
type Product struct {
	Name    string `json:"name"` // endoflife.date's product id, such as "postfix" or "php"
	Version string `json:"version"`
	EOL     string `json:"eol,omitempty"`
}

// The three states of a question that may have no answer.
const (
	Yes     = "yes"
	No      = "no"
	Unknown = "unknown"
)

// Reboot says whether the host needs a restart for installed updates to run.
type Reboot struct {
	Needed string   `json:"needed"` // yes, no, unknown
	Why    []string `json:"why,omitempty"`
	Since  *Time    `json:"since,omitempty"`
}

// Kind returns KindSoftware.
func (Software) Kind() Kind { return KindSoftware }

// Validate checks words, and that names and versions are there.
func (s Software) Validate() error {
	switch s.Reboot.Needed {
	case Yes, No, Unknown:
	default:
		return fmt.Errorf("reboot needed: %q", s.Reboot.Needed)
	}
	for _, p := range s.Packages {
		if p.Manager == "" || p.Name == "" || p.Version == "" {
			return fmt.Errorf("package %q of %q, version %q: all three are needed", p.Name, p.Manager, p.Version)
		}
	}
	for _, u := range s.Pending {
		if u.Name == "" || u.Candidate == "" {
			return fmt.Errorf("pending update %q to %q: both are needed", u.Name, u.Candidate)
		}
	}
	return nil
}
