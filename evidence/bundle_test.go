package evidence_test

import (
	"bytes"
	"testing"

	"github.com/attesto/attesto/evidence"
)

func someManifest() evidence.Manifest {
	return evidence.Manifest{Format: evidence.BundleFormat, Server: "proof.example", Org: someOrg, OrgName: "Rossi", Created: evidence.At(testTime),
		From: evidence.At(testTime), To: evidence.At(testTime), Duties: []string{}, Kinds: []evidence.Kind{}, Layout: evidence.LayoutFolders,
		Epochs: []evidence.BundleEpoch{{Epoch: 1, Origin: "proof.example/t/" + someOrg + "/1", Size: 9, First: 2, Next: 9}}, Files: 3,
		Sums: evidence.Sum([]byte("sums"))}
}

func TestManifest(t *testing.T) {
	key, other := keyOf(t, 6), keyOf(t, 7)
	m := someManifest()
	raw, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := evidence.ParseManifest(raw); err != nil || got.Epochs[0] != m.Epochs[0] || got.Epochs[0].Folder(0, 1) != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	env, err := evidence.SealManifest(key, m, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := evidence.CheckManifest(env, key.Public(), raw); err != nil {
		t.Error(err)
	}
	if evidence.CheckManifest(env, other.Public(), raw) == nil || evidence.CheckManifest(env, key.Public(), append(raw, ' ')) == nil {
		t.Error("another signer or another manifest was accepted")
	}
	for name, change := range map[string]func(*evidence.Manifest){
		"format": func(m *evidence.Manifest) { m.Format = "https://attesto.dev/bundle/v2" },
		"layout": func(m *evidence.Manifest) { m.Layout = "zip" },
		"epochs": func(m *evidence.Manifest) { m.Epochs = nil },
		"range":  func(m *evidence.Manifest) { m.Epochs[0].Next = 10 },
		"sums":   func(m *evidence.Manifest) { m.Sums = evidence.Digest{} },
	} {
		m := someManifest()
		change(&m)
		raw, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.ParseManifest(raw); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPackedRecord(t *testing.T) {
	a, b := []byte(`{"salt":"1"}`), []byte(`{"salt":"2"}`)
	env, err := evidence.SealPayload(keyOf(t, 1), evidence.PayloadInToto, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	p := evidence.PackedRecord{Index: 1042, Envelope: env.Bytes(), Blobs: map[evidence.Digest][]byte{evidence.Sum(a): a, evidence.Sum(b): b}}
	line := p.Line([]evidence.Digest{evidence.Sum(a), evidence.Sum(b), evidence.Sum(nil)})
	got, err := evidence.ParsePackedRecord(line)
	if err != nil || got.Index != 1042 || !bytes.Equal(got.Envelope, p.Envelope) || len(got.Blobs) != 2 || !bytes.Equal(got.Blobs[evidence.Sum(b)], b) {
		t.Fatalf("%+v, %v", got, err)
	}
	none := evidence.PackedRecord{Index: 0, Envelope: env.Bytes()}.Line(nil)
	if got, err := evidence.ParsePackedRecord(none); err != nil || len(got.Blobs) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range line {
		bad := bytes.Clone(line)
		bad[i] ^= 1
		if got, err := evidence.ParsePackedRecord(bad); err == nil && got.Index == 1042 && bytes.Equal(got.Envelope, p.Envelope) && i < len(line)-1 {
			t.Errorf("byte %d flipped and not seen: %s", i, bad)
		}
	}
}

func FuzzPackedRecord(f *testing.F) {
	a := []byte(`{}`)
	f.Add(evidence.PackedRecord{Index: 1, Envelope: []byte(`{"payload":""}`), Blobs: map[evidence.Digest][]byte{evidence.Sum(a): a}}.Line([]evidence.Digest{evidence.Sum(a)}))
	f.Fuzz(func(t *testing.T, line []byte) {
		p, err := evidence.ParsePackedRecord(line)
		if err != nil {
			return
		}
		for d, b := range p.Blobs {
			if evidence.Sum(b) != d {
				t.Fatal("a blob under another's digest")
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	raw, err := someManifest().Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = evidence.ParseManifest(b) })
}
