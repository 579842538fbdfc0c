package anchor

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Config says what becomes of the anchor log. packaging/conf/attesto-server.yaml
// explains every key.
type Config struct {
	Every     time.Duration `yaml:"every"`   // how often changed heads are anchored
	Publish   string        `yaml:"publish"` // folder for a web server
	TSA       []TSA         `yaml:"tsa"`
	Witnesses []Witness     `yaml:"witnesses"`
}

// TSA is a time-stamping authority (RFC 3161).
type TSA struct {
	URL string `yaml:"url"`
	CA  string `yaml:"ca"` // PEM file with the certificates that its own must lead to
}

// Witness is a C2SP witness (c2sp.org/tlog-witness).
type Witness struct {
	URL  string `yaml:"url"` // its submission prefix
	VKey string `yaml:"vkey"`
}

// Complete fills in defaults and refuses what cannot work. The files that it names
// are read by New.
func (c *Config) Complete() error {
	if c.Every == 0 {
		c.Every = 10 * time.Minute
	}
	if c.Every < time.Minute || c.Every > 24*time.Hour {
		return fmt.Errorf("every: %s: want 1m to 24h", c.Every)
	}
	if c.Publish != "" && !filepath.IsAbs(c.Publish) {
		return fmt.Errorf("publish %q: name the folder from the root on", c.Publish)
	}
	seen := map[string]bool{}
	for i := range c.TSA {
		t := &c.TSA[i]
		if err := checkURL(t.URL); err != nil {
			return fmt.Errorf("tsa: %w", err)
		}
		if t.CA == "" {
			return fmt.Errorf("tsa %s: ca: name the PEM file with the certificate that its tokens must lead to", t.URL)
		}
		if seen[t.URL] {
			return fmt.Errorf("tsa %s is named twice", t.URL)
		}
		seen[t.URL] = true
	}
	for i := range c.Witnesses {
		w := &c.Witnesses[i]
		w.URL = strings.TrimSuffix(w.URL, "/")
		if err := checkURL(w.URL); err != nil {
			return fmt.Errorf("witnesses: %w", err)
		}
		name, _, err := evidence.ParseWitnessVKey(w.VKey)
		if err != nil {
			return fmt.Errorf("witnesses: %s: vkey: %w", w.URL, err)
		}
		if seen[name] {
			return fmt.Errorf("witnesses: %s is named twice", name)
		}
		seen[name] = true
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.Join(fmt.Errorf("url %q: want https://HOST/… or http://HOST/…", s), err)
	}
	return nil
}
