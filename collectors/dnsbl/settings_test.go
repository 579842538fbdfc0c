package dnsbl_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/dnsbl"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

func TestSpamhausKeyReplacesPublicZones(t *testing.T) {
	const key = "abcdefghijklmnopqrstuvwxyz"
	for _, config := range []string{
		"{spamhaus_key: " + key + "}",
		"{lists: [{zone: " + key + ".zen.dq.spamhaus.net}, {zone: '{key}.dbl.dq.spamhaus.net.', key: " + key + "}]}", // a key in the zone is taken out of it
	} {
		h := &host.Host{Now: time.Now, Addrs: func() ([]netip.Addr, error) { return nil, nil }, Resolvers: []string{"127.0.0.1:1"}}
		c, err := dnsbl.Spec().New(decoder(strings.TrimSuffix(config, "}")+", addresses: [192.0.2.1], domains: [mail.example]}"), h)
		if err != nil {
			t.Fatal(err)
		}
		l, err := c.Collect(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		zones := map[string]bool{}
		for _, list := range l.Facts.(evidence.DNSBL).Lists {
			zones[list.Zone] = true
		}
		if !zones["key.zen.dq.spamhaus.net"] || !zones["key.dbl.dq.spamhaus.net"] || zones["zen.spamhaus.org"] || zones["dbl.spamhaus.org"] {
			t.Errorf("%s: %v", config, zones)
		}
		b, err := json.Marshal(l)
		if shown := fmt.Sprintf("%+v %s", l, b); err != nil || strings.Contains(shown, key) {
			t.Errorf("key shows in %s", shown)
		}
	}
	shown, err := json.Marshal(dnsbl.Config{SpamhausKey: key, Lists: []dnsbl.List{{Key: key}}})
	if all := fmt.Sprintf("%v %+v %#v %s", dnsbl.Key(key), dnsbl.Config{SpamhausKey: key}, dnsbl.Key(key), shown); err != nil || strings.Contains(all, key) {
		t.Errorf("key shows in %s", all)
	}
	_, err = dnsbl.Spec().New(decoder("{lists: [{zone: "+key+".zen.dq.spamhaus.net, tier: z}]}"), &host.Host{})
	if err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("error %v", err)
	}
}

// Behind a NAT the address that the outside sees is not known: per family.
func TestPrivateAddressWithARoute(t *testing.T) {
	root := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("/proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\neth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n")
	put("/etc/postfix/main.cf", "# smtp_bind_address = 8.8.4.4\nsmtp_bind_address = 8.8.8.8\nsmtp_bind_address6 =\n  [2a00:1450::2]\n")
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("2a00:1450::1")}
	h := &host.Host{Root: root, Now: time.Now, Resolvers: []string{"127.0.0.1:1"}, Addrs: func() ([]netip.Addr, error) { return addrs, nil }}
	collect := func(config string) (found []string, gaps []evidence.Gap) {
		c, err := dnsbl.Spec().New(decoder(config), h)
		if err != nil {
			t.Fatal(err)
		}
		l, err := c.Collect(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range l.Facts.(evidence.DNSBL).Targets {
			found = append(found, target.Target+" "+target.Found)
		}
		return found, l.Gaps
	}
	if found, _ := collect("{default_lists: false}"); !slices.Equal(found, []string{"8.8.8.8 postfix", "2a00:1450::2 postfix", "2a00:1450::1 interface"}) {
		t.Errorf("found %v", found)
	}
	if err := os.Remove(filepath.Join(root, "/etc/postfix/main.cf")); err != nil {
		t.Fatal(err)
	}
	found, gaps := collect("{default_lists: false}")
	if len(found) != 1 || len(gaps) == 0 || gaps[0].What != "outgoing IPv4 address" || !strings.Contains(gaps[0].Why, "collectors.dnsbl.addresses") {
		t.Errorf("found %v, gaps %v", found, gaps)
	}
	if d := dnsbl.Spec().Detect(t.Context(), h); !d.Useful || len(d.Missing) != 1 {
		t.Errorf("%+v", d)
	}
	if _, gaps := collect("{default_lists: false, addresses: [203.0.113.9]}"); slices.ContainsFunc(gaps, func(g evidence.Gap) bool { return strings.HasPrefix(g.What, "outgoing") }) {
		t.Errorf("gaps %v", gaps)
	}
}
