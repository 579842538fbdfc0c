package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/attesto/attesto/server/web"
)

// Whose word counts about where a request comes from: only that of trusted proxies,
// from the nearest on.
func TestWhereRequestsComeFrom(t *testing.T) {
	for _, c := range []struct {
		proxies []string
		peer    string
		headers []string
		want    string
	}{
		{nil, "203.0.113.9:4711", nil, "203.0.113.9"},
		{nil, "203.0.113.9:4711", []string{"198.51.100.7"}, "203.0.113.9"}, // no proxy of ours
		{nil, "127.0.0.1:4711", []string{"198.51.100.7"}, "198.51.100.7"},
		{nil, "[::1]:4711", []string{"2001:db8::7"}, "2001:db8::7"},
		{nil, "127.0.0.1:4711", []string{"10.9.9.9, 198.51.100.7"}, "198.51.100.7"}, // the first its sender wrote
		{nil, "127.0.0.1:4711", []string{"10.9.9.9", "198.51.100.7"}, "198.51.100.7"},
		{nil, "127.0.0.1:4711", []string{"nonsense"}, "127.0.0.1"},
		{nil, "127.0.0.1:4711", nil, "127.0.0.1"},
		{[]string{"10.0.0.0/8"}, "10.1.2.3:80", []string{"198.51.100.7, 10.4.5.6"}, "198.51.100.7"}, // two proxies
		{[]string{"10.0.0.0/8"}, "127.0.0.1:80", []string{"198.51.100.7"}, "127.0.0.1"},
		{[]string{"10.1.2.3"}, "[::ffff:10.1.2.3]:80", []string{"198.51.100.7"}, "198.51.100.7"},
		{[]string{"10.1.2.3"}, "10.1.2.4:80", []string{"198.51.100.7"}, "10.1.2.4"},
		{nil, "@", []string{"198.51.100.7"}, "invalid IP"},
	} {
		p, err := web.ParseProxies(c.proxies)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		for _, h := range c.headers {
			r.Header.Add("X-Forwarded-For", h)
		}
		if got := p.ClientAddr(r).String(); got != c.want {
			t.Errorf("%v, peer %s, %v: %s, want %s", c.proxies, c.peer, c.headers, got, c.want)
		}
	}
	for _, wrong := range []string{"10.0.0.0/33", "proxy.example", ""} {
		if _, err := web.ParseProxies([]string{wrong}); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
