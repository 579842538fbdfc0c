package dnsbl

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

func itoa(b byte) string { return strconv.Itoa(int(b)) }

const (
	postfixConfig = "/etc/postfix/main.cf"
	resolvConf    = "/etc/resolv.conf"
	routeTable    = "/proc/net/route"
)

func checkTargets(cfg Config) error {
	for _, a := range cfg.Addresses {
		if addr, err := netip.ParseAddr(a); err != nil || addr.Zone() != "" {
			return fmt.Errorf("dnsbl: address %q: want an IPv4 or IPv6 address", a)
		}
	}
	for _, d := range cfg.Domains {
		_, err := netip.ParseAddr(d)
		if _, ok := dns.IsDomainName(d); !ok || err == nil || len(d) > 150 || !strings.Contains(strings.Trim(d, "."), ".") {
			return fmt.Errorf("dnsbl: domain %q: want a domain name", d)
		}
	}
	return nil
}

// targets are the addresses and domains to look up, without doubles, and what
// could not be found out.
func (c *collector) targets() (found []evidence.DNSBLTarget, gaps []evidence.Gap) {
	found = []evidence.DNSBLTarget{}
	families := map[string]bool{}
	seen := map[string]bool{}
	add := func(target, how string) {
		if !seen[target] {
			seen[target] = true
			families[evidence.DNSBLFamily(target)] = true
			found = append(found, evidence.DNSBLTarget{Target: target, Found: how})
		}
	}
	for _, a := range c.cfg.Addresses {
		add(netip.MustParseAddr(a).Unmap().String(), "config")
	}
	if c.cfg.Discover {
		gaps = c.discover(add)
		const cure = "only private addresses are known here; set collectors.dnsbl.addresses to the address that the outside sees"
		switch {
		case len(found) == 0:
			gaps = append(gaps, evidence.Gap{What: "outgoing addresses", Why: cure})
		case !families[ip4] && c.hasRoute():
			gaps = append(gaps, evidence.Gap{What: "outgoing IPv4 address", Why: cure})
		}
	}
	for _, d := range c.cfg.Domains {
		add(strings.ToLower(strings.Trim(d, ".")), "config")
	}
	return found, gaps
}

// hasRoute reports whether the host can send over IPv4: it has a default route
// (proc_net(5): destination and mask 0). Where that cannot be read, it is not said.
func (c *collector) hasRoute() bool {
	b, err := c.host.ReadFile(routeTable, 1<<20)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return true
		}
	}
	return false
}

func (c *collector) discover(add func(target, how string)) (gaps []evidence.Gap) {
	bound, err := c.postfixBound()
	if err != nil {
		gaps = append(gaps, evidence.Gap{What: postfixConfig, Why: err.Error()})
	}
	for _, addr := range bound {
		if public(addr) {
			add(addr.String(), "postfix")
		}
	}
	addrs, err := c.host.Addrs()
	if err != nil {
		return append(gaps, evidence.Gap{What: "interfaces", Why: err.Error()})
	}
	for _, addr := range addrs {
		if public(addr) {
			add(addr.String(), "interface")
		}
	}
	return gaps
}

func (c *collector) postfixBound() ([]netip.Addr, error) {
	b, err := c.host.ReadFile(postfixConfig, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, errors.New("no permission, so the addresses that Postfix sends from are not known: " + host.CureFile(postfixConfig))
	}
	if err != nil {
		return nil, err
	}
	return ParsePostfixBound(b), nil
}

// ParsePostfixBound finds the addresses of smtp_bind_address and
// smtp_bind_address6 in a main.cf (postconf(5)): a line that begins with white
// space continues the one before, and of a parameter that is set twice the last
// counts.
func ParsePostfixBound(mainCF []byte) []netip.Addr {
	var logical []string
	for line := range strings.Lines(string(mainCF)) {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || text[0] == '#':
		case strings.ContainsAny(line[:1], " \t") && len(logical) > 0:
			logical[len(logical)-1] += " " + text
		default:
			logical = append(logical, text)
		}
	}
	set := map[string]string{}
	for _, line := range logical {
		if name, value, ok := strings.Cut(line, "="); ok {
			set[strings.TrimSpace(name)] = value
		}
	}
	var out []netip.Addr
	for _, name := range []string{"smtp_bind_address", "smtp_bind_address6"} {
		for _, word := range strings.FieldsFunc(set[name], func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
			if addr, err := netip.ParseAddr(strings.Trim(word, "[]")); err == nil {
				out = append(out, addr.Unmap())
			}
		}
	}
	return out
}

// notPublic are special-purpose ranges of the IANA registries (RFC 6890 and its
// updates) that netip's own predicates do not cover.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared address space (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

func public(addr netip.Addr) bool {
	if !addr.IsValid() || !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// resolvers are the name servers to ask, in order.
func (c *collector) resolvers() ([]string, error) {
	if len(c.cfg.Resolvers) > 0 {
		return c.cfg.Resolvers, nil
	}
	if len(c.host.Resolvers) > 0 {
		return c.host.Resolvers, nil
	}
	b, err := c.host.ReadFile(resolvConf, 64<<10)
	if err != nil {
		return nil, fmt.Errorf("%w; set collectors.dnsbl.resolvers", err)
	}
	conf, err := dns.ClientConfigFromReader(bytes.NewReader(b))
	if err != nil || len(conf.Servers) == 0 {
		return nil, fmt.Errorf("%s names no server; set collectors.dnsbl.resolvers", resolvConf)
	}
	var out []string
	for _, s := range conf.Servers {
		r, err := withPort(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resolvConf, err)
		}
		out = append(out, r)
	}
	return out, nil
}
