package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is one file in testdata/vectors: what a reader of the form gets, and
// what it must say. Inputs are text; other implementations can use the files.
type vector struct {
	Form   string `json:"form"`             // of readForm
	What   string `json:"what"`             // what the vector shows
	Input  string `json:"input"`            // exact text
	Key    string `json:"key,omitempty"`    // SPKI (base64) that signed, where the form asks for one
	Name   string `json:"name,omitempty"`   // a checkpoint's origin, a cosignature's witness
	Beside string `json:"beside,omitempty"` // the signed checkpoint that a cosignature is of
	Error  string `json:"error,omitempty"`  // part of the error's text; empty: must be accepted
}

// readForm reads input as form; it is the one list of readers of outside bytes.
func readForm(v vector, key []byte) error {
	form, input := v.Form, []byte(v.Input)
	if stated[form] != nil {
		pub, err := evidence.ParsePublicKey(key)
		if err != nil {
			return err
		}
		return readStated(form, input, pub)
	}
	switch form {
	case "checkpoint", "cosignature":
		return readNote(v, key)
	case "envelope":
		env, err := evidence.ParseEnvelope(input)
		if err != nil {
			return err
		}
		pub, err := evidence.ParsePublicKey(key)
		if err != nil {
			return err
		}
		_, err = evidence.Open(env, pub, nil)
		return err
	case "record":
		_, err := evidence.ParseRecord(input)
		return err
	case "entry":
		_, err := evidence.ParseEntry(input)
		return err
	case "proof":
		_, err := evidence.ParseProof(input)
		return err
	case "facts":
		_, _, err := evidence.DecodeFacts[evidence.DNSBL](input)
		return err
	case "token":
		_, err := evidence.ParseToken(string(input))
		return err
	case "json":
		return evidence.CheckJSON(input)
	case "publickey":
		_, err := evidence.ParsePublicKey(input)
		return err
	}
	return fmt.Errorf("no reader for form %q", form)
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	for _, dir := range []string{"accept", "reject"} {
		files, err := filepath.Glob(filepath.Join("testdata", "vectors", dir, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no vectors in %s: %v", dir, err)
		}
		for _, file := range files {
			t.Run(dir+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				v := readVector(t, file)
				var key []byte
				if v.Key != "" {
					if err := json.Unmarshal([]byte(`"`+v.Key+`"`), &key); err != nil {
						t.Fatal(err)
					}
				}
				err := readForm(v, key)
				switch {
				case dir == "accept" && err != nil:
					t.Fatalf("refused: %v", err)
				case dir == "reject" && err == nil:
					t.Fatalf("accepted, want an error with %q", v.Error)
				case dir == "reject" && (v.Error == "" || !strings.Contains(err.Error(), v.Error)):
					t.Fatalf("error %q, want %q in it", err, v.Error)
				}
			})
		}
	}
}

