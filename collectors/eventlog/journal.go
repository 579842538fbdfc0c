package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// journalFields is all that rules need; asking for everything costs five times as much.
const journalFields = "MESSAGE,SYSLOG_IDENTIFIER,_COMM,_TRANSPORT"

// journalDir is where the host keeps journal files, "" if nowhere.
func journalDir(h *host.Host) string {
	for _, dir := range []string{"/var/log/journal", "/run/log/journal"} {
		if found, err := h.Glob(dir + "/*/*.journal"); err == nil && len(found) > 0 {
			return dir
		}
	}
	return ""
}

func canRead(h *host.Host, dir string) bool {
	found, err := h.Glob(dir + "/*/system*.journal")
	if err != nil || len(found) == 0 {
		return false
	}
	f, err := h.Open(found[0])
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// readJournal reads what journald holds since the cursor. It reports whether the
// journal was read, so that syslog files fed from it are not counted again.
func (l *look) readJournal(ctx context.Context, old cursor) bool {
	if l.cfg.Journal == "off" {
		return false
	}
	var where []string
	switch {
	case l.cfg.JournalDir != "":
		where = []string{"--directory=" + l.host.Path(l.cfg.JournalDir)}
	case l.host.Root != "":
		if dir := journalDir(l.host); dir != "" {
			where = []string{"--directory=" + l.host.Path(dir)}
		}
	}
	if l.cfg.Journal == "auto" && where == nil && journalDir(l.host) == "" {
		l.next.Journal, l.next.JournalTime = old.Journal, old.JournalTime
		return false
	}
	j := journal{look: l, where: where, source: evidence.LogSource{Source: "journald", Whole: true}}
	j.read(ctx, old)
	return true
}

// journal is the reading of journald in one look.
type journal struct {
	*look
	where  []string
	source evidence.LogSource
	cursor string
	last   time.Time
	broken int

	followed bool      // read on from where the last look ended
	after    time.Time // entries up to then were counted before
}

func (j *journal) unwhole(why string) {
	j.source.Whole = false
	j.gap("journald", why)
}

func (j *journal) read(ctx context.Context, old cursor) {
	j.cursor, j.last = old.Journal, old.JournalTime
	args := append([]string{"--output=json", "--all", "--no-pager", "--output-fields=" + journalFields}, j.where...)
	if old.Journal != "" && j.stillThere(ctx, old.Journal) {
		j.followed = true
		args = append(args, "--after-cursor="+old.Journal)
	} else {
		since := j.from
		if !old.JournalTime.IsZero() {
			since, j.after, j.followed = old.JournalTime, old.JournalTime, true
		}
		args = append(args, "--since=@"+strconv.FormatInt(since.Unix(), 10))
	}
	lines := &splitter{line: j.line}
	res, err := j.host.Run(ctx, host.Command{Name: "journalctl", Args: args, Limit: j.left, Stdout: lines})
	j.left -= j.source.Bytes
	switch {
	case errors.Is(err, host.ErrNoProgram):
		j.gap("journald", "journalctl is not installed")
		return
	case err != nil:
		j.gap("journald", err.Error())
		return
	case res.Cut:
		j.unwhole(fmt.Sprintf("more than %d bytes came since the last look; the rest follows with the next one", j.cfg.MaxBytes))
	case res.Exit != 0:
		j.unwhole(fmt.Sprintf("journalctl ended with %d: %s", res.Exit, firstLine(res.Stderr)))
	}
	j.hints(res.Stderr)
	if j.broken > 0 {
		j.unwhole(fmt.Sprintf("%d entries could not be read", j.broken))
	}
	if lines.long > 0 {
		j.unwhole(fmt.Sprintf("%d entries were longer than %d bytes and were left out", lines.long, maxJournalLine))
	}
	j.next.Journal, j.next.JournalTime = j.cursor, j.last
	if j.source.Lines == 0 && (res.Exit != 0 || strings.Contains(res.Stderr, "No journal files")) {
		return // nothing was read: it is a gap, not a source without findings
	}
	j.facts.Sources = append(j.facts.Sources, j.source)
}

// hints are journalctl's own words about what it could not show.
func (j *journal) hints(stderr string) {
	switch {
	case strings.Contains(stderr, "not seeing messages from"), strings.Contains(stderr, "insufficient permissions"):
		j.unwhole("only a part may be read; add the agent's user to the groups systemd-journal and adm")
	case strings.Contains(stderr, "No journal files were found"):
		j.unwhole("there are no journal files")
	case strings.Contains(stderr, "Failed to open"), strings.Contains(stderr, "corrupt"), strings.Contains(stderr, "Bad message"):
		j.unwhole("a journal file is damaged: " + firstLine(stderr))
	}
}

// stillThere asks whether the journal still holds the entry that was read last;
// if not, entries after it may have been vacuumed unread.
func (j *journal) stillThere(ctx context.Context, cursor string) bool {
	args := append([]string{"--output=json", "--no-pager", "--quiet", "--output-fields=_BOOT_ID", "--lines=1", "--cursor=" + cursor}, j.where...)
	res, err := j.host.Run(ctx, host.Command{Name: "journalctl", Args: args, Limit: 1 << 20})
	if err != nil {
		return true // the reading itself will say why
	}
	_, found, _ := ParseJournal(bytes.TrimSpace(res.Stdout))
	if found == cursor {
		return true
	}
	j.unwhole("the entry that was read last is gone: entries after it may have been removed unread; raise SystemMaxUse in journald.conf")
	return false
}

func (j *journal) line(line []byte) {
	j.source.Lines++
	j.source.Bytes += int64(len(line)) + 1
	e, cursor, err := ParseJournal(line)
	if err != nil {
		j.broken++
		return
	}
	j.cursor, j.last = cursor, e.Time
	if !e.Time.After(j.after) {
		return
	}
	at := evidence.At(e.Time)
	if j.source.From == nil {
		j.source.From = &at
	}
	j.source.To = &at
	j.take(e, j.followed)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if len(s) > 200 {
		s = s[:200]
	}
	return s
}

const maxJournalLine = 1 << 20

// splitter hands on whole lines of what is written to it. What remains without a
// line end was cut off and is not handed on.
type splitter struct {
	line func([]byte)
	rest []byte
	skip bool
	long int
}

// Write takes a piece of output.
func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		switch {
		case s.skip:
			s.skip = false
		case len(s.rest) > 0:
			s.line(append(s.rest, p[:i]...))
		default:
			s.line(p[:i])
		}
		s.rest = s.rest[:0]
		p = p[i+1:]
	}
	if s.skip {
		return n, nil
	}
	if len(s.rest)+len(p) > maxJournalLine {
		s.skip, s.rest = true, s.rest[:0]
		s.long++
		return n, nil
	}
	s.rest = append(s.rest, p...)
	return n, nil
}
