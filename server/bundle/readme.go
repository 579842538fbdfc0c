package bundle

import (
	_ "embed" // README.txt
	"strings"
	"time"

	"github.com/attesto/attesto/evidence"
)

//go:embed README.txt
var readme string

// readme writes what a person reads first, and the second verifier.
func (w *writer) readme() error {
	text := strings.NewReplacer("{{org}}", w.org.Name, "{{server}}", w.Keyset.Server, "{{from}}", w.q.From.UTC().Format(time.RFC3339),
		"{{to}}", w.q.To.UTC().Format(time.RFC3339), "{{root}}", string(w.Root.ID()), "{{layout}}", w.layout()).Replace(readme)
	if err := w.put("README.txt", []byte(text)); err != nil {
		return err
	}
	return w.put("verify.py", w.Verifier)
}

func (w *writer) layout() string {
	if w.m.Layout == evidence.LayoutPacked {
		return "packed: records/*.jsonl; unpack with attesto-verify BUNDLE --unpack DIR to use other tools"
	}
	return "folders: records/<index>/"
}
