package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/attesto/attesto/collectors/host"
)

const maxSettings = 256 << 10

// parseEnv reads KEY=value lines as systemd's EnvironmentFile and simple shell
// files have them: comments, an "export" in front, quotes around the value.
// Nothing is expanded: a line that a shell would expand is an error.
func parseEnv(b []byte) (map[string]string, error) {
	env := map[string]string{}
	n := 0
	for raw := range strings.Lines(string(b)) {
		n++
		line := strings.TrimSpace(raw)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		key = strings.TrimSpace(key)
		if !ok || !envKey.MatchString(key) {
			continue // other shell code: of no concern here
		}
		v, err := envValue(strings.TrimSpace(value))
		if err != nil && wanted(key) {
			return nil, fmt.Errorf("line %d, %s: %w", n, key, err)
		}
		env[key] = v
	}
	return env, nil
}

var envKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func envValue(v string) (string, error) {
	if v == "" {
		return v, nil
	}
	if v[0] == '\'' {
		if end := strings.IndexByte(v[1:], '\''); end >= 0 {
			return v[1 : end+1], nil
		}
		return "", errors.New("a quote is not closed")
	}
	if v[0] == '"' {
		return doubleQuoted(v[1:])
	}
	if at := strings.Index(v, " #"); at >= 0 {
		v = strings.TrimSpace(v[:at])
	}
	return v, expands(v)
}

