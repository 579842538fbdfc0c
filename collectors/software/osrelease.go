package software

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// OS is what os-release says.
type OS struct {
	ID, Version, Name string
	Like              []string // ID_LIKE
}

// ParseOSRelease reads an os-release file (os-release(5)).
func ParseOSRelease(r io.Reader) (OS, error) {
	var o OS
	plainName := ""
	err := eachLine(r, func(_ int, line string) error {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			return nil
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("%s is no assignment", show(line))
		}
		value = clip(unquote(value))
		switch key {
		case "ID":
			o.ID = strings.ToLower(value)
		case "VERSION_ID":
			o.Version = value
		case "PRETTY_NAME":
			o.Name = value
		case "NAME":
			plainName = value
		case "ID_LIKE":
			o.Like = strings.Fields(strings.ToLower(value))
		}
		return nil
	})
	if err == nil && o.ID == "" {
		err = errors.New("names no ID")
	}
	if err != nil {
		return OS{}, fmt.Errorf("os-release: %w", err)
	}
	if o.Name == "" {
		o.Name = strings.TrimSpace(plainName + " " + o.Version)
	}
	return o, nil
}

// unquote takes the shell quotes off a value, as os-release(5) allows them.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		quote := s[0]
		s = s[1 : len(s)-1]
		if quote == '"' {
			s = strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`).Replace(s)
		}
	}
	return s
}

// readOS reads the host's os-release and the end of life that belongs to it.
func (l *look) readOS() OS {
	var o OS
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		f, err := l.h.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			o, err = ParseOSRelease(f)
			_ = f.Close()
		}
		if err != nil {
			l.gap("the operating system", "%v", plain(err))
		}
		break
	}
	l.os = l.osFacts(o)
	if l.readPro(o); l.pro != nil && l.pro.Infra {
		l.os = l.withESM(o)
	}
	if gap, unknown := eolGap(o, l.os, l.cycles.Date); unknown {
		l.gaps = append(l.gaps, gap)
	}
	return o
}

func eolGap(o OS, f evidence.OSRelease, date string) (evidence.Gap, bool) {
	switch {
	case f.EOL != "":
		return evidence.Gap{}, false
	case o.ID == "":
		return evidence.Gap{What: "end of life of the operating system", Why: "no readable os-release: the system is not known"}, true
	case o.Version == "":
		return evidence.Gap{What: "end of life of the operating system", Why: "its os-release names no version, as a rolling or testing release does"}, true
	}
	return evidence.Gap{What: "end of life of the operating system", Why: fmt.Sprintf("%s %s has no day in the data of %s", o.ID, o.Version, date)}, true
}
