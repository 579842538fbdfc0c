package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/attesto/attesto/server/store"
)

// maxRefusing is how many refused sign-ins are counted at a time.
const maxRefusing = 32

// refuse counts a refused sign-in of the account of an address, for the trail of its
// organisations. It does so when the request was answered, so that the time of the
// answer does not tell whether there is such an account.
func (w *Web) refuse(r *http.Request, email string) {
	addr, at := address(r), w.Now()
	w.later(r, w.refusing, "counting a refused sign-in", func(ctx context.Context) error {
		u, err := w.Store.UserByEmail(ctx, email)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return w.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.RefuseSignin(ctx, u.ID, addr, at) })
	})
}
