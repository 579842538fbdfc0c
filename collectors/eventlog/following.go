package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Following reads the host's logs for another kind: the same journal and files, with the
// same care for rotation, gaps and what was read before.
type Following struct {
	Take    func(Event)            // gets every event in the order of its log; its message is valid until it returns
	Wants   func(line []byte) bool // says cheaply whether a line may matter; others are counted, not taken apart
	Journal []string               // matches of journalctl(1), such as "SYSLOG_FACILITY=2"
	Own     []string               // files that programs write past syslog, read wherever they are
	Syslog  []string               // files of syslog, read where the journal does not carry their lines
	Config  Config                 // as for this kind; rules and samples are not used
}

func (f *Following) usual(journal bool) []string {
	if journal {
		return f.Own
	}
	return append(f.Own[:len(f.Own):len(f.Own)], f.Syslog...)
}

// Followed is what a reading gave, besides the events.
type Followed struct {
	Sources  []evidence.LogSource
	Gaps     []evidence.Gap
	From, To time.Time // the window that was read
	Next     []byte    // where the next one goes on
}

// ErrNoLog says that there is none that could be read.
var ErrNoLog = errors.New("no log could be read")

// Follow reads what came since the reading that gave saved.
func (f *Following) Follow(ctx context.Context, h *host.Host, saved []byte) (Followed, error) {
	cfg := f.Config
	if cfg.Journal == "" {
		cfg.Journal = "auto"
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 256 << 20
	}
	l := (&collector{cfg, h}).start(ctx, saved)
	l.following = f
	readJournal(ctx, l)
	readFiles(ctx, l)
	if err := ctx.Err(); err != nil {
		return Followed{Gaps: l.gaps}, fmt.Errorf("reading logs: %w", err)
	}
	out := Followed{Sources: l.facts.Sources, Gaps: l.gaps, From: l.from, To: l.to}
	if len(out.Sources) == 0 {
		return out, ErrNoLog
	}
	l.next.Until = l.to
	next, err := l.next.encode()
	out.Next = next
	return out, err
}

// mayMatter reports whether a line must be taken apart.
func (l *look) mayMatter(line []byte) bool {
	if l.following != nil {
		return l.following.Wants(line)
	}
	return l.engine.MayMatch(line)
}
