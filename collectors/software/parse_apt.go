package software

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// AptUpgrade is what a simulated upgrade would do.
type AptUpgrade struct {
	Updates []AptUpdate
	Kept    []AptUpdate // that wait, but that dependencies hold back; Sources are not known
	Unnamed int         // kept back without being named
}

// AptUpdate is one package with a newer version.
type AptUpdate struct {
	Name, Installed, Candidate string
	// Sources are the archives that offer the candidate, as LABEL:VERSION/SUITE.
	Sources []string
}

var (
	// instLine is the line that pkgSimulate in apt prints for each package:
	// Inst NAME [INSTALLED] (CANDIDATE SOURCE, SOURCE [ARCH]) …
	// A package that would be newly installed has no INSTALLED.
	instLine = regexp.MustCompile(`^Inst (\S+) (?:\[(\S*)\] )?\((\S+) ?(.*?) ?\[\S*\]\)`)
	// keptLine is a package in the lists of apt-get -V.
	keptLine = regexp.MustCompile(`^   (\S+) \((\S+) => (\S+)\)$`)
	number   = regexp.MustCompile(`\d+`)
)

const keptHead = "The following packages have been kept back:"

// ParseAptUpgrade reads what apt-get -s [-V] upgrade or dist-upgrade prints
// (apt-get(8)). Output that does not end in apt's summary, or that disagrees
// with it, is an error: it was cut.
func ParseAptUpgrade(r io.Reader) (AptUpgrade, error) {
	p := aptParser{total: -1}
	if err := eachLine(r, p.line); err != nil {
		return AptUpgrade{}, fmt.Errorf("apt-get's output: %w", err)
	}
	if p.total < 0 {
		return AptUpgrade{}, errors.New("apt-get's output has no summary of what would be upgraded: it was cut, or is of another command")
	}
	if len(p.up.Updates) != p.total {
		return AptUpgrade{}, fmt.Errorf("apt-get's output says that %d packages would be upgraded and names %d: it was cut", p.total, len(p.up.Updates))
	}
	if n := len(p.up.Kept); n != p.held && n != 0 {
		return AptUpgrade{}, fmt.Errorf("apt-get's output says that %d packages are kept back and names %d", p.held, n)
	}
	p.up.Unnamed = p.held - len(p.up.Kept)
	return p.up, nil
}

type aptParser struct {
	up          AptUpgrade
	kept        bool // within the list of packages kept back
	total, held int  // by the summary
}

func (p *aptParser) line(_ int, line string) error {
	switch {
	case strings.HasPrefix(line, "E: "):
		return fmt.Errorf("apt-get failed: %s", show(line[3:]))
	case strings.HasPrefix(line, "Inst "):
		return p.inst(line)
	case strings.HasPrefix(line, " "):
		if p.kept {
			p.keep(line)
		}
		return nil
	}
	p.kept = strings.TrimSpace(line) == keptHead
	// The summary in every language has the same numbers in the same order:
	// upgraded, newly installed, [reinstalled, downgraded,] to remove, not upgraded.
	if n := number.FindAllString(line, 7); p.total < 0 && len(n) >= 4 && len(n) <= 6 && !strings.HasPrefix(line, "Conf ") && !strings.HasPrefix(line, "Remv ") {
		return p.summary(n)
	}
	return nil
}

func (p *aptParser) inst(line string) error {
	m := instLine.FindStringSubmatch(line)
	if m == nil || !word(m[1]) || !word(m[3]) {
		return fmt.Errorf("%s is not of the form Inst NAME [OLD] (NEW SOURCE [ARCH])", show(line))
	}
	if m[2] == "" {
		return nil // newly installed: no update of what is there
	}
	if len(p.up.Updates) >= maxPackages {
		return fmt.Errorf("more than %d updates", maxPackages)
	}
	u := AptUpdate{Name: m[1], Installed: m[2], Candidate: m[3]}
	for s := range strings.SplitSeq(m[4], ", ") {
		if s = strings.TrimSpace(s); s != "" {
			u.Sources = append(u.Sources, s)
		}
	}
	p.up.Updates = append(p.up.Updates, u)
	return nil
}

