package dnsbl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/dnsbl"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// look runs the collector with a config text on a host without addresses.
func look(t *testing.T, config string, addrs ...string) (evidence.DNSBL, []evidence.Gap) {
	t.Helper()
	h := &host.Host{Root: t.TempDir(), Now: time.Now, Addrs: func() ([]netip.Addr, error) {
		var out []netip.Addr
		for _, a := range addrs {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}}
	c, err := dnsbl.Spec().New(decoder(config), h)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Collect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := got.Facts.(evidence.DNSBL)
	if err := f.Validate(); err != nil {
		t.Fatalf("facts are not valid: %v", err)
	}
	return f, got.Gaps
}

func decoder(config string) func(any) error {
	return func(v any) error {
		dec := yaml.NewDecoder(strings.NewReader(config))
		dec.KnownFields(true)
		if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
}

func result(f evidence.DNSBL, target, zone string) evidence.DNSBLAnswer {
	for _, a := range f.Answers {
		if a.Target == target && a.Zone == zone {
			return a
		}
	}
	return evidence.DNSBLAnswer{Result: "no such pair"}
}

// rbldnsd starts a real list server with zones of the given data.
func rbldnsd(t *testing.T, zones map[string]string) string {
	t.Helper()
	bin := hosttest.NeedTool(t, "rbldnsd")
	dir, err := os.MkdirTemp("", "rbldnsd-") // not t.TempDir: rbldnsd refuses to run as root and must reach it as another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	args := []string{"-n", "-f", "-b", strings.Replace(addr, ":", "/", 1), "-w", dir}
	if os.Geteuid() == 0 {
		args = append(args, "-u", "nobody:nogroup")
	}
	for zone, data := range zones {
		name, form, _ := strings.Cut(zone, ":")
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, name+":"+form+":"+name)
	}
	cmd := exec.CommandContext(t.Context(), bin, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 100 {
		m := new(dns.Msg)
		m.SetQuestion("2.0.0.127.good.example.", dns.TypeA)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, _, err := (&dns.Client{}).ExchangeContext(ctx, m, addr)
		cancel()
		if err == nil {
			return addr
		}
		time.Sleep(50 * time.Millisecond) // a refused port answers at once
	}
	t.Fatal("rbldnsd did not answer")
	return ""
}

func TestRealLists(t *testing.T) {
	const controls = ":127.0.0.2:test entry\n127.0.0.2\n"
	resolver := rbldnsd(t, map[string]string{
		"good.example:ip4set":    controls + "192.0.2.25 :127.0.0.2:listed, see https://good.example/$\n",
		"policy.example:ip4set":  controls + "192.0.2.25 :127.0.0.10:PBL range\n",
		"world.example:ip4trie":  ":127.0.0.2:shut down\n0.0.0.0/0\n",
		"dead.example:ip4set":    ":127.0.0.2:no test entry\n10.9.9.9\n",
		"refuse.example:ip4trie": ":127.255.255.254:open resolver\n0.0.0.0/0\n",
		"six.example:ip6trie":    ":127.0.0.2:six\n::ffff:7f00:2\n2001:db8:bad::/48\n",
		"names.example:dnset":    ":127.0.0.2:names\ntest\nbad.example\n",
	})
	config := fmt.Sprintf(`
discover: false
default_lists: false
resolvers: ["%s"]
query_timeout: 300ms
addresses: [192.0.2.25, 192.0.2.26, "2001:db8:bad::25", "2001:db8:dad::1"]
domains: [bad.example, fine.example]
lists:
  - {zone: good.example, tier: a}
  - {zone: policy.example, tier: a, codes: [{address: 127.0.0.10, sense: policy, text: PBL}]}
  - {zone: world.example, tier: a}
  - {zone: dead.example, tier: a}
  - {zone: refuse.example, tier: a}
  - {zone: unserved.example, tier: a}
  - {zone: six.example, tier: a, families: [ip6]}
  - {zone: names.example, tier: a, families: [domain]}
`, resolver)
	f, gaps := look(t, config)
	tests := []struct {
		target, zone, want, why string
	}{
		{"192.0.2.25", "good.example", evidence.Listed, ""},
		{"192.0.2.26", "good.example", evidence.NotListed, ""},
		{"192.0.2.25", "policy.example", evidence.Listed, "PBL"},
		{"192.0.2.25", "world.example", evidence.NoAnswer, "lists everything"},
		{"192.0.2.26", "dead.example", evidence.NoAnswer, "does not list its own test entry"},
		{"192.0.2.26", "refuse.example", evidence.NoAnswer, "open resolver"},
		{"192.0.2.26", "unserved.example", evidence.NoAnswer, "REFUSED"},
		{"2001:db8:bad::25", "six.example", evidence.Listed, ""},
		{"2001:db8:dad::1", "six.example", evidence.NotListed, ""},
		{"bad.example", "names.example", evidence.Listed, ""},
		{"fine.example", "names.example", evidence.NotListed, ""},
	}
	for _, tt := range tests {
		a := result(f, tt.target, tt.zone)
		if a.Result != tt.want || !strings.Contains(a.Why, tt.why) {
			t.Errorf("%s on %s: %q (%s), want %q with %q", tt.target, tt.zone, a.Result, a.Why, tt.want, tt.why)
		}
	}
	if a := result(f, "192.0.2.25", "good.example"); !strings.Contains(a.Text, "https://good.example/192.0.2.25") || a.Codes[0] != "127.0.0.2" || a.Policy {
		t.Errorf("listing without its reason: %+v", a)
	}
	if a := result(f, "192.0.2.25", "policy.example"); !a.Policy {
		t.Errorf("policy listing not marked: %+v", a)
	}
	if len(gaps) != 4 {
		t.Errorf("gaps %v, want one for each of the four lists that cannot be believed", gaps)
	}
}

// fakeResolver answers every question by f. It speaks real DNS over UDP and TCP; it
// stands for resolvers that misbehave, which no real server does on demand.
// freeAddr is a loopback address that nobody listens on, below the ports that the
// system gives to connections, so that none of those takes it meanwhile.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)) //nolint:gosec // no secret
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", addr)
		_ = pc.Close()
		if err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

func fakeResolver(t *testing.T, f func(w dns.ResponseWriter, m *dns.Msg)) string {
	t.Helper()
	addr := freeAddr(t)
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: dns.HandlerFunc(f)}, {Listener: l, Handler: dns.HandlerFunc(f)}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return pc.LocalAddr().String()
}

// sane answers as a list that lists nothing but its test entry.
func sane(m *dns.Msg) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(m)
	if strings.HasPrefix(m.Question[0].Name, "2.0.0.127.") {
		r.Answer = []dns.RR{a(m, "127.0.0.2")}
	} else {
		r.Rcode = dns.RcodeNameError
	}
	return r
}

