package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/attesto/attesto/agent/keystore"
	"github.com/attesto/attesto/evidence"
)

// EnrollResult is what people see after an enrollment.
type EnrollResult struct {
	Identity
	KeyID evidence.KeyID
	Index int64 // of the enrollment in the organisation's log
	Waits bool  // for approval: until then records stay here
}

// Enroll makes this host's keys and enrolls them with a one-time token. Nothing
// secret leaves the host; the server's keys are checked against the token's pin
// before anything is said.
func Enroll(ctx context.Context, cfg Config, server, token, version string, log *slog.Logger) (EnrollResult, error) {
	st := state{cfg.StateDir}
	t, err := evidence.ParseToken(token)
	if err != nil {
		return EnrollResult{}, err
	}
	if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return EnrollResult{}, fmt.Errorf("making the state folder: %w; run as root, or set state_dir", err)
	}
	unlock, err := st.lock()
	if err != nil {
		return EnrollResult{}, err
	}
	defer unlock()
	if id, err := st.identity(); err == nil {
		return EnrollResult{}, fmt.Errorf("this host is enrolled already, as %s of %s at %s; to enroll anew, move %s away first",
			id.Agent, id.OrgName, id.Server, st.dir)
	} else if !errors.Is(err, ErrNotEnrolled) {
		return EnrollResult{}, err
	}
	key, err := cfg.keys().LoadOrCreate(st.path(keyFile))
	if err != nil {
		return EnrollResult{}, err
	}
	witness, err := evidence.LoadOrCreateFileKey(st.path(witnessFile))
	if err != nil {
		return EnrollResult{}, err
	}
	c, err := newClient(cfg, server, "", version, log)
	if err != nil {
		return EnrollResult{}, err
	}
	defer c.close()
	e := enrolling{client: c, token: t, key: key, witness: witness, version: version, st: st, server: c.base.String()}
	env, err := e.request(ctx)
	if err != nil {
		return EnrollResult{}, err
	}
	return e.finish(ctx, env)
}

type enrolling struct {
	client  *client
	token   evidence.Token
	key     keystore.Key
	witness *evidence.FileKey
	version string
	st      state
	server  string

	offer evidence.EnrollOffer
	log   evidence.TrustedLog
	head  evidence.Head
}

// asked is an enrollment that was sent and whose answer was not seen. The very
// same one is sent again: the server knows it, and no use of the token is lost.
type asked struct {
	Token    string               `json:"token"` // its public id
	Offer    evidence.EnrollOffer `json:"offer"`
	Envelope string               `json:"envelope"`
}

// request checks the server's offer and makes the signed enrollment, or takes up
// the one that was sent before.
func (e *enrolling) request(ctx context.Context) (evidence.Envelope, error) {
	var before asked
	err := readJSON(e.st.path(askedFile), &before)
	if err == nil && before.Token == e.token.ID {
		e.offer = before.Offer
		env, err := evidence.ParseEnvelope([]byte(before.Envelope))
		if err == nil && e.checkOffer() == nil {
			return env, nil
		}
	}
	if err := e.client.post(ctx, evidence.PathEnrollBegin, evidence.EnrollBegin{ID: e.token.ID}, &e.offer); err != nil {
		return evidence.Envelope{}, fmt.Errorf("beginning enrollment: %w", err)
	}
	if err := e.checkOffer(); err != nil {
		return evidence.Envelope{}, err
	}
	env, err := e.seal()
	if err != nil {
		return env, err
	}
	return env, writeJSON(e.st.path(askedFile), asked{e.token.ID, e.offer, string(env.Bytes())})
}

// checkOffer checks root key by the token's pin, keyset by the root key, checkpoint
// by the keyset.
func (e *enrolling) checkOffer() error {
	root, err := evidence.ParsePublicKey(e.offer.RootKey)
	if err != nil {
		return fmt.Errorf("the server's root key: %w", err)
	}
	if !e.token.CheckRoot(root) {
		return errors.New("the server's root key is not the one that the token names: " +
			"the token is for another server, or someone between this host and the server answers in its place; nothing was sent")
	}
	env, err := evidence.ParseEnvelope([]byte(e.offer.Keyset))
	if err != nil {
		return fmt.Errorf("the server's keyset: %w", err)
	}
	keyset, err := evidence.OpenKeyset(env, root)
	if err != nil {
		return err
	}
	if e.log, err = keyset.Log(e.offer.Origin); err != nil {
		return err
	}
	if e.head, err = e.log.OpenCheckpoint([]byte(e.offer.Checkpoint)); err != nil {
		return fmt.Errorf("the log's checkpoint: %w", err)
	}
	return nil
}

