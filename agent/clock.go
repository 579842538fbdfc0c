package agent

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/attesto/attesto/evidence"
)

// clockNow is what this host knows about its own clock.
func clockNow(now time.Time, delta time.Duration) evidence.Clock {
	c := evidence.Clock{Now: evidence.At(now), MaxErrorMs: -1, ServerDeltaMs: delta.Milliseconds()}
	readClock(&c)
	return c
}

// build names this very program by the digest of its file.
func build(version string) evidence.Build {
	b := evidence.Build{Name: "attesto-agent", Version: version}
	path, err := os.Executable()
	if err != nil {
		return b
	}
	f, err := os.Open(path)
	if err != nil {
		return b
	}
	defer f.Close() //nolint:errcheck // opened for reading
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return b
	}
	b.SHA256 = evidence.Digest(h.Sum(nil))
	return b
}

// machineDigest is the SHA-256 of the machine's id (machine-id(5)), zero where it
// has none. The id itself never leaves the host.
func machineDigest() evidence.Digest {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if b, err := os.ReadFile(path); err == nil && len(bytes.TrimSpace(b)) >= 32 {
			return evidence.Sum(fmt.Appendf(nil, "attesto machine %s", bytes.TrimSpace(b)))
		}
	}
	return evidence.Digest{}
}
