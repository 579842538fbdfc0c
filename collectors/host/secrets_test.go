package host_test

import (
	"strings"
	"testing"

	"github.com/attesto/attesto/collectors/host"
)

func TestWithoutSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"Fatal: rest:https://bob:hunter2@backup.example/r is locked":   "Fatal: rest:https://[removed]@backup.example/r is locked",
		"RESTIC_PASSWORD=hunter2 AWS_SECRET_ACCESS_KEY='hunter2' x":    "RESTIC_PASSWORD=[removed] AWS_SECRET_ACCESS_KEY=[removed] x",
		`{"token": "hunter2", "b": 1}`:                                 `{"token": "[removed]", "b": 1}`,
		"run with --db-password hunter2 now":                           "run with --db-password [removed] now",
		"header Subject: hunter2 for you\nnext":                        "header Subject: [removed]\nnext",
		"Authorization: Basic aHVudGVyMg==":                            "Authorization: [removed]",
		"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END X-----\nafter": "-----BEGIN [removed]\nafter",
		"-----BEGIN PRIVATE KEY-----\nhunter2":                         "-----BEGIN [removed]",
		"key AKIAHUNTER2 in use":                                       "key [removed] in use",
		"passphrase supplied in BORG_PASSPHRASE is incorrect":          "passphrase supplied in BORG_PASSPHRASE is incorrect",
		"Fatal: wrong password or no key found":                        "Fatal: wrong password or no key found",
		"Permission denied: https://example.org/a@b":                   "Permission denied: https://example.org/a@b",
	} {
		if got := host.WithoutSecrets(text); got != want || strings.Contains(got, "hunter2") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
