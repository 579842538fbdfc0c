package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// verifier checks one bundle. Files, logs and what agents said come one after the
// other; only signatures are checked side by side.
type verifier struct {
	b      *bundle
	opt    options
	r      *report
	m      evidence.Manifest
	keyset evidence.Keyset
	agents map[string]*agentState
	absent map[evidence.Digest]string // facts and details that are named and not here, and where
	erased []place                    // erasure entries, to be held against absent

	stamps   map[string]evidence.Stamps // times from outside, by log
	anchored []evidence.Head            // heads that the anchor log holds
	named    map[string]bool            // keys of outside witnesses that the auditor trusts
}

// place is a record of an epoch.
type place struct {
	epoch int
	index int64
}

// begin reads who speaks: root key, keyset, manifest.
func (v *verifier) begin() error {
	pub, err := v.b.read(evidence.BundleRoot, maxSmall)
	if err != nil {
		return err
	}
	root, err := parsePublic(pub)
	if err != nil {
		return fmt.Errorf("%s: %w", evidence.BundleRoot, err)
	}
	v.r.RootKey = string(root.ID())
	if v.opt.root != "" && v.opt.root != v.r.RootKey {
		return fmt.Errorf("its root key is %s, not %s: it is of another server, or forged", root.ID(), v.opt.root)
	}
	env, err := v.envelope(evidence.BundleKeyset)
	if err != nil {
		return err
	}
	if v.keyset, err = evidence.OpenKeyset(env, root); err != nil {
		return err
	}
	raw, err := v.b.read(evidence.BundleManifest, maxSmall)
	if err != nil {
		return err
	}
	if v.m, err = evidence.ParseManifest(raw); err != nil {
		return err
	}
	if env, err = v.envelope(evidence.BundleSigned); err != nil {
		return err
	}
	key, err := v.keyset.ServerKey(env.KeyID())
	if err != nil {
		return fmt.Errorf("%s: %w", evidence.BundleSigned, err)
	}
	if err := evidence.CheckManifest(env, key, raw); err != nil {
		v.r.fail(evidence.BundleManifest, err)
	}
	if v.m.Server != v.keyset.Server {
		v.r.fail(evidence.BundleManifest, fmt.Errorf("of server %q, the keys are of %q", v.m.Server, v.keyset.Server))
	}
	v.r.begin(v.m)
	return nil
}

func (v *verifier) envelope(name string) (evidence.Envelope, error) {
	raw, err := v.b.read(name, evidence.MaxEnvelope)
	if err != nil {
		return evidence.Envelope{}, err
	}
	env, err := evidence.ParseEnvelope(raw)
	if err != nil {
		return env, fmt.Errorf("%s: %w", name, err)
	}
	return env, nil
}

func parsePublic(text []byte) (evidence.PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(strings.TrimSpace(string(rest))) > 0 {
		return evidence.PublicKey{}, errors.New("not one PEM block PUBLIC KEY")
	}
	return evidence.ParsePublicKey(block.Bytes)
}

// files holds every file to the digest in the signed list, and the list to what is
// there.
func (v *verifier) files() error {
	f, err := v.b.open(evidence.BundleSums, maxFile)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	whole := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(f, whole))
	lines.Buffer(make([]byte, 4096), 4096)
	n, last := int64(0), ""
	for lines.Scan() {
		if n++; n > maxFiles {
			return errTooMany
		}
		digest, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || !fs.ValidPath(name) {
			v.r.fail(evidence.BundleSums, fmt.Errorf("line %d: not a digest and a path", n))
			continue
		}
		if last != "" && comparePaths(last, name) >= 0 {
			v.r.fail(evidence.BundleSums, fmt.Errorf("line %d: %s is out of order", n, name))
		}
		last = name
		if err := v.sum(name, digest); err != nil {
			v.r.fail(name, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", evidence.BundleSums, err)
	}
	if evidence.Digest(whole.Sum(nil)) != v.m.Sums || n != v.m.Files {
		v.r.fail(evidence.BundleSums, errors.New("not the list that the server signed"))
	}
	v.r.Files = n
	return v.strangers(n)
}

// sum compares a file's digest without keeping the file.
func (v *verifier) sum(name, want string) error {
	f, err := v.b.open(name, maxFile)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxFile+1)); err != nil {
		return err
	}
	if evidence.Digest(h.Sum(nil)).String() != want {
		return errors.New("changed since the export: it has another digest than " + evidence.BundleSums + " says")
	}
	return nil
}

// strangers names files that the list does not have. The list's files are all
// different, so that counting tells whether there are any.
func (v *verifier) strangers(listed int64) error {
	found, left := int64(0), maxFiles
	if err := v.b.walk(".", &left, func(string) { found++ }); err != nil {
		return err
	}
	own := int64(len(unlisted))
	if found == listed+own {
		return nil
	}
	known := map[string]bool{}
	raw, err := v.b.read(evidence.BundleSums, maxFile)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		_, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		known[name] = true
	}
	left = maxFiles
	return v.b.walk(".", &left, func(name string) {
		if !known[name] && !slices.Contains(unlisted, name) {
			v.r.fail(name, errors.New("it was added after the export: "+evidence.BundleSums+" does not have it"))
		}
	})
}

// unlisted are the files that cannot stand in the list.
var unlisted = []string{evidence.BundleSums, evidence.BundleManifest, evidence.BundleSigned}

// comparePaths orders paths as a walk through folders meets them.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
