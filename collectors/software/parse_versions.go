package software

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

var (
	pleskLine = regexp.MustCompile(`(?m)^Product version:\s*(?:Plesk\s+)?(?:[A-Za-z]+\s+)?(\d+(?:\.\d+)+)(?:\s+Update\s+#(\d+))?`)
	pleskWord = regexp.MustCompile(`^(\d+(?:\.\d+){1,3})(?:\s|$)`)
	phpLine   = regexp.MustCompile(`(?m)^PHP (\d+\.\d+\.\d+[A-Za-z0-9.+~-]*) \(`)
)

// ParsePleskVersion reads plesk version ("Product version: Plesk Obsidian 18.0.62
// Update #1") and the file /usr/local/psa/version, whose first word it is.
func ParsePleskVersion(b []byte) (string, error) {
	text := strings.TrimSpace(string(b))
	if m := pleskLine.FindStringSubmatch(text); m != nil {
		if m[2] != "" && strings.Count(m[1], ".") == 2 {
			return m[1] + "." + m[2], nil
		}
		return m[1], nil
	}
	if m := pleskWord.FindStringSubmatch(text); m != nil {
		return m[1], nil
	}
	return "", errors.New("no version of Plesk: neither \"Product version:\" nor a version as the first word")
}

// ParsePHPVersion reads php -v ("PHP 8.2.29 (cli) (built: …)").
func ParsePHPVersion(b []byte) (string, error) {
	m := phpLine.FindSubmatch(b)
	if m == nil {
		return "", errors.New("not the output of php -v: no line \"PHP VERSION (…\"")
	}
	return string(m[1]), nil
}

// ParseLSBRelease reads lsb_release -a.
func ParseLSBRelease(r io.Reader) (OS, error) {
	var o OS
	err := eachLine(r, func(_ int, line string) error {
		key, value, _ := strings.Cut(line, ":")
		switch value = clip(strings.TrimSpace(value)); key {
		case "Distributor ID":
			o.ID = strings.ToLower(value)
		case "Release":
			o.Version = value
		case "Description":
			o.Name = value
		}
		return nil
	})
	if err == nil && o.ID == "" {
		err = errors.New("names no Distributor ID")
	}
	if err != nil {
		return OS{}, fmt.Errorf("lsb_release: %w", err)
	}
	return o, nil
}

// ParseDpkgAudit reads dpkg --audit: under each heading the packages, a line each that
// begins with one blank, the name, then its description. The headings are localised.
func ParseDpkgAudit(r io.Reader) ([]string, error) {
	var out []string
	heading := false
	err := eachLine(r, func(_ int, line string) error {
		name, ok := strings.CutPrefix(line, " ")
		switch {
		case !ok:
			heading = heading || strings.TrimSpace(line) != ""
		case !heading:
			return fmt.Errorf("%s stands under no heading", show(line))
		default:
			if f := strings.Fields(name); len(f) > 0 && name[0] != ' ' && word(f[0]) && len(out) < maxPackages {
				out = append(out, f[0])
			}
		}
		return nil
	})
	if err == nil && heading && len(out) == 0 {
		err = errors.New("headings without a package: the output was cut, or is of another command")
	}
	if err != nil {
		return nil, fmt.Errorf("dpkg's audit: %w", err)
	}
	return out, nil
}

// dpkgRow is a row of dpkg -l: what is wanted, the state, an error mark, name, version,
// architecture (dpkg-query(1)). Names are cut where the terminal is narrow.
var dpkgRow = regexp.MustCompile(`^([uihrp])([ncHUFWti])([R ])\s+(\S+)\s+(\S+)\s+(\S+)`)

var dpkgStates = map[byte]string{'n': "not-installed", 'c': "config-files", 'H': "half-installed", 'U': "unpacked", 'F': "half-configured",
	'W': "triggers-awaited", 't': "triggers-pending", 'i': "installed"}

// ParseDpkgList reads dpkg -l.
func ParseDpkgList(r io.Reader) (Inventory, error) {
	var inv Inventory
	known := false
	err := eachLine(r, func(_ int, line string) error {
		known = known || strings.HasPrefix(line, "||/ ") || strings.HasPrefix(line, "+++-")
		m := dpkgRow.FindStringSubmatch(line + " ")
		if m == nil || strings.HasPrefix(line, "||/") {
			return nil
		}
		if len(inv.Packages) >= maxPackages {
			return fmt.Errorf("more than %d packages", maxPackages)
		}
		name, _, _ := strings.Cut(m[4], ":")
		flag := map[bool]string{true: "reinstreq", false: "ok"}[m[3] == "R"]
		inv.addDpkg(stanza{name: name, version: m[5], arch: m[6], status: "install " + flag + " " + dpkgStates[m[2][0]]})
		return nil
	})
	if err == nil && !known && len(inv.Packages) == 0 {
		err = errors.New("neither its head nor a row in it")
	}
	if err != nil {
		return Inventory{}, fmt.Errorf("dpkg -l: %w", err)
	}
	inv.nameForeign()
	return inv, nil
}

// aptListRow is a row of apt list --upgradable; its end is localised.
var aptListRow = regexp.MustCompile(`^(\S+)/(\S+) (\S+) (\S+) \[.*?(\S+)\]$`)

// ParseAptList reads apt list --upgradable. The format is not promised to stay (apt(8)),
// and an empty list proves nothing: the collector asks apt-get instead.
func ParseAptList(r io.Reader) ([]AptUpdate, error) {
	var out []AptUpdate
	err := eachLine(r, func(_ int, line string) error {
		m := aptListRow.FindStringSubmatch(line)
		if m == nil || !word(m[1]) || !word(m[3]) || !word(m[5]) {
			return nil
		}
		if len(out) >= maxPackages {
			return fmt.Errorf("more than %d updates", maxPackages)
		}
		u := AptUpdate{Name: m[1], Installed: m[5], Candidate: m[3]}
		for suite := range strings.SplitSeq(m[2], ",") {
			u.Sources = append(u.Sources, ":"+suite)
		}
		out = append(out, u)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("apt's list: %w", err)
	}
	return out, nil
}
