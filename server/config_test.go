package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/attesto/attesto/server"
)

// The packaged file must be readable, and so must its examples.
func TestPackagedConfig(t *testing.T) {
	const path = "../packaging/conf/attesto-server.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?m)^# ( *(?:- )?[a-z_]+:(?: [^ ]+| Attesto <.*)?)$`)
	// Two examples of one key are one too many.
	optional := regexp.MustCompile(`(?m)^# ( +)# ([a-z_]+: [^ ]+)$`)
	text = optional.ReplaceAll(text, []byte("# $1$2"))
	all := strings.Replace(example.ReplaceAllString(string(text), "$1"), "store: postgres", "# store: postgres", 1)
	acme, files := regexp.MustCompile(`(?m)^tls:\n  acme:\n(    .*\n|# .*\n)+`), regexp.MustCompile(`(?m)^tls:\n  cert:.*\n  key:.*\n`)
	for name, content := range map[string]string{"as it is": string(text), "with its examples": acme.ReplaceAllString(all, ""), "by ACME": files.ReplaceAllString(all, "")} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "server.yaml")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := server.ReadConfig(file)
			if err == nil {
				err = c.Complete()
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, content)
			}
			if name == "by ACME" && (c.TLS.ACME == nil || c.TLS.ACME.HTTP != ":80" || c.TLS.ACME.CA == "" || len(c.TLS.ACME.Domains) != 1) {
				t.Errorf("the example of ACME was not read: %+v", c.TLS.ACME)
			}
			if name == "with its examples" && (c.SMTP.Host == "" || c.Reports.Address == "" || c.TLS.Cert == "" || c.Limits.PushBurst != 100 || c.Anchor == nil || len(c.Anchor.TSA) != 1 || len(c.Anchor.Witnesses) != 1) {
				t.Errorf("the examples were not read: %+v", c)
			}
		})
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"listn: 127.0.0.1:1\n", "listn"},
		{"listen: 8480\n", "HOST:PORT"},
		{"name: Not A Host\n", "host name"},
		{"public_url: proof.example.com\n", "public_url"},
		{"tls: {cert: x}\n", "both or none"},
		{"tls: {acme: {email: a@example.com}}\n", "domains"},
		{"tls: {cert: x, key: y, acme: {domains: [a.example]}}\n", "not both"},
		{"tls: {acme: {domains: [a.example], directory: http://ca.example/}}\n", "https://HOST/PATH"},
		{"tls: {acme: {domains: [a.example], http: \":80\"}}\n", "public_url"},
		{"trusted_proxies: [10.0.0.0/33]\n", "a network or an address"},
		{"oidc: {issuer: http://sso.example, client_id: a, client_secret_file: b}\n", "https://HOST"},
		{"oidc: {issuer: https://sso.example}\n", "client_secret_file"},
		{"oidc: {issuer: https://sso.example, client_id: a, client_secret_file: b, new_people_org: o_x, new_people_role: admin}\n", "viewer or auditor"},
		{"smtp: {host: mail}\n", "smtp.from"},
		{"reports: {listen: \":25\"}\n", "abuse@proof.example.com"},
		{"reports: {address: abuse@proof.example}\n", "reports.listen"},
		{"reports: {address: abuse@proof.example, listen: \":25\"}\n", "reports.from: name your mail servers"},
		{"reports: {address: abuse@proof.example, listen: \":25\", from: [mail.example]}\n", "a network or an address"},
		{"smtp: {tls: maybe}\n", "starttls"},
		{"limits: {push_burst: 0}\n", "above 0"},
		{"data: \"\"\n", "data"},
		{"anchor: {evry: 10m}\n", "evry"},
		{"anchor: {every: 1s}\n", "1m to 24h"},
		{"anchor: {publish: www}\n", "from the root"},
		{"anchor: {tsa: [{url: timestamp.example.com, ca: x}]}\n", "https://HOST"},
		{"anchor: {tsa: [{url: https://timestamp.example.com}]}\n", "PEM file"},
		{"anchor: {witnesses: [{url: https://w.example, vkey: w+00000000+BDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop}]}\n", "belong together"},
		{"listen: [\n", "configuration"},
	} {
		file := filepath.Join(t.TempDir(), "server.yaml")
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := server.ReadConfig(file)
		if err == nil {
			err = c.Complete()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}
