package duties

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Releases are the releases of what sites run, as far as they are known: by them a
// site is judged, and past their date nothing is.
type Releases struct {
	Source    string                       `yaml:"source"`
	Date      string                       `yaml:"date"`      // the day up to which all releases are in it
	WordPress map[string]string            `yaml:"wordpress"` // day of each version
	Plugins   map[string]map[string]string `yaml:"plugins"`   // by the name of its folder, then as above
	Themes    map[string]map[string]string `yaml:"themes"`
}

// ParseReleases reads a file of releases. Its error names what is wrong.
func ParseReleases(b []byte) (Releases, error) {
	var r Releases
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("releases: %w", err)
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) { // nobody would read it
		return r, fmt.Errorf("releases: another document begins after a line of ---: write all into one")
	}
	if _, err := time.Parse(time.DateOnly, r.Date); err != nil || r.Source == "" {
		return r, fmt.Errorf("releases: source %q and date %q: both are needed, the date as 2026-11-26", r.Source, r.Date)
	}
	check := func(what string, days map[string]string) error {
		for version, day := range days {
			if _, err := time.Parse(time.DateOnly, day); err != nil || version == "" {
				return fmt.Errorf("releases: %s %s: the day %q is none of the form 2026-11-26", what, version, day)
			}
		}
		return nil
	}
	if err := check("wordpress", r.WordPress); err != nil {
		return r, err
	}
	for _, parts := range []map[string]map[string]string{r.Plugins, r.Themes} {
		for name, days := range parts {
			if err := check(name, days); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// over lays newer knowledge over r: what both state, it states.
func (r Releases) over(base Releases) Releases {
	return Releases{Source: r.Source, Date: max(r.Date, base.Date), WordPress: join(base.WordPress, r.WordPress),
		Plugins: joinAll(base.Plugins, r.Plugins), Themes: joinAll(base.Themes, r.Themes)}
}

func joinAll(a, b map[string]map[string]string) map[string]map[string]string {
	out := map[string]map[string]string{}
	maps.Copy(out, a)
	for name, days := range b {
		out[name] = join(out[name], days)
	}
	return out
}

func join(a, b map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// readReleases reads the releases that are built in.
func readReleases(dir fs.FS) (Releases, error) {
	b, err := fs.ReadFile(dir, "releases.yaml")
	if err != nil {
		return Releases{}, fmt.Errorf("reading the catalogue: %w", err)
	}
	return ParseReleases(b)
}

// Renew lays an operator's file of releases over those that are built in. It is safe
// while others judge.
func (c *Catalogue) Renew(b []byte) error {
	r, err := ParseReleases(b)
	if err != nil {
		return err
	}
	r = r.over(c.builtin)
	c.releases.Store(&r)
	return nil
}

// Releases are those in force.
func (c *Catalogue) Releases() Releases { return *c.releases.Load() }

// newer finds what was published after a version: the newest of all, and the day of
// the first of them. line keeps to versions that share that many leading numbers.
func newer(days map[string]string, version string, line int) (newest, since string) {
	for v, day := range days {
		if compareReleases(v, version) <= 0 || lineOf(v, line) != lineOf(version, line) {
			continue
		}
		if newest == "" || compareReleases(v, newest) > 0 {
			newest = v
		}
		if since == "" || day < since {
			since = day
		}
	}
	return newest, since
}

// lineOf is the first n numbers of a version: of 6.8.3 the line of two is 6.8.
func lineOf(version string, n int) string {
	numbers, _ := splitRelease(version)
	var out []string
	for i := range n {
		if i < len(numbers) {
			out = append(out, strconv.Itoa(numbers[i]))
		} else {
			out = append(out, "0")
		}
	}
	return strings.Join(out, ".")
}

// compareReleases orders versions by their numbers; one with letters behind them, such
// as 6.9-RC1, comes before the release itself.
func compareReleases(a, b string) int {
	x, before := splitRelease(a)
	y, after := splitRelease(b)
	for i := range max(len(x), len(y)) {
		var m, n int
		if i < len(x) {
			m = x[i]
		}
		if i < len(y) {
			n = y[i]
		}
		if m != n {
			return cmp.Compare(m, n)
		}
	}
	switch {
	case before == after:
		return 0
	case before == "":
		return 1
	case after == "":
		return -1
	}
	return strings.Compare(before, after)
}

func splitRelease(v string) (numbers []int, rest string) {
	for {
		n := 0
		for n < len(v) && v[n] >= '0' && v[n] <= '9' {
			n++
		}
		if n == 0 {
			return numbers, strings.ToLower(strings.TrimLeft(v, ".-+"))
		}
		number, _ := strconv.Atoi(v[:n]) // of more digits than fit, the largest number
		numbers, v = append(numbers, number), v[n:]
		if !strings.HasPrefix(v, ".") {
			return numbers, strings.ToLower(strings.TrimLeft(v, ".-+"))
		}
		v = v[1:]
	}
}
