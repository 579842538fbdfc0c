package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/attesto/attesto/server/bundle"
)

//go:embed static
var staticFiles embed.FS

// staticFile is a file of the pages, as it goes over the wire.
type staticFile struct {
	kind          string
	plain, zipped []byte
}

// static hands out style sheets, scripts and pictures. Pages name them with the
// digest of them all, so that browsers may keep them for good.
type static struct {
	files  map[string]staticFile // by path
	digest string
}

// staticDigest changes with any of the static files.
func staticDigest() (string, error) {
	h := sha256.New()
	err := eachStatic(func(name string, b []byte) error {
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil))[:12], err
}

func eachStatic(fn func(name string, b []byte) error) error {
	if err := fn("static/check.js", []byte(bundle.Checker)); err != nil {
		return err
	}
	return fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		return fn(name, b)
	})
}

// allStatic are the static files, compressed once.
var allStatic = sync.OnceValues(func() (*static, error) {
	v, err := allViews()
	if err != nil {
		return nil, err
	}
	return newStatic(v.digest)
})

func newStatic(digest string) (*static, error) {
	s := &static{files: map[string]staticFile{}, digest: digest}
	return s, eachStatic(func(name string, b []byte) error {
		f := staticFile{plain: b}
		switch path.Ext(name) {
		case ".css":
			f.kind = "text/css; charset=utf-8"
		case ".js":
			f.kind = "text/javascript; charset=utf-8"
		case ".svg":
			f.kind = "image/svg+xml"
		default:
			f.kind = "text/plain; charset=utf-8"
		}
		var err error
		f.zipped, err = zipped(b, gzip.BestCompression)
		s.files["/"+name] = f
		return err
	})
}

func zipped(b []byte, level int) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}

// takesGzip reports whether the reader's browser unpacks gzip.
func takesGzip(r *http.Request) bool {
	for _, value := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(value), ";")
		if strings.TrimSpace(name) == "gzip" && strings.ReplaceAll(quality, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.URL.Path]
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "public, max-age=300")
	if r.URL.RawQuery == s.digest {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := f.plain
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = f.zipped
	}
	h.Set("ETag", `"`+s.digest+h.Get("Content-Encoding")+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
