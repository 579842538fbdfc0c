package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/attesto/attesto/evidence"
)

// stated are the readers of signed statements other than records.
var stated = map[string]func(evidence.Envelope, evidence.PublicKey) error{
	"enrollment": func(env evidence.Envelope, _ evidence.PublicKey) error {
		_, _, err := evidence.OpenEnrollment(env)
		return err
	},
	"rotation": func(env evidence.Envelope, key evidence.PublicKey) error {
		_, _, err := evidence.OpenRotation(env, key)
		return err
	},
	"revocation": func(env evidence.Envelope, key evidence.PublicKey) error {
		_, err := evidence.OpenRevocation(env, key)
		return err
	},
	"erasure": func(env evidence.Envelope, key evidence.PublicKey) error {
		_, err := evidence.OpenErasure(env, key)
		return err
	},
	"epoch": func(env evidence.Envelope, key evidence.PublicKey) error {
		_, err := evidence.OpenEpoch(env, key)
		return err
	},
	"workflow": func(env evidence.Envelope, key evidence.PublicKey) error {
		_, err := evidence.OpenWorkflow(env, key)
		return err
	},
	"keyset": func(env evidence.Envelope, key evidence.PublicKey) error {
		k, err := evidence.OpenKeyset(env, key)
		if err != nil {
			return err
		}
		_, err = k.Log(evidence.Origin(k.Server, testOrg, 1))
		return err
	},
}

// readStated reads an envelope as one of stated.
func readStated(form string, input []byte, key evidence.PublicKey) error {
	env, err := evidence.ParseEnvelope(input)
	if err != nil {
		return err
	}
	return stated[form](env, key)
}

// readNote reads a checkpoint or a cosignature of one.
func readNote(v vector, key []byte) error {
	if len(key) < ed25519.PublicKeySize {
		return errors.New("no key")
	}
	raw := ed25519.PublicKey(key[len(key)-ed25519.PublicKeySize:])
	if v.Form == "cosignature" {
		_, err := evidence.VerifyCosignature(raw, v.Name, v.Input, []byte(v.Beside))
		return err
	}
	_, err := evidence.TrustedLog{Origin: v.Name, Keys: []ed25519.PublicKey{raw}}.OpenCheckpoint([]byte(v.Input))
	return err
}

// statements are one good statement of each form, all signed by key.
func statements(t testing.TB, key *evidence.FileKey) map[string]evidence.Envelope {
	t.Helper()
	at := evidence.At(testTime)
	b64 := base64.StdEncoding.EncodeToString
	log := key.Private().Public().(ed25519.PublicKey)
	head := func(n int64) evidence.Head { return evidence.Head{Origin: origin, Size: n} }
	made := map[string]evidence.Envelope{}
	add := func(form string, env evidence.Envelope, err error) {
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		made[form] = env
	}
	env, err := evidence.SealEnrollment(key, evidence.Enrollment{Org: testOrg, Token: "abcdefghij", Nonce: "n", Witness: b64(log),
		Hostname: "host.example", OS: "linux/amd64", Clock: evidence.Clock{Now: at}, KeyProtection: evidence.ProtectionFile})
	add("enrollment", env, err)
	env, err = evidence.SealRotation(key, fixedKey(t, 2), evidence.Rotation{Org: testOrg, Agent: testAgent, Seq: 7, Prev: evidence.Sum([]byte("6")),
		Clock: evidence.Clock{Now: at}, KeyProtection: evidence.ProtectionTPM})
	add("rotation", env, err)
	env, err = evidence.SealRevocation(key, evidence.Revocation{Org: testOrg, Agent: testAgent, At: at, Reason: "stolen", DistrustFrom: &at, Key: evidence.Sum(nil)})
	add("revocation", env, err)
	env, err = evidence.SealErasure(key, evidence.Erasure{Org: testOrg, At: at, Basis: "request", Scope: evidence.EraseBlobs, Blobs: []evidence.Digest{evidence.Sum(nil)}})
	add("erasure", env, err)
	env, err = evidence.SealEpoch(key, evidence.Epoch{Org: testOrg, Epoch: 2, At: at, Reason: "restored", Last: head(9), Kept: head(5), Checkpoint: "note"})
	add("epoch", env, err)
	env, err = evidence.SealWorkflow(key, evidence.Workflow{Org: testOrg, Event: "review.confirmed", At: at, By: "u_1", Duty: "BK-C1", Data: evidence.Sum(nil)})
	add("workflow", env, err)
	env, err = evidence.SealKeyset(key, evidence.Keyset{Version: 2, Server: "proof.example", LogKeys: []string{b64(log)}, ServerKeys: []string{b64(key.Public().SPKI())}, Since: at})
	add("keyset", env, err)
	return made
}

