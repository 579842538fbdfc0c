package accounts

import (
	"bufio"
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// entry is an account of passwd(5).
type entry struct {
	Name  string
	UID   int
	Shell string
}

// parsePasswd reads /etc/passwd.
func parsePasswd(data []byte) ([]entry, error) {
	var list []entry
	for line := range lines(data) {
		f := strings.Split(line, ":")
		uid, err := strconv.Atoi(at(f, 2))
		if len(f) != 7 || err != nil || f[0] == "" {
			continue // NIS' "+::::::" among others
		}
		list = append(list, entry{f[0], uid, f[6]})
	}
	if len(list) == 0 {
		return nil, errors.New("not /etc/passwd: no line of seven fields")
	}
	return list, nil
}

// noLogin are shells that let nobody in (nologin(8), false(1)).
func (e entry) noLogin() bool {
	return strings.HasSuffix(e.Shell, "/nologin") || strings.HasSuffix(e.Shell, "/false") || strings.HasSuffix(e.Shell, "/sync") ||
		strings.HasSuffix(e.Shell, "/shutdown") || strings.HasSuffix(e.Shell, "/halt")
}

// secretOf is what shadow(5) says of an account; of its password no more than whether
// there is one.
type secretOf struct {
	State   string
	Changed *evidence.Time
	MaxDays *int
	Must    bool
	Expired bool
}

// never is the term from which on a password does not age: the tools' own default.
const never = 99999

// parseShadow reads /etc/shadow. Field 3 is the day of the last change since 1970, 0
// for "must change", empty for no ageing; 5 the longest term; 8 the account's end. The
// second field is looked at for its first letter and its length alone. Of an account whose
// line was cut, nothing is known.
func parseShadow(data []byte, now time.Time) (map[string]secretOf, error) {
	out := map[string]secretOf{}
	whole := 0
	for line := range lines(data) {
		f := strings.Split(line, ":")
		if f[0] == "" || f[0][0] == '+' || f[0][0] == '-' { // NIS' "+::::::::" among others
			continue
		}
		if len(f) < 9 {
			if len(f) > 1 {
				out[f[0]] = secretOf{State: evidence.AccountUnknown}
			}
			continue
		}
		whole++
		s := secretOf{State: evidence.AccountPassword}
		switch {
		case f[1] == "":
			s.State = evidence.AccountEmpty
		case f[1][0] == '!' || f[1][0] == '*' || f[1] == "x" || f[1] == "NP" || f[1] == "LK":
			s.State = evidence.AccountLocked
		}
		f[1] = ""
		if day, err := strconv.Atoi(f[2]); err == nil {
			if s.Must = day == 0; day > 0 && day < 100_000 {
				t := evidence.At(time.Unix(int64(day)*86400, 0))
				s.Changed = &t
			}
		}
		if n, err := strconv.Atoi(f[4]); err == nil && n >= 0 && n < never {
			s.MaxDays = &n
		}
		if day, err := strconv.Atoi(f[7]); err == nil && day > 0 && day < 100_000 {
			s.Expired = now.After(time.Unix(int64(day)*86400, 0))
		}
		out[f[0]] = s
	}
	if whole == 0 {
		return nil, errors.New("not /etc/shadow: no line of nine fields")
	}
	return out, nil
}

// parseLoginDefs reads the term of login.defs(5), which holds for new accounts.
func parseLoginDefs(data []byte, p *evidence.PasswordPolicy) {
	for line := range lines(data) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		n, err := strconv.Atoi(f[1])
		if err != nil || n < 0 {
			continue
		}
		switch f[0] {
		case "PASS_MAX_DAYS":
			if p.MaxDays = nil; n < never {
				p.MaxDays = &n
			}
		case "PASS_MIN_LEN":
			if p.MinLength == nil && n < 1000 {
				p.MinLength = &n
			}
		}
	}
}

// parseQuality reads pwquality.conf(5). A negative credit is the least number of
// characters of its class; enforcing = 0 only warns.
func parseQuality(data []byte, p *evidence.PasswordPolicy) {
	classes := 0
	for line := range lines(data) {
		line, _, _ = strings.Cut(line, "#")
		key, value, ok := strings.Cut(line, "=")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !ok || err != nil || n > 1000 {
			continue
		}
		switch {
		case n < 0 && credits[key]:
			classes++
		case n < 0:
		case key == "minlen":
			p.MinLength = &n
		case key == "minclass":
			p.Classes = &n
		case key == "enforcing" && n == 0:
			p.Quality = false
		}
	}
	atLeast(&p.Classes, classes)
}

// credits are the settings of pwquality.conf(5) for a class of characters each.
var credits = map[string]bool{"dcredit": true, "ucredit": true, "lcredit": true, "ocredit": true}

