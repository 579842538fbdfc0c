// Package accounts sees how old the passwords of this host's accounts are, which rules
// hold for new ones, how one can sign in from afar, and whether files with secrets are
// open to others. Hashes of passwords are read past and never kept.
package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Names sends accounts' names in place of pseudonyms.
	Names bool `yaml:"names"`
	// Secrets are more files that only their owner may read, such as the password
	// files of backup tools.
	Secrets []string `yaml:"secrets"`
}

const (
	every   = 24 * time.Hour
	timeout = time.Minute
	maxFile = 8 << 20
	// sshdPatience is how long sshd -T may take.
	sshdPatience = 20 * time.Second
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindAccounts,
		Title:   "Accounts, passwords, access",
		OS:      []string{"linux"},
		Needs:   host.NeedExec | host.NeedRoot,
		Every:   every,
		Timeout: timeout,
		New:     newCollector,
		Detect:  detect,
		Formats: Formats(),
		About: host.About{
			Reads: []string{
				"`/etc/passwd`, and of `/etc/shadow` the days of change and expiry, and whether there is a password",
				"`/etc/login.defs`, `pwquality.conf`, `/etc/pam.d/common-*`, `system-auth` and `password-auth`",
				"`/etc/security/faillock.conf`, `pwhistory.conf`; `/etc/sudoers` and what it includes: who needs no password",
				"`sshd -T`: whether passwords and root are let in",
				"owner and mode of SSH host keys, keys of users, TLS keys, and password files of backup tools",
			},
			Sends: []string{
				"per account that can be signed in with: a pseudonym, day of the last change, term, whether it is locked or empty",
				"the rules for new passwords, how one can sign in over SSH, how many files with secrets are open to others",
			},
			Never: []string{
				"a password's hash, or a part of one",
				"names of accounts, unless `names: true`; names and contents of files with secrets",
			},
			Needs: []string{
				"the group `shadow` for `/etc/shadow`, by the drop-in `accounts.conf` (see /usr/share/doc/attesto-agent/examples); without it the ages stay unknown and a gap says so",
				"root for `/etc/sudoers`: without, a gap says so",
				"root for `sshd -T`: without, `/etc/ssh/sshd_config` is not guessed at, and a gap says so",
			},
		},
	}
}

type collector struct {
	cfg  Config
	host *host.Host
}

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	c := &collector{host: h}
	if err := decode(&c.cfg); err != nil {
		return nil, err
	}
	for _, path := range c.cfg.Secrets {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("accounts: secrets: %q: want a whole path, such as /etc/restic/password", path)
		}
	}
	return c, nil
}

// Collect looks once.
func (c *collector) Collect(ctx context.Context, _ []byte) (host.Look, error) {
	passwd, err := c.host.ReadFile("/etc/passwd", maxFile)
	if err != nil {
		return host.Look{}, fmt.Errorf("reading accounts: %w", err)
	}
	list, err := parsePasswd(passwd)
	if err != nil {
		return host.Look{}, err
	}
	var gaps []evidence.Gap
	secrets, gap := c.shadow()
	if gap != nil {
		gaps = append(gaps, *gap)
	}
	facts := evidence.Accounts{Accounts: []evidence.Account{}}
	facts.Policy, gaps = c.policy(gaps)
	facts.Accounts, gaps = c.accounts(list, secrets, gaps)
	if facts.Remote, gap = c.remote(ctx); gap != nil {
		gaps = append(gaps, *gap)
	}
	if facts.Sudo, gap = c.sudo(ctx); gap != nil {
		gaps = append(gaps, *gap)
	}
	facts.Secrets, gaps = c.secretFiles(gaps)
	if err := ctx.Err(); err != nil {
		return host.Look{}, fmt.Errorf("looking at accounts: %w", err)
	}
	return host.Look{Facts: facts, Gaps: gaps}, nil
}

// cureShadow is what lets the agent's user read the ages.
const cureShadow = "let the agent read it: cp /usr/share/doc/attesto-agent/examples/accounts.conf /etc/systemd/system/attesto-agent.service.d/ && systemctl daemon-reload && systemctl restart attesto-agent"

