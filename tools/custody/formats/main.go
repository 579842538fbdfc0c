// Command formats checks a bundle's proofs, checkpoints and cosignatures with the
// libraries of transparency-dev alone: no code of Attesto is in it.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/transparency-dev/formats/log"
	cosig "github.com/transparency-dev/formats/note"
	tlog "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: formats BUNDLE")
		os.Exit(2)
	}
	n, err := check(os.Args[1])
	if err == nil && n == 0 {
		err = errors.New("nothing to check")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(n, "proofs and cosignatures hold")
}

func check(dir string) (int, error) {
	vkey, err := os.ReadFile(filepath.Join(dir, "keys/log.vkey"))
	if err != nil {
		return 0, err
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return 0, err
	}
	proofs, err := filepath.Glob(filepath.Join(dir, "records/*/entry.tlog-proof"))
	if err != nil {
		return 0, err
	}
	for _, file := range proofs {
		if err := inclusion(key, file); err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
	}
	n, err := cosigned(dir, key)
	return n + len(proofs), err
}

func inclusion(key note.Verifier, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(filepath.Join(filepath.Dir(file), "entry.json"))
	if err != nil {
		return err
	}
	var p tlog.TLogProof
	if err := p.Unmarshal(raw); err != nil {
		return err
	}
	cp, _, _, err := log.ParseCheckpoint(p.Checkpoint, key.Name(), key)
	if err != nil {
		return err
	}
	var path [][]byte
	for _, h := range p.Hashes {
		path = append(path, h[:])
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, cp.Size, rfc6962.DefaultHasher.HashLeaf(entry), path, cp.Hash)
}

var witnessLine = regexp.MustCompile(`(?m)^witness \S+ \S+$`)

func cosigned(dir string, key note.Verifier) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "keys/policy"))
	if err != nil {
		return 0, err
	}
	// This parser demands the optional address of each witness; an agent has none.
	policy, err := witness.ParsePolicy(witnessLine.ReplaceAll(text, []byte("$0 https://none.invalid")))
	if err != nil {
		return 0, err
	}
	var witnesses []note.Verifier
	vkeys, err := filepath.Glob(filepath.Join(dir, "keys/witness-*.vkey"))
	if err != nil {
		return 0, err
	}
	for _, file := range vkeys {
		vkey, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		w, err := cosig.NewVerifierForCosignatureV1(strings.TrimSpace(string(vkey)))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		witnesses = append(witnesses, w)
	}
	n := 0
	files, err := filepath.Glob(filepath.Join(dir, "log/cosigned/*"))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return n, err
		}
		_, _, opened, err := log.ParseCheckpoint(raw, key.Name(), key, witnesses...)
		if err != nil {
			return n, fmt.Errorf("%s: %w", file, err)
		}
		if len(opened.Sigs) < 2 || !policy.Satisfied(raw) {
			return n, fmt.Errorf("%s: seen by %d witnesses, which the policy does not accept", file, len(opened.Sigs)-1)
		}
		n += len(opened.Sigs) - 1
	}
	return n, nil
}