// custodyVectors are the vectors of statements, checkpoints and cosignatures.
func custodyVectors(t *testing.T) map[string]map[string]vector {
	key, other := fixedKey(t, 1), fixedKey(t, 3)
	good := statements(t, key)
	sets := map[string]map[string]vector{"accept": {}, "reject": {}}
	spki := func(k *evidence.FileKey) string { return strings.Trim(mustJSON(t, k.Public().SPKI()), `"`) }
	reject := func(v vector) { sets["reject"][v.Form+"-"+strings.ReplaceAll(v.What, " ", "-")] = v }
	for form, env := range good {
		sets["accept"][form] = vector{Form: form, What: "one that is sound", Input: string(env.Bytes()), Key: spki(key)}
		if form != "enrollment" { // it names its key itself
			reject(vector{Form: form, What: "another key", Input: string(env.Bytes()), Key: spki(other), Error: "signature does not verify"})
		}
	}
	// changed signs anew what was changed: the signature holds, the statement does not.
	changed := func(form, what, old, with, wantErr string) {
		payload := string(good[form].Payload())
		if !strings.Contains(payload, old) {
			t.Fatalf("%s has no %q: %s", form, old, payload)
		}
		kind := evidence.PayloadInToto
		if form == "keyset" {
			kind = evidence.PayloadKeyset
		}
		env, err := evidence.SealPayload(key, kind, []byte(strings.Replace(payload, old, with, 1)))
		if err != nil {
			t.Fatal(err)
		}
		reject(vector{Form: form, What: what, Input: string(env.Bytes()), Key: spki(key), Error: wantErr})
	}
	unnumbered, err := evidence.SealRotation(key, fixedKey(t, 2), evidence.Rotation{Org: testOrg, Agent: testAgent, Prev: evidence.Sum(nil), Clock: evidence.Clock{Now: evidence.At(testTime)}})
	if err != nil {
		t.Fatal(err)
	}
	reject(vector{Form: "rotation", What: "no number", Input: string(unnumbered.Bytes()), Key: spki(key), Error: "number 0"})
	changed("rotation", "a key without its proof", `"keyProtection":"tpm2"`, `"keyProtection":"file"`, "proof of the new key")
	changed("rotation", "a second spelling", `{"_type"`, ` {"_type"`, "not spelled")
	changed("rotation", "an agent of the wrong form", testAgent, "a_x", "proof of the new key")
	changed("revocation", "another kind of statement", "key-revocation/v1", "erasure/v1", "predicate")
	changed("revocation", "an agent of the wrong form", testAgent, "a_x", "want one agent")
	changed("revocation", "no key", `"sha256":"`, `"sha256":"z`, "digest")
	changed("erasure", "an unknown key", `"basis":`, `"more":1,"basis":`, "unknown field")
	changed("erasure", "a digest in upper case", `"sha256":"e3`, `"sha256":"E3`, "digest")
	changed("epoch", "more kept than there was", `"size":5`, `"size":50`, "entries kept")
	changed("epoch", "the first epoch", `"epoch":2`, `"epoch":1`, "epoch: 1")
	changed("epoch", "another checkpoint", `"checkpoint":"note"`, `"checkpoint":"forged"`, "not the checkpoint")
	changed("workflow", "a key twice", `"duty":`, `"duty":"","duty":`, "appears twice")
	changed("workflow", "another subject", "workflow.detail.json", "workflow.other.json", "want one subject")
	changed("keyset", "no version", `"version":2`, `"version":0`, "version 0")
	changed("keyset", "no log key", `"logKeys":["`+base64.StdEncoding.EncodeToString(key.Private().Public().(ed25519.PublicKey))+`"]`, `"logKeys":[]`, "0 log keys")
	changed("keyset", "a log key of small order", base64.StdEncoding.EncodeToString(key.Private().Public().(ed25519.PublicKey)),
		base64.StdEncoding.EncodeToString(make([]byte, 32)), "log key")
	changed("enrollment", "another subject", `"sha256":"`+evidence.Sum(key.Public().SPKI()).String(), `"sha256":"`+evidence.Sum(nil).String(), "subject is not the key")
	changed("enrollment", "a long name of host", "host.example", strings.Repeat("h", 254), "too long")
	stolen, err := evidence.SealPayload(other, evidence.PayloadInToto, good["enrollment"].Payload())
	if err != nil {
		t.Fatal(err)
	}
	reject(vector{Form: "enrollment", What: "a key of another", Input: string(stolen.Bytes()), Key: spki(key), Error: "proof of possession"})

	notes(t, sets, reject)
	return sets
}

