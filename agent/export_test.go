package agent

import (
	"net/http"
	"time"
)

// Over gives a config whose client sends through rt: tests of schedules run in a
// synctest bubble, which has no network.
func (c Config) Over(rt http.RoundTripper) Config {
	c.network = rt
	return c
}

// WithDisk gives a config whose spool asks fault before each change of the disk.
func (c Config) WithDisk(fault func(path string) error) Config {
	c.disk = refusing{fault}
	return c
}

type refusing struct{ fault func(path string) error }

func (r refusing) writeDurable(path string, b []byte) error {
	if err := r.fault(path); err != nil {
		return err
	}
	return osFiles{}.writeDurable(path, b)
}

func (r refusing) moveDurable(from, to string) error {
	if err := r.fault(to); err != nil {
		return err
	}
	return osFiles{}.moveDurable(from, to)
}

// LoadConfigInto reads a config file over cfg, with cfg's collectors.
func LoadConfigInto(cfg Config, path string) (Config, error) { return loadConfig(cfg, path, true) }

// Splay is when the second look of a kind comes.
func Splay(agent, kind string, every time.Duration) time.Duration { return splay(agent, kind, every) }
