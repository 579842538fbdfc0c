// Package dnsbl looks up the addresses that mail leaves from on public lists
// (RFC 5782). Clean is claimed only for a list whose controls passed through the
// same resolver in the same run.
package dnsbl

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Addresses are looked up besides those that are found, such as the public
	// address behind which this host sends.
	Addresses []string `yaml:"addresses"`
	// Discover looks for outgoing addresses on interfaces and in Postfix's main.cf.
	Discover bool `yaml:"discover"`
	// Domains are looked up on lists of domains.
	Domains []string `yaml:"domains"`
	// DefaultLists keeps the built-in lists; Lists are added to them, and
	// replace a built-in one of the same zone. Skip leaves lists out.
	DefaultLists bool     `yaml:"default_lists"`
	Lists        []List   `yaml:"lists"`
	Skip         []string `yaml:"skip"`
	// SpamhausKey is a data query key: with it, the keyed zones take the place of
	// the public ones, which are for non-commercial use only.
	SpamhausKey Key `yaml:"spamhaus_key"`
	// Resolvers are asked instead of those in /etc/resolv.conf: address or address:port.
	Resolvers []string `yaml:"resolvers"`
	// Deadline bounds a whole look; QueryTimeout one try of a query; Tries counts them.
	Deadline     time.Duration `yaml:"deadline"`
	QueryTimeout time.Duration `yaml:"query_timeout"`
	Tries        int           `yaml:"tries"`
}

// maxAnswers bounds the pairs of target and list in facts, which must fit into a
// blob; at some 300 bytes each, half of it is left.
const maxAnswers = evidence.MaxBlob / 600

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindDNSBL,
		Title:   "public blacklists (DNSBL)",
		OS:      []string{"linux", "windows", "darwin", "freebsd"},
		Needs:   host.NeedNetwork,
		Every:   6 * time.Hour,
		Timeout: time.Minute,
		New:     newCollector,
		Detect:  detect,
		Formats: Formats(),
		About: host.About{
			Reads: []string{
				"the addresses of the network interfaces",
				"`smtp_bind_address`, `smtp_bind_address6` and `inet_interfaces` in Postfix' `main.cf`",
				"`/etc/resolv.conf`",
				"answers of the lists, by DNS through the host's own name servers",
			},
			Sends: []string{
				"each public address that mail leaves from, each configured domain",
				"per list and target: listed with codes, not listed, or no answer with why",
				"which name servers answered, and the lists' words (erasable)",
			},
			Never: []string{
				"a data query key: it is part of the query alone",
				"private addresses, other than that there are only such",
			},
			Needs: []string{
				"DNS to the host's name servers, which must not be public ones: lists refuse those",
			},
		},
	}
}

type collector struct {
	cfg   Config
	lists []List
	host  *host.Host
}

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	cfg := Config{Discover: true, DefaultLists: true, Deadline: 30 * time.Second, QueryTimeout: 3 * time.Second, Tries: 2}
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	if cfg.Deadline <= 0 || cfg.QueryTimeout <= 0 || cfg.Tries < 1 || cfg.Tries > 10 {
		return nil, fmt.Errorf("dnsbl: deadline %v, query_timeout %v and tries %d: want both above 0 and 1 to 10 tries",
			cfg.Deadline, cfg.QueryTimeout, cfg.Tries)
	}
	lists, err := cfg.allLists()
	if err != nil {
		return nil, err
	}
	for i, r := range cfg.Resolvers {
		if cfg.Resolvers[i], err = withPort(r); err != nil {
			return nil, err
		}
	}
	if err := checkTargets(cfg); err != nil {
		return nil, err
	}
	return &collector{cfg, lists, h}, nil
}

// Collect asks all lists about all targets at once. A list or a resolver that
// does not answer is a gap, never an error.
func (c *collector) Collect(ctx context.Context, _ []byte) (host.Look, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Deadline)
	defer cancel()
	targets, gaps := c.targets()
	if more := len(targets) - maxAnswers/max(1, len(c.lists)); more > 0 {
		targets = targets[:len(targets)-more]
		gaps = append(gaps, evidence.Gap{What: fmt.Sprintf("%d more addresses or domains", more),
			Why: fmt.Sprintf("more than %d answers do not fit into one record; spread them over several agents", maxAnswers)})
	}
	resolvers, err := c.resolvers()
	if err != nil {
		gaps = append(gaps, evidence.Gap{What: "name servers", Why: err.Error()})
	}
	facts := evidence.DNSBL{Resolvers: []string{}, Targets: targets, Lists: []evidence.DNSBLList{}, Answers: []evidence.DNSBLAnswer{}}
	if len(targets) == 0 {
		return host.Look{Facts: facts, Gaps: gaps}, nil
	}
	r := newRun(c.lists, targets)
	for _, resolver := range resolvers {
		facts.Resolvers = append(facts.Resolvers, resolver)
		a := asker{resolver, c.cfg.QueryTimeout, c.cfg.Tries}
		if r.ask(ctx, a) > 0 || ctx.Err() != nil {
			break
		}
		gaps = append(gaps, evidence.Gap{What: "name server " + resolver, Why: "answered no query of this run"})
	}
	facts.Lists, facts.Answers = r.results()
	return host.Look{Facts: facts, Gaps: append(gaps, listGaps(facts)...)}, nil
}

// listGaps names what could not be used: a list that cannot be believed once, and
// one that was silent on some targets once with the first of them.
func listGaps(f evidence.DNSBL) []evidence.Gap {
	var gaps []evidence.Gap
	for _, l := range f.Lists {
		if l.Controls != evidence.ControlsPassed {
			gaps = append(gaps, evidence.Gap{What: "list " + l.Zone + " (" + l.Family + ")", Why: l.Why})
			continue
		}
		var silent []evidence.DNSBLAnswer
		for _, a := range f.Answers {
			if a.Zone == l.Zone && a.Result == evidence.NoAnswer && evidence.DNSBLFamily(a.Target) == l.Family {
				silent = append(silent, a)
			}
		}
		if len(silent) > 0 {
			what := "list " + l.Zone + " for " + silent[0].Target
			if more := len(silent) - 1; more > 0 {
				what += fmt.Sprintf(" and %d more", more)
			}
			gaps = append(gaps, evidence.Gap{What: what, Why: silent[0].Why})
		}
	}
	return gaps
}

func withPort(resolver string) (string, error) {
	if full, err := netip.ParseAddrPort(resolver); err == nil && full.Port() > 0 {
		return full.String(), nil
	}
	addr, err := netip.ParseAddr(strings.Trim(resolver, "[]"))
	if err != nil {
		return "", fmt.Errorf("dnsbl: resolver %q: want an IP address, with :port if it is not 53", resolver)
	}
	return netip.AddrPortFrom(addr, 53).String(), nil
}

func detect(_ context.Context, h *host.Host) host.Detection {
	c := collector{cfg: Config{Discover: true}, host: h}
	targets, gaps := c.targets()
	var d host.Detection
	for _, g := range gaps {
		d.Missing = append(d.Missing, host.Missing{What: g.What + ": " + g.Why,
			Cure: "set collectors.dnsbl.addresses to the address that the outside sees"})
	}
	if d.Useful = len(targets) > 0; d.Useful {
		var list []string
		for _, t := range targets {
			list = append(list, t.Target)
		}
		slices.Sort(list)
		d.Found = "outgoing addresses " + strings.Join(list, ", ")
	}
	return d
}
