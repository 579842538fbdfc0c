package duties_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/attesto/attesto/server/duties"
)

// TestDigest has a digest read back, and named by the sum of what was written.
func TestDigest(t *testing.T) {
	d := duties.Digest{Org: "o_1", Service: "sc", At: now, Duties: []duties.Looked{{Duty: "SC-P1", Verdict: duties.Breached}}}
	b, sum, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var back duties.Digest
	if err := json.Unmarshal(b, &back); err != nil || back.Duties[0].Verdict != duties.Breached {
		t.Errorf("read back: %v, %v", back, err)
	}
	if want := sha256.Sum256(b); sum != hex.EncodeToString(want[:]) {
		t.Errorf("sum %s, want %x", sum, want)
	}
	d.Duties[0].Verdict = 99
	if _, _, err := d.Encode(); err == nil {
		t.Error("a digest of an unknown verdict was written")
	}
}
