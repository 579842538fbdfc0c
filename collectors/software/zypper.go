package software

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Patch is a patch that zypper knows.
type Patch struct {
	Name, Edition      string
	Category, Severity string
	Status             string // "needed", "applied", "not-needed", "undecided"
	Repo               string
	Issued             time.Time // zero: not stated
}

type zypperPatch struct {
	Name     string `xml:"name,attr"`
	Edition  string `xml:"edition,attr"`
	Kind     string `xml:"kind,attr"`
	Status   string `xml:"status,attr"`
	Category string `xml:"category,attr"`
	Severity string `xml:"severity,attr"`
	Source   struct {
		Alias string `xml:"alias,attr"`
	} `xml:"source"`
	Issued struct {
		Time int64 `xml:"time_t,attr"`
	} `xml:"issue-date"`
}

// ParseZypperPatches reads zypper --xmlout list-patches (zypper(8), xmlout.rnc of
// zypper). Output without the end of its stream, or with an error in it, is an error.
func ParseZypperPatches(r io.Reader) ([]Patch, error) {
	limited := &io.LimitedReader{R: r, N: maxDatabase + 1}
	dec := xml.NewDecoder(limited)
	var out []Patch
	listed, ended := false, false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || limited.N <= 0 {
			return nil, fmt.Errorf("zypper's patches: %w", errors.Join(err, map[bool]error{true: errors.New("more than the limit")}[limited.N <= 0]))
		}
		switch e := token.(type) {
		case xml.EndElement:
			ended = ended || e.Name.Local == "stream"
		case xml.StartElement:
			switch e.Name.Local {
			case "update-list":
				listed = true
			case "message":
				if err := zypperMessage(dec, e); err != nil {
					return nil, err
				}
			case "update":
				var p zypperPatch
				if err := dec.DecodeElement(&p, &e); err != nil {
					return nil, fmt.Errorf("zypper's patches: %w", err)
				}
				if p.Kind != "" && p.Kind != "patch" || len(out) >= maxPackages {
					continue
				}
				if !word(p.Name) || !word(p.Edition) {
					return nil, fmt.Errorf("zypper's patches: %s, edition %s", show(p.Name), show(p.Edition))
				}
				patch := Patch{Name: p.Name, Edition: p.Edition, Category: clip(p.Category), Severity: clip(p.Severity), Status: p.Status, Repo: clip(p.Source.Alias)}
				if p.Issued.Time > 0 && p.Issued.Time < 1<<40 {
					patch.Issued = time.Unix(p.Issued.Time, 0)
				}
				out = append(out, patch)
			}
		}
	}
	if !ended || !listed {
		return nil, errors.New("zypper's patches: no list of them: the output was cut, or is of another command")
	}
	return out, nil
}

func zypperMessage(dec *xml.Decoder, e xml.StartElement) error {
	var text string
	if err := dec.DecodeElement(&text, &e); err != nil {
		return fmt.Errorf("zypper's patches: %w", err)
	}
	for _, a := range e.Attr {
		if a.Name.Local == "type" && a.Value == "error" {
			return fmt.Errorf("zypper failed: %s", show(strings.TrimSpace(text)))
		}
	}
	return nil
}

// waiting are the patches that are needed, as updates. Older zypper lists only such
// and says nothing of their status.
func waiting(list []Patch) []evidence.Update {
	var out []evidence.Update
	seen := map[string]bool{}
	for _, p := range list {
		if p.Status != "" && p.Status != "needed" || seen[p.Name] {
			continue
		}
		seen[p.Name] = true
		u := evidence.Update{Manager: managerRPM, Name: p.Name, Candidate: p.Edition, Source: p.Repo, Security: strings.EqualFold(p.Category, "security")}
		if !p.Issued.IsZero() {
			at := evidence.At(p.Issued)
			u.Since = &at
		}
		out = append(out, u)
	}
	return out
}

// zypperCaches are where libzypp keeps what it fetched, a folder a repository; the file
// cookie in it is touched at each refresh that succeeded.
const zypperCaches = "/var/cache/zypp/raw/*/cookie"

// zypper asks zypper what waits, from its cache. found is false where the host has none.
func (l *look) zypper(ctx context.Context, m *evidence.Manager) (found bool) {
	const what = "pending updates of rpm packages"
	out, err := l.run(ctx, "zypper", "--xmlout", "--non-interactive", "--no-refresh", "list-patches")
	if errors.Is(err, host.ErrNoProgram) {
		return false
	}
	var list []Patch
	if err == nil {
		list, err = ParseZypperPatches(bytes.NewReader(out))
	}
	if err != nil {
		l.gap(what, "%v", err)
		l.keepAges(m.Name)
		return true
	}
	m.Security = true
	l.pending = append(l.pending, waiting(list)...)
	l.zypperRefreshed(m)
	l.zypperReboot(ctx)
	return true
}

func (l *look) zypperRefreshed(m *evidence.Manager) {
	cookies, err := l.h.Glob(zypperCaches)
	var oldest time.Time
	for _, file := range cookies {
		info, err := l.h.Stat(file)
		if err != nil {
			l.gap("zypper repository "+clip(path.Base(path.Dir(file))), "%v", plain(err))
			return
		}
		if oldest.IsZero() || info.ModTime().Before(oldest) {
			oldest = info.ModTime()
		}
	}
	if err != nil || oldest.IsZero() {
		l.gap("zypper's repositories", "their metadata was never fetched: see what zypper refresh says of it")
		return
	}
	if !oldest.After(l.now) {
		at := evidence.At(oldest)
		m.Refreshed = &at
	}
}

// zypperReboot asks zypper needs-rebooting (since 1.14.26): exit 102 says that one is
// needed, 0 that none is; older ones do not know the command.
func (l *look) zypperReboot(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	res, err := l.h.Run(ctx, host.Command{Name: "zypper", Args: []string{"--non-interactive", "needs-rebooting"}, Limit: 1 << 20})
	switch {
	case err != nil:
		l.unknown("zypper needs-rebooting", err.Error())
	case res.Exit == 102:
		l.restart("zypper", "core packages were updated since boot", time.Time{})
	case res.Exit != 0 && res.Exit != 1 && res.Exit != 2: // 1 and 2: usage, an older zypper
		l.unknown("zypper needs-rebooting", failure("zypper", res).Error())
	}
}
