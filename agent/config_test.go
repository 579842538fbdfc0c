package agent_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/agent"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
)

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const packaged = "../packaging/conf/attesto-agent.yaml"

// TestPackagedConfig: the packaged file holds as it is, and with every commented key
// switched on; so its comments name only keys that exist.
func TestPackagedConfig(t *testing.T) {
	cfg, err := agent.LoadConfig(packaged, true)
	if err != nil {
		t.Fatal(err)
	}
	def := agent.DefaultConfig()
	if cfg.StateDir != def.StateDir || cfg.Spool != def.Spool || cfg.Server != "" || len(cfg.Collectors) != 0 {
		t.Errorf("the packaged file changes defaults: %+v", cfg)
	}
	b, err := os.ReadFile(packaged)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range agent.DefaultConfig().Specs {
		known[string(s.Kind)] = true
	}
	// A key is commented out by "#" right before it, or before the blanks that indent it.
	key := regexp.MustCompile(`^((?: *# *)*)((?:- )?[a-z_]+:(?: .*)?)$`)
	var lines []string
	for line := range strings.Lines(string(b)) {
		if m := key.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && !strings.HasSuffix(m[1], "# ") {
			lines = append(lines, strings.ReplaceAll(m[1], "#", "")+m[2])
		}
	}
	all := strings.Join(lines, "\n") + "\n"
	on, err := agent.LoadConfig(write(t, all), true)
	if err != nil {
		t.Fatalf("with every key switched on: %v\n%s", err, all)
	}
	if on.Spool != def.Spool || on.StateDir != def.StateDir || on.LogLevel != def.LogLevel {
		t.Errorf("the values shown as defaults are not the defaults: %+v", on)
	}
	for kind := range known {
		if _, ok := on.Collectors[kind]; !ok {
			t.Errorf("the packaged file does not speak of %s", kind)
		}
	}
}

func TestConfigFaults(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"typo", "state_dri: /x\n", "line 1: field state_dri is not a key"},
		{"typo in spool", "spool:\n  max_size: 3\n", "line 2: field max_size is not a key"},
		{"typo in a collector", "collectors:\n  dnsbl:\n    every: 1h\n    adresses: [192.0.2.1]\n", "line 4"},
		{"unknown collector", "collectors:\n  dnsbl: {}\n  antvirus: {}\n", `line 3: no collector "antvirus"; there are`},
		{"twice", "server: https://a.example\nserver: https://b.example\n", "already defined at line 1"},
		{"not a map", "collectors:\n  dnsbl: on\n", "line 2: collectors.dnsbl: want keys below it"},
		{"enabled", "collectors:\n  dnsbl:\n    enabled: sometimes\n", "line 3: enabled: \"sometimes\": want auto, on or off"},
		{"every", "collectors:\n  dnsbl:\n    every: 3ms\n", "want at least 1s"},
		{"no unit", "collectors:\n  dnsbl:\n    every: 3\n", "line 3"},
		{"no duration", "collectors:\n  dnsbl:\n    every: often\n", "often"},
		{"spool", "spool: {max_bytes: 7}\n", "want at least 1048576"},
		{"state_dir", "state_dir: \"\"\n", "state_dir is empty"},
		{"server", "server: http://attesto.example.com\n", "use https"},
		{"proxy", "proxy: proxy.example\n", "want a URL such as"},
		{"log level", "log_level: loud\n", "loud"},
		{"no YAML", "a: [", "line 1"},
		{"a list", "- a\n", "line 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.text)
			_, err := agent.LoadConfig(path, true)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %q, want one with %q", err, c.want)
			}
			if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "agent.Config") || strings.Contains(err.Error(), "yaml.") {
				t.Errorf("error %q: want the file's name and no Go types", err)
			}
		})
	}
}

func TestConfigValues(t *testing.T) {
	cfg, err := agent.LoadConfig(write(t, "collectors:\n  dnsbl:\n    every: 90m\n    timeout: 30s\n    enabled: no\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	s, err := cfg.Schedule("dnsbl")
	if err != nil || s.Every != 90*time.Minute || s.Timeout != 30*time.Second || s.Enabled != agent.Off {
		t.Errorf("schedule %+v, %v", s, err)
	}
	for word, want := range map[string]agent.Mode{"auto": agent.Auto, "on": agent.On, "true": agent.On, "false": agent.Off, "Off": agent.Off} {
		cfg, err := agent.LoadConfig(write(t, "collectors:\n  dnsbl:\n    enabled: "+word+"\n"), true)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := cfg.Schedule("dnsbl"); err != nil || s.Enabled != want {
			t.Errorf("%s: %+v, %v", word, s, err)
		}
	}
	if _, err := agent.LoadConfig(filepath.Join(t.TempDir(), "absent"), false); err != nil {
		t.Errorf("an absent default file: %v", err)
	}
	if _, err := agent.LoadConfig(filepath.Join(t.TempDir(), "absent"), true); err == nil {
		t.Error("an absent named file is no error")
	}
}

// TestReportDir: an agent with a state folder of its own has its drop folder there.
func TestReportDir(t *testing.T) {
	var told string
	backup := counter("backup", time.Hour)
	backup.New = func(decode func(any) error, _ *host.Host) (host.Collector, error) {
		var c struct {
			Reports string `yaml:"reports"`
		}
		err := decode(&c)
		told = c.Reports
		return lookFunc(nil), err
	}
	cfg := agent.DefaultConfig()
	cfg.Specs = []host.Spec{backup}
	dir := t.TempDir()
	text := "state_dir: " + dir + "\ncollectors:\n  backup:\n    every: 1h\n"
	if _, err := agent.LoadConfigInto(cfg, write(t, text)); err != nil || told != "" {
		t.Errorf("without a folder the collector was told %q, %v", told, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "report"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := agent.LoadConfigInto(cfg, write(t, text))
	if err != nil || told != filepath.Join(dir, "report") || got.ReportDir() != told {
		t.Errorf("the collector was told %q, report writes to %q, %v", told, got.ReportDir(), err)
	}
	got, err = agent.LoadConfigInto(cfg, write(t, text+"    reports: /srv/reports\n"))
	if err != nil || told != "/srv/reports" || got.ReportDir() != told {
		t.Errorf("the config's word: %q, %q, %v", told, got.ReportDir(), err)
	}
}

func FuzzConfig(f *testing.F) {
	b, err := os.ReadFile(packaged)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("collectors:\n  dnsbl:\n    enabled: on\n    every: 1h\n"))
	f.Add([]byte("collectors: {dnsbl: &a [*a]}"))
	f.Add([]byte(strings.Repeat("server:\n", 900)))
	path := filepath.Join(f.TempDir(), "agent.yaml")
	var cfg agent.Config
	bound := hosttest.NewBound("configuration", func(text []byte) {
		if err = os.WriteFile(path, text, 0o600); err == nil {
			cfg, err = agent.LoadConfig(path, true)
		}
	})
	f.Fuzz(func(t *testing.T, text []byte) {
		if bound.Check(t, text); err != nil {
			return
		}
		for _, s := range cfg.Specs {
			if sched, err := cfg.Schedule(s.Kind); err != nil || sched.Every < time.Second {
				t.Errorf("accepted a schedule of %+v, %v", sched, err)
			}
		}
	})
}
