package evidence

import (
	"fmt"
	"slices"
)

// Endpoints says, per service that others reach over the network, whether it answered
// and which certificate it showed: up to an hour of probes, one each five minutes.
type Endpoints struct {
	Endpoints []Endpoint `json:"endpoints"`
}

// The protocols of an Endpoint.
const (
	ProtoTCP   = "tcp"
	ProtoHTTP  = "http"
	ProtoHTTPS = "https"
	ProtoSMTP  = "smtp"  // with STARTTLS where it is offered (RFC 3207)
	ProtoSMTPS = "smtps" // TLS from the start (RFC 8314)
	ProtoIMAP  = "imap"  // with STARTTLS where it is offered (RFC 3501)
	ProtoIMAPS = "imaps"
	ProtoPOP3  = "pop3" // with STLS where it is offered (RFC 2595)
	ProtoPOP3S = "pop3s"
)

// Protos lists the protocols of endpoints.
func Protos() []string {
	return []string{ProtoTCP, ProtoHTTP, ProtoHTTPS, ProtoSMTP, ProtoSMTPS, ProtoIMAP, ProtoIMAPS, ProtoPOP3, ProtoPOP3S}
}

// How an Endpoint was found.
const (
	EndpointConfigured = "config"    // named in the agent's config
	EndpointListening  = "listening" // a well-known port on which this host listens
)

// The results of a probe. Unknown says that the host itself could not ask.
const (
	ProbeUp      = "up"
	ProbeDown    = "down"
	ProbeUnknown = "unknown"
)

// The reasons of a probe that is not up; of one that is up, of its certificate.
const (
	EndpointRefused     = "refused"     // nobody listens
	EndpointTimeout     = "timeout"     // no answer in time
	EndpointClosed      = "closed"      // hung up before it answered
	EndpointStatus      = "status"      // answered that it does not serve: HTTP 4xx or 5xx, SMTP 4yz or 5yz, BYE, -ERR
	EndpointProtocol    = "protocol"    // answered something else than the protocol
	EndpointTLS         = "tls"         // no TLS session came about
	EndpointName        = "name"        // unknown: the name was not resolved
	EndpointNetwork     = "network"     // unknown: no way there from this host
	EndpointNoTLS       = "no_tls"      // the service offers no encryption
	EndpointUntrusted   = "untrusted"   // no chain to an authority that this host trusts
	EndpointWrongName   = "wrong_name"  // the certificate is for other names
	EndpointExpired     = "expired"     // its time is over
	EndpointNotYetValid = "not_yet"     // its time has not begun
	EndpointNotServed   = "http_status" // another HTTP status than the config wants
)

var endpointReasons = []string{"", EndpointRefused, EndpointTimeout, EndpointClosed, EndpointStatus, EndpointProtocol, EndpointTLS, EndpointName,
	EndpointNetwork, EndpointNoTLS, EndpointUntrusted, EndpointWrongName, EndpointExpired, EndpointNotYetValid, EndpointNotServed}

// The bounds of Endpoints.
const (
	MaxEndpoints = 64
	MaxProbes    = 12
	maxChain     = 8
)

// Endpoint is one service.
type Endpoint struct {
	Name   string  `json:"name"`   // the configured target without user and query, or protocol and port
	Proto  string  `json:"proto"`  // ProtoTCP …
	Found  string  `json:"found"`  // EndpointConfigured or EndpointListening
	Probes []Probe `json:"probes"` // oldest first
	TLS    *TLS    `json:"tls,omitempty"`
}

// Probe is one attempt.
type Probe struct {
	At     Time   `json:"at"`
	Result string `json:"result"`
	Reason string `json:"reason,omitempty"`
	Code   int    `json:"code,omitempty"` // HTTP status, or SMTP reply code (RFC 5321)
	Millis int    `json:"ms"`             // from the start to the answer
}

// TLS is the session of the last probe that came to one.
type TLS struct {
	Version string        `json:"version"`           // "TLS 1.3"
	Chain   []Certificate `json:"chain"`             // as sent, the service's own first; not empty
	Trouble []string      `json:"trouble,omitempty"` // EndpointUntrusted …
}

// Certificate is an X.509 certificate (RFC 5280).
type Certificate struct {
	Subject string `json:"subject"` // common name, or the first name that it is for
	Issuer  string `json:"issuer"`  // common name or organisation
	From    Time   `json:"from"`
	Until   Time   `json:"until"`
	SHA256  Digest `json:"sha256"` // of its DER form
}

// Kind returns KindEndpoints.
func (Endpoints) Kind() Kind { return KindEndpoints }

// Validate checks words, bounds and the order of probes.
func (e Endpoints) Validate() error {
	if len(e.Endpoints) == 0 || len(e.Endpoints) > MaxEndpoints {
		return fmt.Errorf("%d endpoints: want 1 to %d", len(e.Endpoints), MaxEndpoints)
	}
	names := map[string]bool{}
	for _, p := range e.Endpoints {
		if p.Name == "" || len(p.Name) > 300 || names[p.Name] {
			return fmt.Errorf("endpoint %q: a name of up to 300 bytes, once", p.Name)
		}
		names[p.Name] = true
		if err := p.validate(); err != nil {
			return fmt.Errorf("endpoint %q: %w", p.Name, err)
		}
	}
	return nil
}

func (p Endpoint) validate() error {
	switch {
	case !slices.Contains(Protos(), p.Proto):
		return fmt.Errorf("protocol %q", p.Proto)
	case p.Found != EndpointConfigured && p.Found != EndpointListening:
		return fmt.Errorf("found %q", p.Found)
	case len(p.Probes) == 0 || len(p.Probes) > MaxProbes:
		return fmt.Errorf("%d probes: want 1 to %d", len(p.Probes), MaxProbes)
	}
	for i, o := range p.Probes {
		switch {
		case o.At.IsZero() || i > 0 && o.At.Before(p.Probes[i-1].At.Time):
			return fmt.Errorf("probe %d is out of order", i)
		case o.Result != ProbeUp && o.Result != ProbeDown && o.Result != ProbeUnknown || !slices.Contains(endpointReasons, o.Reason):
			return fmt.Errorf("probe %d: result %q, reason %q", i, o.Result, o.Reason)
		case o.Result != ProbeUp && o.Reason == "":
			return fmt.Errorf("probe %d: %s without a reason", i, o.Result)
		case o.Code < 0 || o.Code > 999 || o.Millis < 0:
			return fmt.Errorf("probe %d: code %d, %d ms", i, o.Code, o.Millis)
		}
	}
	if p.TLS == nil {
		return nil
	}
	return p.TLS.validate()
}

func (t TLS) validate() error {
	if len(t.Chain) == 0 || len(t.Chain) > maxChain || len(t.Version) > 16 {
		return fmt.Errorf("%q with %d certificates: want 1 to %d", t.Version, len(t.Chain), maxChain)
	}
	for _, c := range t.Chain {
		if len(c.Subject) > 256 || len(c.Issuer) > 256 || c.SHA256.IsZero() || c.Until.Before(c.From.Time) {
			return fmt.Errorf("certificate %q of %q", c.Subject, c.Issuer)
		}
	}
	for _, r := range t.Trouble {
		if r == "" || !slices.Contains(endpointReasons, r) {
			return fmt.Errorf("trouble %q", r)
		}
	}
	return nil
}
