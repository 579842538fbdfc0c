package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// ExplainFormat is one form of captured output that Explain reads.
type ExplainFormat struct {
	Kind evidence.Kind `json:"kind"`
	host.Format
}

// ExplainFormats lists every form, sorted by name.
func ExplainFormats() []ExplainFormat {
	var out []ExplainFormat
	for _, spec := range collectors.All() {
		for _, f := range spec.Formats {
			out = append(out, ExplainFormat{spec.Kind, f})
		}
	}
	host.SortFunc(out, func(a, b ExplainFormat) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Explain says what the agent would make of an output, log or file that was
// captured elsewhere, through the same parser.
func Explain(format string, data []byte, at time.Time) (Result, error) {
	for _, f := range ExplainFormats() {
		if f.Name != format {
			continue
		}
		look, err := f.Parse(data, at)
		return resultOf(f.Kind, look, err, at, at), nil
	}
	return Result{}, fmt.Errorf("no format %q; attesto-agent explain --list names them", format)
}
