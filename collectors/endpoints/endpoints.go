// Package endpoints asks the services that others reach over the network, as they
// would: whether they answer, how fast, and which certificate they show.
package endpoints

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Targets are what others reach: "https://shop.example/health",
	// "smtp://mx.example:25", "tcp://10.0.0.5:3306".
	Targets []string `yaml:"targets"`
	// Discover adds the well-known mail and web ports on which this host listens;
	// true without a word.
	Discover *bool `yaml:"discover"`
}

const (
	every   = 5 * time.Minute
	timeout = 45 * time.Second
	// patience is how long one service may take.
	patience = 10 * time.Second
	// atOnce bounds the services that are asked together.
	atOnce = 8
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindEndpoints,
		Title:   "Services and certificates",
		OS:      []string{"linux", "windows"},
		Needs:   host.NeedNetwork,
		Every:   every,
		Timeout: timeout,
		New:     newCollector,
		Detect:  detect,
		Formats: Formats(),
		About: host.About{
			Reads: []string{
				"which of the ports 25, 80, 110, 143, 443, 465, 587, 993 and 995 this host listens on, from `/proc/net/tcp` and `tcp6`",
				"the answer of each to its protocol's greeting, and the certificates that it shows",
			},
			Sends: []string{
				"per service a probe every five minutes: up or down and why, code, milliseconds",
				"TLS version, subject, issuer, time and SHA-256 of each certificate shown, and what is wrong with them",
			},
			Never: []string{
				"contents of pages and mails; it signs in nowhere and sends no mail",
				"user names, passwords and queries of configured addresses",
			},
			Needs: []string{
				"the network; nothing beyond the agent's own user",
				"on Windows the targets in the configuration: ports are not looked up there",
			},
		},
	}
}

type collector struct {
	targets  []target
	discover bool
	host     *host.Host
}

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	c := &collector{host: h, discover: cfg.Discover == nil || *cfg.Discover}
	for _, text := range cfg.Targets {
		t, err := parseTarget(text)
		if err != nil {
			return nil, fmt.Errorf("endpoints: %w", err)
		}
		if slices.ContainsFunc(c.targets, func(o target) bool { return o.name == t.name }) {
			return nil, fmt.Errorf("endpoints: target %q stands there twice", t.name)
		}
		c.targets = append(c.targets, t)
	}
	if len(c.targets) > evidence.MaxEndpoints {
		return nil, fmt.Errorf("endpoints: %d targets: want at most %d", len(c.targets), evidence.MaxEndpoints)
	}
	return c, nil
}

// all are the configured targets and those found by the ports that listen.
func (c *collector) all() ([]target, []evidence.Gap) {
	list := slices.Clone(c.targets)
	if !c.discover {
		return list, nil
	}
	found, gaps := listening(c.host)
	for _, t := range found {
		if len(list) < evidence.MaxEndpoints && !slices.ContainsFunc(list, func(o target) bool { return o.address == t.address }) {
			list = append(list, t)
		}
	}
	return list, gaps
}

// Collect asks each service once. Facts come with the first look, when an hour of
// probes is full, and when something changed; else the probes only go into the
// cursor.
func (c *collector) Collect(ctx context.Context, past []byte) (host.Look, error) {
	targets, gaps := c.all()
	now := evidence.At(c.host.Now())
	before, more := readCursor(past, now)
	gaps = append(gaps, more...)
	if len(targets) == 0 {
		return host.Look{Unsupported: true, To: now.Time, Gaps: append(gaps, evidence.Gap{What: "services",
			Why: "none is configured, and this host listens on none of the well-known mail and web ports"})}, nil
	}
	seen := c.ask(ctx, targets, now)
	if err := ctx.Err(); err != nil {
		return host.Look{}, fmt.Errorf("asking services: %w", err)
	}
	facts := evidence.Endpoints{Endpoints: before.join(seen)}
	next := cursor{V: cursorVersion, State: state(seen)}
	look := host.Look{Gaps: gaps, To: now.Time}
	if next.State == before.State && !full(facts) {
		next.Endpoints = facts.Endpoints
	} else {
		look.Facts, look.From = facts, first(facts)
	}
	var err error
	look.Next, err = next.encode()
	return look, err
}

// ask asks all services, several at a time.
func (c *collector) ask(ctx context.Context, targets []target, now evidence.Time) []evidence.Endpoint {
	seen := make([]evidence.Endpoint, len(targets))
	var wg sync.WaitGroup
	gate := make(chan struct{}, atOnce)
	for i, t := range targets {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			seen[i] = t.probe(ctx, now, c.host.Now)
		})
	}
	wg.Wait()
	return seen
}

func full(f evidence.Endpoints) bool {
	return slices.ContainsFunc(f.Endpoints, func(e evidence.Endpoint) bool { return len(e.Probes) >= evidence.MaxProbes })
}

func first(f evidence.Endpoints) time.Time {
	var t time.Time
	for _, e := range f.Endpoints {
		if at := e.Probes[0].At.Time; t.IsZero() || at.Before(t) {
			t = at
		}
	}
	return t
}

func detect(_ context.Context, h *host.Host) host.Detection {
	found, _ := listening(h)
	if len(found) == 0 {
		return host.Detection{Missing: []host.Missing{{What: "this host listens on no well-known mail or web port, and no target is configured",
			Cure: "name what others reach under collectors.endpoints.targets in the agent's configuration"}}}
	}
	names := make([]string, len(found))
	for i, t := range found {
		names[i] = t.name
	}
	return host.Detection{Useful: true, Found: strings.Join(names, ", ")}
}