func readVector(t testing.TB, file string) vector {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// writeVectors makes the files from fixed keys and one fixed record.
func writeVectors(t *testing.T) {
	key := fixedKey(t, 1)
	facts := `{"salt":"00112233445566778899aabbccddeeff","gaps":[],"facts":` + mustJSON(t, testFacts()) + `}`
	rec := testRecord(evidence.Sum([]byte(facts)), evidence.Digest{})
	stmtBytes, err := rec.Statement()
	if err != nil {
		t.Fatal(err)
	}
	stmt := string(stmtBytes)
	env, err := evidence.SealPayload(key, evidence.PayloadInToto, stmtBytes)
	if err != nil {
		t.Fatal(err)
	}
	envelope := string(env.Bytes())
	entryBytes, err := evidence.Entry{V: 1, Time: evidence.At(testTime), Type: evidence.EntryEvidence, Agent: testAgent, Seq: 1,
		Prev: rec.Prev, Stmt: env.StatementDigest(), Env: env.Digest()}.Line()
	if err != nil {
		t.Fatal(err)
	}
	entry := string(entryBytes)
	tr := newTree([]byte("first\n"), entryBytes)
	cp, err := evidence.SignCheckpoint(fixedKey(t, 9).Private(), evidence.Head{Origin: origin, Size: 2, Root: tr.root(t, 2)})
	if err != nil {
		t.Fatal(err)
	}
	proof := string(evidence.Proof{Index: 1, Path: tr.inclusion(t, 2, 1), Checkpoint: cp}.Format())
	token := evidence.Token{ID: "abcdefghij", Secret: bytes.Repeat([]byte{5}, 16), Pin: bytes.Repeat([]byte{6}, 16)}.String()

	re := func(form, what, old, with, wantErr string) vector {
		base := map[string]string{"envelope": envelope, "record": stmt, "entry": entry, "proof": proof, "facts": facts, "token": token}[form]
		if old != "" && !strings.Contains(base, old) {
			t.Fatalf("%s: base has no %q", what, old)
		}
		return vector{Form: form, What: what, Input: strings.Replace(base, old, with, 1), Error: wantErr}
	}
	sets := map[string]map[string]vector{
		"accept": {
			"envelope": re("envelope", "a sealed record", "", "", ""),
			"record":   re("record", "its statement", "", "", ""),
			"entry":    re("entry", "its line in the log", "", "", ""),
			"proof":    re("proof", "its inclusion proof", "", "", ""),
			"facts":    re("facts", "its facts blob", "", "", ""),
			"token":    re("token", "an enrollment token", "", "", ""),
		},
		"reject": {
			"envelope-space":         re("envelope", "white space before a value", `"payloadType":`, `"payloadType": `, "one permitted spelling"),
			"envelope-key-order":     {Form: "envelope", What: "keys in another order", Input: swapKeys(t, envelope), Error: "one permitted spelling"},
			"envelope-two-sigs":      re("envelope", "two signatures", `"signatures":[`, `"signatures":[{"keyid":"","sig":""},`, "exactly one"),
			"envelope-no-sig":        {Form: "envelope", What: "no signature", Input: envelope[:strings.Index(envelope, `[{`)] + `[]}`, Error: "exactly one"},
			"envelope-extra-key":     re("envelope", "an unknown key", `{"payload":`, `{"more":1,"payload":`, "unknown field"),
			"envelope-double-key":    re("envelope", "a key twice", `{"payload":`, `{"payload":"","payload":`, "appears twice"),
			"envelope-case-key":      re("envelope", "a key that differs in case", `{"payload":`, `{"PayLoad":"","payload":`, "appears twice"),
			"envelope-trailing":      {Form: "envelope", What: "data after the envelope", Input: envelope + "{}", Error: "after top-level value"},
			"envelope-payload-type":  re("envelope", "another payload type under the same signature", "application/vnd.in-toto+json", "application/vnd.in-toto+jsom", "wrong payload type"),
			"envelope-keyid":         re("envelope", "another key named", `"keyid":"SHA256:`, `"keyid":"SHA256;`, "signature does not verify"),
			"record-org":             re("record", "an organisation id of the wrong form", testOrg, "o_x", "organisation id"),
			"record-seq-zero":        re("record", "number 0", `"seq":1,`, `"seq":0,`, "sequence number"),
			"record-seq-float":       re("record", "a number that is not whole", `"seq":1,`, `"seq":1.5,`, "seq"),
			"record-unknown-key":     re("record", "an unknown key", `"seq":1,`, `"seq":1,"extra":1,`, "unknown field"),
			"record-unnamed-subject": re("record", "a subject that no item names", `"subjects":[0]`, `"subjects":[]`, "named by items"),
			"record-far-subject":     re("record", "an item that names a subject that is not there", `"subjects":[0]`, `"subjects":[0,7]`, "names subject"),
			"record-outcome":         re("record", "an unknown outcome", `"outcome":"complete"`, `"outcome":"perfect"`, "unknown outcome"),
			"record-time":            re("record", "a time with another precision", `.118Z"`, `.1180Z"`, "not of the form"),
			"record-predicate":       re("record", "another predicate type", "evidence/v1", "evidence/v9", "predicate"),
			"record-digest-case":     re("record", "a digest in upper case", `"sha256":"`, `"sha256":"A`, "digest"),
			"entry-no-newline":       {Form: "entry", What: "no newline", Input: strings.TrimSuffix(entry, "\n"), Error: "no newline"},
			"entry-version":          re("entry", "another version", `"v":1`, `"v":2`, "version 2"),
			"proof-index-zeroes":     re("proof", "an index with leading zeroes", "index 1", "index 01", "want the index"),
			"proof-header":           re("proof", "another version of the form", "@v1", "@v2", "not of the form"),
			"proof-hash":             re("proof", "a hash cut short", "=\n", "\n", "is no hash"),
			"facts-clean-unproven":   re("facts", "not listed under a list without controls", `"controls":"passed"`, `"controls":"no_answer"`, "whose controls are"),
			"facts-unknown-key":      re("facts", "an unknown key", `"resolvers":`, `"email":"a@example.org","resolvers":`, "unknown field"),
			"facts-unknown-result":   re("facts", "an unknown result", `"result":"not_listed"`, `"result":"fine"`, "result \"fine\""),
			"token-cut":              {Form: "token", What: "cut short", Input: token[:30], Error: "copy it whole"},
			"json-invalid-utf8":      {Form: "json", What: "an unpaired surrogate", Input: `"\ud800"`, Error: "surrogate"},
			"json-depth":             {Form: "json", What: "nesting over 16", Input: strings.Repeat("[", 17) + strings.Repeat("]", 17), Error: "nesting over 16"},
			"json-long-s":            {Form: "json", What: "a key that encoding/json folds to another", Input: `{"seq":1,"ſeq":2}`, Error: "appears twice"},
		},
	}
	custody := custodyVectors(t)
	for dir, set := range sets {
		maps.Copy(set, custody[dir])
		if err := os.MkdirAll(filepath.Join("testdata", "vectors", dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, v := range set {
			if v.Form == "envelope" {
				v.Key = strings.Trim(mustJSON(t, key.Public().SPKI()), `"`)
			}
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("testdata", "vectors", dir, name+".json"), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func swapKeys(t *testing.T, envelope string) string {
	t.Helper()
	payload, rest, ok := strings.Cut(strings.TrimPrefix(envelope, "{"), `,"signatures"`)
	if !ok {
		t.Fatal("no signatures in envelope")
	}
	return `{"signatures"` + strings.TrimSuffix(rest, "}") + "," + payload + "}"
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mustSPKI(t *testing.T) []byte {
	spki := fixedKey(t, 1).Public().SPKI()
	return spki[:len(spki)-32]
}

// The 14 small-order encodings and a non-canonical one are refused as keys.
func TestWeakKeysAreRefused(t *testing.T) {
	prefix := mustSPKI(t)
	weak := [][]byte{make([]byte, 32)}
	for _, first := range []byte{1, 0xec, 0xed, 0xee, 0xf0} {
		k := make([]byte, 32)
		if first > 1 {
			k = bytes.Repeat([]byte{0xff}, 32)
			k[31] = 0x7f
		}
		k[0] = first
		weak = append(weak, k)
	}
	for _, k := range weak {
		for _, sign := range []byte{0, 0x80} {
			k[31] |= sign
			if _, err := evidence.ParsePublicKey(append(bytes.Clone(prefix), k...)); err == nil {
				t.Errorf("key %x accepted", k)
			}
		}
	}
	good := fixedKey(t, 1).Private().Public().(ed25519.PublicKey)
	if _, err := evidence.ParsePublicKey(append(bytes.Clone(prefix), good...)); err != nil {
		t.Errorf("good key refused: %v", err)
	}
}

func fuzzForm(f *testing.F, form string) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		if v := readVector(f, file); v.Form == form {
			f.Add([]byte(v.Input))
		}
	}
	key := fixedKey(f, 1).Public().SPKI()
	f.Fuzz(func(_ *testing.T, input []byte) {
		_ = readForm(vector{Form: form, Input: string(input)}, key)
	})
}

func FuzzEnvelope(f *testing.F) { fuzzForm(f, "envelope") }
func FuzzRecord(f *testing.F)   { fuzzForm(f, "record") }
func FuzzEntry(f *testing.F)    { fuzzForm(f, "entry") }
func FuzzProof(f *testing.F)    { fuzzForm(f, "proof") }
func FuzzFacts(f *testing.F)    { fuzzForm(f, "facts") }
func FuzzToken(f *testing.F)    { fuzzForm(f, "token") }

// What reads as a record is what was written: the statement of a parsed record
// parses to the same record.
func FuzzRecordRoundTrip(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join("testdata", "vectors", "*", "record*.json"))
	for _, file := range files {
		f.Add([]byte(readVector(f, file).Input))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		r, err := evidence.ParseRecord(input)
		if err != nil {
			return
		}
		again, err := r.Statement()
		if err != nil {
			t.Fatalf("parsed record does not encode: %v", err)
		}
		if _, err := evidence.ParseRecord(again); err != nil {
			t.Fatalf("encoded record does not parse: %v", err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	key := fixedKey(b, 1)
	env, blobs := seal(b, key)
	pub := key.Public()
	b.Run("bare_ed25519_verify", func(b *testing.B) {
		raw := key.Private().Public().(ed25519.PublicKey)
		msg := env.PAE()
		sig := ed25519.Sign(key.Private(), msg)
		for b.Loop() {
			if !ed25519.Verify(raw, msg, sig) {
				b.Fatal("does not verify")
			}
		}
	})
	b.Run("parse_and_open", func(b *testing.B) {
		for b.Loop() {
			e, err := evidence.ParseEnvelope(env.Bytes())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := evidence.Open(e, pub, blobs); err != nil {
				b.Fatal(err)
			}
		}
	})
}