func a(m *dns.Msg, addr string) dns.RR {
	return &dns.A{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.ParseIP(addr)}
}

func TestMisbehavingResolvers(t *testing.T) {
	var mu sync.Mutex
	drops := map[string]bool{}
	tests := []struct {
		name      string
		f         func(w dns.ResponseWriter, m *dns.Msg)
		want, why string
	}{
		{"sane", func(w dns.ResponseWriter, m *dns.Msg) { _ = w.WriteMsg(sane(m)) }, evidence.NotListed, ""},
		{"lists once and not again", func(w dns.ResponseWriter, m *dns.Msg) {
			r := sane(m)
			if q := m.Question[0]; strings.HasPrefix(q.Name, "1.2.0.192.") && q.Qtype == dns.TypeA {
				mu.Lock()
				if !drops["once"] {
					r.Rcode, r.Answer = dns.RcodeSuccess, []dns.RR{a(m, "127.0.0.2")}
				}
				drops["once"] = true
				mu.Unlock()
			}
			_ = w.WriteMsg(r)
		}, evidence.NoAnswer, "listed by one answer and not by the next"},
		{"lists and goes on to", func(w dns.ResponseWriter, m *dns.Msg) {
			r := sane(m)
			if q := m.Question[0]; strings.HasPrefix(q.Name, "1.2.0.192.") && q.Qtype == dns.TypeA {
				r.Rcode, r.Answer = dns.RcodeSuccess, []dns.RR{a(m, "127.0.0.2")}
			}
			_ = w.WriteMsg(r)
		}, evidence.Listed, ""},
		{"silent", func(dns.ResponseWriter, *dns.Msg) {}, evidence.NoAnswer, "no reply"},
		{"rewrites NXDOMAIN", func(w dns.ResponseWriter, m *dns.Msg) {
			r := sane(m)
			if r.Rcode == dns.RcodeNameError {
				r.Rcode, r.Answer = dns.RcodeSuccess, []dns.RR{a(m, "203.0.113.80")}
			}
			_ = w.WriteMsg(r)
		}, evidence.NoAnswer, "outside 127.0.0.0/8"},
		{"hides the list", func(w dns.ResponseWriter, m *dns.Msg) {
			r := new(dns.Msg)
			r.SetRcode(m, dns.RcodeNameError)
			_ = w.WriteMsg(r)
		}, evidence.NoAnswer, "does not list its own test entry"},
		{"loses the first of each", func(w dns.ResponseWriter, m *dns.Msg) {
			q := m.Question[0].Name
			mu.Lock()
			first := !drops[q]
			drops[q] = true
			mu.Unlock()
			if first {
				return
			}
			_ = w.WriteMsg(sane(m))
		}, evidence.NotListed, ""},
		{"truncates over UDP", func(w dns.ResponseWriter, m *dns.Msg) {
			r := sane(m)
			if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
				r.Truncated, r.Answer, r.Rcode = true, nil, dns.RcodeSuccess
			}
			_ = w.WriteMsg(r)
		}, evidence.NotListed, ""},
		{"answers another question", func(w dns.ResponseWriter, m *dns.Msg) {
			r := sane(m)
			r.Question[0].Name = "evil.example."
			_ = w.WriteMsg(r)
		}, evidence.NoAnswer, "no reply"},
		{"answers with another id first", func(w dns.ResponseWriter, m *dns.Msg) {
			forged := sane(m)
			forged.Id++
			_ = w.WriteMsg(forged)
			_ = w.WriteMsg(sane(m))
		}, evidence.NotListed, ""},
		{"fails", func(w dns.ResponseWriter, m *dns.Msg) {
			r := new(dns.Msg)
			r.SetRcode(m, dns.RcodeServerFailure)
			_ = w.WriteMsg(r)
		}, evidence.NoAnswer, "SERVFAIL"},
		{"sends noise", func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte("not dns at all")) }, evidence.NoAnswer, "no reply"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := fmt.Sprintf("{discover: false, default_lists: false, resolvers: ['%s'], query_timeout: 150ms, addresses: [192.0.2.1], lists: [{zone: l.example}]}",
				fakeResolver(t, tt.f))
			f, gaps := look(t, config)
			got := result(f, "192.0.2.1", "l.example")
			if got.Result != tt.want || !strings.Contains(got.Why, tt.why) {
				t.Fatalf("%q (%s), want %q with %q", got.Result, got.Why, tt.want, tt.why)
			}
			if (tt.want == evidence.NoAnswer) != (len(gaps) > 0) {
				t.Fatalf("gaps %v", gaps)
			}
		})
	}
}

