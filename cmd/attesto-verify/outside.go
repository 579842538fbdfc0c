package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/attesto/attesto/evidence"
)

// outsideReport is an outside witness' word: it has seen the anchor log, which
// holds this head of the organisation's log, only ever grow.
type outsideReport struct {
	Origin  string        `json:"origin"`
	Size    int64         `json:"size"`
	Time    evidence.Time `json:"time"` // as the witness states it
	By      string        `json:"by"`
	Trusted bool          `json:"trusted"` // the auditor named its key (--anchor-witnesses)
}

// outside checks the lines of outside witnesses under a checkpoint of the anchor log.
func (v *verifier) outside(dir string, checkpoint []byte, head evidence.Head) error {
	name := path.Join(dir, "cosigned")
	if !v.b.exists(name) {
		return nil
	}
	cosigned, err := v.b.read(name, maxSmall)
	if err != nil {
		return err
	}
	lines, ok := bytes.CutPrefix(cosigned, checkpoint)
	if !ok {
		return fmt.Errorf("%s is not of the checkpoint that the proof ends with", name)
	}
	keys, err := v.b.read(path.Join(dir, "witnesses"), maxSmall)
	if err != nil {
		return err
	}
	for vkey := range strings.Lines(string(keys)) {
		vkey = strings.TrimSuffix(vkey, "\n")
		w, err := parseWitness(vkey)
		if err != nil {
			return fmt.Errorf("%s/witnesses, line %q: %w", dir, vkey, err)
		}
		seen := evidence.Time{}
		err = errors.New("it has no line there")
		for line := range bytes.Lines(lines) {
			if bytes.HasPrefix(line, []byte("— "+w.name+" ")) {
				at, lineErr := evidence.VerifyCosignature(w.key, w.name, string(line), checkpoint)
				if err = lineErr; err == nil {
					seen = evidence.At(at)
					break
				}
			}
		}
		if err != nil {
			return fmt.Errorf("%s: witness %s: %w", name, w.name, err)
		}
		v.r.Outside = append(v.r.Outside, outsideReport{head.Origin, head.Size, seen, w.name, v.named[vkey]})
	}
	return nil
}

// readNamed reads the keys of outside witnesses that the auditor trusts.
func (v *verifier) readNamed() error {
	v.named = map[string]bool{}
	if v.opt.anchorWitnesses == "" {
		return nil
	}
	b, err := os.ReadFile(v.opt.anchorWitnesses)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := parseWitness(line); err != nil {
			return fmt.Errorf("%s, line %q: %w", v.opt.anchorWitnesses, line, err)
		}
		v.named[line] = true
	}
	if len(v.named) == 0 {
		return fmt.Errorf("%s names no witness", v.opt.anchorWitnesses)
	}
	return nil
}

// demandNamed fails a bundle in which none of the auditor's witnesses speaks.
func (v *verifier) demandNamed() {
	if len(v.named) == 0 {
		return
	}
	for _, o := range v.r.Outside {
		if o.Trusted {
			return
		}
	}
	v.r.fail("anchor", fmt.Errorf("none of the witnesses in %s has cosigned a head of the anchor log that stands here", v.opt.anchorWitnesses))
}
