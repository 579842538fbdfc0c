package evidence_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// The sets of others are in the folder of ATTESTO_FIXTURES, below 07-crypto; what
// each must give is theirs. Samples of our own stand in TestForeignSamples and in
// testdata/vectors, so that a clone without that folder tries every kind.
func foreign(t *testing.T, pattern string) []string {
	t.Helper()
	dir := os.Getenv("ATTESTO_FIXTURES")
	if dir == "" {
		t.Skip("ATTESTO_FIXTURES names no folder; TestForeignSamples tries the same with samples of our own")
	}
	found, err := filepath.Glob(filepath.Join(dir, "07-crypto", pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s in %s (%v)", pattern, dir, err)
	}
	t.Logf("fixtures 07-crypto/%s: %d files tried", pattern, len(found))
	return found
}

func load(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Project Wycheproof: a signature holds exactly when the set says so; keys that
// the set uses are all sound ones.
func TestFixturesWycheproof(t *testing.T) {
	for _, file := range foreign(t, "wycheproof/*.json") {
		var set struct {
			TestGroups []struct {
				PublicKeyDer string
				Tests        []struct {
					TcID         int
					Comment, Msg string
					Sig, Result  string
				}
			}
		}
		load(t, file, &set)
		n := 0
		for _, g := range set.TestGroups {
			key, err := evidence.ParsePublicKey(unhex(t, g.PublicKeyDer))
			if err != nil {
				t.Errorf("%s: key: %v", filepath.Base(file), err)
				continue
			}
			for _, c := range g.Tests {
				err := key.Verify(unhex(t, c.Msg), unhex(t, c.Sig))
				if (err == nil) != (c.Result == "valid") {
					t.Errorf("%s, case %d (%s): %s, but %v", filepath.Base(file), c.TcID, c.Comment, c.Result, err)
				}
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s holds no case", file)
		}
	}
}

// "Taming the many EdDSAs": none of its signatures is accepted. Those that
// crypto/ed25519 takes have a key outside of the prime-order group, or in another
// spelling.
func TestFixturesSpeccheck(t *testing.T) {
	for _, file := range foreign(t, "ed25519-speccheck/cases.json") {
		var cases []struct {
			Message   string
			PubKey    string `json:"pub_key"`
			Signature string
		}
		load(t, file, &cases)
		for i, c := range cases {
			raw := ed25519.PublicKey(unhex(t, c.PubKey))
			key, err := evidence.NewPublicKey(raw)
			if err == nil && key.Verify(unhex(t, c.Message), unhex(t, c.Signature)) == nil {
				t.Errorf("case %d: accepted", i)
			}
		}
		if len(cases) == 0 {
			t.Error("no cases")
		}
	}
}

// Bernstein's own vectors.
func TestFixturesSignInput(t *testing.T) {
	for _, file := range foreign(t, "ed25519-sign.input/*.txt") {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p := strings.Split(lines.Text(), ":")
			if len(p) < 4 {
				continue
			}
			key, err := evidence.NewPublicKey(ed25519.PublicKey(unhex(t, p[1])))
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Verify(unhex(t, p[2]), unhex(t, p[3])[:64]); err != nil {
				t.Errorf("%s…: %v", p[1][:16], err)
			}
		}
	}
}

// transparency-dev's proofs, of inclusion and of consistency.
func TestFixturesMerkle(t *testing.T) {
	hash := func(s string) (h tlog.Hash, ok bool) {
		b, err := base64.StdEncoding.DecodeString(s)
		return tlog.Hash(append(b, make([]byte, 32)...)[:32]), err == nil && len(b) == tlog.HashSize
	}
	path := func(list []string) (out []tlog.Hash, ok bool) {
		ok = true
		for _, s := range list {
			h, good := hash(s)
			out, ok = append(out, h), ok && good
		}
		return out, ok
	}
	for _, file := range foreign(t, "merkle/*.jsonl") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			var c struct {
				LeafIdx, TreeSize, Size1, Size2 int64
				Root, LeafHash, Root1, Root2    string
				Proof                           []string
				Desc                            string
				WantErr                         bool
			}
			if err := json.Unmarshal(line, &c); err != nil {
				continue // sizes beyond 63 bits, which no Head can hold
			}
			proof, ok := path(c.Proof)
			var got bool
			if c.Root != "" || c.LeafHash != "" {
				root, ok1 := hash(c.Root)
				leaf, ok2 := hash(c.LeafHash)
				got = ok && ok1 && ok2 && c.TreeSize >= 0 && c.LeafIdx >= 0 && checkRecord(proof, c.TreeSize, root, c.LeafIdx, leaf)
			} else {
				root1, ok1 := hash(c.Root1)
				root2, ok2 := hash(c.Root2)
				// Ours takes the proofs of equal sizes and from size 0 for empty and does
				// not look at them; a proof there is a second spelling, not a second log.
				ok1, ok2 = ok1 || c.Size1 == c.Size2 && c.Root1 == c.Root2, ok2 || c.Size1 == c.Size2 && c.Root1 == c.Root2 // any text will do there
				got = ok && ok1 && ok2 && c.Size1 > 0 && evidence.CheckConsistency(evidence.Head{Size: c.Size1, Root: root1}, evidence.Head{Size: c.Size2, Root: root2}, proof) == nil
			}
			same := c.Size1 == c.Size2 && c.Root1 == c.Root2
			if got == c.WantErr && (!same || len(c.Proof) == 0) {
				t.Errorf("%s: accepted %v: %s", c.Desc, got, line)
			}
		}
	}
}