func TestDeadResolverGivesWayToTheNext(t *testing.T) {
	dead := fakeResolver(t, func(dns.ResponseWriter, *dns.Msg) {})
	good := fakeResolver(t, func(w dns.ResponseWriter, m *dns.Msg) { _ = w.WriteMsg(sane(m)) })
	f, gaps := look(t, fmt.Sprintf("{discover: false, default_lists: false, resolvers: ['%s', '%s'], query_timeout: 100ms, addresses: [192.0.2.1], lists: [{zone: l.example}]}", dead, good))
	if got := result(f, "192.0.2.1", "l.example"); got.Result != evidence.NotListed {
		t.Fatalf("%+v", got)
	}
	if len(gaps) != 1 || !strings.Contains(gaps[0].What, dead) || len(f.Resolvers) != 2 {
		t.Fatalf("gaps %v, resolvers %v", gaps, f.Resolvers)
	}
}

func TestKeyNeverShows(t *testing.T) {
	const key = "s3cretkey"
	resolver := fakeResolver(t, func(w dns.ResponseWriter, m *dns.Msg) {
		if !strings.Contains(m.Question[0].Name, key) {
			t.Errorf("asked without the key: %s", m.Question[0].Name)
		}
		r := sane(m)
		if m.Question[0].Qtype == dns.TypeTXT {
			r.Rcode, r.Answer = dns.RcodeSuccess, []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET},
				Txt: []string{"query " + m.Question[0].Name}}}
		} else if strings.HasPrefix(m.Question[0].Name, "25.2.0.192.") {
			r.Rcode, r.Answer = dns.RcodeSuccess, []dns.RR{a(m, "127.0.0.2")}
		}
		_ = w.WriteMsg(r)
	})
	f, gaps := look(t, fmt.Sprintf("{discover: false, default_lists: false, resolvers: ['%s'], addresses: [192.0.2.25], lists: [{zone: '{key}.zen.example', key: %s}]}", resolver, key))
	b, err := json.Marshal([]any{f, gaps})
	if err != nil || strings.Contains(string(b), key) {
		t.Fatalf("key shows in %s (%v)", b, err)
	}
	if result(f, "192.0.2.25", "key.zen.example").Result != evidence.Listed {
		t.Fatalf("%+v", f)
	}
}

