package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// anchored is a whole proof: a log of one entry whose checkpoint is the second of
// three entries of the anchor log.
func anchored(t *testing.T) (a evidence.Anchored, log, anchor evidence.TrustedLog, key ed25519.PrivateKey) {
	t.Helper()
	key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	trust := func(origin string) evidence.TrustedLog {
		return evidence.TrustedLog{Origin: origin, Keys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}}
	}
	log, anchor = trust(evidence.Origin("proof.example", "o_"+strings.Repeat("a", 26), 1)), trust(evidence.AnchorOrigin("proof.example", 1))
	a.Nonce = bytes.Repeat([]byte{9}, evidence.AnchorNonceSize)
	var err error
	if a.Checkpoint, err = evidence.SignCheckpoint(key, evidence.Head{Origin: log.Origin, Size: 1, Root: evidence.LeafHash([]byte("x\n"))}); err != nil {
		t.Fatal(err)
	}
	e := evidence.NewAnchorEntry(log.Origin, a.Checkpoint, a.Nonce)
	e.V, e.Time = 1, evidence.At(time.UnixMilli(1_700_000_000_123))
	if a.Entry, err = e.Line(); err != nil {
		t.Fatal(err)
	}
	leaves := []tlog.Hash{evidence.LeafHash([]byte("a\n")), evidence.LeafHash(a.Entry), evidence.LeafHash([]byte("b\n"))}
	root := evidence.CompactRange(nil).Push(0, leaves[0]).Push(1, leaves[1]).Push(2, leaves[2]).Root()
	note, err := evidence.SignCheckpoint(key, evidence.Head{Origin: anchor.Origin, Size: 3, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	a.Proof = evidence.Proof{Index: 1, Path: []tlog.Hash{leaves[0], leaves[2]}, Checkpoint: note}.Format()
	return a, log, anchor, key
}

func TestAnchored(t *testing.T) {
	a, log, anchor, _ := anchored(t)
	e, below, above, err := a.Verify(log, anchor)
	if err != nil || below.Size != 1 || above.Size != 3 || above.Origin != "proof.example/anchor/1" || e.Time.UnixMilli() != 1_700_000_000_123 {
		t.Fatalf("%+v %+v %+v: %v", e, below, above, err)
	}
	const line = `{"v":1,"time":"2023-11-14T22:13:20.123Z","log":"` // and two digests
	if !bytes.HasPrefix(a.Entry, []byte(line)) || len(a.Entry) != len(line)+64+len(`","cp":"`)+64+len("\"}\n") {
		t.Errorf("entry %s", a.Entry)
	}
	again, err := evidence.ParseAnchorEntry(a.Entry)
	if err != nil || again != e {
		t.Errorf("parsed %+v (%v)", again, err)
	}
	// Any changed byte of any part is noticed, and so is a part of another log.
	// The last character of a note's base64 has spare bits, which x/mod lets pass; a
	// time stamp is over the bytes, so there it is noticed.
	spare := bytes.LastIndexByte(a.Proof, '=') - 1
	for name, part := range map[string]*[]byte{"nonce": &a.Nonce, "checkpoint": &a.Checkpoint, "entry": &a.Entry, "proof": &a.Proof} {
		for i := range *part {
			(*part)[i] ^= 1
			if _, _, _, err := a.Verify(log, anchor); err == nil && (name != "proof" || i != spare) {
				t.Errorf("%s: byte %d flipped: verified", name, i)
			}
			(*part)[i] ^= 1
		}
	}
	if _, _, _, err := a.Verify(log, log); err == nil {
		t.Error("verified as another anchor log")
	}
	other := log
	other.Origin = strings.Replace(log.Origin, "/1", "/2", 1)
	if _, _, _, err := a.Verify(other, anchor); err == nil {
		t.Error("verified as another log")
	}
	short := a
	short.Nonce = a.Nonce[:8]
	if _, _, _, err := short.Verify(log, anchor); err == nil || !strings.Contains(err.Error(), "nonce") {
		t.Errorf("short nonce: %v", err)
	}
}

func TestParseAnchorEntry(t *testing.T) {
	a, _, _, _ := anchored(t)
	good := string(a.Entry)
	for name, bad := range map[string]string{
		"no newline":   strings.TrimSuffix(good, "\n"),
		"version":      strings.Replace(good, `"v":1`, `"v":2`, 1),
		"white space":  strings.Replace(good, `,"log"`, `, "log"`, 1),
		"second key":   strings.Replace(good, `"v":1`, `"v":1,"v":1`, 1),
		"another key":  strings.Replace(good, `"v":1`, `"v":1,"x":1`, 1),
		"no log":       `{"v":1,"time":"2023-11-14T22:13:20.123Z","log":"","cp":"` + strings.Repeat("1", 64) + "\"}\n",
		"two lines":    good + good,
		"empty":        "",
		"upper digits": strings.ToUpper(good),
	} {
		if _, err := evidence.ParseAnchorEntry([]byte(bad)); err == nil {
			t.Errorf("%s: %q accepted", name, bad)
		}
	}
}

func FuzzParseAnchorEntry(f *testing.F) {
	f.Add([]byte(`{"v":1,"time":"2023-11-14T22:13:20.123Z","log":"` + strings.Repeat("0a", 32) + `","cp":"` + strings.Repeat("1", 64) + "\"}\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := evidence.ParseAnchorEntry(line)
		if err != nil {
			return
		}
		if again, err := e.Line(); err != nil || !bytes.Equal(again, line) {
			t.Errorf("%q is written %q (%v)", line, again, err)
		}
	})
}

func TestWitnessVKey(t *testing.T) {
	_, _, _, key := anchored(t)
	pub := key.Public().(ed25519.PublicKey)
	good := evidence.WitnessVKey("w.example/1", pub)
	if name, got, err := evidence.ParseWitnessVKey(good); err != nil || name != "w.example/1" || !got.Equal(pub) {
		t.Errorf("%q %x %v", name, got, err)
	}
	logKey, err := evidence.TrustedLog{Origin: "w.example/1"}.VKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "w.example", good + "x", strings.Replace(good, "w.", "v.", 1), logKey, strings.ReplaceAll(good, "+", " "),
		evidence.WitnessVKey("", pub), evidence.WitnessVKey("a b", pub), evidence.WitnessVKey("zero", make([]byte, 32))} {
		if _, _, err := evidence.ParseWitnessVKey(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