func notes(t *testing.T, sets map[string]map[string]vector, reject func(vector)) {
	log, witness := fixedKey(t, 9), fixedKey(t, 4)
	signed, err := evidence.SignCheckpoint(log.Private(), evidence.Head{Origin: origin, Size: 2, Root: newTree([]byte("1\n"), []byte("2\n")).root(t, 2)})
	if err != nil {
		t.Fatal(err)
	}
	cp := vector{Form: "checkpoint", What: "of a log of two entries", Input: string(signed), Name: origin, Key: strings.Trim(mustJSON(t, log.Public().SPKI()), `"`)}
	sets["accept"]["checkpoint"] = cp
	name := evidence.WitnessName(origin, testAgent)
	line, err := evidence.Cosign(witness.Private(), name, signed, time.Unix(1782900000, 0))
	if err != nil {
		t.Fatal(err)
	}
	co := vector{Form: "cosignature", What: "of that checkpoint", Input: line, Name: name, Beside: string(signed), Key: strings.Trim(mustJSON(t, witness.Public().SPKI()), `"`)}
	sets["accept"]["cosignature"] = co
	re := func(v vector, what, old, with, wantErr string) vector {
		if !strings.Contains(v.Input, old) {
			t.Fatalf("no %q in %s", old, v.Input)
		}
		v.What, v.Input, v.Error = what, strings.Replace(v.Input, old, with, 1), wantErr
		return v
	}
	reject(re(cp, "another size", "\n2\n", "\n3\n", "invalid signature"))
	// Signed, but spelled otherwise.
	for what, text := range map[string]string{
		"a size with leading zero": origin + "\n02\n" + strings.SplitN(string(signed), "\n", 4)[2] + "\n",
		"a root cut short":         origin + "\n2\nAAAA\n",
		"two lines":                origin + "\n2\n",
	} {
		key := log.Private()
		vkey, err := evidence.TrustedLog{Origin: origin}.VKey(key.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		reject(vector{Form: "checkpoint", What: what, Input: signNote(t, key, vkey, text), Name: origin, Key: cp.Key, Error: "checkpoint: "})
	}
	foreign := cp
	foreign.Name = "proof.example/t/" + testOrg + "/2"
	reject(re(foreign, "another log", "", "", "no verifiable"))
	reject(vector{Form: "checkpoint", What: "no signature", Input: string(signed[:bytes.Index(signed, []byte("\n\n"))+2]), Name: origin, Key: cp.Key, Error: "malformed"})

	reject(re(co, "another witness", "/a/", "/b/", "not a line of this witness"))
	reject(re(co, "no newline", "\n", "", "not a line of this witness"))
	moved := co
	moved.Beside = strings.Replace(co.Beside, "\n2\n", "\n3\n", 1)
	reject(re(moved, "another checkpoint", "", "", "signature does not verify"))
	other := co
	other.Key = cp.Key
	reject(re(other, "another key", "", "", "of another key"))
}

func TestStatedFormsHaveVectors(t *testing.T) {
	for form := range stated {
		if files, _ := filepath.Glob(filepath.Join("testdata", "vectors", "*", form+"*.json")); len(files) < 3 {
			t.Errorf("%s has %d vectors", form, len(files))
		}
	}
}

// FuzzStatement signs any payload and reads it as each statement: the readers are
// what stands between a key's holder and the server.
func FuzzStatement(f *testing.F) {
	key := fixedKey(f, 1)
	for _, env := range statements(f, key) {
		f.Add(env.Payload())
	}
	files, _ := filepath.Glob(filepath.Join("testdata", "vectors", "*", "*.json"))
	for _, file := range files {
		v := readVector(f, file)
		if env, err := evidence.ParseEnvelope([]byte(v.Input)); err == nil {
			f.Add(env.Payload())
		}
	}
	pub := key.Public()
	f.Fuzz(func(_ *testing.T, payload []byte) {
		for _, kind := range []string{evidence.PayloadInToto, evidence.PayloadKeyset} {
			env, err := evidence.SealPayload(key, kind, payload)
			if err != nil {
				continue
			}
			for _, read := range stated {
				_ = read(env, pub)
			}
			_, _ = evidence.Open(env, pub, nil)
		}
	})
}

// FuzzCheckpoint reads signed notes, and signs any text and reads it as a checkpoint.
func FuzzCheckpoint(f *testing.F) {
	seedNotes(f, "checkpoint")
	key := fixedKey(f, 9).Private()
	log := evidence.TrustedLog{Origin: origin, Keys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}}
	vkey, err := log.VKey(log.Keys[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, input string) {
		_, _ = log.OpenCheckpoint([]byte(input))
		text, _, _ := strings.Cut(input, "\n\n")
		if signed := signNote(t, key, vkey, text+"\n"); signed != "" {
			if h, err := log.OpenCheckpoint([]byte(signed)); err == nil {
				again, err := evidence.SignCheckpoint(key, h)
				body, _, _ := strings.Cut(string(again), "\n\n")
				if err != nil || !strings.HasPrefix(text+"\n", body+"\n") {
					t.Fatalf("%q was read as %+v (%v)", text, h, err)
				}
			}
		}
	})
}