func TestDiscovery(t *testing.T) {
	f, gaps := look(t, "{default_lists: false}", "10.0.0.5", "100.64.1.1", "fe80::1", "fd00::1", "192.168.1.1", "127.0.0.1")
	if len(f.Targets) != 0 || len(gaps) == 0 || !strings.Contains(gaps[0].Why, "private addresses") {
		t.Fatalf("targets %v, gaps %v", f.Targets, gaps)
	}
	f, _ = look(t, "{default_lists: false, resolvers: [127.0.0.1]}", "8.8.8.8", "2a00:1450::1", "10.0.0.1", "8.8.8.8")
	if len(f.Targets) != 2 || f.Targets[0].Found != "interface" {
		t.Fatalf("targets %v", f.Targets)
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for config, want := range map[string]string{
		"{lists: [{zone: nodots}]}":                   `list "nodots"`,
		"{lists: [{zone: a.example, tier: z}]}":       `tier "z"`,
		"{lists: [{zone: '{key}.example'}]}":          "belong together",
		"{addresses: [mail.example]}":                 "IPv4 or IPv6",
		"{resolvers: [dns.example]}":                  "want an IP address",
		"{adresses: [192.0.2.1]}":                     "adresses",
		"{tries: 0}":                                  "tries 0",
		"{lists: [{zone: a.example, families: [x]}]}": `family "x"`,
	} {
		_, err := dnsbl.Spec().New(decoder(config), &host.Host{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", config, err, want)
		}
	}
}

// 30 lists by 10 addresses at once: all answered, none lost to a full buffer.
func TestManyAtOnce(t *testing.T) {
	resolver := fakeResolver(t, func(w dns.ResponseWriter, m *dns.Msg) { _ = w.WriteMsg(sane(m)) })
	var lists, addrs []string
	for i := range 30 {
		lists = append(lists, fmt.Sprintf("{zone: l%d.example}", i))
	}
	for i := range 10 {
		addrs = append(addrs, fmt.Sprintf("192.0.2.%d", i+1))
	}
	f, gaps := look(t, fmt.Sprintf("{discover: false, default_lists: false, resolvers: ['%s'], addresses: [%s], lists: [%s]}",
		resolver, strings.Join(addrs, ","), strings.Join(lists, ",")))
	if len(f.Answers) != 300 || len(gaps) != 0 {
		t.Fatalf("%d answers, gaps %v", len(f.Answers), gaps)
	}
}

// A list that has no test entry can prove a listing, never that there is none.
func TestListWithoutTestEntry(t *testing.T) {
	resolver := rbldnsd(t, map[string]string{
		"good.example:ip4set":   ":127.0.0.2:x\n192.0.2.25\n",
		"world.example:ip4trie": ":127.0.0.2:x\n0.0.0.0/0\n",
	})
	f, gaps := look(t, fmt.Sprintf(`{discover: false, default_lists: false, resolvers: ['%s'], query_timeout: 300ms, addresses: [192.0.2.25, 192.0.2.26],
  lists: [{zone: good.example, positive: none}, {zone: world.example, positive: none}]}`, resolver))
	for _, tt := range [][3]string{
		{"192.0.2.25", "good.example", evidence.Listed}, {"192.0.2.26", "good.example", evidence.NoAnswer},
		{"192.0.2.25", "world.example", evidence.NoAnswer}, {"192.0.2.26", "world.example", evidence.NoAnswer},
	} {
		if got := result(f, tt[0], tt[1]); got.Result != tt[2] {
			t.Errorf("%v: %+v", tt, got)
		}
	}
	if len(gaps) != 2 {
		t.Errorf("gaps %v", gaps)
	}
}

// A closed port is found out at once, not after all time-outs.
func TestNobodyListens(t *testing.T) {
	closed := freeAddr(t)
	start := time.Now()
	f, gaps := look(t, fmt.Sprintf("{resolvers: ['%s'], addresses: [192.0.2.1, '2001:db8::1'], domains: [mail.example]}", closed))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if len(f.Answers) == 0 || len(gaps) == 0 {
		t.Fatalf("%+v, gaps %v", f, gaps)
	}
	for _, a := range f.Answers {
		if a.Result != evidence.NoAnswer || !strings.Contains(a.Why, "no name server listens") {
			t.Errorf("%+v", a)
		}
	}
}

// A name server that comes up again within the look is heard.
func TestNameServerRestarts(t *testing.T) {
	addr := freeAddr(t)
	up := make(chan *dns.Server, 1)
	time.AfterFunc(200*time.Millisecond, func() {
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			up <- nil
			return
		}
		s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { _ = w.WriteMsg(sane(m)) })}
		up <- s
		_ = s.ActivateAndServe()
	})
	f, _ := look(t, fmt.Sprintf("{discover: false, default_lists: false, resolvers: ['%s'], addresses: [192.0.2.1], lists: [{zone: l.example}]}", addr))
	if s := <-up; s == nil {
		t.Fatal("another program took the port meanwhile")
	} else {
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	if got := result(f, "192.0.2.1", "l.example"); got.Result != evidence.NotListed {
		t.Errorf("%+v", got)
	}
}