func (c *collector) shadow() (map[string]secretOf, *evidence.Gap) {
	data, err := c.host.ReadFile("/etc/shadow", maxFile)
	if err == nil {
		var out map[string]secretOf
		if out, err = parseShadow(data, c.host.Now()); err == nil {
			clear(data)
			return out, nil
		}
	}
	why := "cannot be read: " + cureShadow
	if errors.Is(err, fs.ErrNotExist) {
		why = "there is none: accounts of this host are kept elsewhere"
	} else if !errors.Is(err, fs.ErrPermission) {
		why = err.Error()
	}
	return nil, &evidence.Gap{What: "ages of passwords (/etc/shadow)", Why: why}
}

// accounts are those that can be signed in with: their shell lets them in and their
// password, or its lack, too. Locked ones count for what they are.
func (c *collector) accounts(list []entry, secrets map[string]secretOf, gaps []evidence.Gap) ([]evidence.Account, []evidence.Gap) {
	out := []evidence.Account{}
	for _, e := range list {
		if e.noLogin() && e.UID != 0 {
			continue
		}
		a := evidence.Account{Name: c.name(e), State: evidence.AccountUnknown, Admin: e.UID == 0}
		if s, ok := secrets[e.Name]; ok {
			a.State, a.Changed, a.MaxDays, a.Must, a.Expired = s.State, s.Changed, s.MaxDays, s.Must, s.Expired
		}
		if slices.ContainsFunc(out, func(o evidence.Account) bool { return o.Name == a.Name }) {
			continue
		}
		if len(out) == evidence.MaxAccounts {
			return out, append(gaps, evidence.Gap{What: "accounts", Why: fmt.Sprintf("more than %d: the rest was not looked at", evidence.MaxAccounts)})
		}
		out = append(out, a)
	}
	return out, gaps
}

// name is a pseudonym that is the same in every look of this host, or the name. root
// is no person's.
func (c *collector) name(e entry) string {
	if c.cfg.Names || e.Name == "root" {
		if len(e.Name) > 64 {
			return e.Name[:64]
		}
		return e.Name
	}
	mac := hmac.New(sha256.New, c.host.MachineKey)
	mac.Write([]byte("account\x00" + e.Name))
	return "account-" + hex.EncodeToString(mac.Sum(nil)[:4])
}

var pamFiles = []string{"/etc/pam.d/common-password", "/etc/pam.d/common-auth", "/etc/pam.d/system-auth", "/etc/pam.d/password-auth"}

// policy reads the rules for new passwords; a file that is not there asks nothing, one
// that may not be read could ask anything.
func (c *collector) policy(gaps []evidence.Gap) (evidence.PasswordPolicy, []evidence.Gap) {
	var p evidence.PasswordPolicy
	read := func(path string, parse func([]byte, *evidence.PasswordPolicy)) {
		data, err := c.host.ReadFile(path, 1<<20)
		switch {
		case err == nil:
			parse(data, &p)
		case errors.Is(err, fs.ErrPermission):
			gaps = append(gaps, evidence.Gap{What: "rules for passwords (" + path + ")", Why: "may not be read: " + host.CureFile(path)})
		case !errors.Is(err, fs.ErrNotExist):
			gaps = append(gaps, evidence.Gap{What: "rules for passwords (" + path + ")", Why: err.Error()})
		}
	}
	for _, path := range pamFiles {
		read(path, parsePAM)
	}
	if p.Quality {
		if p.MinLength == nil {
			n := qualityLength
			p.MinLength = &n
		}
		read("/etc/security/pwquality.conf", parseQuality)
		const folder = "/etc/security/pwquality.conf.d/*.conf"
		for _, dir := range c.host.Unlisted(folder) {
			gaps = append(gaps, evidence.Gap{What: "rules for passwords (" + dir + ")", Why: "may not be listed: " + host.CureFolder(dir)})
		}
		more, err := c.host.Glob(folder)
		if err == nil {
			for _, path := range more {
				read(path, parseQuality)
			}
		}
	}
	if p.History != nil {
		read("/etc/security/pwhistory.conf", parseHistory)
	}
	if p.Lockout != nil {
		read("/etc/security/faillock.conf", parseLockout)
	}
	read("/etc/login.defs", parseLoginDefs)
	return p, gaps
}

