package anchor

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// maxAnswer bounds what is read of an answer from outside.
const maxAnswer = 64 << 10

// witness is a C2SP witness that cosigns the anchor log.
type witness struct {
	Witness
	name string
	key  ed25519.PublicKey
}

func (w witness) job() string { return "witness " + w.name }

// conflict says that the witness knows the log at another size than we said.
type conflict struct{ size int64 }

func (c conflict) Error() string { return fmt.Sprintf("knows %d entries", c.size) }

// cosign has a witness cosign the newest checkpoint. old is the size that it
// cosigned last, as far as we know.
func (a *Anchor) cosign(ctx context.Context, w witness, st ledger.State, old int64) error {
	line, at, err := a.submit(ctx, w, st, old)
	var c conflict
	if errors.As(err, &c) {
		switch {
		case c.size > st.Size:
			return fmt.Errorf("witness %s has cosigned %d entries of this log, we have %d: the database was set back; put back the newest copy", w.name, c.size, st.Size)
		case c.size == old:
			return fmt.Errorf("witness %s knows another log of %d entries under our name: run attesto-server check", w.name, c.size)
		}
		line, at, err = a.submit(ctx, w, st, c.size)
	}
	if err != nil {
		return fmt.Errorf("witness %s: %w", w.name, err)
	}
	return a.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddCosignature(ctx, store.Cosignature{Log: st.ID, Size: st.Size, Agent: w.VKey, Line: line, At: at})
	})
}

// submit makes one add-checkpoint request (c2sp.org/tlog-witness).
func (a *Anchor) submit(ctx context.Context, w witness, st ledger.State, old int64) (string, time.Time, error) {
	proof, err := ledger.At(ctx, a.Store.Reader, st.ID, st.Size).Consistency(old)
	if err != nil {
		return "", time.Time{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", bytes.NewReader(addCheckpoint(old, proof, st.Checkpoint)))
	if err != nil {
		return "", time.Time{}, err
	}
	res, err := a.client.Do(req)
	if err != nil {
		return "", time.Time{}, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end or given up
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("reading the answer: %w", err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return w.own(string(body), st.Checkpoint)
	case http.StatusConflict:
		digits := strings.TrimSuffix(string(body), "\n")
		size, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || size < 0 || strconv.FormatInt(size, 10) != digits {
			return "", time.Time{}, fmt.Errorf("answered 409 without a size: %q", clip(body))
		}
		return "", time.Time{}, conflict{size}
	case http.StatusNotFound:
		return "", time.Time{}, fmt.Errorf("does not know log %s: give its operator the key that attesto-server anchor status prints", st.Origin)
	case http.StatusForbidden:
		return "", time.Time{}, fmt.Errorf("trusts another key for log %s: give its operator the key that attesto-server anchor status prints", st.Origin)
	case http.StatusUnprocessableEntity:
		return "", time.Time{}, fmt.Errorf("says that our log of %d entries does not continue the %d that it cosigned: run attesto-server check", st.Size, old)
	}
	return "", time.Time{}, fmt.Errorf("answered %s: %q", res.Status, clip(body))
}

func addCheckpoint(old int64, proof []tlog.Hash, note []byte) []byte {
	b := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		b = fmt.Appendf(b, "%s\n", h)
	}
	return append(append(b, '\n'), note...)
}

// own finds the witness' line in an answer; those of other keys are ignored.
func (w witness) own(body string, note []byte) (string, time.Time, error) {
	err := errors.New("answered without a cosignature of its key: compare vkey with what the witness' operator publishes")
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "— "+w.name+" ") {
			continue
		}
		at, bad := evidence.VerifyCosignature(w.key, w.name, line, note)
		if bad == nil && at.Unix() > 0 {
			return line, at, nil
		}
		err = fmt.Errorf("%w (%w)", err, errors.Join(bad))
	}
	return "", time.Time{}, err
}

func clip(b []byte) string {
	if len(b) > 200 {
		b = b[:200]
	}
	return strings.ToValidUTF8(string(b), "?")
}
