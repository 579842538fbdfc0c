package web

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose word is taken about where a request comes from.
type Proxies []netip.Prefix

// ParseProxies reads networks (CIDR) and addresses; without any it is this very host.
func ParseProxies(list []string) (Proxies, error) {
	if len(list) == 0 {
		list = []string{"127.0.0.0/8", "::1"}
	}
	var out Proxies
	for _, text := range list {
		net, err := netip.ParsePrefix(text)
		if addr, bad := netip.ParseAddr(text); bad == nil {
			net, err = addr.Unmap().Prefix(addr.Unmap().BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%q: want a network or an address, such as 10.0.0.0/8", text)
		}
		out = append(out, net.Masked())
	}
	return out, nil
}

func (p Proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(addr.Unmap()) })
}

// ClientAddr is where a request comes from: the peer or, as long as that is a trusted
// proxy, whom it names last in X-Forwarded-For. What stands there before the first
// name of an untrusted host, its sender wrote itself. The zero address when it is not
// known.
func (p Proxies) ClientAddr(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	named := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(named) - 1; i >= 0 && p.trusts(addr); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(named[i]))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr
}

// located notes where each request comes from.
func (p Proxies) located(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), addrKey, p.ClientAddr(r))))
	})
}

// address is whom tries are counted for: a whole /64 of IPv6, which one host can
// have.
func address(r *http.Request) string {
	addr, _ := r.Context().Value(addrKey).(netip.Addr)
	if !addr.IsValid() {
		return r.RemoteAddr
	}
	if addr.Is6() {
		if net, err := addr.WithZone("").Prefix(64); err == nil {
			return net.String()
		}
	}
	return addr.String()
}
