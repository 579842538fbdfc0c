package accounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// Sudoers is what files of sudoers(5) grant.
type Sudoers struct {
	Rules    int
	Free     []FreeRule // without a password
	Includes []string   // files, and folders that end in a slash

	grants  []string // of Free, in its order: what needs no password
	aliases []string // of commands, that stand for ALL
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
	sudoNoAuth  = regexp.MustCompile(`^Defaults(?:([:@>!])\s*(\S+))?\s.*!authenticate\b`)
	sudoTag     = regexp.MustCompile(`\b(NO)?PASSWD\s*:`)
	sudoAlias   = regexp.MustCompile(`^(?:Cmnd|Cmd)_Alias\s+(.*)$`)
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
			p := m[2]
			if !strings.HasPrefix(p, "/") {
				p = "/etc/" + p // beside the file that names it
			}
			if len(s.Includes) < 100 {
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
				who := "ALL" // of a host, of who one acts as, of a command: for everybody
				if m[1] == ":" {
					who = m[2]
				}
				s.free(who, m[1] != "!", "")
			}
		case strings.HasPrefix(line, "User_Alias"), strings.HasPrefix(line, "Cmnd_Alias"), strings.HasPrefix(line, "Host_Alias"), strings.HasPrefix(line, "Runas_Alias"), strings.HasPrefix(line, "Cmd_Alias"):
			known = true
			if m := sudoAlias.FindStringSubmatch(line); m != nil {
				s.alias(m[1])
			}
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
	for i, grant := range s.grants {
		s.Free[i].All = s.Free[i].All || slices.ContainsFunc(s.aliases, func(name string) bool {
			return slices.Contains(strings.FieldsFunc(grant, func(c rune) bool { return c == ',' || c == ':' || c == ' ' || c == '\t' }), name)
		})
	}
	return s, nil
}

// alias keeps the names of commands' aliases that stand for ALL: "A = /bin/x : B = ALL".
func (s *Sudoers) alias(text string) {
	for part := range strings.SplitSeq(text, ":") {
		if name, commands, ok := strings.Cut(part, "="); ok && sudoAll.MatchString(strings.TrimSpace(commands)) && len(s.aliases) < maxRules {
			s.aliases = append(s.aliases, strings.TrimSpace(name))
		}
	}
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
	var free []string
	tags := sudoTag.FindAllStringSubmatchIndex(grant, -1)
	for i, tag := range tags {
		end := len(grant)
		if i+1 < len(tags) {
			end = tags[i+1][0]
		}
		if tag[2] >= 0 { // NO
			free = append(free, strings.Trim(grant[tag[1]:end], ", \t"))
		}
	}
	if len(free) > 0 {
		s.free(who, slices.ContainsFunc(free, sudoAll.MatchString), strings.Join(free, ","))
	}
}

func (s *Sudoers) free(who string, all bool, grant string) {
	if len(s.Free) < maxRules {
		s.Free, s.grants = append(s.Free, FreeRule{strings.Trim(who, `"`), all}), append(s.grants, grant)
	}
}

const rootOnly = "root may read it only: run \"attesto-agent collect accounts\" as root to see who needs no password"

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
			if len(c.host.Unlisted(folder+"/*")) > 0 {
				return nil, &evidence.Gap{What: "rules of sudo (" + path.Base(folder) + ")", Why: rootOnly}
			}
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
				why = rootOnly
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
