package accounts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attesto/attesto/collectors/accounts"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

const (
	hash   = "$6$saltsalt$verysecrethashofapassword"
	passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nanna:x:1000:1000:Anna Rossi:/home/anna:/bin/bash\nbruno:x:1001:1001::/home/bruno:/bin/zsh\n+::::::\n"
	shadow = "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nanna:" + hash + ":20700:0:90:7:::\nbruno::20000:0:99999:7:::\n"
)

func machine(t *testing.T, files map[string]string, sshd *host.Result) *host.Host {
	t.Helper()
	h := &host.Host{Root: t.TempDir(), Now: func() time.Time { return now }, MachineKey: []byte("key of this host")}
	h.Run = func(_ context.Context, c host.Command) (host.Result, error) {
		if sshd == nil || !strings.HasSuffix(c.Name, "sshd") {
			return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNoProgram)
		}
		return *sshd, nil
	}
	for path, text := range files {
		full := h.Path(path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func look(t *testing.T, h *host.Host, cfg accounts.Config) (evidence.Accounts, host.Look) {
	t.Helper()
	c, err := accounts.Spec().New(func(v any) error { *v.(*accounts.Config) = cfg; return nil }, h)
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Collect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := l.Facts.(evidence.Accounts)
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	return f, l
}

func TestAccounts(t *testing.T) {
	sshd := &host.Result{Stdout: []byte("port 22\npermitrootlogin without-password\npasswordauthentication no\nkbdinteractiveauthentication no\npermitemptypasswords no\n")}
	h := machine(t, map[string]string{"/etc/passwd": passwd, "/etc/shadow": shadow, "/etc/login.defs": "PASS_MAX_DAYS\t99999\n",
		"/etc/pam.d/common-password":    "password requisite pam_pwquality.so retry=3\npassword required pam_pwhistory.so remember=5\npassword [success=1] pam_unix.so yescrypt\n",
		"/etc/security/pwquality.conf":  "# minlen = 4\nminlen = 12\nminclass=3\n",
		"/etc/ssh/ssh_host_rsa_key":     "k",
		"/etc/ssh/ssh_host_rsa_key.pub": "k", "/etc/restic/password": "topsecret", "/home/anna/.ssh/id_ed25519": "k"}, sshd)
	if err := os.Chmod(h.Path("/etc/restic/password"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, l := look(t, h, accounts.Config{})
	if len(l.Gaps) != 0 || len(f.Accounts) != 3 {
		t.Fatalf("gaps %v, accounts %+v", l.Gaps, f.Accounts)
	}
	root, anna, bruno := f.Accounts[0], f.Accounts[1], f.Accounts[2]
	if root.Name != "root" || root.State != evidence.AccountLocked || !root.Admin || anna.State != evidence.AccountPassword || *anna.MaxDays != 90 ||
		anna.Changed.Format(time.DateOnly) != "2026-09-04" || bruno.State != evidence.AccountEmpty || !strings.HasPrefix(anna.Name, "account-") {
		t.Errorf("accounts %+v", f.Accounts)
	}
	if p := f.Policy; !p.Quality || *p.MinLength != 12 || *p.Classes != 3 || *p.History != 5 || p.MaxDays != nil {
		t.Errorf("policy %+v", p)
	}
	if f.Remote == nil || f.Remote.Root != "keys" || f.Remote.Passwords {
		t.Errorf("remote %+v", f.Remote)
	}
	if got := fmt.Sprint(f.Secrets); got != "[{ssh_host_key 1 0} {backup 1 1} {ssh_key 1 0}]" {
		t.Errorf("secrets %s", got)
	}
	all, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{hash, "saltsalt", "verysecret", "topsecret", "anna", "Rossi", "bruno"} {
		if strings.Contains(string(all), secret) {
			t.Errorf("%q left the host: %s", secret, all)
		}
	}
	if again, _ := look(t, h, accounts.Config{}); again.Accounts[1].Name != anna.Name {
		t.Error("the pseudonym changed from look to look")
	}
	if named, _ := look(t, h, accounts.Config{Names: true}); named.Accounts[1].Name != "anna" {
		t.Errorf("names on: %+v", named.Accounts)
	}
}

func TestWhatCannotBeSeen(t *testing.T) {
	f, l := look(t, machine(t, map[string]string{"/etc/passwd": passwd}, &host.Result{Exit: 1, Stderr: "sshd: no hostkeys available -- exiting."}), accounts.Config{})
	if len(l.Gaps) != 2 || f.Accounts[1].State != evidence.AccountUnknown || f.Remote != nil || f.Policy.Quality {
		t.Errorf("gaps %v, %+v", l.Gaps, f)
	}
	c, err := accounts.Spec().New(func(any) error { return nil }, machine(t, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Collect(t.Context(), nil); err == nil {
		t.Error("a host without accounts has facts")
	}
	if d := accounts.Spec().Detect(t.Context(), machine(t, map[string]string{"/etc/passwd": passwd}, nil)); len(d.Missing) != 1 {
		t.Errorf("doctor says %+v", d)
	}
	if _, err := accounts.Spec().New(func(v any) error { v.(*accounts.Config).Secrets = []string{"password"}; return nil }, nil); err == nil {
		t.Error("a path that is none was taken")
	}
}

// sshd that is refused, hangs, is cut, floods or speaks another language: a gap, and the
// rest is told.
func TestSSHDInTrouble(t *testing.T) {
	files := map[string]string{"/etc/passwd": passwd, "/etc/shadow": shadow}
	for name, tt := range map[string]struct {
		run func(context.Context) (host.Result, error)
		why string
	}{
		"refused": {func(context.Context) (host.Result, error) {
			return host.Result{Exit: 255, Stderr: "Permesso negato"}, nil
		}, "root only"},
		"cut": {func(context.Context) (host.Result, error) {
			return host.Result{Stdout: []byte("port 22\npermitro")}, nil
		}, "not the output of sshd -T"},
		"too much":   {func(context.Context) (host.Result, error) { return host.Result{Cut: true}, nil }, "more than"},
		"in Italian": {func(context.Context) (host.Result, error) { return host.Result{Stdout: []byte("porta 22\n")}, nil }, "not the output of sshd -T"},
		"hangs":      {func(ctx context.Context) (host.Result, error) { <-ctx.Done(); return host.Result{}, ctx.Err() }, "deadline exceeded"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := machine(t, files, nil)
			h.Run = func(ctx context.Context, _ host.Command) (host.Result, error) { return tt.run(ctx) }
			c, err := accounts.Spec().New(func(any) error { return nil }, h)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), accounts.Spec().Timeout)
			defer cancel()
			l, err := c.Collect(ctx, nil)
			if err != nil || len(l.Facts.(evidence.Accounts).Accounts) != 3 || !strings.Contains(fmt.Sprint(l.Gaps), tt.why) {
				t.Errorf("%s: %v (%v), gaps %v", name, l.Facts, err, l.Gaps)
			}
		})
	}
}

func explain(t *testing.T, format string, data []byte) (evidence.Accounts, error) {
	t.Helper()
	i := slices.IndexFunc(accounts.Formats(), func(f host.Format) bool { return f.Name == format })
	l, err := accounts.Formats()[i].Parse(data, now)
	if err != nil {
		return evidence.Accounts{}, err
	}
	if b, err := json.Marshal(l); err != nil || strings.Contains(string(b), "$6$") {
		t.Errorf("a hash is shown: %s (%v)", b, err)
	}
	return l.Facts.(evidence.Accounts), nil
}

// The days of change agree with what other parsers read in captured files.
func TestFixtures(t *testing.T) {
	root := os.Getenv("ATTESTO_FIXTURES")
	if root == "" {
		t.Skip("ATTESTO_FIXTURES names no folder")
	}
	files, err := filepath.Glob(filepath.Join(root, "06-hardware/passwords/*_shadow.out"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files (%v)", err)
	}
	t.Logf("fixtures 06-hardware/passwords: %d files tried", len(files))
	for _, file := range files {
		if strings.Contains(file, "gshadow") {
			continue
		}
		data, err := os.ReadFile(file)
		truth, bad := os.ReadFile(strings.TrimSuffix(file, ".out") + ".json")
		var want []struct {
			Username string `json:"username"`
			Changed  *int64 `json:"last_changed"`
		}
		if err := errors.Join(err, bad, json.Unmarshal(truth, &want)); err != nil {
			t.Fatal(err)
		}
		f, err := explain(t, "shadow", data)
		if err != nil || len(f.Accounts) != len(want) {
			t.Fatalf("%s: %d accounts, want %d (%v)", file, len(f.Accounts), len(want), err)
		}
		for _, w := range want {
			i := slices.IndexFunc(f.Accounts, func(a evidence.Account) bool { return a.Name == w.Username })
			switch a := f.Accounts[i]; {
			case w.Changed == nil && a.Changed != nil, w.Changed != nil && (a.Changed == nil || a.Changed.Unix()/86400 != *w.Changed):
				t.Errorf("%s of %s: %v", w.Username, file, a.Changed)
			}
		}
	}
}

// A file that the real tools have written.
func TestRealShadow(t *testing.T) {
	useradd, err := exec.LookPath("useradd")
	if err != nil || os.Getuid() != 0 {
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatal("useradd is not installed")
		}
		t.Skip("needs useradd and root")
	}
	root := t.TempDir()
	for path, text := range map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/bash\n", "etc/shadow": "root:*:20000:0:99999:7:::\n", "etc/group": "root:x:0:\n", "etc/gshadow": "root:*::\n", "etc/login.defs": "PASS_MAX_DAYS 60\n"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, "etc"), 0o755), os.WriteFile(filepath.Join(root, path), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(useradd, "--prefix", root, "--password", hash, "--shell", "/bin/bash", "clara").CombinedOutput(); err != nil {
		t.Fatalf("%s (%v)", out, err)
	}
	data, err := os.ReadFile(filepath.Join(root, "etc/shadow"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := explain(t, "shadow", data)
	if err != nil || len(f.Accounts) != 2 || f.Accounts[0].Name != "clara" || f.Accounts[0].State != evidence.AccountPassword || f.Accounts[0].Changed == nil {
		t.Errorf("%+v (%v) of %s", f.Accounts, err, data)
	}
}

func TestFormatsRefuseRubbish(t *testing.T) {
	for _, format := range []string{"shadow", "sshd-settings"} {
		if f, err := explain(t, format, []byte("Ultima modifica della password: mai\n")); err == nil {
			t.Errorf("%s: %+v", format, f)
		}
	}
}

func TestSudoers(t *testing.T) {
	for text, want := range map[string]string{
		"root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n": "2 [] [/etc/sudoers.d/]",
		"#includedir /etc/sudoers.d\n# just words\n":                                    "0 [] [/etc/sudoers.d/]",
		"%wheel ALL=(ALL) NOPASSWD: ALL\n":                                              "1 [{%wheel true}] []",
		"anna ALL = NOPASSWD: /bin/ls, \\\n /bin/cat\n":                                 "1 [{anna false}] []",
		"anna,bruno web1=(root) NOPASSWD:/bin/ls, PASSWD: ALL\n":                        "1 [{anna,bruno false}] []",
		"anna ALL=(root) /bin/true, NOPASSWD: SETENV: ALL\n":                            "1 [{anna true}] []",
		"Defaults !authenticate\nDefaults:anna !authenticate\n":                         "0 [{ALL true} {anna true}] []",
		"Defaults env_reset # !authenticate\n":                                          "0 [] []",
		"Defaults>root !authenticate\nDefaults@web1 !authenticate\n":                    "0 [{ALL true} {ALL true}] []",
		"Defaults!/bin/ls !authenticate\n":                                              "0 [{ALL false}] []",
		"Cmnd_Alias ANY = ALL\nanna ALL = NOPASSWD: ANY\n":                              "1 [{anna true}] []",
		"anna ALL = NOPASSWD: ANY\nCmnd_Alias ONE = /bin/ls : ANY = /bin/true, ALL\n":   "1 [{anna true}] []",
		"Cmnd_Alias ONE = /bin/ls\nanna ALL = NOPASSWD: ONE\n":                          "1 [{anna false}] []",
		"anna ALL = NOPASSWD : ALL\n":                                                   "1 [{anna true}] []",
		"anna ALL = NOPASSWD: /bin/ls, PASSWD: ALL, NOPASSWD: /bin/cat\n":               "1 [{anna false}] []",
		"@include sudoers.local\n":                                                      "0 [] [/etc/sudoers.local]",
		"#1000 ALL=(ALL) NOPASSWD: ALL\n":                                               "1 [{#1000 true}] []",
		"User_Alias ADMINS = anna, bruno\nADMINS ALL=(ALL) NOPASSWD: ALL\n":             "1 [{ADMINS true}] []",
		"# nothing\n":                      "0 [] []",
		"":                                 "0 [] []",
		"questo non è un file di regole\n": "error",
	} {
		s, err := accounts.ParseSudoers([]byte(text))
		got := fmt.Sprint(s.Rules, s.Free, s.Includes)
		if err != nil {
			got = "error"
		}
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%q: %s, want %s (%v)", text, got, want, err)
		}
	}
}

func TestSudoAndRules(t *testing.T) {
	h := machine(t, map[string]string{"/etc/passwd": passwd + "toor:x:0:0::/root:/bin/bash\n", "/etc/shadow": shadow,
		"/etc/pam.d/common-password": "password required pam_pwhistory.so\npassword required pam_pwquality.so\n", "/etc/pam.d/common-auth": "auth required pam_faillock.so preauth\n",
		"/etc/security/pwhistory.conf": "remember = 24\n", "/etc/security/faillock.conf": "# deny = 3\ndeny = 5\n",
		"/etc/sudoers": "root ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n", "/etc/sudoers.d/anna": "anna ALL=(ALL) NOPASSWD: ALL\n", "/etc/sudoers.d/old.bak": "bruno ALL=(ALL) NOPASSWD: ALL\n",
		"/root/.my.cnf": "[client]\npassword=topsecret\n"}, nil)
	f, l := look(t, h, accounts.Config{})
	if *f.Policy.History != 24 || *f.Policy.Lockout != 5 {
		t.Errorf("policy %+v", f.Policy)
	}
	i := slices.IndexFunc(f.Accounts, func(a evidence.Account) bool { return a.Admin && a.Name != "root" })
	if i < 0 || f.Sudo == nil || f.Sudo.Rules != 2 || len(f.Sudo.Free) != 1 || !f.Sudo.Free[0].All || !strings.HasPrefix(f.Sudo.Free[0].Who, "account-") {
		t.Errorf("%+v, %+v", f.Accounts, f.Sudo)
	}
	if all, err := json.Marshal(l); err != nil || strings.Contains(string(all), "anna") || strings.Contains(string(all), "topsecret") || !strings.Contains(string(all), `"kind":"database","count":1,"open":0`) {
		t.Errorf("%s (%v)", all, err)
	}
	if err := os.WriteFile(h.Path("/etc/sudoers.d/broken"), []byte("rotto\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, l := look(t, h, accounts.Config{}); f.Sudo != nil || !strings.Contains(fmt.Sprint(l.Gaps), "rules of sudo (broken)") {
		t.Errorf("%+v, %v", f.Sudo, l.Gaps)
	}
}

func FuzzFormats(f *testing.F) {
	f.Add([]byte(shadow))
	f.Add([]byte("permitrootlogin yes\npasswordauthentication yes\npermitemptypasswords no\n"))
	f.Add([]byte("password requisite pam_pwquality.so minlen=9\n"))
	f.Add([]byte("minlen = 12\n"))
	f.Add([]byte("anna ALL=(ALL) NOPASSWD: ALL\n"))
	f.Add([]byte(passwd))
	hosttest.FuzzFormats(f, accounts.Formats(), now)
}

// What sets how passwords must be, and what lets one in with one.
func TestRulesAndRemote(t *testing.T) {
	number := func(n *int) string {
		if n == nil {
			return "-"
		}
		return strconv.Itoa(*n)
	}
	for _, c := range []struct{ format, text, want string }{
		{"pwquality", "# minlen = 8\nminlen = 14\ndcredit = -1\nucredit = -1\nlcredit=-1\nocredit=-1\n", "14 4 - - -"},
		{"pwquality", "minlen = 10 # ten\nminclass = 3\ndcredit = -1\n", "10 3 - - -"},
		{"pwquality", "minlen = 10\nocredit = 1\n", "10 - - - -"},
		{"pam", "password requisite pam_pwquality.so retry=3 minlen=12 dcredit=-1 ucredit=-1\n", "12 2 - - -"},
		{"pam", "auth required pam_faillock.so preauth deny=6\nauth [default=die] pam_faillock.so authfail\n", "- - - 6 -"},
		{"pam", "auth required pam_faillock.so preauth\n", "- - - 3 -"},
		{"faillock", "# deny = 3\nsilent\ndeny = 5\n", "- - - 5 -"},
		{"pwhistory", "remember = 24\n", "- - 24 - -"},
		{"login-defs", "PASS_MAX_DAYS\t90\nPASS_MIN_LEN 5\n", "5 - - - 90"},
		{"login-defs", "PASS_MAX_DAYS\t99999\n", "- - - - -"},
	} {
		f, err := explain(t, c.format, []byte(c.text))
		p := f.Policy
		if got := strings.Join([]string{number(p.MinLength), number(p.Classes), number(p.History), number(p.Lockout), number(p.MaxDays)}, " "); err != nil || got != c.want {
			t.Errorf("%s %q: %s (%v), want %s", c.format, c.text, got, err, c.want)
		}
	}
	const rest = "permitrootlogin without-password\npermitemptypasswords no\n"
	for text, want := range map[string]bool{
		"passwordauthentication yes\n":                                                                  true,
		"passwordauthentication no\n":                                                                   false,
		"passwordauthentication no\nkbdinteractiveauthentication yes\n":                                 true,
		"passwordauthentication no\nchallengeresponseauthentication yes\n":                              true,
		"passwordauthentication yes\nauthenticationmethods any\n":                                       true,
		"passwordauthentication yes\nauthenticationmethods publickey\n":                                 false,
		"passwordauthentication yes\nauthenticationmethods publickey,password publickey,hostbased\n":    false,
		"passwordauthentication yes\nauthenticationmethods publickey,password keyboard-interactive:pam": true,
	} {
		f, err := explain(t, "sshd-settings", []byte(rest+text))
		if err != nil || f.Remote.Passwords != want || f.Remote.Root != "keys" {
			t.Errorf("%q: %+v (%v), want %v", text, f.Remote, err, want)
		}
	}
}

// Of an account whose line was cut nobody can tell how old its password is.
func TestShadowForms(t *testing.T) {
	f, err := explain(t, "shadow", []byte("a:$y$j9T$x$y:20000:0:90:7:::\nb:!$6$x$y:20000:0:99999:7:::\nc:!!:20000::::::\nd:*:20000:0:99999:7:::\ne:!*:20000::::::\n"+
		"f::20000:0:99999:7:::\ng:$6$x$y:0:0:90:7:::\nh:$6$x$y::0:90:7:::\ni:$6$x$y:20000:0:90:7::19000:\n+::::::::\nj:$6$x$y:2000"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a password changed", "b locked changed", "c locked changed", "d locked changed", "e locked changed", "f empty changed", "g password must", "h password", "i password changed expired", "j unknown"}
	var got []string
	for _, a := range f.Accounts {
		text := a.Name + " " + a.State
		for word, is := range map[string]bool{"changed": a.Changed != nil, "must": a.Must} {
			if is {
				text += " " + word
			}
		}
		if a.Expired {
			text += " expired"
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
