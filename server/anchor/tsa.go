package anchor

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/attesto/attesto/evidence/rfc3161"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// authority is a time-stamping authority with the roots that it must lead to.
type authority struct {
	TSA
	roots *x509.CertPool
}

func (t authority) job() string { return "tsa " + t.URL }

func newAuthority(t TSA) (authority, error) {
	b, err := os.ReadFile(t.CA)
	if err != nil {
		return authority{}, fmt.Errorf("tsa %s: reading ca: %w", t.URL, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return authority{}, fmt.Errorf("tsa %s: ca: %s holds no PEM certificate", t.URL, t.CA)
	}
	return authority{t, roots}, nil
}

// clocksApart is from where on a difference to an authority's clock is told.
const clocksApart = 5 * time.Minute

// stamp gets a token over the newest checkpoint.
func (a *Anchor) stamp(ctx context.Context, t authority, st ledger.State) error {
	der, err := a.request(ctx, t, st.Checkpoint)
	if err != nil {
		return fmt.Errorf("time-stamping authority %s: %w", t.URL, err)
	}
	token, err := rfc3161.Open(der, st.Checkpoint, t.roots)
	if err != nil {
		return fmt.Errorf("time-stamping authority %s: its token does not verify: %w; compare ca with what the authority publishes", t.URL, err)
	}
	if off := a.Now().Sub(token.Time); off.Abs() > clocksApart {
		a.Log.WarnContext(ctx, "the clocks of this server and of a time-stamping authority differ: check both", "tsa", t.URL, "theirs", token.Time, "apart", off)
	}
	return a.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddAnchorToken(ctx, store.AnchorToken{Anchor: st.ID, Size: st.Size, TSA: t.URL, At: token.Time, Token: der, Chain: token.Chain})
	})
}

// request asks for a token over the SHA-256 of message (RFC 3161 section 3.4).
func (a *Anchor) request(ctx context.Context, t authority, message []byte) ([]byte, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(message)
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Certificates: true, Nonce: nonce}).Marshal()
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	res, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end or given up
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s: %q", res.Status, clip(body))
	}
	got, err := timestamp.ParseResponse(body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if got.Nonce == nil || got.Nonce.Cmp(nonce) != 0 {
		return nil, errors.New("its token is for another request")
	}
	return got.RawToken, nil
}

// lastOf makes a pool of the last certificate of a chain.
func lastOf(chain string) *x509.CertPool {
	pool := x509.NewCertPool()
	var last []byte
	for rest := []byte(chain); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		last = block.Bytes
	}
	if c, err := x509.ParseCertificate(last); err == nil {
		pool.AddCert(c)
	}
	return pool
}