// keep reads a line of the list of packages kept back, with versions or without.
func (p *aptParser) keep(line string) {
	if m := keptLine.FindStringSubmatch(line); m != nil && word(m[1]) && word(m[2]) && word(m[3]) {
		p.up.Kept = append(p.up.Kept, AptUpdate{Name: m[1], Installed: m[2], Candidate: m[3]})
		return
	}
	for name := range strings.FieldsSeq(line) {
		if word(name) && len(p.up.Kept) < maxPackages {
			p.up.Kept = append(p.up.Kept, AptUpdate{Name: name})
		}
	}
}

func (p *aptParser) summary(n []string) error {
	total, err1 := strconv.Atoi(n[0])
	held, err2 := strconv.Atoi(n[len(n)-1])
	if err := errors.Join(err1, err2); err != nil || total > maxPackages || held > maxPackages {
		return fmt.Errorf("the summary counts %s upgraded and %s not upgraded", n[0], n[len(n)-1])
	}
	p.total, p.held = total, held
	return nil
}

// security reports whether an archive is one for security updates: Debian's
// label Debian-Security, a suite *-security, Ubuntu's ESM (label UbuntuESM,
// UbuntuESMApps).
func securitySource(source string) bool {
	label, suite, _ := strings.Cut(source, ":")
	return label == "Debian-Security" || strings.HasPrefix(label, "UbuntuESM") || strings.HasSuffix(suite, "-security")
}

// sortedSource reports whether an archive is of a distribution that keeps its
// security updates apart, so that what is not among them is none.
func sortedSource(source string) bool {
	label, _, _ := strings.Cut(source, ":")
	return label == "Debian" || label == "Ubuntu" || securitySource(source)
}

// Release is the head of an archive's Release or InRelease file
// (https://wiki.debian.org/DebianRepository/Format).
type Release struct {
	Origin, Label, Suite, Codename string
	Date, ValidUntil               time.Time // zero: not given
}

// Security reports whether the archive is one for security updates.
func (r Release) Security() bool {
	return securitySource(r.Label+":"+r.Suite) || strings.HasSuffix(r.Codename, "-security") || strings.HasPrefix(r.Origin, "UbuntuESM")
}

// ParseRelease reads the head of a Release or InRelease file, up to its list of
// checksums.
func ParseRelease(r io.Reader) (Release, error) {
	var rel Release
	fields := 0
	errEnd := errors.New("end of the head")
	err := eachLine(r, func(_ int, line string) error {
		field, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		var err error
		switch {
		case !ok || strings.HasPrefix(line, " "):
			return nil
		case field == "MD5Sum" || field == "SHA1" || field == "SHA256" || field == "SHA512":
			return errEnd
		case field == "Origin":
			rel.Origin = value
		case field == "Label":
			rel.Label = value
		case field == "Suite":
			rel.Suite = value
		case field == "Codename":
			rel.Codename = value
		case field == "Date":
			rel.Date, err = parseDate(value)
		case field == "Valid-Until":
			rel.ValidUntil, err = parseDate(value)
		default:
			return nil
		}
		fields++
		return err
	})
	if err != nil && !errors.Is(err, errEnd) {
		return Release{}, fmt.Errorf("release file: %w", err)
	}
	if fields == 0 {
		return Release{}, errors.New("release file: names no origin, suite or date")
	}
	return rel, nil
}

func parseDate(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC1123, time.RFC1123Z, "Mon, _2 Jan 2006 15:04:05 MST", "Mon, _2 Jan 2006 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is no date", show(s))
}

var uriLine = regexp.MustCompile(`^'[^']*' (\S+) \d+ `)

// ParseAptURIs reads apt-get update --print-uris: the names that the lists of
// every configured source would have, each source's release file first.
func ParseAptURIs(r io.Reader) (releases []string, err error) {
	err = eachLine(r, func(_ int, line string) error {
		if strings.HasPrefix(line, "E: ") {
			return fmt.Errorf("apt-get failed: %s", show(line[3:]))
		}
		m := uriLine.FindStringSubmatch(line + " ")
		if m == nil || !strings.HasSuffix(m[1], "InRelease") {
			return nil
		}
		if strings.Contains(m[1], "/") || len(releases) >= 10_000 {
			return fmt.Errorf("list file %s", show(m[1]))
		}
		releases = append(releases, m[1])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("apt-get's list of sources: %w", err)
	}
	return releases, nil
}
