package web

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
)

// The log itself, for tools that read C2SP tlog-tiles. Entries hold ids, digests and
// times only.

// logState finds the epoch that the path names.
func (w *Web) logState(r *http.Request) (ledger.State, error) {
	epoch, err := strconv.ParseInt(r.PathValue("epoch"), 10, 64)
	if err != nil || strconv.FormatInt(epoch, 10) != r.PathValue("epoch") {
		return ledger.State{}, notFound()
	}
	st, err := w.Released(r.Context(), orgOf(r.Context()).ID, epoch)
	if errors.Is(err, store.ErrNotFound) {
		return st, notFound()
	}
	return st, err
}

func (w *Web) logCheckpoint(rw http.ResponseWriter, r *http.Request) error {
	st, err := w.logState(r)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = rw.Write(st.Checkpoint) // a reader that is gone changes nothing
	return nil
}

// logTile serves a tile of hashes or a bundle of entries. What a path names never
// changes, so whoever may read it may keep it.
func (w *Web) logTile(rw http.ResponseWriter, r *http.Request) error {
	st, err := w.logState(r)
	if err != nil {
		return err
	}
	t, ok := ledger.ParseTilePath("tile/" + r.PathValue("path"))
	if !ok || !t.Within(st.Size) {
		return notFound()
	}
	data, err := t.Read(r.Context(), w.Store.Reader, st.ID)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "application/octet-stream")
	rw.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	_, _ = rw.Write(data)
	return nil
}
