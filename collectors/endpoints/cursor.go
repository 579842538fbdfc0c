package endpoints

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// cursor is what one look leaves to the next.
type cursor struct {
	V         int                 `json:"v"`
	Endpoints []evidence.Endpoint `json:"endpoints,omitempty"` // probes that were not reported yet
	State     string              `json:"state"`               // digest of what was wrong at the last look
}

const (
	cursorVersion = 1
	maxCursor     = 512 << 10
)

// readCursor reads the last look's cursor. A damaged one costs the probes of at most
// an hour, and a gap says so; so does a clock that went back behind them.
func readCursor(b []byte, now evidence.Time) (cursor, []evidence.Gap) {
	if len(b) == 0 {
		return cursor{}, nil
	}
	c, err := parseCursor(b)
	if err == nil {
		for _, e := range c.Endpoints {
			if e.Probes[len(e.Probes)-1].At.After(now.Time) {
				err = errors.New("the clock went back behind them")
			}
		}
	}
	if err != nil {
		return cursor{}, []evidence.Gap{{What: "probes since the last report", Why: err.Error()}}
	}
	return c, nil
}

func parseCursor(b []byte) (cursor, error) {
	var c cursor
	if len(b) > maxCursor {
		return c, fmt.Errorf("what was kept of them has %d bytes, over the limit of %d", len(b), maxCursor)
	}
	if err := evidence.CheckJSON(b); err != nil {
		return c, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, err
	}
	if c.V != cursorVersion || len(c.State) != 2*sha256.Size {
		return c, fmt.Errorf("version %d, want %d", c.V, cursorVersion)
	}
	if len(c.Endpoints) > 0 {
		return c, evidence.Endpoints{Endpoints: c.Endpoints}.Validate()
	}
	return c, nil
}

func (c cursor) encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the endpoints collector's cursor: %w", err)
	}
	return b, nil
}

// join puts kept probes before the new ones of the same service. Probes of a service
// that is no longer asked are reported with the others, once.
func (c cursor) join(seen []evidence.Endpoint) []evidence.Endpoint {
	var out []evidence.Endpoint
	for _, e := range seen {
		if i := slices.IndexFunc(c.Endpoints, func(k evidence.Endpoint) bool { return k.Name == e.Name }); i >= 0 {
			e.Probes = append(slices.Clone(c.Endpoints[i].Probes), e.Probes...)
		}
		out = append(out, e)
	}
	for _, k := range c.Endpoints {
		if len(out) < evidence.MaxEndpoints && !slices.ContainsFunc(seen, func(e evidence.Endpoint) bool { return e.Name == k.Name }) {
			out = append(out, k)
		}
	}
	return out
}

// state is a digest of what is wrong and of the certificates: when it changes, the
// server should hear of it now.
func state(seen []evidence.Endpoint) string {
	var lines []string
	for _, e := range seen {
		last := e.Probes[len(e.Probes)-1]
		line := e.Name + " " + last.Result + " " + last.Reason
		if e.TLS != nil {
			line += " " + e.TLS.Chain[0].SHA256.String() + " " + strings.Join(e.TLS.Trouble, ",")
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// Formats lists what this kind can read.
func Formats() []host.Format {
	return []host.Format{
		{Name: "certificate-pem", Title: "certificates as a service sends them, its own first (openssl s_client -showcerts, fullchain.pem)", Parse: explainChain},
		{Name: "proc-net-tcp", Title: "/proc/net/tcp and tcp6: the ports on which a host listens", Parse: explainListening},
	}
}

func explainChain(data []byte, at time.Time) (host.Look, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return host.Look{}, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return host.Look{}, errors.New("no certificate: want PEM, with BEGIN CERTIFICATE")
	}
	f := evidence.Endpoints{Endpoints: []evidence.Endpoint{{Name: "file", Proto: evidence.ProtoTCP, Found: evidence.EndpointConfigured,
		Probes: []evidence.Probe{{At: evidence.At(at), Result: evidence.ProbeUnknown, Reason: evidence.EndpointNetwork}},
		TLS:    describe(chain, "", "", at)}}}
	return host.Look{Facts: f, Gaps: []evidence.Gap{{What: "the service", Why: "only the file was read"}}}, f.Validate()
}

func explainListening(data []byte, at time.Time) (host.Look, error) {
	var f evidence.Endpoints
	for _, a := range ParseListening(data) {
		name := a.String()
		if len(f.Endpoints) == evidence.MaxEndpoints || slices.ContainsFunc(f.Endpoints, func(e evidence.Endpoint) bool { return e.Name == name }) {
			continue
		}
		proto := wellKnown[int(a.Port())]
		if proto == "" {
			proto = evidence.ProtoTCP
		}
		f.Endpoints = append(f.Endpoints, evidence.Endpoint{Name: name, Proto: proto, Found: evidence.EndpointListening,
			Probes: []evidence.Probe{{At: evidence.At(at), Result: evidence.ProbeUnknown, Reason: evidence.EndpointNetwork}}})
	}
	if len(f.Endpoints) == 0 {
		return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "ports that listen", Why: "there is none in this file"}}}, nil
	}
	return host.Look{Facts: f, Gaps: []evidence.Gap{{What: "the services", Why: "only the file was read"}}}, f.Validate()
}
