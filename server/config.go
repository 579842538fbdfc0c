package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/server/anchor"
	"github.com/attesto/attesto/server/duties"
	"github.com/attesto/attesto/server/web"
)

// Config is the server's configuration file. packaging/conf/attesto-server.yaml
// explains every key.
type Config struct {
	Name      string    `yaml:"name"`       // first part of every log's origin; fixed at the first start
	Listen    string    `yaml:"listen"`     // host:port
	PublicURL string    `yaml:"public_url"` // how people and agents reach the server
	Store     string    `yaml:"store"`      // sqlite:PATH or postgres://…
	Data      string    `yaml:"data"`       // folder with keys/
	Guard     string    `yaml:"guard"`      // file of the guard, outside the database
	TLS       TLS       `yaml:"tls"`
	Proxies   []string  `yaml:"trusted_proxies"` // networks or addresses whose X-Forwarded-For counts
	OIDC      *OIDC     `yaml:"oidc"`            // nil: no identity provider
	SMTP      SMTP      `yaml:"smtp"`
	Reports   Reports   `yaml:"reports"` // of abuse, by mail
	Webhooks  Webhooks  `yaml:"webhooks"`
	Digests   bool      `yaml:"digests"` // mail each morning what is to be looked at
	Log       Log       `yaml:"log"`
	Limits    Limits    `yaml:"limits"`
	Retention Retention `yaml:"retention"`
	Releases  string    `yaml:"releases"`  // file of what sites run; empty: what is built in
	Catalogue string    `yaml:"catalogue"` // folder of own services, duties and parameters; none when empty

	Anchor *anchor.Config `yaml:"anchor"` // nil: no anchor log
}

// TLS says where the server's certificate comes from; empty for plain HTTP on loopback
// or behind a proxy.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	ACME *ACME  `yaml:"acme"` // nil: certificates are not obtained
}

// ACME says how certificates are obtained (RFC 8555).
type ACME struct {
	Domains   []string `yaml:"domains"`
	Email     string   `yaml:"email"`
	Directory string   `yaml:"directory"`
	CA        string   `yaml:"ca"`   // file with the certificates that the directory's own must lead to; "" for the system's
	HTTP      string   `yaml:"http"` // host:port where names are proven over plain HTTP; "" for the server's own listener
}

// letsEncrypt is the directory when none is named.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// OIDC is the identity provider by which people may sign in, besides their passwords.
type OIDC struct {
	Name       string `yaml:"name"` // as the button says it
	Issuer     string `yaml:"issuer"`
	ClientID   string `yaml:"client_id"`
	SecretFile string `yaml:"client_secret_file"` // read at each sign-in, so that it can be changed
	NewOrg     string `yaml:"new_people_org"`     // id of the organisation that people come into whom nobody invited; "" for none
	NewRole    string `yaml:"new_people_role"`    // viewer or auditor
}

// SMTP is the relay that alert mails go through; no mail without a host.
type SMTP struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	From         string `yaml:"from"`
	TLS          string `yaml:"tls"` // starttls, tls or none
}

// Webhooks says where alerts may be posted to.
type Webhooks struct {
	AllowPrivate bool `yaml:"allow_private"` // also to addresses that are not public
}

// Log says what the server tells about itself.
type Log struct {
	Level string `yaml:"level"` // debug, info, warn or error
}

// Limits bound what one agent may ask of the server.
type Limits struct {
	PushesPerSecond float64 `yaml:"pushes_per_second"` // on average, per agent
	PushBurst       int     `yaml:"push_burst"`        // at once, per agent
}

// Retention says how long contents are kept, in days; 0 keeps them for good. The
// log, envelopes and verdicts stay in any case.
type Retention struct {
	FactsDays  int `yaml:"facts_days"`
	DetailDays int `yaml:"detail_days"`
}

// leastFacts is the shortest term of facts: checks look back for weeks, and reviews
// for a quarter.
const leastFacts = 120

// DefaultConfig is what an empty file means.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:8480",
		Data:   "/var/lib/attesto-server",
		Log:    Log{Level: "info"},
		SMTP:   SMTP{Port: 587, TLS: "starttls"},

		Digests: true,

		Limits: Limits{PushesPerSecond: 20, PushBurst: 100},

		Retention: Retention{FactsDays: 730, DetailDays: 90},
	}
}