func doubleQuoted(v string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			return out.String(), expands(out.String())
		case c == '\\' && i+1 < len(v) && strings.IndexByte("\"\\$`", v[i+1]) >= 0:
			i++
			out.WriteByte(v[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", errors.New("a quote is not closed")
}

func expands(v string) error {
	if strings.Contains(v, "$(") || strings.Contains(v, "${") || strings.Contains(v, "`") {
		return errors.New("a shell would expand it, the agent does not: write the value out, or in single quotes")
	}
	return nil
}

// passed are the settings that a tool takes from its environment. Others in an
// env file are left alone.
var passed = []string{"RESTIC_", "BORG_", "AWS_", "B2_", "AZURE_", "GOOGLE_", "ST_", "OS_", "SWIFT_", "RCLONE_", "KOPIA_", "PBS_"}

var passedWhole = []string{"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TMPDIR", "SSH_AUTH_SOCK",
	"PASSPHRASE", "SIGN_PASSPHRASE", "FTP_PASSWORD", // of duplicity
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}

func wanted(key string) bool {
	return slices.Contains(passedWhole, key) ||
		slices.ContainsFunc(passed, func(p string) bool { return strings.HasPrefix(key, p) })
}

// readEnv reads a job's env file. A file that others may change is refused: its
// password command would run with the agent's rights.
func readEnv(h *host.Host, path string) (map[string]string, error) {
	info, err := h.Stat(path)
	if err != nil {
		return nil, plainPath(err)
	}
	if othersMayChange(info) {
		return nil, errors.New("other accounts can change the file, and the commands in it would run as the agent; give it to root and take write access from group and others")
	}
	b, err := h.ReadFile(path, maxSettings)
	if err != nil {
		return nil, plainPath(err)
	}
	env, err := parseEnv(b)
	if err != nil {
		return nil, err
	}
	for key := range env {
		if !wanted(key) {
			delete(env, key)
		}
	}
	return env, nil
}

// settings are a job's environment and what of it must never be shown.
type settings struct {
	env      []string
	location string // as the tool gets it; may hold credentials
	secrets  []string
}

// settingsOf gathers a job's environment from its env file and its config.
func settingsOf(h *host.Host, r Repository) (settings, error) {
	env := map[string]string{}
	for _, kv := range r.env {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	if r.EnvFile != "" {
		file, err := readEnv(h, r.EnvFile)
		if err != nil {
			return settings{}, fmt.Errorf("env_file: %w", err)
		}
		for k, v := range file {
			env[k] = v
		}
	}
	key := map[string]string{toolRestic: "RESTIC_REPOSITORY", toolBorg: "BORG_REPO"}[r.Tool]
	listed, isListed := listerOf(r.Tool)
	if isListed {
		key = listed.address
	}
	if r.Repository != "" && key != "" {
		env[key] = r.Repository
		delete(env, "RESTIC_REPOSITORY_FILE")
	}
	setPassword(env, r)
	var s settings
	s.location = env[key]
	if file := env["RESTIC_REPOSITORY_FILE"]; r.Tool == toolRestic && s.location == "" && file != "" {
		b, err := h.ReadFile(file, maxSettings)
		if err != nil {
			return settings{}, fmt.Errorf("RESTIC_REPOSITORY_FILE: %w", plainPath(err))
		}
		s.location = strings.TrimSpace(string(b))
	}
	if isListed && s.location == "" {
		s.location = r.Repository
	}
	if s.location == "" && r.Tool != toolKopia {
		return settings{}, fmt.Errorf("env_file: no %s in it, and no repository in the agent's config", key)
	}
	for k, v := range env {
		s.env = append(s.env, k+"="+v)
		if secretKey.MatchString(k) && len(v) >= 3 {
			s.secrets = append(s.secrets, v)
		}
	}
	slices.Sort(s.env)
	s.secrets = append(s.secrets, credentialsIn(s.location)...)
	return s, nil
}

var secretKey = regexp.MustCompile(`(?i)PASS|SECRET|KEY|TOKEN|SAS`)

func setPassword(env map[string]string, r Repository) {
	if r.Tool == toolRestic && (r.PasswordFile != "" || r.PasswordCommand != "") {
		for _, k := range []string{"RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND"} {
			delete(env, k)
		}
	}
	if r.Tool == toolBorg && (r.PasswordFile != "" || r.PasswordCommand != "") {
		for _, k := range []string{"BORG_PASSPHRASE", "BORG_PASSCOMMAND", "BORG_PASSPHRASE_FD"} {
			delete(env, k)
		}
	}
	switch {
	case r.password != "":
		env["BORG_PASSPHRASE"] = r.password
	case r.Tool == toolRestic && r.PasswordFile != "":
		env["RESTIC_PASSWORD_FILE"] = r.PasswordFile
	case r.Tool == toolRestic && r.PasswordCommand != "":
		env["RESTIC_PASSWORD_COMMAND"] = r.PasswordCommand
	case r.PasswordFile != "": // borg splits the command as a shell would
		env["BORG_PASSCOMMAND"] = "cat '" + strings.ReplaceAll(r.PasswordFile, "'", `'\''`) + "'"
	case r.PasswordCommand != "":
		env["BORG_PASSCOMMAND"] = r.PasswordCommand
	}
}

// credentialsIn finds user and password in a repository's address, such as
// rest:https://user:pass@host/ and ssh://user@host/.
func credentialsIn(location string) []string {
	u, err := url.Parse(addressOf(location))
	if err != nil || u.User == nil {
		return nil
	}
	found := []string{u.User.String()}
	if p, ok := u.User.Password(); ok && p != "" {
		_, escaped, _ := strings.Cut(u.User.String(), ":")
		found = append(found, p, escaped)
	}
	return found
}

// addressOf takes restic's backend name off an address.
func addressOf(location string) string {
	if head, rest, ok := strings.Cut(location, ":"); ok && strings.Contains(rest, "://") && !strings.Contains(head, "/") {
		return rest
	}
	return location
}

// shownLocation is a repository's address without credentials and query.
func shownLocation(location string) string {
	address := addressOf(location)
	if !strings.Contains(address, "://") {
		return location
	}
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be shown"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return strings.TrimSuffix(location, address) + u.String()
}

// redact takes every secret of the job out of a tool's words.
func (s settings) redact(text string) string {
	for _, secret := range append([]string{s.location}, s.secrets...) {
		if secret == "" {
			continue
		}
		shown := "…"
		if secret == s.location {
			shown = shownLocation(s.location)
		}
		text = strings.ReplaceAll(text, secret, shown)
	}
	return text
}

// cureOf is what to do about a settings file that could not be read.
func cureOf(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "; let the agent's account read it, or run the agent as root"
	}
	return ""
}
