package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/agent/keystore"
	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the agent's config file; packaging/conf/attesto-agent.yaml is its
// manual.
type Config struct {
	// Server is the default of enroll, and afterwards overrides the address that
	// enrollment stored: for a server that moved. Its log stays pinned.
	Server     string               `yaml:"server"`
	StateDir   string               `yaml:"state_dir"`
	LogLevel   slog.Level           `yaml:"log_level"`
	Spool      SpoolConfig          `yaml:"spool"`
	Proxy      string               `yaml:"proxy"`
	CAFile     string               `yaml:"ca_file"`
	KeyDays    int                  `yaml:"key_days"`  // after which the agent changes its key; 0: never by itself
	KeyStore   string               `yaml:"key_store"` // how new keys are kept: file, systemd-creds or tpm
	TPM        string               `yaml:"tpm"`       // the TPM's device
	Collectors map[string]yaml.Node `yaml:"collectors"`

	// Specs are the collectors that the file may speak of: collectors.All.
	Specs []host.Spec `yaml:"-"`

	// What the spool writes through and the client sends through; nil for the real
	// disk and network.
	disk    files
	network http.RoundTripper
}

// SpoolConfig bounds what waits for the server, and how long what was receipted stays.
type SpoolConfig struct {
	MaxBytes int64         `yaml:"max_bytes"`
	MaxAge   time.Duration `yaml:"max_age"`
}

// Schedule is the part of a collector's config that all kinds share.
type Schedule struct {
	Enabled Mode          `yaml:"enabled"`
	Every   time.Duration `yaml:"every"`
	Timeout time.Duration `yaml:"timeout"`
}

// Mode says whether a kind looks.
type Mode string

// The modes. With Auto a host that has nothing for a kind says so and that is no
// fault; with On it is a failed look.
const (
	Auto Mode = "auto"
	On   Mode = "on"
	Off  Mode = "off"
)

// UnmarshalYAML takes auto, on and off, and YAML's other words for yes and no.
func (m *Mode) UnmarshalYAML(n *yaml.Node) error {
	switch strings.ToLower(n.Value) {
	case "auto":
		*m = Auto
	case "on", "true", "yes":
		*m = On
	case "off", "false", "no":
		*m = Off
	default:
		return fmt.Errorf("line %d: enabled: %q: want auto, on or off", n.Line, n.Value)
	}
	return nil
}

const maxConfig = 1 << 20

// DefaultConfig is what counts where the file says nothing.
func DefaultConfig() Config {
	return Config{StateDir: defaultStateDir, Spool: SpoolConfig{MaxBytes: 100 << 20, MaxAge: 35 * 24 * time.Hour}, KeyDays: 365, KeyStore: keystore.File, TPM: "/dev/tpmrm0", Specs: collectors.All()}
}

func (c Config) keys() keystore.Store { return keystore.Store{Keep: c.KeyStore, TPM: c.TPM} }

func (c Config) files() files {
	if c.disk != nil {
		return c.disk
	}
	return osFiles{}
}

func (c Config) spec(kind evidence.Kind) (host.Spec, bool) {
	i := slices.IndexFunc(c.Specs, func(s host.Spec) bool { return s.Kind == kind })
	if i < 0 {
		return host.Spec{}, false
	}
	return c.Specs[i], true
}

// LoadConfig reads a config file. An absent file is an error only when it was
// named by the user (required).
func LoadConfig(path string, required bool) (Config, error) {
	return loadConfig(DefaultConfig(), path, required)
}

func loadConfig(cfg Config, path string, required bool) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !required {
		return cfg, nil
	}
	if err != nil {
		return cfg, fmt.Errorf("reading config: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return cfg, fmt.Errorf("reading config %s: %w", path, err)
	}
	if len(b) > maxConfig {
		return cfg, fmt.Errorf("config %s: larger than %d bytes", path, maxConfig)
	}
	if err := decodeStrict(b, &cfg); err != nil {
		return cfg, fmt.Errorf("config %s: %w", path, err)
	}
	if err := cfg.check(); err != nil {
		return cfg, fmt.Errorf("config %s: %w", path, err)
	}
	return cfg, nil
}

func decodeStrict(b []byte, v any) error {
	var root yaml.Node
	if err := yaml.Unmarshal(b, &root); err != nil {
		return plainYAML(err)
	}
	if err := host.CheckKeys(&root); err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return plainYAML(err)
	}
	return nil
}

// goType finds the Go type in the decoder's messages, which says nothing to people.
var goType = regexp.MustCompile(` (in|into) type \S+| into [\w.]+$`)

func plainYAML(err error) error {
	text := strings.TrimPrefix(goType.ReplaceAllString(err.Error(), ""), "yaml: ")
	text = strings.ReplaceAll(text, "not found", "is not a key of this section; see the comments in the packaged file")
	return errors.New(strings.ReplaceAll(strings.TrimPrefix(text, "unmarshal errors:\n  "), "\n  ", "; "))
}

