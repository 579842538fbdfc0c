package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// Sudoers is what files of sudoers(5) grant.
type Sudoers struct {
	Rules    int
	Free     []FreeRule // without a password
	Includes []string   // files, and folders that end in a slash
}

// FreeRule is a grant without a password.
type FreeRule struct {
	Who string // a user, "%group", an alias, or ALL
	All bool   // of every command
}

const maxRules = 1000

var (
	// sudoRule is "WHO HOST = …" of sudoers(5); the grant's own tags follow the sign.
	sudoRule    = regexp.MustCompile(`^("[^"]+"|[%+#]?[^\s=,!]+(?:\s*,\s*[%+#]?[^\s=,!]+)*)\s+[^=]+=(.*)$`)
	sudoInclude = regexp.MustCompile(`^[@#](include|includedir)\s+"?([^"]+?)"?\s*$`)
	sudoNoAuth  = regexp.MustCompile(`^Defaults(?::\s*(\S+))?\s.*!authenticate\b`)
	sudoAll     = regexp.MustCompile(`(?:^|[,:\s])ALL\s*(?:,|$)`)
)

// ParseSudoers reads one file of sudoers(5): rules, the tag NOPASSWD and Defaults
// !authenticate. Aliases are kept by name. includes are of files that it names.
func ParseSudoers(data []byte) (Sudoers, error) {
	var s Sudoers
	known := false
	var whole strings.Builder
	for line := range lines(data) {
		before, more := strings.CutSuffix(line, `\`)
		whole.WriteString(before)
		if more && whole.Len() < 64<<10 {
			whole.WriteByte(' ')
			continue
		}
		line = strings.TrimSpace(whole.String())
		whole.Reset()
		if m := sudoInclude.FindStringSubmatch(line); m != nil {
			known = true
			if p := m[2]; strings.HasPrefix(p, "/") && len(s.Includes) < 100 {
				s.Includes = append(s.Includes, p+map[string]string{"includedir": "/"}[m[1]])
			}
			continue
		}
		if line, _, _ = strings.Cut(line, " #"); line == "" || line[0] == '#' && !isUID(line) {
			continue
		}
		switch {
		case strings.HasPrefix(line, "Defaults"):
			known = true
			if m := sudoNoAuth.FindStringSubmatch(line); m != nil {
				who := m[1]
				if who == "" {
					who = "ALL"
				}
				s.free(who, true)
			}
		case strings.HasPrefix(line, "User_Alias"), strings.HasPrefix(line, "Cmnd_Alias"), strings.HasPrefix(line, "Host_Alias"), strings.HasPrefix(line, "Runas_Alias"), strings.HasPrefix(line, "Cmd_Alias"):
			known = true
		default:
			if m := sudoRule.FindStringSubmatch(line); m != nil {
				known = true
				s.rule(m[1], m[2])
			}
		}
	}
	if !known && strings.TrimSpace(string(data)) != "" && !onlyComments(data) {
		return s, errors.New("not a file of sudoers: no rule, default, alias or include in it")
	}
	return s, nil
}

func isUID(line string) bool { return len(line) > 1 && line[1] >= '0' && line[1] <= '9' }

func onlyComments(data []byte) bool {
	for line := range lines(data) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}

func (s *Sudoers) rule(who, grant string) {
	s.Rules++
	at := strings.Index(grant, "NOPASSWD:")
	if at < 0 {
		return
	}
	free := grant[at+len("NOPASSWD:"):]
	if end := strings.Index(free, "PASSWD:"); end > 0 && !strings.HasSuffix(free[:end], "NO") {
		free = free[:end]
	}
	s.free(who, sudoAll.MatchString(strings.TrimSpace(free)))
}

func (s *Sudoers) free(who string, all bool) {
	if len(s.Free) < maxRules {
		s.Free = append(s.Free, FreeRule{strings.Trim(who, `"`), all})
	}
}

// sudo reads /etc/sudoers and what it includes. absent says that the host has no sudo.
func (c *collector) sudo(ctx context.Context) (*evidence.Sudo, *evidence.Gap) {
	out := &evidence.Sudo{}
	files, seen := []string{"/etc/sudoers"}, map[string]bool{}
	for len(files) > 0 && len(seen) < 500 && ctx.Err() == nil {
		file := files[0]
		if files = files[1:]; seen[file] {
			continue
		}
		seen[file] = true
		if folder, ok := strings.CutSuffix(file, "/"); ok {
			found, err := c.host.Glob(folder + "/*")
			if err != nil {
				continue
			}
			for _, f := range found {
				if name := path.Base(f); !strings.Contains(name, ".") && !strings.HasSuffix(name, "~") { // as sudo does
					files = append(files, f)
				}
			}
			continue
		}
		data, err := c.host.ReadFile(file, 1<<20)
		if errors.Is(err, fs.ErrNotExist) && file == "/etc/sudoers" {
			return nil, nil
		}
		var s Sudoers
		if err == nil {
			s, err = ParseSudoers(data)
		}
		if err != nil {
			why := err.Error()
			if errors.Is(err, fs.ErrPermission) {
				why = "root may read it only: run \"attesto-agent collect accounts\" as root to see who needs no password"
			}
			return nil, &evidence.Gap{What: "rules of sudo (" + path.Base(file) + ")", Why: why}
		}
		out.Rules += s.Rules
		files = append(files, s.Includes...)
		for _, f := range s.Free {
			out.Free = append(out.Free, evidence.SudoFree{Who: c.who(f.Who), All: f.All})
		}
	}
	if len(out.Free) > maxRules {
		return nil, &evidence.Gap{What: "rules of sudo", Why: fmt.Sprintf("more than %d without a password", maxRules)}
	}
	return out, nil
}

// who is a user's pseudonym; groups, aliases and ALL stand for themselves.
func (c *collector) who(name string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	if strings.ContainsAny(name, ",% \t") || strings.ToUpper(name) == name {
		var out []string
		for part := range strings.SplitSeq(name, ",") {
			if part = strings.TrimSpace(part); part != "" && part[0] != '%' && strings.ToUpper(part) != part {
				part = c.name(entry{Name: part})
			}
			out = append(out, part)
		}
		return strings.Join(out, ", ")
	}
	return c.name(entry{Name: name})
}