func TestNoNameServerKnown(t *testing.T) {
	f, gaps := look(t, "{addresses: [192.0.2.1]}") // a host without /etc/resolv.conf
	if len(gaps) == 0 || gaps[0].What != "name servers" || !strings.Contains(gaps[0].Why, "collectors.dnsbl.resolvers") {
		t.Errorf("gaps %v", gaps)
	}
	for _, a := range f.Answers {
		if a.Result != evidence.NoAnswer || a.Why != "no name server could be asked" {
			t.Errorf("%+v", a)
		}
	}
}

// More targets than a record can hold are cut, and a gap says so.
func TestTooManyTargets(t *testing.T) {
	var addrs []string
	for i := range 2000 {
		addrs = append(addrs, fmt.Sprintf("198.51.%d.%d", i/250, i%250))
	}
	f, gaps := look(t, fmt.Sprintf("{discover: false, resolvers: ['127.0.0.1:1'], addresses: [%s]}", strings.Join(addrs, ",")))
	if len(f.Targets) == 0 || len(f.Targets) >= 2000 || !strings.Contains(gaps[0].What, "more addresses") {
		t.Fatalf("%d targets, gaps %v", len(f.Targets), gaps[:1])
	}
	if b, err := evidence.FactsBlob(f, gaps); err != nil {
		t.Fatalf("%d bytes: %v", len(b), err)
	}
}