// ReadConfig reads a configuration file over the defaults. An unknown key is an
// error.
func ReadConfig(path string) (Config, error) {
	c := DefaultConfig()
	b, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	if err := decodeConfig(b, &c); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

func decodeConfig(b []byte, c *Config) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Complete fills in what follows from other settings and refuses what cannot
// work.
func (c *Config) Complete() error {
	if c.Data == "" {
		return errors.New("data: name the folder that keeps the server's keys")
	}
	if c.Store == "" {
		c.Store = "sqlite:" + strings.TrimSuffix(c.Data, "/") + "/attesto.db"
	}
	if c.Guard == "" {
		c.Guard = strings.TrimSuffix(c.Data, "/") + "/guard.db"
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen %q: want HOST:PORT, such as 127.0.0.1:8480: %w", c.Listen, err)
	}
	if r := c.Retention; r.FactsDays < 0 || r.DetailDays < 0 || r.FactsDays > 0 && r.FactsDays < leastFacts {
		return fmt.Errorf("retention: facts_days %d, detail_days %d: want 0 (for good) or more, and facts at least %d days, because verdicts rest on them", r.FactsDays, r.DetailDays, leastFacts)
	}
	if err := c.TLS.complete(c.PublicURL); err != nil {
		return err
	}
	if err := c.OIDC.complete(); err != nil {
		return err
	}
	if _, err := web.ParseProxies(c.Proxies); err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("public_url %q: want https://HOST", c.PublicURL)
		}
		c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	}
	switch c.SMTP.TLS {
	case "starttls", "tls", "none":
	default:
		return fmt.Errorf("smtp.tls %q: want starttls, tls or none", c.SMTP.TLS)
	}
	if c.SMTP.Host != "" && c.SMTP.From == "" {
		return errors.New("smtp.from: name the address that alert mails come from")
	}
	if err := c.Reports.complete(); err != nil {
		return err
	}
	if c.Limits.PushesPerSecond <= 0 || c.Limits.PushBurst <= 0 {
		return fmt.Errorf("limits: pushes_per_second %g and push_burst %d must both be above 0", c.Limits.PushesPerSecond, c.Limits.PushBurst)
	}
	if c.Anchor != nil {
		if err := c.Anchor.Complete(); err != nil {
			return fmt.Errorf("anchor: %w", err)
		}
	}
	if c.Name != "" && !validName(c.Name) {
		return fmt.Errorf("name %q: want a host name, such as proof.example.com", c.Name)
	}
	return nil
}

// ReadCatalogue reads the built-in duties with the operator's own. Its error names
// each fault with file and line.
func (c *Config) ReadCatalogue(at time.Time) (*duties.Catalogue, error) {
	if c.Catalogue == "" {
		return duties.Builtin()
	}
	if _, err := os.Stat(c.Catalogue); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	all, err := duties.Load(os.DirFS(c.Catalogue), at)
	if err != nil {
		return nil, fmt.Errorf("catalogue %s:\n%w", c.Catalogue, err)
	}
	return all, nil
}

// complete fills in the directory, and refuses what cannot work.
func (t *TLS) complete(public string) error {
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("tls: cert and key belong together; set both or none")
	}
	a := t.ACME
	switch {
	case a == nil:
		return nil
	case t.Cert != "":
		return errors.New("tls: set cert and key, or acme, not both")
	case len(a.Domains) == 0:
		return errors.New("tls.acme.domains: name the server's host names, such as [proof.example.com]")
	case a.HTTP != "" && !strings.HasPrefix(public, "https://"):
		return errors.New("tls.acme.http: set public_url to https://HOST too: other requests there are sent on to it")
	}
	if a.Directory == "" {
		a.Directory = letsEncrypt
	}
	if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("tls.acme.directory %q: want https://HOST/PATH", a.Directory)
	}
	return nil
}

// complete refuses what cannot work. Nobody becomes an administrator uninvited.
func (o *OIDC) complete() error {
	if o == nil {
		return nil
	}
	if u, err := url.Parse(o.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" {
		return fmt.Errorf("oidc.issuer %q: want https://HOST", o.Issuer)
	}
	if o.ClientID == "" || o.SecretFile == "" {
		return errors.New("oidc: set client_id and client_secret_file, as the identity provider gave them")
	}
	if o.Name == "" {
		o.Name = "OpenID Connect"
	}
	if o.NewOrg != "" && o.NewRole != "viewer" && o.NewRole != "auditor" || o.NewOrg == "" && o.NewRole != "" {
		return fmt.Errorf("oidc.new_people_role %q: want viewer or auditor, together with new_people_org", o.NewRole)
	}
	return nil
}

// validName accepts what may stand as the first part of an origin.
func validName(s string) bool {
	return len(s) <= 253 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && strings.Trim(s, ".-") == s
}