func (c Config) check() error {
	if c.StateDir == "" {
		return errors.New("state_dir is empty")
	}
	if err := c.keys().Check(); err != nil {
		return err
	}
	if c.Spool.MaxBytes < 1<<20 || c.Spool.MaxAge < time.Hour {
		return fmt.Errorf("spool: max_bytes %d and max_age %v: want at least 1048576 and 1h", c.Spool.MaxBytes, c.Spool.MaxAge)
	}
	if c.Proxy != "" {
		if u, err := url.Parse(c.Proxy); err != nil || u.Host == "" {
			return errors.New("proxy: want a URL such as http://proxy.example:3128")
		}
	}
	if c.Server != "" {
		if _, err := checkServer(c.Server); err != nil {
			return err
		}
	}
	for name, node := range c.Collectors {
		spec, known := c.spec(evidence.Kind(name))
		if !known {
			return fmt.Errorf("line %d: no collector %q; there are %s", node.Line, name, strings.Join(c.kindNames(), ", "))
		}
		if node.Kind != yaml.MappingNode && node.Tag != "!!null" {
			return fmt.Errorf("line %d: collectors.%s: want keys below it, such as \"every: 6h\"", node.Line, name)
		}
		if _, err := c.Schedule(spec.Kind); err != nil {
			return err
		}
		if _, err := spec.New(c.decoder(spec.Kind), nil); err != nil {
			return fmt.Errorf("collectors.%s: %w", name, err)
		}
	}
	return nil
}

func (c Config) kindNames() []string {
	var names []string
	for _, s := range c.Specs {
		names = append(names, string(s.Kind))
	}
	return names
}

// Schedule is when and for how long a kind looks: the file's word, else the
// collector's own default.
func (c Config) Schedule(kind evidence.Kind) (Schedule, error) {
	spec, _ := c.spec(kind)
	s := Schedule{Enabled: Auto, Every: spec.Every, Timeout: spec.Timeout}
	node, ok := c.Collectors[string(kind)]
	if !ok {
		return s, nil
	}
	common, _ := split(node)
	if err := common.Decode(&s); err != nil {
		return s, fmt.Errorf("collectors.%s: %w", kind, plainYAML(err))
	}
	if s.Every < time.Second || s.Timeout < time.Second {
		return s, fmt.Errorf("line %d: collectors.%s: every %v and timeout %v: want at least 1s", node.Line, kind, s.Every, s.Timeout)
	}
	return s, nil
}

var commonKeys = []string{"enabled", "every", "timeout"}

// split parts a collector's section into the keys that all kinds share and the
// kind's own.
func split(node yaml.Node) (common, own yaml.Node) {
	common, own = yaml.Node{Kind: yaml.MappingNode}, yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(node.Content); i += 2 {
		to := &own
		if slices.Contains(commonKeys, node.Content[i].Value) {
			to = &common
		}
		to.Content = append(to.Content, node.Content[i], node.Content[i+1])
	}
	return common, own
}

var unknownField = regexp.MustCompile(`^(?:line \d+: )?field (\S+) `)

// decoder fills a kind's own config struct and refuses keys that it does not have.
func (c Config) decoder(kind evidence.Kind) func(any) error {
	node := c.Collectors[string(kind)]
	return func(v any) error {
		own := c.section(kind)
		if len(own.Content) == 0 {
			return nil
		}
		b, err := yaml.Marshal(&own)
		if err != nil {
			return err
		}
		err = decodeStrict(b, v)
		if err == nil {
			return nil
		}
		// The section was written anew, so its own line numbers mean nothing.
		text := regexp.MustCompile(`line \d+: `).ReplaceAllString(err.Error(), "")
		line := node.Line
		if m := unknownField.FindStringSubmatch(text); m != nil {
			line = lineOf(&node, m[1])
		}
		return fmt.Errorf("near line %d: %s", line, text)
	}
}

func lineOf(node *yaml.Node, key string) int {
	for i, n := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && n.Value == key {
			return n.Line
		}
		if line := lineOf(n, key); line != 0 {
			return line
		}
	}
	return 0
}

// ReportDir is the folder where the backup collector looks for reports that
// hooks hand in: the config's word, else the one in the state folder if the agent
// has made it, else "" for the collector's default.
func (c Config) ReportDir() string {
	var section struct {
		Reports string `yaml:"reports"`
	}
	node, ok := c.Collectors[string(evidence.KindBackup)]
	if ok && node.Decode(&section) == nil && section.Reports != "" {
		return section.Reports
	}
	dir := filepath.Join(c.StateDir, reportDir)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// section is a kind's own keys. A state folder that is not the default one has its
// drop folder with it.
func (c Config) section(kind evidence.Kind) yaml.Node {
	_, own := split(c.Collectors[string(kind)])
	if kind == evidence.KindBackup && c.StateDir != defaultStateDir && lineOf(&own, "reports") == 0 {
		if dir := c.ReportDir(); dir != "" {
			own.Content = append(own.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "reports"}, &yaml.Node{Kind: yaml.ScalarNode, Value: dir})
		}
	}
	return own
}