func (c *collector) remote(ctx context.Context) (*evidence.RemoteLogin, *evidence.Gap) {
	ctx, cancel := context.WithTimeout(ctx, sshdPatience)
	defer cancel()
	res, err := c.host.Run(ctx, host.Command{Name: "sshd", Args: []string{"-T"}, Limit: 1 << 20})
	if errors.Is(err, host.ErrNoProgram) {
		res, err = c.host.Run(ctx, host.Command{Name: "/usr/sbin/sshd", Args: []string{"-T"}, Limit: 1 << 20})
	}
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return nil, nil
	case err != nil:
		return nil, &evidence.Gap{What: "settings of sshd", Why: err.Error()}
	case res.Cut:
		return nil, &evidence.Gap{What: "settings of sshd", Why: "sshd -T printed more than a megabyte"}
	case res.Exit != 0:
		return nil, &evidence.Gap{What: "settings of sshd", Why: "sshd -T tells root only: run \"attesto-agent collect accounts\" as root to see them"}
	}
	r, err := ParseSSHD(res.Stdout)
	if err != nil {
		return nil, &evidence.Gap{What: "settings of sshd", Why: err.Error()}
	}
	return r, nil
}

// secretKinds are the places of secrets, by kind.
var secretKinds = []struct {
	kind  string
	globs []string
	group bool // its group may read it
}{
	{"ssh_host_key", []string{"/etc/ssh/ssh_host_*_key"}, true}, // ssh_keys on Fedora
	{"tls", []string{"/etc/ssl/private/*.key", "/etc/letsencrypt/archive/*/privkey*.pem", "/etc/pki/tls/private/*.key"}, true},
	{"backup", []string{"/etc/restic/*password*", "/etc/restic/*.env", "/etc/restic/env", "/root/.restic*", "/etc/borgmatic/*.yaml", "/etc/borgmatic.d/*.yaml", "/root/.config/borg/keys/*",
		"/root/.config/borgmatic/*.yaml", "/etc/borg/*.env", "/root/.config/rclone/rclone.conf", "/root/.config/kopia/*.config*", "/etc/pve/priv/storage/*.pw", "/etc/pve/priv/storage/*.enc",
		"/root/.config/proxmox-backup/*.json", "/etc/bacula/*.conf", "/etc/bareos/*/*/*.conf", "/etc/duply/*/conf", "/root/.duply/*/conf", "/root/.gnupg/private-keys-v1.d/*"}, false},
	{"database", []string{"/root/.my.cnf", "/root/.pgpass", "/home/*/.my.cnf", "/home/*/.pgpass", "/etc/mysql/debian.cnf"}, false},
	{"ssh_key", []string{"/root/.ssh/id_*", "/home/*/.ssh/id_*"}, false},
}

// secretFiles counts them by kind. Folders that may not be listed are told by number:
// their paths hold names of accounts. One that lets in its owner only is no gap: what
// lies in it is open to nobody else.
func (c *collector) secretFiles(gaps []evidence.Gap) ([]evidence.SecretFile, []evidence.Gap) {
	var out []evidence.SecretFile
	for _, k := range secretKinds {
		globs := k.globs
		if k.kind == "backup" {
			globs = append(slices.Clone(globs), c.cfg.Secrets...)
		}
		s := evidence.SecretFile{Kind: k.kind}
		seen := map[string]bool{}
		if n := len(slices.DeleteFunc(c.host.Unlisted(globs...), c.host.Owned)); n > 0 {
			gaps = append(gaps, evidence.Gap{What: "files with secrets (" + k.kind + ")",
				Why: fmt.Sprintf("%d folders, such as on the way to %s, may not be listed: run \"attesto-agent collect accounts\" as root to see them", n, globs[0])})
		}
		for _, pattern := range globs {
			found, err := c.host.Glob(pattern)
			if err != nil {
				continue
			}
			for _, path := range found {
				info, err := c.host.Stat(path)
				if err != nil || !info.Mode().IsRegular() || strings.HasSuffix(path, ".pub") || seen[path] {
					continue
				}
				seen[path] = true
				open := fs.FileMode(0o077)
				if k.group {
					open = 0o037
				}
				if s.Count++; info.Mode().Perm()&open != 0 {
					s.Open++
				}
			}
		}
		if s.Count > 0 {
			out = append(out, s)
		}
	}
	return out, gaps
}

