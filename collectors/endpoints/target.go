package endpoints

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// target is one service to ask.
type target struct {
	name    string // for people, without user and query
	proto   string
	address string // host:port
	url     string // of HTTP
	server  string // the name that its certificate must be for; "" demands none
	found   string
}

// ports are the well-known ports of the protocols (IANA).
var ports = map[string]int{evidence.ProtoHTTP: 80, evidence.ProtoHTTPS: 443, evidence.ProtoSMTP: 25, evidence.ProtoSMTPS: 465,
	evidence.ProtoIMAP: 143, evidence.ProtoIMAPS: 993, evidence.ProtoPOP3: 110, evidence.ProtoPOP3S: 995}

// parseTarget reads what the configuration names.
func parseTarget(text string) (target, error) {
	fail := func(why string) (target, error) {
		return target{}, fmt.Errorf("target %q: %s; want one such as https://shop.example/health, smtp://mx.example:25 or tcp://10.0.0.5:3306", text, why)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fail("not an address")
	}
	t := target{proto: strings.ToLower(u.Scheme), found: evidence.EndpointConfigured, server: u.Hostname()}
	if !slices.Contains(evidence.Protos(), t.proto) {
		return fail("unknown protocol")
	}
	web := t.proto == evidence.ProtoHTTP || t.proto == evidence.ProtoHTTPS
	port := u.Port()
	if port == "" && ports[t.proto] > 0 {
		port = strconv.Itoa(ports[t.proto])
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fail("no port")
	}
	if !web && (u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil) {
		return fail("only http and https take a path")
	}
	if t.server == "" || len(text) > 300 {
		return fail("no host, or over 300 bytes")
	}
	t.address = net.JoinHostPort(t.server, port)
	t.name = t.proto + "://" + t.address
	if web {
		t.url = u.String()
		shown := *u
		shown.User, shown.RawQuery, shown.Fragment = nil, "", ""
		t.name = shown.String()
	}
	return t, nil
}

// wellKnown are the ports that are asked where this host listens on them. 587 is mail
// submission (RFC 6409).
var wellKnown = map[int]string{25: evidence.ProtoSMTP, 587: evidence.ProtoSMTP, 465: evidence.ProtoSMTPS, 143: evidence.ProtoIMAP, 993: evidence.ProtoIMAPS,
	110: evidence.ProtoPOP3, 995: evidence.ProtoPOP3S, 80: evidence.ProtoHTTP, 443: evidence.ProtoHTTPS}

// listening are the well-known ports on which this host listens for others.
func listening(h *host.Host) ([]target, []evidence.Gap) {
	open := map[int]netip.Addr{}
	var gaps []evidence.Gap
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := h.ReadFile(path, 16<<20)
		if errors.Is(err, fs.ErrNotExist) {
			continue // without IPv6, or not on Linux
		}
		if err != nil {
			gaps = append(gaps, evidence.Gap{What: "ports that listen", Why: err.Error()})
			continue
		}
		for _, a := range ParseListening(b) {
			port := int(a.Port())
			if had, ok := open[port]; wellKnown[port] != "" && !a.Addr().IsLoopback() && (!ok || had.Is6() && a.Addr().Is4()) {
				open[port] = a.Addr()
			}
		}
	}
	var list []target
	for port, addr := range open {
		switch {
		case addr.IsUnspecified() && addr.Is4():
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case addr.IsUnspecified():
			addr = netip.IPv6Loopback()
		}
		t := target{proto: wellKnown[port], address: netip.AddrPortFrom(addr, uint16(port)).String(), found: evidence.EndpointListening}
		t.name = fmt.Sprintf("%s port %d", t.proto, port)
		t.url = t.proto + "://" + t.address + "/"
		list = append(list, t)
	}
	host.SortFunc(list, func(a, b target) int { return strings.Compare(a.name, b.name) })
	return list, gaps
}

// listen is the state of a listening socket in /proc/net/tcp (proc_pid_net(5)).
const listen = "0A"

// ParseListening reads the addresses on which sockets listen from /proc/net/tcp or
// tcp6 (proc_pid_net(5)): hexadecimal, each 32 bits in the machine's byte order.
func ParseListening(b []byte) []netip.AddrPort {
	var list []netip.AddrPort
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listen {
			continue
		}
		address, port, ok := strings.Cut(fields[1], ":")
		raw, err := hex.DecodeString(address)
		n, bad := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil || bad != nil || len(raw) != 4 && len(raw) != 16 {
			continue
		}
		for i := 0; i < len(raw); i += 4 {
			binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
		}
		addr, _ := netip.AddrFromSlice(raw)
		list = append(list, netip.AddrPortFrom(addr.Unmap(), uint16(n)))
	}
	return list
}
