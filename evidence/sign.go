package evidence

import "fmt"

// Seal encodes and signs a record.
func Seal(s Signer, r Record) (Envelope, error) {
	payload, err := r.Statement()
	if err != nil {
		return Envelope{}, err
	}
	return SealPayload(s, PayloadInToto, payload)
}

// Verified is a record, or an agent's change of key, whose signature, form and
// facts hold. Open is the only way to get one.
type Verified struct {
	record   Record
	next     PublicKey // of a change of key
	keeping  string    // how it is kept
	envelope Envelope
	blobs    map[Digest][]byte
	missing  []Digest
}

// Open checks an envelope's signature by key (the one enrolled for the agent
// that sent it), reads its record, and checks every blob that came with it:
// those that the record names must have the stated digest, others are refused,
// and facts of a known kind must be valid. A blob that did not come is listed by
// Missing; it does not make the record invalid.
func Open(e Envelope, key PublicKey, blobs map[Digest][]byte) (Verified, error) {
	if err := e.Verify(key, PayloadInToto); err != nil {
		return Verified{}, err
	}
	r, err := ParseRecord(e.Payload())
	if err != nil && PredicateType(e.Payload()) == PredicateRotation {
		return openRotated(e, key, blobs)
	}
	if err != nil {
		return Verified{}, err
	}
	v := Verified{record: r, envelope: e, blobs: map[Digest][]byte{}}
	for _, it := range r.Items {
		if err := v.attach(it, blobs); err != nil {
			return Verified{}, err
		}
	}
	if len(v.blobs) != len(blobs) {
		return Verified{}, fmt.Errorf("%d blobs came that no item names", len(blobs)-len(v.blobs))
	}
	return v, nil
}

// openRotated opens a change of key, which has its place in the chain and no items.
func openRotated(e Envelope, key PublicKey, blobs map[Digest][]byte) (Verified, error) {
	r, next, err := OpenRotation(e, key)
	if err != nil {
		return Verified{}, err
	}
	if len(blobs) > 0 {
		return Verified{}, fmt.Errorf("%d blobs came with a change of key", len(blobs))
	}
	return Verified{record: Record{Org: r.Org, Agent: r.Agent, Seq: r.Seq, Prev: r.Prev, Log: r.Log, Clock: r.Clock}, next: next, keeping: r.KeyProtection,
		envelope: e, blobs: map[Digest][]byte{}}, nil
}

// Type is the type of the log entry that holds it.
func (v Verified) Type() EntryType {
	if v.next.IsZero() {
		return EntryEvidence
	}
	return EntryRotation
}

// NextKey is the key that signs what follows a change of key, and how it is kept;
// the zero key for a record.
func (v Verified) NextKey() (PublicKey, string) { return v.next, v.keeping }

func (v *Verified) attach(it Item, blobs map[Digest][]byte) error {
	for _, d := range []Digest{it.Facts, it.Detail} {
		if d.IsZero() {
			continue
		}
		b, ok := blobs[d]
		if !ok {
			v.missing = append(v.missing, d)
			continue
		}
		if err := CheckBlob(it, d, b); err != nil {
			return err
		}
		v.blobs[d] = b
	}
	return nil
}

// CheckBlob checks that b is the blob d of item it: its digest, and its form.
func CheckBlob(it Item, d Digest, b []byte) error {
	if Sum(b) != d {
		return fmt.Errorf("%s: blob's content is not that of its digest %s", it.Kind, d)
	}
	if d != it.Facts {
		_, err := ParseDetailBlob(b)
		return err
	}
	_, err := CheckFacts(it.Kind, it.Schema, b)
	return err
}

// Record is what was signed. Of a change of key it has place and clock only.
func (v Verified) Record() Record { return v.record }

// Envelope is the signed envelope.
func (v Verified) Envelope() Envelope { return v.envelope }

// Blobs are the blobs that came, by digest.
func (v Verified) Blobs() map[Digest][]byte { return v.blobs }

// Missing lists the blobs that the record names and that did not come.
func (v Verified) Missing() []Digest { return v.missing }

// Decode reads the facts of item i as F.
func Decode[F Facts](v Verified, i int) (F, []Gap, error) {
	blob, ok := v.blobs[v.record.Items[i].Facts]
	if !ok {
		var none F
		return none, nil, fmt.Errorf("%s: facts blob did not come", v.record.Items[i].Kind)
	}
	return DecodeFacts[F](blob)
}