func atLeast(to **int, n int) {
	if n > 0 && (*to == nil || **to < n) {
		*to = &n
	}
}

// parseHistory reads pwhistory.conf(5).
func parseHistory(data []byte, p *evidence.PasswordPolicy) { parseNumber(data, "remember", &p.History) }

// parseLockout reads faillock.conf(5); deny = 0 locks nobody out.
func parseLockout(data []byte, p *evidence.PasswordPolicy) { parseNumber(data, "deny", &p.Lockout) }

func parseNumber(data []byte, want string, to **int) {
	for line := range lines(data) {
		line, _, _ = strings.Cut(line, "#")
		key, value, ok := strings.Cut(line, "=")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if ok && err == nil && n >= 0 && n <= 1000 && strings.TrimSpace(key) == want {
			*to = &n
		}
	}
}

// qualityLength is pam_pwquality's own least length (pwquality.conf(5)).
const qualityLength = 8

// parsePAM reads what a file of pam.d(5) asks of new passwords and of failures.
func parsePAM(data []byte, p *evidence.PasswordPolicy) {
	for line := range lines(data) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		kind := strings.TrimPrefix(f[0], "-")
		for i, word := range f {
			switch {
			case kind == "password" && (strings.HasSuffix(word, "pam_pwquality.so") || strings.HasSuffix(word, "pam_cracklib.so") || strings.HasSuffix(word, "pam_passwdqc.so")):
				p.Quality = true
				options(f[i+1:], map[string]**int{"minlen": &p.MinLength, "minclass": &p.Classes})
			case kind == "password" && strings.HasSuffix(word, "pam_pwhistory.so"):
				n := 10
				p.History = &n
				options(f[i+1:], map[string]**int{"remember": &p.History})
			case kind == "password" && strings.HasSuffix(word, "pam_unix.so"):
				options(f[i+1:], map[string]**int{"remember": &p.History, "minlen": &p.MinLength})
			case kind == "auth" && (strings.HasSuffix(word, "pam_faillock.so") || strings.HasSuffix(word, "pam_tally2.so")):
				if p.Lockout == nil { // its lines of preauth and authfail may differ
					n := 3
					p.Lockout = &n
				}
				options(f[i+1:], map[string]**int{"deny": &p.Lockout})
			}
		}
	}
}

func options(words []string, to map[string]**int) {
	classes := 0
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		if n, err := strconv.Atoi(value); err == nil && to[key] != nil && n >= 0 && n <= 1000 {
			*to[key] = &n
		} else if err == nil && n < 0 && credits[key] && to["minclass"] != nil {
			classes++
		}
	}
	if classes > 0 {
		atLeast(to["minclass"], classes)
	}
}

// ParseSSHD reads `sshd -T` (sshd(8)): the settings in force, each a line of a keyword
// in lower case and its value.
func ParseSSHD(data []byte) (*evidence.RemoteLogin, error) {
	r := &evidence.RemoteLogin{}
	known, methods := 0, []string{"any"}
	for line := range lines(data) {
		f := strings.Fields(strings.ToLower(line))
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "passwordauthentication":
			r.Passwords = r.Passwords || f[1] == "yes"
		case "kbdinteractiveauthentication":
			r.Passwords = r.Passwords || f[1] == "yes"
			continue // older versions do not print it
		case "challengeresponseauthentication": // its name before 8.7
			r.Passwords = r.Passwords || f[1] == "yes"
			continue
		case "authenticationmethods":
			methods = f[1:]
			continue
		case "permitemptypasswords":
			r.Empty = f[1] == "yes"
		case "permitrootlogin":
			r.Root = map[string]string{"no": "no", "yes": "yes"}[f[1]]
			if r.Root == "" {
				r.Root = "keys" // prohibit-password, without-password, forced-commands-only
			}
		default:
			continue
		}
		known++
	}
	if known < 3 {
		return nil, errors.New("not the output of sshd -T: passwordauthentication, permitemptypasswords or permitrootlogin is missing")
	}
	r.Passwords = r.Passwords && slices.ContainsFunc(methods, passwordAlone)
	return r, nil
}

// passwordAlone says whether a list of AuthenticationMethods (sshd_config(5)) lets
// somebody in by a password and nothing else.
func passwordAlone(list string) bool {
	for method := range strings.SplitSeq(list, ",") {
		if method, _, _ = strings.Cut(method, ":"); method != "password" && method != "keyboard-interactive" && method != "any" && method != "none" {
			return false
		}
	}
	return true
}

func at(f []string, i int) string {
	if i < len(f) {
		return f[i]
	}
	return ""
}

func lines(data []byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		s := bufio.NewScanner(bytes.NewReader(data))
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			if !yield(strings.TrimRight(s.Text(), "\r")) {
				return
			}
		}
	}
}
