package software

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Altered is a file of a package that is not as it was installed.
type Altered struct {
	Path    string
	Config  bool // a configuration file: those are changed rightly
	Missing bool
	Digest  bool // its contents differ
}

// verifyRow is a row of rpm -V, and of dpkg --verify, which borrows its form: nine
// (older: eight) marks, an attribute letter, the path; or the word missing in place of the marks.
var verifyRow = regexp.MustCompile(`^(?:([SM5DLUGTP.?]{8,9})|missing)\s+(?:([cdglr])\s+)?(/.*?)(?: \(.*\))?$`)

// ParseVerify reads dpkg --verify (dpkg(1)) and rpm -Va (rpm(8)): marks S M 5 D L U G T
// P for what differs, a dot for what does not, a question mark for what was not tried.
// Lines of other forms, such as on unsatisfied dependencies, are passed over.
func ParseVerify(r io.Reader) ([]Altered, error) {
	var out []Altered
	other := 0
	err := eachLine(r, func(_ int, line string) error {
		m := verifyRow.FindStringSubmatch(line)
		switch {
		case m == nil:
			if strings.TrimSpace(line) != "" {
				other++
			}
			return nil
		case len(out) >= maxPackages:
			return fmt.Errorf("more than %d files", maxPackages)
		}
		out = append(out, Altered{Path: clipTo(m[3], 1000), Config: m[2] == "c", Missing: m[1] == "", Digest: len(m[1]) > 2 && m[1][2] == '5'})
		return nil
	})
	if err == nil && len(out) == 0 && other > 0 {
		err = errors.New("no row of marks and a path in it")
	}
	if err != nil {
		return nil, fmt.Errorf("the check of package files: %w", err)
	}
	return out, nil
}

// harmful are the files that ought to be as installed: missing or with other contents,
// and neither configuration nor documentation that was left out on purpose.
func harmful(list []Altered) []string {
	var out []string
	for _, a := range list {
		doc := strings.HasPrefix(a.Path, "/usr/share/doc/") || strings.HasPrefix(a.Path, "/usr/share/man/") || strings.HasPrefix(a.Path, "/usr/share/locale/") || strings.HasPrefix(a.Path, "/usr/share/info/")
		if !a.Config && (a.Digest || a.Missing && !doc) {
			out = append(out, a.Path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// verifyTimeout bounds the check of all package files, which reads each of them.
const verifyTimeout = 5 * time.Minute

// verifyDetail names the files that the facts count.
type verifyDetail struct {
	Manager string   `json:"manager"`
	Files   []string `json:"files"`
}

// verify holds every installed file to its checksum, where the config asks for it.
func (l *look) verify(ctx context.Context, m *evidence.Manager) {
	if !l.verifies {
		return
	}
	tools := map[string]host.Command{
		managerDpkg: {Name: "dpkg", Args: []string{"--verify"}},
		managerRPM:  {Name: "rpm", Args: []string{"-Va", "--nodeps", "--noscripts"}},
	}
	c, ok := tools[m.Name]
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	c.Limit = maxOutput
	res, err := l.h.Run(ctx, c)
	var list []Altered
	switch {
	case err != nil:
	case res.Cut || res.Exit < 0 || res.Exit > 1 && m.Name == managerDpkg:
		err = failure(c.Name, res)
	default: // rpm's exit code counts what it found
		list, err = ParseVerify(bytes.NewReader(res.Stdout))
	}
	if err != nil {
		l.gap("files of "+m.Name+" packages", "%v", err)
		return
	}
	files := harmful(list)
	n := len(files)
	m.Altered = &n
	const named = 100
	if n > 0 {
		l.altered = append(l.altered, verifyDetail{m.Name, files[:min(n, named)]})
	}
}
