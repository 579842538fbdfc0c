package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Print writes a line of the journal for people.
func (e JournalEntry) Print(w io.Writer) {
	state := "waits"
	if e.Proven {
		state = fmt.Sprintf("log entry %d", e.Index)
	}
	names := make([]string, len(e.Kinds))
	for i, k := range e.Kinds {
		names[i] = string(k)
	}
	fmt.Fprintf(w, "%6d  %s  %8d bytes  %-16s  %s  %s\n", e.Seq, e.Sealed.Format(time.RFC3339), e.Bytes, state, e.SHA256, strings.Join(names, ","))
}

// Print writes for people all that a record says: the statement and each blob, laid
// out in lines. The digests are those of the bytes as they were sent, without the
// lay-out.
func (s Sent) Print(w io.Writer, paint Paint) {
	head := func(name string, size int, sum evidence.Digest, note string) {
		fmt.Fprintf(w, "\n%s  %d bytes  SHA-256 %s%s\n", paint(Bold, clean(name)), size, sum, note)
	}
	state := "waits for the server"
	if s.Entry.Proven {
		state = fmt.Sprintf("the log holds it as entry %d", s.Entry.Index)
	}
	fmt.Fprintf(w, "Record %d, sealed %s; %s.\n", s.Entry.Seq, s.Entry.Sealed.Format(time.RFC3339), state)
	head("envelope", len(s.Envelope), s.Entry.SHA256, "")
	fmt.Fprintln(w, "(the statement below in base64 with this host's signature)")
	head("statement", len(s.Statement), evidence.Sum([]byte(s.Statement)), "")
	laidOut(w, s.Statement)
	for _, name := range s.names() {
		blob := s.Blobs[name[1]]
		note := ""
		if strings.HasSuffix(name[0], ".detail.json") {
			note = "  (can be erased on the server)"
		}
		d, _ := evidence.ParseDigest(name[1])
		head(name[0], len(blob), d, note)
		laidOut(w, blob)
	}
}

// names lists the blobs by the name that the statement gives them, in its order,
// with their digests.
func (s Sent) names() [][2]string {
	var st struct {
		Subject []struct {
			Name   string            `json:"name"`
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	_ = json.Unmarshal([]byte(s.Statement), &st) // what has no name is listed below
	var out [][2]string
	named := map[string]bool{}
	for _, sub := range st.Subject {
		if d := sub.Digest["sha256"]; s.Blobs[d] != "" {
			out, named[d] = append(out, [2]string{sub.Name, d}), true
		}
	}
	n := len(out)
	for d := range s.Blobs {
		if !named[d] {
			out = append(out, [2]string{"blob", d})
		}
	}
	host.SortFunc(out[n:], func(a, b [2]string) int { return strings.Compare(a[1], b[1]) })
	return out
}

// laidOut writes JSON in lines, without control characters; other bytes as Go
// would quote them.
func laidOut(w io.Writer, raw string) {
	var b bytes.Buffer
	if !utf8.ValidString(raw) || json.Indent(&b, []byte(raw), "", "  ") != nil {
		fmt.Fprintf(w, "%q\n", raw)
		return
	}
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, clean(strings.TrimSuffix(line, "\n")))
	}
}
