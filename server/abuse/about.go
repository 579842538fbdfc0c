package abuse

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// About is the same for reports that speak of the same: of the same places, however they
// are spelled and in whatever order, for the same kind of abuse. It is empty where a
// report names anything that cannot be compared: then it is like no other.
//
// whose says that it tells more than addresses, which several can share.
func (r Report) About() (about string, whose bool) {
	var places []string
	for _, s := range r.Sources {
		if located(s) != nil {
			return "", false
		}
		s, shared := normal(s)
		places, whose = append(places, s), whose || !shared
	}
	if len(places) == 0 {
		return "", false
	}
	slices.Sort(places)
	return strings.ToLower(r.Kind) + "\n" + strings.Join(slices.Compact(places), "\n"), whose
}

// normal is a source as it is compared: the host in one spelling, the local part of a mail
// address and the path of a URL untouched. shared says that it is an address, and no more.
func normal(s string) (place string, shared bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		at := strings.LastIndexByte(s, '@') + 1
		host := Place(s[at:])
		return s[:at] + host, at == 0 && isAddr(host)
	}
	host, port := Place(u.Hostname()), u.Port()
	switch {
	case port != "":
		u.Host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		u.Host = "[" + host + "]"
	default:
		u.Host = host
	}
	if u.Path == "" { // is the same (RFC 3986 section 6.2.3)
		u.Path = "/"
	}
	return u.String(), u.Path == "/" && u.RawQuery == "" && isAddr(host)
}

func isAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// Place is an address or host name in the spelling in which it is compared: an IPv4
// address as such, a name in ASCII (RFC 5891), lower-cased and without the root's dot.
func Place(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	s = strings.TrimSuffix(s, ".")
	if ascii, err := idna.Lookup.ToASCII(s); err == nil {
		return ascii
	}
	return strings.ToLower(s) // "_dmarc.example.com" is no host's name
}
