// Package evidence is the contract that agent, server and verifier share: how a
// look at a host becomes an item, how a run of items becomes one signed,
// numbered and chained record, how the log that holds it is proven, and how the
// two sides talk. It imports the standard library, golang.org/x/mod and the
// DSSE library only.
package evidence

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/tlog"
)

// Kind names what a collector looks at; its facts are defined in the file of
// the same name.
type Kind string

// The kinds that this version knows.
const (
	KindDNSBL      Kind = "dnsbl"
	KindBackup     Kind = "backup"
	KindHypervisor Kind = "hypervisor"
	KindEventLog   Kind = "eventlog"
	KindSoftware   Kind = "software"
	KindHealth     Kind = "health"
	KindEndpoints  Kind = "endpoints"
	KindStorage    Kind = "storage"
	KindAccounts   Kind = "accounts"
	KindAntivirus  Kind = "antivirus"
	KindMail       Kind = "mail"
	KindRestore    Kind = "restore"
	KindRestored   Kind = "restored" // the host itself was set back; no collector looks for it
)

// Outcome says whether a look worked. It is never a verdict on what was seen.
type Outcome uint8

// Failed is the zero value, so that nothing is complete by omission.
const (
	Failed      Outcome = iota // the look gave no facts
	Partial                    // facts hold, but gaps name what could not be seen
	Complete                   // everything that the collector is meant to see was seen
	Unsupported                // this host has nothing for this collector to see
)

var outcomeNames = [...]string{"failed", "partial", "complete", "unsupported"}

// String returns the word that stands in statements: failed, partial, complete
// or unsupported.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// MarshalText writes the outcome's word.
func (o Outcome) MarshalText() ([]byte, error) {
	if int(o) >= len(outcomeNames) {
		return nil, fmt.Errorf("unknown outcome %d", uint8(o))
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText reads an outcome's word and refuses any other.
func (o *Outcome) UnmarshalText(b []byte) error {
	for i, name := range outcomeNames {
		if string(b) == name {
			*o = Outcome(i)
			return nil
		}
	}
	return fmt.Errorf("unknown outcome %q", b)
}

// Gap is one thing that a look could not see, and why: "list
// zen.spamhaus.org", "answered 127.255.255.254: asked through an open resolver".
type Gap struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Digest is a SHA-256, written as 64 lower-case hexadecimal digits. The zero
// value stands for "none" and is written as the empty string.
type Digest [32]byte

// IsZero reports whether d stands for "none".
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns the hexadecimal form, empty for the zero value.
func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	return hex.EncodeToString(d[:])
}

// MarshalText writes the hexadecimal form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads exactly what MarshalText writes.
func (d *Digest) UnmarshalText(b []byte) error {
	parsed, err := ParseDigest(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// ParseDigest reads 64 lower-case hexadecimal digits, or the empty string for
// the zero value.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if s == "" {
		return d, nil
	}
	if len(s) != 64 {
		return d, fmt.Errorf("digest of %d characters: want 64 hexadecimal digits", len(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil || strings.ContainsFunc(s, unicode.IsUpper) {
		return Digest{}, fmt.Errorf("digest %q is not lower-case hexadecimal", s)
	}
	return d, nil
}

// Item is one look of one collector. Its facts (all that a check needs, without
// personal data) and its detail (erasable) travel beside the envelope as blobs
// and are named here by digest.
type Item struct {
	Kind     Kind
	Schema   int  // version of the kind's facts, from 1
	From, To Time // the window that the look speaks about; equal for a state
	Outcome  Outcome
	Reason   string // short code when the outcome is not Complete, such as "gaps" or "timeout"
	Facts    Digest // never zero: gaps and the reason of a failed look stand in the facts blob too
	Detail   Digest // zero when there is none
}

// Head is a size and root of an organisation's log, as known to who states it.
type Head struct {
	Origin string    `json:"origin"`
	Size   int64     `json:"size"`
	Root   tlog.Hash `json:"root"`
}

// Clock is what the host knew about its own clock when it sealed the record.
type Clock struct {
	Now           Time   `json:"now"`
	Synced        bool   `json:"synced"`        // the kernel or the time service says that the clock is disciplined
	MaxErrorMs    int64  `json:"maxErrorMs"`    // bound that the kernel gives, milliseconds; -1 if unknown
	BootID        string `json:"bootId"`        // changes with each boot; empty if unknown
	UptimeMs      int64  `json:"uptimeMs"`      // since boot, suspend included, milliseconds
	ServerDeltaMs int64  `json:"serverDeltaMs"` // server time minus own time at the last exchange, milliseconds
}

// Build names the program that looked.
type Build struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  Digest `json:"sha256"` // of the running binary
}

// Record is one run of an agent: what is signed, numbered, chained and logged.
type Record struct {
	Org, Agent string
	Seq        uint64 // from 1, without a hole
	Prev       Digest // SHA-256 of the previous statement's bytes; of the enrollment statement for Seq 1
	Log        Head   // the last head that the agent verified
	Items      []Item // at most one per kind
	Clock      Clock
	Collector  Build
	Lost       int // runs dropped since the last record because the spool was full
}

// Time is a moment in UTC with millisecond precision, written as RFC 3339 with
// exactly three decimals: one moment has one spelling.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At rounds t down to the millisecond in UTC.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// MarshalJSON writes the fixed layout.
func (t Time) MarshalJSON() ([]byte, error) {
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return nil, fmt.Errorf("time %v is outside 1970 to 9999", t.Time)
	}
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON accepts exactly the fixed layout.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("reading a time: %w", err)
	}
	parsed, ok := parseTime(s)
	if !ok {
		return fmt.Errorf("time %q is not of the form %s", s, timeLayout)
	}
	*t = parsed
	return nil
}