// FuzzCosignature reads lines of witnesses beside checkpoints.
func FuzzCosignature(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join("testdata", "vectors", "*", "cosignature*.json"))
	for _, file := range files {
		v := readVector(f, file)
		f.Add(v.Input, v.Beside)
	}
	key := fixedKey(f, 4).Private()
	name := evidence.WitnessName(origin, testAgent)
	f.Fuzz(func(t *testing.T, line, signed string) {
		_, _ = evidence.VerifyCosignature(key.Public().(ed25519.PublicKey), name, line, []byte(signed))
		at := time.Unix(int64(len(line)), 0).UTC()
		own, err := evidence.Cosign(key, name, []byte(signed), at)
		if err != nil {
			return
		}
		if got, err := evidence.VerifyCosignature(key.Public().(ed25519.PublicKey), name, own, []byte(signed)); err != nil || !got.Equal(at) {
			t.Fatalf("own cosignature: %s, %v", got, err)
		}
	})
}

func seedNotes(f *testing.F, form string) {
	files, err := filepath.Glob(filepath.Join("testdata", "vectors", "*", form+"*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		f.Add(readVector(f, file).Input)
	}
}

// signNote signs any text as a note of the log; "" where the form forbids the text.
func signNote(t testing.TB, key ed25519.PrivateKey, vkey, text string) string {
	t.Helper()
	parts := strings.SplitN(vkey, "+", 3)
	signer, err := note.NewSigner("PRIVATE+KEY+" + parts[0] + "+" + parts[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return ""
	}
	return string(signed)
}
