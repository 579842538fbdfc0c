package main

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/attesto/attesto/evidence"
)

// Bounds of what is read from a bundle.
const (
	maxFile    = evidence.MaxBlob
	maxRecords = 2_000_000
	maxFiles   = 4 + 2*evidence.MaxItems // per record
)

// keys are the keys that a bundle brings along.
type keys struct {
	log    evidence.TrustedLog
	agents map[string]evidence.PublicKey
}

// record is one record's files.
type record struct {
	index    int64
	envelope evidence.Envelope
	receipt  evidence.Receipt
	blobs    map[evidence.Digest][]byte
}

// bundle reads a folder and never leaves it: os.Root refuses ".." and links
// that lead outside.
type bundle struct{ root *os.Root }

func (b bundle) read(name string) ([]byte, error) {
	f, err := b.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return data, nil
}

// list names the entries of a folder, at most limit.
func (b bundle) list(name string, limit int) ([]fs.DirEntry, error) {
	f, err := b.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	entries, err := f.ReadDir(limit + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) > limit {
		return nil, fmt.Errorf("%s: %w", name, errTooMany)
	}
	return entries, nil
}

func (b bundle) keys() (keys, error) {
	k := keys{agents: map[string]evidence.PublicKey{}}
	vkey, err := b.read("keys/log.vkey")
	if err != nil {
		return k, fmt.Errorf("log key: %w", err)
	}
	k.log, err = parseVKey(strings.TrimSpace(string(vkey)))
	if err != nil {
		return k, fmt.Errorf("keys/log.vkey: %w", err)
	}
	files, err := b.list("keys/agents", 100_000)
	if err != nil {
		return k, fmt.Errorf("agents' keys: %w", err)
	}
	for _, f := range files {
		agent, ok := strings.CutSuffix(f.Name(), ".pub")
		if !ok {
			continue
		}
		name := path.Join("keys/agents", f.Name())
		data, err := b.read(name)
		if err != nil {
			return k, err
		}
		block, _ := pem.Decode(data)
		if block == nil {
			return k, fmt.Errorf("%s: no PEM block PUBLIC KEY", name)
		}
		if k.agents[agent], err = evidence.ParsePublicKey(block.Bytes); err != nil {
			return k, fmt.Errorf("%s: %w", name, err)
		}
	}
	return k, nil
}

// parseVKey reads a verifier key of c2sp.org/signed-note for an Ed25519 log.
func parseVKey(vkey string) (evidence.TrustedLog, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return evidence.TrustedLog{}, err
	}
	_, hashAndKey, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(hashAndKey, "+")
	raw, err := evidence.DecodeBase64(encoded)
	if err != nil {
		return evidence.TrustedLog{}, err
	}
	if len(raw) != 1+ed25519.PublicKeySize {
		return evidence.TrustedLog{}, fmt.Errorf("a key of %d bytes, want an Ed25519 key", len(raw))
	}
	return evidence.TrustedLog{Origin: v.Name(), Keys: []ed25519.PublicKey{raw[1:]}}, nil
}

// indexes lists the records by log index, in order.
func (b bundle) indexes() ([]int64, error) {
	dirs, err := b.list("records", maxRecords)
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	var out []int64
	for _, d := range dirs {
		index, err := strconv.ParseInt(d.Name(), 10, 64)
		if err != nil || index < 0 || strconv.FormatInt(index, 10) != d.Name() {
			return nil, fmt.Errorf("records/%s: not a log index", d.Name())
		}
		out = append(out, index)
	}
	slices.Sort(out)
	return out, nil
}

func (b bundle) record(index int64) (record, error) {
	r := record{index: index, blobs: map[evidence.Digest][]byte{}}
	dir := path.Join("records", strconv.FormatInt(index, 10))
	env, err := b.read(path.Join(dir, "envelope.json"))
	if err != nil {
		return r, err
	}
	if r.envelope, err = evidence.ParseEnvelope(env); err != nil {
		return r, err
	}
	if r.receipt.Entry, err = b.read(path.Join(dir, "entry.json")); err != nil {
		return r, err
	}
	if r.receipt.Proof, err = b.read(path.Join(dir, "entry.tlog-proof")); err != nil {
		return r, err
	}
	files, err := b.list(dir, maxFiles)
	if err != nil {
		return r, err
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".facts.json") && !strings.HasSuffix(f.Name(), ".detail.json") {
			continue
		}
		blob, err := b.read(path.Join(dir, f.Name()))
		if err != nil {
			return r, err
		}
		r.blobs[evidence.Sum(blob)] = blob
	}
	return r, nil
}
