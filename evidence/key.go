package evidence

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"filippo.io/edwards25519"
)

// KeyID is a public key's OpenSSH fingerprint, "SHA256:" and 43 characters, as
// printed by ssh-keygen -l.
type KeyID string

// PublicKey is a vetted Ed25519 or ECDSA P-256 public key.
type PublicKey struct {
	key crypto.PublicKey
	id  KeyID
}

// ParsePublicKey reads a DER SubjectPublicKeyInfo. It refuses other algorithms,
// Ed25519 encodings that are not canonical and points outside of the prime-order
// group: with those, a signature could hold for more than one message, or for one
// reader and not for another.
func ParsePublicKey(spki []byte) (PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	return NewPublicKey(parsed)
}

// NewPublicKey vets a key as ParsePublicKey does.
func NewPublicKey(key crypto.PublicKey) (PublicKey, error) {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if err := vetEd25519(k); err != nil {
			return PublicKey{}, err
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return PublicKey{}, errors.New("public key: ECDSA on a curve other than P-256")
		}
	default:
		return PublicKey{}, fmt.Errorf("public key of type %T: want Ed25519 or ECDSA P-256", key)
	}
	return PublicKey{key, fingerprint(key)}, nil
}

// IsZero reports whether k holds no key.
func (k PublicKey) IsZero() bool { return k.key == nil }

// SPKI is the key as DER SubjectPublicKeyInfo.
func (k PublicKey) SPKI() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.key)
	if err != nil {
		panic(fmt.Sprintf("vetted key does not encode: %v", err)) // NewPublicKey admits no such key
	}
	return der
}

// ID is the key's OpenSSH fingerprint, "" of none.
func (k PublicKey) ID() KeyID { return k.id }

// fingerprint is that of a vetted key.
func fingerprint(key crypto.PublicKey) KeyID {
	var b bytes.Buffer
	put := func(field []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(field))) // a bytes.Buffer takes all
		b.Write(field)
	}
	switch key := key.(type) {
	case ed25519.PublicKey:
		put([]byte("ssh-ed25519"))
		put(key)
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(fmt.Sprintf("vetted key does not encode: %v", err))
		}
		put([]byte("ecdsa-sha2-nistp256"))
		put([]byte("nistp256"))
		put(point)
	}
	sum := sha256.Sum256(b.Bytes())
	return KeyID("SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]))
}

// ErrSignature says that a signature does not hold for key and message.
var ErrSignature = errors.New("signature does not verify")

// Verify checks a signature over msg: Ed25519 (RFC 8032, as the standard library
// does, one by one), or ASN.1 DER ECDSA over SHA-256.
func (k PublicKey) Verify(msg, sig []byte) error {
	ok := false
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, msg, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(msg)
		ok = ecdsa.VerifyASN1(key, sum[:], sig)
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// minusOne is the group's order less one, as a scalar.
var minusOne = func() *edwards25519.Scalar {
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		panic(err) // one is canonical
	}
	return one.Negate(one)
}()

// vetEd25519 accepts points of the prime-order group other than its neutral
// element, in their one encoding.
func vetEd25519(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("public key: Ed25519 key of %d bytes", len(k))
	}
	point, err := edwards25519.NewIdentityPoint().SetBytes(k)
	if err != nil {
		return fmt.Errorf("public key: not a point of Ed25519: %w", err)
	}
	if !bytes.Equal(point.Bytes(), k) {
		return errors.New("public key: Ed25519 encoding is not canonical")
	}
	// The order times the point is the neutral element: without its last step, the
	// point's negative.
	almost := edwards25519.NewIdentityPoint().VarTimeDoubleScalarBaseMult(minusOne, point, edwards25519.NewScalar())
	if point.Equal(edwards25519.NewIdentityPoint()) == 1 || almost.Equal(edwards25519.NewIdentityPoint().Negate(point)) != 1 {
		return errors.New("public key: Ed25519 point of small or mixed order")
	}
	return nil
}

// Signer makes signatures with one key, held in a file, a TPM or an HSM.
type Signer interface {
	KeyID() KeyID
	// Public is the key that verifies what Sign makes.
	Public() PublicKey
	// Sign signs the bytes themselves (for P-256: their SHA-256).
	Sign(msg []byte) ([]byte, error)
}

// FileKey is a private key in a file.
type FileKey struct {
	private ed25519.PrivateKey
	public  PublicKey
	id      KeyID
}

var _ Signer = (*FileKey)(nil)

// NewFileKey wraps a private key that is in memory.
func NewFileKey(private ed25519.PrivateKey) (*FileKey, error) {
	pub, err := NewPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	return &FileKey{private, pub, pub.ID()}, nil
}

// CreateFileKey makes a new Ed25519 key and stores it durably as PKCS #8 PEM with
// mode 0600. It never overwrites a file.
func CreateFileKey(path string) (*FileKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating key file: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing key file %s: %w", path, err), os.Remove(path))
	}
	return NewFileKey(private)
}

// LoadFileKey reads a key that CreateFileKey wrote. A file that others than its
// owner can read is refused.
func LoadFileKey(path string) (*FileKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s has mode %04o: others can read it; chmod 600 it, and enroll anew if it may have been read",
			path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("key file %s: not one PEM block PRIVATE KEY", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key file %s: a key of type %T, want Ed25519", path, parsed)
	}
	return NewFileKey(private)
}

// LoadOrCreateFileKey loads the key, or makes it when the file is absent.
func LoadOrCreateFileKey(path string) (*FileKey, error) {
	k, err := LoadFileKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return CreateFileKey(path)
	}
	return k, err
}

// KeyID returns the fingerprint of the public key.
func (k *FileKey) KeyID() KeyID { return k.id }

// Public returns the public key.
func (k *FileKey) Public() PublicKey { return k.public }

// Sign signs msg with Ed25519.
func (k *FileKey) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(k.private, msg), nil }

// Private is the key itself, for the signers of other formats (checkpoints,
// cosignatures) that are made from it.
func (k *FileKey) Private() ed25519.PrivateKey { return k.private }

// syncDir makes a new directory entry durable; Windows has no such call and
// needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