func (e *enrolling) seal() (evidence.Envelope, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return evidence.Envelope{}, fmt.Errorf("reading the host's name: %w", err)
	}
	now := time.Now()
	return evidence.SealEnrollment(e.key, evidence.Enrollment{
		Org: e.offer.Org, Token: e.token.ID, Nonce: e.offer.Nonce,
		Witness:  base64.StdEncoding.EncodeToString(e.witness.Private().Public().(ed25519.PublicKey)),
		Hostname: hostname, Machine: machineDigest(), OS: runtime.GOOS + "/" + runtime.GOARCH, Version: e.version,
		Clock: clockNow(now, e.offer.Time.Sub(now)), KeyProtection: e.key.Protection(),
	})
}

func (e *enrolling) finish(ctx context.Context, env evidence.Envelope) (EnrollResult, error) {
	macKey, err := e.token.MACKey()
	if err != nil {
		return EnrollResult{}, fmt.Errorf("deriving the token's key: %w", err)
	}
	var done evidence.Enrolled
	ask := evidence.EnrollFinish{Envelope: string(env.Bytes()), MAC: evidence.EnrollMAC(macKey, env)}
	if err := e.client.post(ctx, evidence.PathEnroll, ask, &done); err != nil {
		return EnrollResult{}, errors.Join(fmt.Errorf("enrolling: %w", err), e.refused(err))
	}
	head, index, checkpoint, err := e.verify(env, done)
	if err != nil {
		return EnrollResult{}, fmt.Errorf("the server's proof of the enrollment: %w", err)
	}
	if err := writeJSON(e.st.path(headFile), knownHead{head, checkpoint}); err != nil {
		return EnrollResult{}, err
	}
	id := Identity{Server: e.server, Org: done.Org, OrgName: done.OrgName, Agent: done.Agent, PushToken: done.PushToken,
		RootKey: e.offer.RootKey, Keyset: e.offer.Keyset, Origin: e.offer.Origin, First: env.StatementDigest()}
	if err := writeJSON(e.st.path(identityFile), id); err != nil {
		return EnrollResult{}, err
	}
	if _, err := e.st.machineKey(); err != nil {
		return EnrollResult{}, err
	}
	return EnrollResult{id, e.key.KeyID(), index, done.Pending}, forget(e.st.path(askedFile))
}

// verify checks the receipt of the enrollment, and that the log goes on from the
// head that was offered.
func (e *enrolling) verify(env evidence.Envelope, done evidence.Enrolled) (head evidence.Head, index int64, checkpoint string, err error) {
	receipt := evidence.Receipt{Entry: []byte(done.Entry), Proof: []byte(done.Proof)}
	entry, index, head, err := receipt.Verify(env, e.log)
	if err != nil {
		return head, index, "", err
	}
	if entry.Type != evidence.EntryEnrollment || entry.Agent != done.Agent || done.Org != e.offer.Org || done.PushToken == "" {
		return head, index, "", fmt.Errorf("it is of %s of agent %q; the answer names agent %q of %q", entry.Type, entry.Agent, done.Agent, done.Org)
	}
	if err := evidence.CheckConsistency(e.head, head, done.Consistency); err != nil {
		return head, index, "", err
	}
	proof, err := evidence.ParseProof(receipt.Proof)
	return head, index, string(proof.Checkpoint), err
}

// refused cleans up after the server's clear no, so that the next try begins anew;
// after anything else the same enrollment is sent again.
func (e *enrolling) refused(err error) error {
	var r *refusal
	if !errors.As(err, &r) || r.said == nil || r.status >= 500 || r.status == http.StatusTooManyRequests {
		return nil
	}
	gone := []string{askedFile}
	if r.said.Code == evidence.CodeKeyInUse {
		gone = append(gone, keyFile, witnessFile) // they never signed evidence here: there is no identity
	}
	var errs error
	for _, name := range gone {
		errs = errors.Join(errs, forget(e.st.path(name)))
	}
	return errs
}

func forget(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what is no longer needed: %w", err)
	}
	return nil
}

// maxDropIn bounds a drop-in file, in bytes.
const maxDropIn = 4 << 10

// ReadDropIn reads a token, or a server and a token, that were left on the host.
// The file must be readable by its owner only.
func ReadDropIn(path string) (server, token string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", fmt.Errorf("reading the token: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return "", "", fmt.Errorf("reading the token: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", "", fmt.Errorf("%s can be read by others (mode %04o); chmod 600 it, and take a new token if it may have been read", path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxDropIn))
	if err != nil {
		return "", "", fmt.Errorf("reading the token: %w", err)
	}
	switch words := strings.Fields(string(b)); len(words) {
	case 1:
		return "", words[0], nil
	case 2:
		return words[0], words[1], nil
	}
	return "", "", fmt.Errorf("%s: want a token, or the server's address and a token", path)
}

// ForgetDropIn deletes a drop-in file that was used.
func ForgetDropIn(path string) error { return forget(path) }
