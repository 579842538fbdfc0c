package rfc3161_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence/rfc3161"
)

const tsaConfig = `
[req]
distinguished_name = name
prompt = no
[name]
CN = Test TSA
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
[tsa]
default_tsa = one
[one]
serial = serial
signer_cert = signer.pem
signer_key = signer.key
certs = ca.pem
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500
ess_cert_id_alg = sha256
`

// stamper is a time-stamping authority made with OpenSSL.
type stamper struct {
	t   *testing.T
	dir string
}

func newStamper(t *testing.T, key ...string) stamper {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("openssl is missing: install the package openssl")
	}
	s := stamper{t, t.TempDir()}
	s.file("tsa.cnf", []byte(tsaConfig))
	s.file("serial", []byte("01\n"))
	s.openssl(append([]string{"req", "-config", "tsa.cnf", "-x509", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-extensions", "ca", "-newkey"}, key...)...)
	s.openssl(append([]string{"req", "-config", "tsa.cnf", "-new", "-nodes", "-keyout", "signer.key", "-out", "signer.csr", "-subj", "/CN=Test TSA signer", "-newkey"}, key...)...)
	s.openssl("x509", "-req", "-in", "signer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650", "-extfile", "tsa.cnf", "-extensions", "signer", "-out", "signer.pem")
	return s
}

func (s stamper) file(name string, data []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s stamper) read(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s stamper) openssl(args ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(context.Background(), "openssl", args...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// stamp makes a token over message.
func (s stamper) stamp(message []byte, digest string, query ...string) []byte {
	s.t.Helper()
	s.file("message", message)
	s.openssl(append([]string{"ts", "-query", "-data", "message", "-out", "query"}, query...)...)
	s.openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-token_out", "-out", "token", "-"+digest)
	return s.read("token")
}

func (s stamper) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.read("ca.pem"))
	return roots
}

func TestOpen(t *testing.T) {
	message := []byte("proof.example/anchor/1\n1\nroot\n\n— signature\n")
	for _, tt := range []struct {
		key    []string
		digest string
	}{
		{[]string{"rsa:2048"}, "sha256"}, {[]string{"rsa:2048"}, "sha512"},
		{[]string{"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, "sha256"}, {[]string{"ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, "sha384"},
	} {
		t.Run(tt.key[0]+" "+tt.digest, func(t *testing.T) {
			s := newStamper(t, tt.key...)
			token := s.stamp(message, tt.digest, "-sha256", "-cert")
			got, err := rfc3161.Open(token, message, s.roots())
			if err != nil || time.Since(got.Time).Abs() > time.Hour || got.Accuracy != 1500*time.Millisecond || got.Nonce == nil ||
				strings.Count(got.Chain, "BEGIN CERTIFICATE") != 2 {
				t.Fatalf("%+v: %v", got, err)
			}
			bare := s.stamp(message, tt.digest, "-sha256")
			long := s.stamp(message, tt.digest, "-sha512", "-cert")
			foreign := newStamper(t, tt.key...)
			for _, bad := range []struct {
				name           string
				token, message []byte
				roots          *x509.CertPool
				want           string
			}{
				{"another message", token, append(bytes.Clone(message), '\n'), s.roots(), "something else"},
				{"another root", token, message, foreign.roots(), "signer's certificate"},
				{"no root", token, message, x509.NewCertPool(), "signer's certificate"},
				{"no certificates", bare, message, s.roots(), "not in it"},
				{"another digest", long, message, s.roots(), "something else"},
				{"trailing bytes", append(bytes.Clone(token), 0), message, s.roots(), "after its end"},
				{"half", token[:len(token)/2], message, s.roots(), "token"},
				{"empty", nil, message, s.roots(), "token"},
				{"huge", make([]byte, rfc3161.MaxToken+1), message, s.roots(), "limit"},
			} {
				if _, err := rfc3161.Open(bad.token, bad.message, bad.roots); err == nil || !strings.Contains(err.Error(), bad.want) {
					t.Errorf("%s: %v, want %q", bad.name, err, bad.want)
				}
			}
			for i := range token {
				bad := bytes.Clone(token)
				bad[i] ^= 1
				if again, err := rfc3161.Open(bad, message, s.roots()); err == nil && !again.Time.Equal(got.Time) {
					t.Fatalf("byte %d flipped: %s", i, again.Time)
				}
			}
			// The time itself: a signature that does not hold is called so.
			at := bytes.Index(token, []byte(got.Time.Format("20060102150405")))
			token[at] ^= 1
			if _, err := rfc3161.Open(token, message, s.roots()); err == nil || !strings.Contains(err.Error(), "attributes") {
				t.Errorf("another time: %v", err)
			}
		})
	}
}

// A certificate that may do more than stamp, or that is not for stamping, does not
// stamp. OpenSSL refuses to sign with one; so the certificate is changed afterwards.
func TestOtherSigners(t *testing.T) {
	s := newStamper(t, "rsa:2048")
	message := []byte("x")
	s.stamp(message, "sha256", "-sha256", "-cert")
	good := s.read("signer.pem")
	for _, usage := range []string{"timeStamping, serverAuth", "critical, codeSigning"} {
		s.file("other.cnf", []byte(strings.ReplaceAll(tsaConfig, "extendedKeyUsage = critical, timeStamping", "extendedKeyUsage = "+usage)))
		s.openssl("x509", "-req", "-in", "signer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "7", "-days", "3650", "-extfile", "other.cnf", "-extensions", "signer", "-out", "other.pem")
		s.file("signer.pem", good)
		s.openssl("cms", "-sign", "-in", "message", "-binary", "-signer", "other.pem", "-inkey", "signer.key", "-certfile", "ca.pem", "-md", "sha256", "-outform", "DER", "-nodetach",
			"-econtent_type", "1.2.840.113549.1.9.16.1.4", "-out", "cms.der", "-nosmimecap")
		if _, err := rfc3161.Open(s.read("cms.der"), message, s.roots()); err == nil {
			t.Errorf("%s: accepted a message that is no time stamp", usage)
		}
		s.file("info.der", tstInfoOf(t, s.read("token")))
		s.openssl("cms", "-sign", "-in", "info.der", "-binary", "-signer", "other.pem", "-inkey", "signer.key", "-certfile", "ca.pem", "-md", "sha256", "-outform", "DER", "-nodetach",
			"-econtent_type", "1.2.840.113549.1.9.16.1.4", "-out", "cms.der", "-nosmimecap")
		if _, err := rfc3161.Open(s.read("cms.der"), message, s.roots()); err == nil || !strings.Contains(err.Error(), "for time stamps alone") {
			t.Errorf("%s: %v", usage, err)
		}
	}
	s.openssl("cms", "-sign", "-in", "info.der", "-binary", "-signer", "signer.pem", "-inkey", "signer.key", "-md", "sha256", "-outform", "DER", "-nodetach",
		"-econtent_type", "1.2.840.113549.1.9.16.1.4", "-out", "cms.der", "-nosmimecap", "-keyid")
	if _, err := rfc3161.Open(s.read("cms.der"), message, s.roots()); err != nil {
		t.Errorf("signer named by key: %v", err)
	}
}

// tstInfoOf takes the signed statement out of a token.
func tstInfoOf(t *testing.T, token []byte) []byte {
	t.Helper()
	var outer struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version int
			Digests asn1.RawValue
			Info    struct {
				Type  asn1.ObjectIdentifier
				Bytes []byte `asn1:"explicit,tag:0"`
			}
		} `asn1:"explicit,tag:0"`
	}
	if _, err := asn1.Unmarshal(token, &outer); err != nil {
		t.Fatal(err)
	}
	return outer.Content.Info.Bytes
}

func FuzzOpen(f *testing.F) {
	list, err := filepath.Glob("testdata/seeds/*.der")
	if err != nil || len(list) == 0 {
		f.Fatalf("no seeds (%v)", err)
	}
	for _, name := range list {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	roots := x509.NewCertPool()
	f.Fuzz(func(t *testing.T, token []byte) {
		if got, err := rfc3161.Open(token, []byte("x"), roots); err == nil {
			t.Errorf("verified without a root: %+v", got)
		}
	})
}
