package duties_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

// TestSuggest names services by what a host told of itself.
func TestSuggest(t *testing.T) {
	c := builtin(t)
	blob := func(f evidence.Facts) []byte {
		b, err := evidence.FactsBlob(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	software := func(names ...string) []byte {
		s := evidence.Software{OS: evidence.OSRelease{ID: "debian", Version: "13", Name: "Debian"}, Reboot: evidence.Reboot{Needed: evidence.No}}
		for _, n := range names {
			s.Products = append(s.Products, evidence.Product{Name: n, Version: "1"})
		}
		return blob(s)
	}
	endpoints := func(protos ...string) []byte {
		var e evidence.Endpoints
		for i, p := range protos {
			e.Endpoints = append(e.Endpoints, evidence.Endpoint{Name: fmt.Sprint(p, "://mx.example:", i), Proto: p, Found: evidence.EndpointConfigured, Probes: []evidence.Probe{{At: evidence.At(now), Result: evidence.ProbeUp}}})
		}
		return blob(e)
	}
	for _, tt := range []struct {
		name                string
		software, endpoints []byte
		ids, because        string
	}{
		{"nothing is known", nil, nil, "", ""},
		{"what cannot be read", []byte("{"), []byte("{"), "", ""},
		{"nothing that tells", software("openssl"), nil, "", ""},
		{"a mail server", software("openssl", "postfix"), nil, "pe", "postfix"},
		{"what answers as one", nil, endpoints(evidence.ProtoIMAPS), "pe", "imaps"},
		{"two of a kind", software("postfix", "dovecot"), endpoints(evidence.ProtoSMTP, evidence.ProtoSMTP), "pe", "dovecot, postfix, smtp"},
		{"two services", software("postfix"), endpoints(evidence.ProtoHTTPS), "wh, pe", "https, postfix"},
	} {
		ids, because := c.Suggest(tt.software, tt.endpoints)
		if strings.Join(ids, ", ") != tt.ids || strings.Join(because, ", ") != tt.because {
			t.Errorf("%s: %v because of %v, want %s because of %s", tt.name, ids, because, tt.ids, tt.because)
		}
	}
}

// TestCheckServices refuses services that are not there, or stand twice.
func TestCheckServices(t *testing.T) {
	c := builtin(t)
	for list, want := range map[string]string{"": "", "sc bk": "", "sc xx": `service "xx": want some of sc,wh,pe,bk`, "sc bk sc": `service "sc" is named twice`} {
		err := c.CheckServices(strings.Fields(list))
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: error %v, want %q", list, err, want)
		}
	}
}
