package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/attesto/attesto/evidence"
)

// EnrollResult is what people see after an enrollment.
type EnrollResult struct {
	Identity
	KeyID evidence.KeyID
	Index int64 // of the enrollment in the organisation's log
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
	key, err := evidence.LoadOrCreateFileKey(st.path(keyFile))
	if err != nil {
		return EnrollResult{}, err
	}
	witness, err := evidence.LoadOrCreateFileKey(st.path(witnessFile))
	if err != nil {
		return EnrollResult{}, err
	}
	c, err := newClient(cfg, server, "", log)
	if err != nil {
		return EnrollResult{}, err
	}
	e := enrolling{client: c, token: t, key: key, witness: witness, version: version}
	if err := e.begin(ctx); err != nil {
		return EnrollResult{}, err
	}
	return e.finish(ctx, st, server)
}

type enrolling struct {
	client       *client
	token        evidence.Token
	key, witness *evidence.FileKey
	version      string

	offer evidence.EnrollOffer
	log   evidence.TrustedLog
	head  evidence.Head
}

// begin asks for the offer and checks it: root key by the token's pin, keyset by
// the root key, checkpoint by the keyset.
func (e *enrolling) begin(ctx context.Context) error {
	if err := e.client.post(ctx, evidence.PathEnrollBegin, evidence.EnrollBegin{ID: e.token.ID}, &e.offer); err != nil {
		return fmt.Errorf("beginning enrollment: %w", err)
	}
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

func (e *enrolling) finish(ctx context.Context, st state, server string) (EnrollResult, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return EnrollResult{}, fmt.Errorf("reading the host's name: %w", err)
	}
	now := time.Now()
	env, err := evidence.SealEnrollment(e.key, evidence.Enrollment{
		Org: e.offer.Org, Token: e.token.ID, Nonce: e.offer.Nonce,
		Witness:  base64.StdEncoding.EncodeToString(e.witness.Private().Public().(ed25519.PublicKey)),
		Hostname: hostname, Machine: machineDigest(), OS: runtime.GOOS + "/" + runtime.GOARCH, Version: e.version,
		Clock: clockNow(now, e.offer.Time.Sub(now)), KeyProtection: "file",
	})
	if err != nil {
		return EnrollResult{}, err
	}
	macKey, err := e.token.MACKey()
	if err != nil {
		return EnrollResult{}, fmt.Errorf("deriving the token's key: %w", err)
	}
	var done evidence.Enrolled
	ask := evidence.EnrollFinish{Envelope: string(env.Bytes()), MAC: evidence.EnrollMAC(macKey, env)}
	if err := e.client.post(ctx, evidence.PathEnroll, ask, &done); err != nil {
		return EnrollResult{}, fmt.Errorf("enrolling: %w", err)
	}
	receipt := evidence.Receipt{Entry: []byte(done.Entry), Proof: []byte(done.Proof)}
	_, index, head, err := receipt.Verify(env, e.log)
	if err == nil {
		err = evidence.CheckConsistency(e.head, head, done.Consistency)
	}
	if err != nil {
		return EnrollResult{}, fmt.Errorf("the server's proof of the enrollment: %w", err)
	}
	proof, err := evidence.ParseProof(receipt.Proof)
	if err != nil {
		return EnrollResult{}, err
	}
	if err := writeJSON(st.path(headFile), knownHead{head, string(proof.Checkpoint)}); err != nil {
		return EnrollResult{}, err
	}
	id := Identity{Server: server, Org: done.Org, OrgName: done.OrgName, Agent: done.Agent, PushToken: done.PushToken,
		RootKey: e.offer.RootKey, Keyset: e.offer.Keyset, Origin: e.offer.Origin, First: env.StatementDigest()}
	if err := writeJSON(st.path(identityFile), id); err != nil {
		return EnrollResult{}, err
	}
	return EnrollResult{id, e.key.KeyID(), index}, nil
}

// TokenFromFile reads a token that was dropped on the host; DropToken deletes
// the file once it was used.
func TokenFromFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others (mode %04o); chmod 600 it, and take a new token if it may have been read", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// DropToken deletes a token file.
func DropToken(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting the used token: %w", err)
	}
	return nil
}