func checkRecord(path []tlog.Hash, size int64, root tlog.Hash, index int64, leaf tlog.Hash) bool {
	return tlog.CheckRecord(path, size, root, index, leaf) == nil
}

// JSONTestSuite: what must be rejected is, as the payload of an envelope that is
// signed well; what only some accept is never a record either.
func TestFixturesJSON(t *testing.T) {
	key := keyOf(t, 8)
	for _, file := range foreign(t, "jsontestsuite/*/*.json") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		env, err := evidence.SealPayload(key, evidence.PayloadInToto, b)
		if err != nil {
			if strings.HasPrefix(name, "n_") {
				continue // not even an envelope
			}
			t.Fatal(err)
		}
		if _, err := evidence.Open(env, key.Public(), nil); err == nil {
			t.Errorf("%s was taken for a record", name)
		}
		if err := evidence.CheckJSON(b); err == nil && strings.HasPrefix(name, "n_") {
			t.Errorf("%s passed as JSON", name)
		} else if err != nil && strings.HasPrefix(name, "y_") && !strings.Contains(name, "duplicated_key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same kinds, with samples of our own.
func TestForeignSamples(t *testing.T) {
	ed := keyOf(t, 9)
	msg := []byte("attesto")
	sig, err := ed.Sign(msg)
	if err != nil {
		t.Fatal(err)
	}
	// S + L is the same number modulo L: a second signature for who only adds.
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	malleable := bytes.Clone(sig)
	carry := 0
	for i := range order {
		sum := int(malleable[32+i]) + int(order[i]) + carry
		malleable[32+i], carry = byte(sum), sum>>8
	}
	for name, bad := range map[string][]byte{"S not below the order": malleable, "cut": sig[:63], "longer": append(bytes.Clone(sig), 0), "none": nil} {
		if ed.Public().Verify(msg, bad) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, small := range []string{"0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000080",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"} {
		if _, err := evidence.NewPublicKey(ed25519.PublicKey(unhex(t, small))); err == nil {
			t.Errorf("key %s: accepted", small)
		}
	}
	for _, text := range []string{`{"a":1,}`, `[1`, `{"a":1 "b":2}`, `{'a':1}`, `+1`, `01`, `1.`, `.5`, `NaN`, "\xff", `"\uD800"`, `"\x"`, "\"\t\"", `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{} {}`, ``, "\xef\xbb\xbf{}",
		strings.Repeat("[", 100_000)} {
		if evidence.CheckJSON([]byte(text)) == nil {
			t.Errorf("passed as JSON: %.40q", text)
		}
	}
}