func detect(_ context.Context, h *host.Host) host.Detection {
	d := host.Detection{Useful: true, Found: "/etc/passwd"}
	if f, err := h.Open("/etc/shadow"); err != nil {
		d.Missing = append(d.Missing, host.Missing{What: "ages of passwords (/etc/shadow)", Cure: cureShadow})
	} else {
		_ = f.Close()
	}
	d.Missing = append(d.Missing, h.Unread(slices.Concat(pamFiles, []string{"/etc/login.defs"})...)...)
	return d
}

// Formats lists what this kind can read. A file that is explained is the reader's own:
// its names are shown, hashes are not.
func Formats() []host.Format {
	explain := func(fill func([]byte, time.Time, *evidence.Accounts) error) func([]byte, time.Time) (host.Look, error) {
		return func(data []byte, at time.Time) (host.Look, error) {
			f := evidence.Accounts{Accounts: []evidence.Account{}}
			if err := fill(data, at, &f); err != nil {
				return host.Look{}, err
			}
			return host.Look{Facts: f, Gaps: []evidence.Gap{{What: "the rest of the host", Why: "only the file was read"}}}, f.Validate()
		}
	}
	return []host.Format{
		{Name: "shadow", Title: "/etc/shadow: ages and states, never a hash", Parse: explain(explainShadow)},
		{Name: "passwd", Title: "/etc/passwd", Parse: explain(explainPasswd)},
		{Name: "sudoers", Title: "/etc/sudoers, or a file of /etc/sudoers.d", Parse: explain(explainSudoers)},
		{Name: "pwhistory", Title: "/etc/security/pwhistory.conf", Parse: explain(func(b []byte, _ time.Time, f *evidence.Accounts) error { parseHistory(b, &f.Policy); return nil })},
		{Name: "faillock", Title: "/etc/security/faillock.conf", Parse: explain(func(b []byte, _ time.Time, f *evidence.Accounts) error { parseLockout(b, &f.Policy); return nil })},
		{Name: "login-defs", Title: "/etc/login.defs", Parse: explain(func(b []byte, _ time.Time, f *evidence.Accounts) error { parseLoginDefs(b, &f.Policy); return nil })},
		{Name: "pam", Title: "a file of /etc/pam.d", Parse: explain(func(b []byte, _ time.Time, f *evidence.Accounts) error { parsePAM(b, &f.Policy); return nil })},
		{Name: "pwquality", Title: "/etc/security/pwquality.conf", Parse: explain(func(b []byte, _ time.Time, f *evidence.Accounts) error { parseQuality(b, &f.Policy); return nil })},
		{Name: "sshd-settings", Title: "sshd -T", Parse: explain(func(b []byte, _ time.Time, f *evidence.Accounts) (err error) {
			f.Remote, err = ParseSSHD(b)
			return err
		})},
	}
}

func explainPasswd(data []byte, _ time.Time, f *evidence.Accounts) error {
	list, err := parsePasswd(data)
	if err != nil {
		return err
	}
	c := &collector{cfg: Config{Names: true}}
	f.Accounts, _ = c.accounts(list, nil, nil)
	return nil
}

func explainSudoers(data []byte, _ time.Time, f *evidence.Accounts) error {
	s, err := ParseSudoers(data)
	if err != nil {
		return err
	}
	f.Sudo = &evidence.Sudo{Rules: s.Rules}
	c := &collector{cfg: Config{Names: true}}
	for _, free := range s.Free {
		f.Sudo.Free = append(f.Sudo.Free, evidence.SudoFree{Who: c.who(free.Who), All: free.All})
	}
	return nil
}

func explainShadow(data []byte, at time.Time, f *evidence.Accounts) error {
	secrets, err := parseShadow(data, at)
	if err != nil {
		return err
	}
	for name, s := range secrets {
		if len(f.Accounts) == evidence.MaxAccounts {
			break
		}
		if len(name) > 64 {
			name = name[:64]
		}
		f.Accounts = append(f.Accounts, evidence.Account{Name: name, State: s.State, Changed: s.Changed, MaxDays: s.MaxDays, Must: s.Must, Expired: s.Expired})
	}
	host.SortFunc(f.Accounts, func(a, b evidence.Account) int { return strings.Compare(a.Name, b.Name) })
	f.Accounts = slices.CompactFunc(f.Accounts, func(a, b evidence.Account) bool { return a.Name == b.Name })
	return nil
}
