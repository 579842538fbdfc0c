package anchor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"time"

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
	der, nonce, err := a.request(ctx, t, st.Checkpoint)
	if err != nil {
		return fmt.Errorf("time-stamping authority %s: %w", t.URL, err)
	}
	token, err := rfc3161.Open(der, st.Checkpoint, t.roots)
	if err != nil {
		return fmt.Errorf("time-stamping authority %s: the token does not verify: %w; compare ca with what the authority publishes", t.URL, err)
	}
	if token.Nonce == nil || token.Nonce.Cmp(nonce) != 0 {
		return fmt.Errorf("time-stamping authority %s: the token is for another request", t.URL)
	}
	if off := a.Now().Sub(token.Time); off.Abs() > clocksApart {
		a.Log.WarnContext(ctx, "the clocks of this server and of a time-stamping authority differ: check both", "tsa", t.URL, "theirs", token.Time, "apart", off)
	}
	return a.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.AddAnchorToken(ctx, store.AnchorToken{Anchor: st.ID, Size: st.Size, TSA: t.URL, At: token.Time, Token: der, Chain: token.Chain})
	})
}

// The messages of RFC 3161 sections 2.4.1 and 2.4.2.
type (
	stampRequest struct {
		Version int
		Imprint struct {
			Digest pkix.AlgorithmIdentifier
			Hashed []byte
		}
		Nonce        *big.Int
		Certificates bool
	}
	stampAnswer struct {
		Status struct {
			Status int
			Text   asn1.RawValue  `asn1:"optional"`
			Fault  asn1.BitString `asn1:"optional"`
		}
		Token asn1.RawValue `asn1:"optional"`
	}
)

// request asks for a token over the SHA-256 of message, with its certificates (RFC
// 3161 section 3.4).
func (a *Anchor) request(ctx context.Context, t authority, message []byte) (token []byte, nonce *big.Int, err error) {
	if nonce, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63)); err != nil {
		return nil, nil, err
	}
	q := stampRequest{Version: 1, Nonce: nonce, Certificates: true}
	sum := sha256.Sum256(message)
	q.Imprint.Digest = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, Parameters: asn1.NullRawValue}
	q.Imprint.Hashed = sum[:]
	query, err := asn1.Marshal(q)
	if err != nil {
		return nil, nil, fmt.Errorf("making the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(query))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	res, err := a.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end or given up
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("answered %s: %q", res.Status, clip(body))
	}
	var answer stampAnswer
	rest, err := asn1.Unmarshal(body, &answer)
	switch {
	case err != nil || len(rest) > 0:
		return nil, nil, fmt.Errorf("reading the answer: no answer of RFC 3161: %q", clip(body))
	case answer.Status.Status > 1: // 0 granted, 1 granted with changes
		return nil, nil, fmt.Errorf("refused with status %d: %q", answer.Status.Status, clip(answer.Status.Text.Bytes))
	}
	return answer.Token.FullBytes, nonce, nil
}

// rootOf makes a pool of the last certificate of a chain.
func rootOf(chain string) *x509.CertPool {
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
