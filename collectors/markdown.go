package collectors

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

const docsHead = `# What the agent looks at

Generated from the code; to change it, change About in the kind's Spec and run
` + "`go test ./collectors -update`" + `.

Every kind can be switched off in the configuration; what it would have proven is then unproven. ` + "`attesto-agent doctor`" + `
says what each finds on this host, what it may not read, and the cure. ` + "`attesto-agent collect KIND`" + ` shows one look
without sending anything, ` + "`attesto-agent journal`" + ` everything that was ever sent.
`

// Markdown describes every kind for operators: what is read, what leaves the
// host, what never does, what it needs.
func Markdown() []byte {
	all := All()
	host.SortFunc(all, func(a, b host.Spec) int { return cmp.Compare(a.Kind, b.Kind) })
	var b bytes.Buffer
	b.WriteString(docsHead)
	for _, s := range all {
		fmt.Fprintf(&b, "\n## %s\n\n%s. Looks every %s, for at most %s. Systems: %s.\n", s.Kind, upper(s.Title), words(s.Every), words(s.Timeout), strings.Join(s.OS, ", "))
		for _, part := range []struct {
			head  string
			lines []string
		}{{"Reads", s.About.Reads}, {"Leaves the host", s.About.Sends}, {"Never leaves the host", s.About.Never}, {"Needs", s.About.Needs}} {
			fmt.Fprintf(&b, "\n**%s**\n\n- %s.\n", part.head, strings.Join(part.lines, ".\n- "))
		}
		if len(s.Formats) > 0 {
			b.WriteString("\nFor `attesto-agent explain`:\n\n| `--as` | what it is |\n|---|---|\n")
			for _, f := range s.Formats {
				fmt.Fprintf(&b, "| `%s` | %s |\n", f.Name, strings.ReplaceAll(f.Title, "|", "\\|"))
			}
		}
	}
	return b.Bytes()
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// words spells a duration as the configuration does, without zero parts.
func words(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
