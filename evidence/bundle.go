package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// BundleFormat names the layout of an export and its version; docs/format.md
// describes it.
const BundleFormat = "https://attesto.dev/bundle/v1"

// The files of a bundle that every reader knows by name.
const (
	BundleManifest = "manifest.json"
	BundleSigned   = "manifest.dsse.json" // signs BundleManifest with the server's key
	BundleSums     = "SHA256SUMS"         // of every other file, as sha256sum(1) writes it
	BundleKeyset   = "keys/keyset.dsse.json"
	BundleRoot     = "keys/root.pub"
	BundlePolicy   = "keys/policy"
)

// The layouts of records in a bundle.
const (
	LayoutFolders = "folders" // records/<index>/…: each part a file, for other tools
	LayoutPacked  = "packed"  // records/<first index>.jsonl: one PackedRecord a line, for large exports
)

// Manifest says what a bundle holds. Its signer vouches for it; what it says of
// records is proven by the log.
type Manifest struct {
	Format  string `json:"format"`
	Server  string `json:"server"`
	Org     string `json:"org"`
	OrgName string `json:"orgName"`
	Created Time   `json:"created"`
	// From and To bound the times of the entries whose records are here.
	From Time `json:"from"`
	To   Time `json:"to"`
	// Duties and Kinds are what was asked for; none means all. Envelopes are here
	// of every record, facts of these kinds only.
	Duties []string `json:"duties"`
	Kinds  []Kind   `json:"kinds"`
	Detail bool     `json:"detail"` // detail blobs are here too
	Layout string   `json:"layout"`
	// Epochs are the organisation's logs, oldest first. The last stands at the top
	// of the bundle, those before it below epochs/<number>/.
	Epochs []BundleEpoch `json:"epochs"`
	Files  int64         `json:"files"` // lines of BundleSums
	Sums   Digest        `json:"sums"`  // of BundleSums
}

// BundleEpoch is one log of a bundle. Records are here of the entries from First
// (inclusive) to Next (exclusive), and of every entry of another type than
// evidence and workflow.
type BundleEpoch struct {
	Epoch  int    `json:"epoch"`
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	First  int64  `json:"first"`
	Next   int64  `json:"next"`
}

// Folder is where the i-th epoch of n stands in the bundle: "" or with a slash at
// its end.
func (e BundleEpoch) Folder(i, n int) string {
	if i == n-1 {
		return ""
	}
	return fmt.Sprintf("epochs/%d/", e.Epoch)
}

// Bytes is the manifest as it stands in the bundle.
func (m Manifest) Bytes() ([]byte, error) { return marshal(m) }

// ParseManifest reads a manifest, strictly.
func ParseManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := CheckJSON(b); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if err := decodeKnown(b, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case m.Format != BundleFormat:
		return m, fmt.Errorf("manifest: a bundle of format %q, this program knows %q", m.Format, BundleFormat)
	case !validID(m.Org, "o_") || len(m.Epochs) == 0 || len(m.Epochs) > 1000 || m.Sums.IsZero():
		return m, fmt.Errorf("manifest: organisation %q with %d logs", m.Org, len(m.Epochs))
	case m.Layout != LayoutFolders && m.Layout != LayoutPacked:
		return m, fmt.Errorf("manifest: layout %q", m.Layout)
	}
	for i, e := range m.Epochs {
		if e.Size < 0 || e.First < 0 || e.First > e.Next || e.Next > e.Size || e.Epoch < 1 || i > 0 && e.Epoch != m.Epochs[i-1].Epoch+1 {
			return m, fmt.Errorf("manifest: epoch %d of %d entries, records from %d to %d", e.Epoch, e.Size, e.First, e.Next)
		}
	}
	return m, nil
}

// SealManifest signs a manifest's bytes.
func SealManifest(s Signer, m Manifest, raw []byte) (Envelope, error) {
	return sealStated(s, BundleFormat, signedBundle{m.Org, m.Created}, []subject{{BundleManifest, subjectDigest{Sum(raw)}}})
}

type signedBundle struct {
	Org     string `json:"org"`
	Created Time   `json:"created"`
}

// CheckManifest checks that server signed these bytes of a manifest.
func CheckManifest(env Envelope, server PublicKey, raw []byte) error {
	_, subjects, err := openStated[signedBundle](env, server, BundleFormat)
	if err == nil && (len(subjects) != 1 || subjects[0].Digest.SHA256 != Sum(raw)) {
		err = errors.New("signed for another manifest")
	}
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return nil
}

// WitnessVKey is a witness's key in the text form that other tools take
// (c2sp.org/tlog-cosignature).
func WitnessVKey(name string, key ed25519.PublicKey) string {
	return fmt.Sprintf("%s+%08x+%s", name, noteKeyHash(name, algCosignature, key),
		base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, key...)))
}

// PackedRecord is a record as a line of LayoutPacked.
type PackedRecord struct {
	Index    int64
	Envelope []byte // exact bytes
	Blobs    map[Digest][]byte
}

// Line writes {"index":N,"envelope":…,"blobs":{"<sha256>":"<base64>",…}} and a
// newline; the envelope stands as it is.
func (p PackedRecord) Line(order []Digest) []byte {
	b := fmt.Appendf(nil, `{"index":%d,"envelope":%s,"blobs":{`, p.Index, p.Envelope)
	comma := ""
	for _, d := range order {
		if data, ok := p.Blobs[d]; ok {
			b = fmt.Appendf(b, `%s"%s":"`, comma, d)
			b = append(base64.StdEncoding.AppendEncode(b, data), '"')
			comma = ","
		}
	}
	return append(b, "}}\n"...)
}

// ParsePackedRecord reads exactly what Line writes, with or without the newline.
// Nothing of the envelope is checked; the blobs have the digests that they stand
// under.
func ParsePackedRecord(line []byte) (PackedRecord, error) {
	var p PackedRecord
	bad := errors.New("packed record: not of the form")
	rest, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte(`{"index":`))
	digits, rest, ok2 := bytes.Cut(rest, []byte(`,"envelope":`))
	env, rest, ok3 := bytes.Cut(rest, []byte(`,"blobs":{`)) // no envelope holds this text
	rest, ok4 := bytes.CutSuffix(rest, []byte("}}"))
	var err error
	if p.Index, err = strconv.ParseInt(string(digits), 10, 64); err != nil || !ok || !ok2 || !ok3 || !ok4 {
		return p, bad
	}
	p.Envelope, p.Blobs = env, map[Digest][]byte{}
	const before = 1 + 64 + 3 // "<hex>":"
	for comma := 0; len(rest) > 0; comma = 1 {
		if len(rest) < comma+before || comma == 1 && rest[0] != ',' {
			return p, bad
		}
		rest = rest[comma:]
		key := rest[:before]
		value, after, ok := bytes.Cut(rest[before:], []byte(`"`))
		if !ok || key[0] != '"' || string(key[65:]) != `":"` {
			return p, bad
		}
		data, err := DecodeBase64(value)
		if err != nil {
			return p, fmt.Errorf("packed record: %w", err)
		}
		d, err := ParseDigest(string(key[1:65]))
		if err != nil || d != Sum(data) {
			return p, fmt.Errorf("packed record: a blob's content is not that of its digest %s", key[1:65])
		}
		p.Blobs[d] = data
		rest = after
	}
	return p, nil
}

// SigstoreBundle wraps an envelope as a Sigstore bundle v0.3, which cosign takes.
// Which key to use is for the caller of cosign to say; the hint is free text.
func SigstoreBundle(env Envelope) []byte {
	return fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"attesto"}},"dsseEnvelope":%s}`+"\n", env.Bytes())
}
