package dnsbl_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/attesto/attesto/collectors/dnsbl"
	"github.com/attesto/attesto/collectors/host"
)

// BenchmarkLook asks 30 lists about 10 addresses, 40 ms away, and prints beside it
// what one question takes: a look should be two such round trips at most.
func BenchmarkLook(b *testing.B) {
	const latency = 40 * time.Millisecond
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		time.Sleep(latency)
		_ = w.WriteMsg(sane(m))
	})}
	go s.ActivateAndServe()
	b.Cleanup(func() { _ = s.Shutdown() })
	for name, size := range map[string][2]int{"1x1": {1, 1}, "30x10": {30, 10}} {
		b.Run(name, func(b *testing.B) {
			var lists, addrs []string
			for i := range size[0] {
				lists = append(lists, fmt.Sprintf("{zone: l%d.example}", i))
			}
			for i := range size[1] {
				addrs = append(addrs, fmt.Sprintf("192.0.2.%d", i+1))
			}
			config := fmt.Sprintf("{discover: false, default_lists: false, resolvers: ['%s'], addresses: [%s], lists: [%s]}",
				pc.LocalAddr(), strings.Join(addrs, ","), strings.Join(lists, ","))
			c, err := dnsbl.Spec().New(decoder(config), &host.Host{Now: time.Now})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				l, err := c.Collect(b.Context(), nil)
				if err != nil || len(l.Gaps) != 0 {
					b.Fatalf("gaps %v, %v", l.Gaps, err)
				}
			}
		})
	}
}
