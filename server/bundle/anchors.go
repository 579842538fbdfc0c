package bundle

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/anchor"
)

// anchors writes what speaks for a log from outside: the way from a checkpoint of
// it to the anchor log, and the time stamps and cosignatures over that.
func (w *writer) anchors() error {
	keys := map[string]bool{}
	n := 0
	for _, st := range w.states {
		list, err := anchor.Proofs(w.ctx, w.r, w.Keyset.Log, st, w.q.From)
		if err != nil {
			return err
		}
		for _, p := range list {
			n++
			if err := w.anchor(fmt.Sprintf("anchor/%d/", n), p); err != nil {
				return err
			}
			keys[p.Anchor.Origin] = true
		}
	}
	var vkeys strings.Builder
	for origin := range keys {
		trust, err := w.Keyset.Log(origin)
		if err != nil {
			return err
		}
		for _, k := range trust.Keys {
			vkey, err := trust.VKey(k)
			if err != nil {
				return err
			}
			vkeys.WriteString(vkey + "\n")
		}
	}
	if vkeys.Len() == 0 {
		return nil
	}
	return w.put("keys/anchor.vkey", []byte(vkeys.String()))
}

func (w *writer) anchor(dir string, p anchor.Proof) error {
	proof, err := evidence.ParseProof(p.Proof)
	if err != nil {
		return err
	}
	files := []blob{
		{name: "nonce", data: []byte(hex.EncodeToString(p.Nonce) + "\n")}, {name: "checkpoint", data: p.Checkpoint},
		{name: "entry.json", data: p.Entry}, {name: "entry.tlog-proof", data: p.Proof}, {name: "note", data: proof.Checkpoint},
	}
	cosigned, witnesses := string(proof.Checkpoint), ""
	for _, c := range p.Cosignatures {
		cosigned += c.Line
		witnesses += c.Agent + "\n"
	}
	if len(p.Cosignatures) > 0 {
		files = append(files, blob{name: "cosigned", data: []byte(cosigned)}, blob{name: "witnesses", data: []byte(witnesses)})
	}
	for i, k := range p.Tokens {
		files = append(files, blob{name: fmt.Sprintf("%d.tst", i+1), data: k.Token})
		if k.Chain != "" {
			files = append(files, blob{name: fmt.Sprintf("%d.pem", i+1), data: []byte(k.Chain)})
		}
	}
	for _, f := range files {
		if err := w.put(dir+f.name, f.data); err != nil {
			return err
		}
	}
	return nil
}
