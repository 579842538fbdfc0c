package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
)

// unpackRecord writes the files of one record of a packed bundle as the other
// layout has them, with a receipt made from the bundle's tiles.
func unpackRecord(from, to string, index int64) error {
	b, err := openBundle(from)
	if err != nil {
		return err
	}
	defer b.close()
	v := &verifier{b: b, r: newReport(), agents: map[string]*agentState{}}
	if err := v.begin(); err != nil {
		return err
	}
	i := len(v.m.Epochs) - 1
	c := &epochCheck{verifier: v, i: i, e: v.m.Epochs[i]}
	if err := c.openRecords(); err != nil {
		return err
	}
	defer c.store.close()
	raw, err := c.seek(index)
	if err != nil {
		return fmt.Errorf("record %d: %w", index, err)
	}
	env, _, blobs, err := raw.open()
	if err != nil {
		return fmt.Errorf("record %d: %w", index, err)
	}
	receipt, err := c.receipt(index)
	if err != nil {
		return fmt.Errorf("receipt of record %d: %w", index, err)
	}
	files := map[string][]byte{"envelope.json": env.Bytes(), "entry.json": receipt.Entry, "entry.tlog-proof": receipt.Proof,
		"bundle.sigstore.json": evidence.SigstoreBundle(env)}
	if rec, err := evidence.ParseRecord(env.Payload()); err == nil {
		for _, it := range rec.Items {
			files[string(it.Kind)+".facts.json"] = blobs[it.Facts]
			files[string(it.Kind)+".detail.json"] = blobs[it.Detail]
		}
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// seek finds a record wherever it is.
func (c *epochCheck) seek(index int64) (rawRecord, error) {
	p, ok := c.store.(*packed)
	if !ok {
		return c.store.record(index, false)
	}
	for _, s := range p.streams {
		for {
			line, err := s.peek()
			if err != nil {
				return rawRecord{}, err
			}
			if line == nil {
				break
			}
			if at, err := indexOf(line); err == nil && at == index {
				return rawRecord{line: line}, nil
			}
			s.line = nil
		}
	}
	return rawRecord{}, os.ErrNotExist
}

func (c *epochCheck) receipt(index int64) (evidence.Receipt, error) {
	signed, err := c.b.read("log/checkpoint", evidence.MaxCheckpoint)
	if err != nil {
		return evidence.Receipt{}, err
	}
	trust, err := c.keyset.Log(c.e.Origin)
	if err != nil {
		return evidence.Receipt{}, err
	}
	if c.head, err = trust.OpenCheckpoint(signed); err != nil {
		return evidence.Receipt{}, err
	}
	n := index / tileWidth
	width := int(min(tileWidth, c.head.Size-n*tileWidth))
	raw, err := c.b.read("log/"+entriesPath(n, width), tileWidth*(2+65535))
	if err != nil {
		return evidence.Receipt{}, err
	}
	lines, err := splitBundle(raw, width)
	if err != nil {
		return evidence.Receipt{}, err
	}
	path, err := tlog.ProveRecord(c.head.Size, index, tlog.TileHashReader(tlog.Tree{N: c.head.Size, Hash: c.head.Root}, tiles{c}))
	return evidence.Receipt{Entry: lines[index%tileWidth], Proof: evidence.Proof{Index: index, Path: path, Checkpoint: signed}.Format()}, err
}
