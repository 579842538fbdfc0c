package server_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// fetch gets a path with an API token.
func (w *world) fetch(path, token string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header.Set("Authorization", "Bearer "+token)
	res := httptest.NewRecorder()
	w.handler.ServeHTTP(res, req)
	return res
}

// Over HTTP there is exactly what the export writes, for the organisation's own token
// and the provider's, and nothing of it for another's.
func TestTilesOverHTTP(t *testing.T) {
	storetest.Each(t, func(t *testing.T, dsn string) {
		ctx := context.Background()
		w, _ := filled(t, dsn)
		token := func(org string) string {
			text, err := w.srv.AddAPIToken(ctx, org, "test", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		other, err := w.srv.AddOrg(ctx, store.Org{Kind: store.Customer, Name: "Other", Services: []string{"pe"}})
		if err != nil {
			t.Fatal(err)
		}
		own, stranger, provider := token(w.customer.ID), token(other.ID), token(w.provider.ID)
		base := "/log/" + w.customer.ID + "/1/"
		files := 0
		st, err := w.srv.ExportTiles(ctx, w.customer.ID, 0, func(path string, data []byte) error {
			files++
			res := w.fetch(base+path, own)
			if res.Code != http.StatusOK || !bytes.Equal(res.Body.Bytes(), data) {
				t.Errorf("%s: status %d, %d bytes of %d", path, res.Code, res.Body.Len(), len(data))
			}
			if tile := strings.HasPrefix(path, "tile/"); tile != strings.Contains(res.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %s", path, res.Header().Get("Cache-Control"))
			}
			if res := w.fetch(base+path, stranger); res.Code != http.StatusNotFound {
				t.Errorf("%s for another organisation: status %d", path, res.Code)
			}
			if res := w.fetch(base+path, provider); res.Code != http.StatusOK {
				t.Errorf("%s for the provider: status %d", path, res.Code)
			}
			if res := w.get(base + path); res.Code != http.StatusUnauthorized {
				t.Errorf("%s for nobody: status %d", path, res.Code)
			}
			return nil
		})
		if err != nil || st.Size != 304 || files != 6 { // 000 and 001.p of hashes and of entries, 1/000.p/1, checkpoint
			t.Fatalf("%d files of %d entries (%v)", files, st.Size, err)
		}
		for _, path := range []string{"tile/0/001", "tile/0/001.p/49", "tile/0/002.p/1", "tile/0/000.p/0", "tile/0/0", "tile/00/000", "tile/8/000",
			"tile/0/x001/000", "tile/0/x999/x999/x999/x999/x999/999", "tile/-1/000", "tile/data/000", "tile/entries/001", "tile/entries/../0/000.p/1", "tile/2/000.p/1"} {
			if res := w.fetch(base+path, own); res.Code != http.StatusNotFound && res.Code != http.StatusTemporaryRedirect && res.Code != http.StatusMovedPermanently {
				t.Errorf("%s: status %d", path, res.Code)
			}
		}
		for _, path := range []string{"tile/0/001.p/3", "tile/0/000.p/255", "tile/entries/000.p/7"} { // of heads that were released before
			if res := w.fetch(base+path, own); res.Code != http.StatusOK {
				t.Errorf("%s: status %d", path, res.Code)
			}
		}
		for _, epoch := range []string{"0", "2", "01", "x"} {
			if res := w.fetch("/log/"+w.customer.ID+"/"+epoch+"/checkpoint", own); res.Code != http.StatusNotFound {
				t.Errorf("epoch %s: status %d", epoch, res.Code)
			}
		}
	})
}