func TestDigFormat(t *testing.T) {
	data, err := os.ReadFile("testdata/dig.txt") // dig 9.18 asking rbldnsd
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range dnsbl.Formats() {
		if format.Name != "dnsbl-dig" {
			continue
		}
		l, err := format.Parse(data, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		f := l.Facts.(evidence.DNSBL)
		for _, tt := range [][3]string{
			{"192.0.2.25", "good.example", evidence.Listed}, {"192.0.2.26", "good.example", evidence.NotListed},
			{"192.0.2.25", "world.example", evidence.NoAnswer}, {"192.0.2.25", "unserved.example", evidence.NoAnswer},
			{"2001:db8:bad::25", "six.example", evidence.Listed},
		} {
			if got := result(f, tt[0], tt[1]); got.Result != tt[2] {
				t.Errorf("%v: %+v", tt, got)
			}
		}
		if len(f.Targets) != 3 {
			t.Errorf("targets %v: controls are none", f.Targets)
		}
		if got := result(f, "192.0.2.25", "good.example"); !strings.Contains(got.Text, "https://good.example/192.0.2.25") {
			t.Errorf("no reason: %+v", got)
		}
		return
	}
	t.Fatal("no such format")
}

// What is not in dig's output is no answer: a question that timed out, a header without
// its records, a record that was cut.
func TestDigCut(t *testing.T) {
	parse := func(data string) host.Look {
		t.Helper()
		for _, f := range dnsbl.Formats() {
			if f.Name == "dnsbl-dig" {
				l, err := f.Parse([]byte(data), time.Now())
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
		}
		t.Fatal("no such format")
		return host.Look{}
	}
	answer := func(name, status, records string, count int) string {
		return fmt.Sprintf("; <<>> DiG 9.18 <<>> %s A\n;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: %s, id: 1\n;; flags: qr rd ra; QUERY: 1, ANSWER: %d, AUTHORITY: 0, ADDITIONAL: 0\n\n;; QUESTION SECTION:\n;%s.\tIN\tA\n\n%s\n",
			name, status, count, name, records)
	}
	controls := answer("2.0.0.127.l.example", "NOERROR", ";; ANSWER SECTION:\n2.0.0.127.l.example. 60 IN A 127.0.0.2", 1) + answer("1.0.0.127.l.example", "NXDOMAIN", "", 0)
	clean := answer("25.2.0.192.l.example", "NXDOMAIN", "", 0)
	for _, c := range []struct {
		name, data, want string
		gaps             int
	}{
		{"whole", controls + clean, evidence.NotListed, 0},
		{"timed out beside it", controls + clean + "; <<>> DiG 9.18 <<>> 26.2.0.192.l.example A\n;; global options: +cmd\n;; connection timed out; no servers could be reached\n", evidence.NotListed, 1},
		{"cut behind a header", controls + clean + ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 2\n", evidence.NotListed, 1},
		{"fewer records than counted", controls + answer("25.2.0.192.l.example", "NOERROR", ";; ANSWER SECTION:", 2), evidence.NoAnswer, 1},
		{"cut in a record", controls + strings.TrimSuffix(answer("25.2.0.192.l.example", "NOERROR", ";; ANSWER SECTION:\n25.2.0.192.l.example. 60 IN A 127.0", 1), "\n"), evidence.NoAnswer, 1},
		{"only an AAAA record", controls + answer("25.2.0.192.l.example", "NOERROR", ";; ANSWER SECTION:\n25.2.0.192.l.example. 60 IN AAAA 2001:db8::1", 1), evidence.NoAnswer, 1},
		{"only an alias", controls + answer("25.2.0.192.l.example", "NOERROR", ";; ANSWER SECTION:\n25.2.0.192.l.example. 60 IN CNAME parked.example.", 1), evidence.NoAnswer, 1},
	} {
		l := parse(c.data)
		if got := result(l.Facts.(evidence.DNSBL), "192.0.2.25", "l.example"); got.Result != c.want || len(l.Gaps) != c.gaps {
			t.Errorf("%s: %+v, gaps %v, want %s and %d gaps", c.name, got, l.Gaps, c.want, c.gaps)
		}
	}
}
