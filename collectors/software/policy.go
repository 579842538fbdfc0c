package software

import (
	"fmt"
	"io"
	"strings"
)

// Policy is what apt-cache policy says of archives and packages.
type Policy struct {
	Archives map[string]Archive // by apt's line for it: "http://… bookworm/main amd64 Packages"
	Packages map[string]PolicyPackage
}

// Archive is what the release file of an archive says of it.
type Archive struct{ Origin, Label, Suite, Version string }

// source is the archive as apt-get -s writes it: LABEL:VERSION/SUITE.
func (a Archive) source() string {
	if a.Version == "" {
		return a.Label + ":" + a.Suite
	}
	return a.Label + ":" + a.Version + "/" + a.Suite
}

// PolicyPackage is the versions of a package that apt knows, and the archives of each.
type PolicyPackage struct {
	Installed, Candidate string
	Versions             []string            // newest first
	Archives             map[string][]string // by version
}

// ParseAptPolicy reads apt-cache policy (apt-cache(8)), of archives, of
// packages, or one after the other.
func ParseAptPolicy(r io.Reader) (Policy, error) {
	p := policyParser{Policy: Policy{Archives: map[string]Archive{}, Packages: map[string]PolicyPackage{}}}
	if err := eachLine(r, p.line); err != nil {
		return Policy{}, fmt.Errorf("apt-cache's output: %w", err)
	}
	return p.Policy, nil
}

type policyParser struct {
	Policy
	archive       string // the last one of the list of archives
	name, version string
}

func (p *policyParser) line(_ int, line string) error {
	text := strings.TrimSpace(line)
	if text == "" {
		return nil
	}
	if strings.HasPrefix(line, "E: ") {
		return fmt.Errorf("apt-cache failed: %s", show(line[3:]))
	}
	if line[0] != ' ' {
		p.head(text)
		return nil
	}
	if p.name == "" {
		p.archiveLine(text)
		return nil
	}
	pkg := p.Packages[p.name]
	switch {
	case strings.HasPrefix(text, "Installed: "):
		pkg.Installed = text[len("Installed: "):]
	case strings.HasPrefix(text, "Candidate: "):
		pkg.Candidate = text[len("Candidate: "):]
	case strings.HasPrefix(line, " *** "), strings.HasPrefix(line, "     ") && line[5] != ' ':
		p.version, _, _ = strings.Cut(strings.TrimSpace(line[5:]), " ")
		pkg.Versions = append(pkg.Versions, p.version)
	case strings.HasPrefix(line, "        "):
		if _, archive, ok := strings.Cut(text, " "); ok && p.version != "" {
			pkg.Archives[p.version] = append(pkg.Archives[p.version], archive)
		}
	}
	p.Packages[p.name] = pkg
	return nil
}

// head reads a line that begins a package ("openssl:") or a list.
func (p *policyParser) head(text string) {
	p.name, p.version, p.archive = "", "", ""
	name := strings.TrimSuffix(text, ":")
	if name == text || !word(name) || len(p.Packages) >= maxPackages {
		return
	}
	p.name = name
	p.Packages[name] = PolicyPackage{Archives: map[string][]string{}}
}

// archiveLine reads the list of archives: a line with priority and archive, then
// one with its release's fields.
func (p *policyParser) archiveLine(text string) {
	if fields, ok := strings.CutPrefix(text, "release "); ok {
		var a Archive
		for f := range strings.SplitSeq(fields, ",") {
			key, value, _ := strings.Cut(f, "=")
			switch key {
			case "o":
				a.Origin = value
			case "l":
				a.Label = value
			case "a":
				a.Suite = value
			case "v":
				a.Version = value
			}
		}
		if p.archive != "" && a.Origin != "" {
			p.Archives[p.archive] = a
		}
		return
	}
	if priority, archive, ok := strings.Cut(text, " "); ok && isNumber(priority) {
		p.archive = archive
	}
}

func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// origins are the Origins of the archives that maintain the installed version:
// those that offer it, or else those that offer its candidate. A version that no
// archive offers has none.
func (p Policy) origins(name string) []string {
	pkg := p.Packages[name]
	for _, version := range []string{pkg.Installed, pkg.Candidate} {
		var found []string
		for _, a := range p.offers(pkg, version) {
			found = append(found, a.Origin)
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func (p Policy) offers(pkg PolicyPackage, version string) []Archive {
	var found []Archive
	for _, line := range pkg.Archives[version] {
		if a, ok := p.Archives[line]; ok {
			found = append(found, a)
		}
	}
	return found
}

// newerSecurity is the archive of security updates that offers a version newer
// than the installed one. The candidate itself may come from elsewhere: a point
// release holds what were security updates before it.
func (p Policy) newerSecurity(name string) (source string, ok bool) {
	pkg := p.Packages[name]
	for _, version := range pkg.Versions {
		if version == pkg.Installed {
			break
		}
		for _, a := range p.offers(pkg, version) {
			if securitySource(a.source()) {
				return a.source(), true
			}
		}
	}
	return "", false
}
