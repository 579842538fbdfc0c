package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/attesto/attesto/evidence"
)

func keyOf(t *testing.T, b byte) *evidence.FileKey {
	t.Helper()
	k, err := evidence.NewFileKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	someOrg   = "o_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	someAgent = "a_bbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func rotation() evidence.Rotation {
	return evidence.Rotation{Org: someOrg, Agent: someAgent, Seq: 7, Prev: evidence.Sum([]byte("6")), Clock: evidence.Clock{Now: evidence.At(testTime)},
		KeyProtection: evidence.ProtectionFile}
}

func TestRotation(t *testing.T) {
	old, next, other := keyOf(t, 1), keyOf(t, 2), keyOf(t, 3)
	env, err := evidence.SealRotation(old, next, rotation())
	if err != nil {
		t.Fatal(err)
	}
	r, key, err := evidence.OpenRotation(env, old.Public())
	if err != nil || key.ID() != next.KeyID() || r.Seq != 7 {
		t.Fatalf("%+v, key %s: %v", r, key.ID(), err)
	}
	if _, _, err := evidence.OpenRotation(env, other.Public()); err == nil {
		t.Error("opened with a key that did not sign")
	}
	// Whoever holds only the old key cannot put a key in that another owns.
	stolen := strings.Replace(string(env.Payload()), r.SPKI, base64.StdEncoding.EncodeToString(other.Public().SPKI()), 1)
	forged, err := evidence.SealPayload(old, evidence.PayloadInToto, []byte(stolen))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := evidence.OpenRotation(forged, old.Public()); err == nil {
		t.Error("a key without its own proof was accepted")
	}
	spaced, err := evidence.SealPayload(old, evidence.PayloadInToto, append(bytes.Clone(env.Payload()), ' '))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := evidence.OpenRotation(spaced, old.Public()); err == nil {
		t.Error("a second spelling was accepted")
	}
	same, err := evidence.SealRotation(old, old, rotation())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := evidence.OpenRotation(same, old.Public()); err == nil {
		t.Error("a rotation to the same key was accepted")
	}
}

func TestStatedByTheServer(t *testing.T) {
	server, other := keyOf(t, 4), keyOf(t, 5)
	at := evidence.At(testTime)
	head := func(n int64) evidence.Head { return evidence.Head{Origin: "s/t/" + someOrg + "/1", Size: n} }
	revocation := evidence.Revocation{Org: someOrg, Agent: someAgent, At: at, Reason: "stolen", DistrustFrom: &at, Key: evidence.Sum([]byte("key"))}
	erasure := evidence.Erasure{Org: someOrg, At: at, Basis: "request", Scope: evidence.EraseBlobs, Blobs: []evidence.Digest{evidence.Sum([]byte("1")), evidence.Sum([]byte("2"))}}
	epoch := evidence.Epoch{Org: someOrg, Epoch: 2, At: at, Reason: "restored", Last: head(9), Kept: head(5), Checkpoint: "note"}

	env, err := evidence.SealRevocation(server, revocation)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := evidence.OpenRevocation(env, server.Public()); err != nil || got.Key != revocation.Key || !got.DistrustFrom.Equal(at.Time) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := evidence.OpenRevocation(env, other.Public()); err == nil {
		t.Error("a revocation by another key was accepted")
	}
	if _, err := evidence.OpenErasure(env, server.Public()); err == nil {
		t.Error("a revocation was read as an erasure")
	}

	if env, err = evidence.SealErasure(server, erasure); err != nil {
		t.Fatal(err)
	}
	if got, err := evidence.OpenErasure(env, server.Public()); err != nil || len(got.Blobs) != 2 || got.Blobs[1] != erasure.Blobs[1] {
		t.Errorf("%+v, %v", got, err)
	}

	if env, err = evidence.SealEpoch(server, epoch); err != nil {
		t.Fatal(err)
	}
	if got, err := evidence.OpenEpoch(env, server.Public()); err != nil || got.Last != epoch.Last || got.Kept != epoch.Kept {
		t.Errorf("%+v, %v", got, err)
	}

	revocation.Reason = "Mario Rossi lost it"
	if _, err := evidence.SealRevocation(server, revocation); err == nil {
		t.Error("free text went into the log")
	}
	erasure.Blobs = nil
	if _, err := evidence.SealErasure(server, erasure); err == nil {
		t.Error("an erasure of nothing was sealed")
	}
	epoch.Kept = head(10)
	if _, err := evidence.SealEpoch(server, epoch); err == nil {
		t.Error("an epoch that kept more than there was was sealed")
	}
}
