package main

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/evidence/rfc3161"
)

// stampReport is one time from outside over a log.
type stampReport struct {
	Origin  string        `json:"origin"`
	Size    int64         `json:"size"`
	Time    evidence.Time `json:"time"`
	By      string        `json:"by"`
	Trusted bool          `json:"trusted"` // leads to a root that the auditor named (--tsa-ca)
}

// slack is how far the server's clock and an outside one may differ.
const slack = 5 * time.Minute

// maxAnchors bounds the proofs and the tokens of each.
const maxAnchors = 10_000

// anchors checks what speaks for the logs from outside and puts it in order by log.
func (v *verifier) anchors() error {
	v.stamps = map[string]evidence.Stamps{}
	defer v.demandNamed()
	list, err := fs.ReadDir(v.b.fsys, "anchor")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(list) > maxAnchors {
		return fmt.Errorf("anchor: %w", errTooMany)
	}
	stamps := map[string][]evidence.Stamp{}
	for _, e := range list {
		dir := path.Join("anchor", e.Name())
		if err := v.anchor(dir, stamps); err != nil {
			v.r.fail(dir, err)
		}
	}
	for origin, list := range stamps {
		if v.stamps[origin], err = evidence.NewStamps(list, slack); err != nil {
			v.r.fail("anchor", err)
			delete(v.stamps, origin)
		}
	}
	slices.SortFunc(v.r.Stamps, func(a, b stampReport) int { return a.Time.Compare(b.Time.Time) })
	return nil
}

// anchor checks one way from a log to the anchor log, and what was said about that.
func (v *verifier) anchor(dir string, stamps map[string][]evidence.Stamp) error {
	var a evidence.Anchored
	for name, to := range map[string]*[]byte{"checkpoint": &a.Checkpoint, "entry.json": &a.Entry, "entry.tlog-proof": &a.Proof, "nonce": &a.Nonce} {
		var err error
		if *to, err = v.b.read(path.Join(dir, name), maxSmall); err != nil {
			return err
		}
	}
	var err error
	if a.Nonce, err = hex.DecodeString(strings.TrimSpace(string(a.Nonce))); err != nil {
		return fmt.Errorf("nonce: %w", err)
	}
	proof, err := evidence.ParseProof(a.Proof)
	if err != nil {
		return err
	}
	below, err := v.logOf(a.Checkpoint)
	if err != nil {
		return err
	}
	above, err := v.keyset.Log(firstLine(proof.Checkpoint))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(above.Origin, v.keyset.Server+"/anchor/") {
		return fmt.Errorf("log %q is not an anchor log", above.Origin)
	}
	entry, head, _, err := a.Verify(below, above)
	if err != nil {
		return err
	}
	v.anchored = append(v.anchored, head)
	if err := v.outside(dir, proof.Checkpoint, head); err != nil {
		return err
	}
	times, err := v.tokens(dir, proof.Checkpoint)
	for _, t := range times {
		t.Origin, t.Size = head.Origin, head.Size
		v.r.Stamps = append(v.r.Stamps, t)
		stamps[head.Origin] = append(stamps[head.Origin], evidence.Stamp{Size: head.Size, Anchored: entry.Time.Time, Stamped: t.Time.Time})
	}
	return err
}

// logOf is the trust in the log of this organisation that a checkpoint names.
func (v *verifier) logOf(checkpoint []byte) (evidence.TrustedLog, error) {
	origin := firstLine(checkpoint)
	for _, e := range v.m.Epochs {
		if e.Origin == origin {
			return v.keyset.Log(origin)
		}
	}
	return evidence.TrustedLog{}, fmt.Errorf("log %q is not one of this bundle", origin)
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return string(line)
}

// tokens checks the time stamps over a checkpoint of the anchor log.
func (v *verifier) tokens(dir string, message []byte) (list []stampReport, err error) {
	for n := 1; n <= maxAnchors; n++ {
		base := path.Join(dir, strconv.Itoa(n))
		if !v.b.exists(base + ".tst") {
			return list, nil
		}
		der, err := v.b.read(base+".tst", maxSmall)
		if err != nil {
			return list, err
		}
		roots, trusted, err := v.roots(base + ".pem")
		if err != nil {
			return list, err
		}
		token, err := rfc3161.Open(der, message, roots)
		if err != nil {
			return list, fmt.Errorf("time stamp %s.tst: %w", base, err)
		}
		by := "?"
		if block, _ := pem.Decode([]byte(token.Chain)); block != nil {
			if c, err := x509.ParseCertificate(block.Bytes); err == nil {
				by = c.Subject.String()
			}
		}
		list = append(list, stampReport{Time: evidence.At(token.Time), By: by, Trusted: trusted})
	}
	return list, nil
}

// roots are those that the auditor named, else those that came with the bundle.
func (v *verifier) roots(chain string) (*x509.CertPool, bool, error) {
	pool := x509.NewCertPool()
	if v.opt.tsaCA != "" {
		b, err := os.ReadFile(v.opt.tsaCA)
		if err == nil && !pool.AppendCertsFromPEM(b) {
			err = fmt.Errorf("%s holds no PEM certificate", v.opt.tsaCA)
		}
		return pool, true, err
	}
	b, err := v.b.read(chain, maxSmall)
	if err != nil {
		return nil, false, err
	}
	pool.AppendCertsFromPEM(b)
	return pool, false, nil
}

// anchoredHeads holds the heads that were anchored to the log as it was walked.
func (c *epochCheck) anchoredHeads() {
	for _, h := range c.anchored {
		if h.Origin != c.e.Origin {
			continue
		}
		if h.Size > c.head.Size {
			c.r.fail(c.folder+"log", fmt.Errorf("%d entries were anchored, the log has %d: it was cut short", h.Size, c.head.Size))
			continue
		}
		root, err := c.rootAt(h.Size)
		if err == nil && root != h.Root {
			err = fmt.Errorf("another root was anchored at %d entries: the log was rewritten", h.Size)
		}
		if err != nil {
			c.r.fail(c.folder+"log", err)
		}
	}
}
