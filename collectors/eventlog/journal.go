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
)

const (
	// journalFields is all that rules need; asking for everything costs five times as much.
	journalFields = "MESSAGE,SYSLOG_IDENTIFIER,_COMM,_TRANSPORT"
	journalName   = "journald"
	// The journal may take this part of what a look reads, so that files get their turn.
	journalShare   = 0.75
	maxJournalLine = 4 << 20
)

// journalDirs are where systemd-journald.service(8) keeps files: for good, and until
// the next start of the system.
var journalDirs = []string{"/var/log/journal", "/run/log/journal"}

// journalDir is where the host keeps journal files, "" if nowhere.
func journalDir(h *host.Host) string {
	for _, dir := range journalDirs {
		if found, err := h.Glob(dir + "/*/*.journal"); err == nil && len(found) > 0 {
			return dir
		}
	}
	return ""
}

// readJournal reads what journald holds since the cursor.
func readJournal(ctx context.Context, l *look) {
	if l.cfg.Journal == "off" {
		return
	}
	j := journal{source: l.newSource(journalName)}
	dir := l.cfg.JournalDir
	if dir == "" {
		dir = journalDir(l.host)
	}
	switch {
	case dir == "" && l.cfg.Journal == "auto" && !j.hidden():
		return // syslog's files are read instead
	case l.cfg.JournalDir != "" || l.host.Root != "" && dir != "":
		j.where = []string{"--directory=" + l.host.Path(dir)}
	}
	j.volatile = strings.HasPrefix(dir, "/run/")
	j.follow(ctx)
}

// hidden reports whether there is a journal whose folder this agent may not list.
func (j *journal) hidden() bool {
	for _, dir := range journalDirs {
		if info, err := j.host.Stat(dir); err == nil && info.IsDir() {
			found, err := j.host.Glob(dir + "/*")
			if err != nil || len(found) == 0 {
				continue
			}
			if inside, err := j.host.Glob(found[0] + "/*"); err == nil && len(inside) == 0 {
				return true
			}
		}
	}
	return false
}

// journal is the reading of journald in one look.
type journal struct {
	source
	where    []string
	volatile bool // its files are gone after a restart
	lines    splitter
	broken   int
	begun    bool   // the entry of the cursor was looked for
	latest   []byte // the last entry, if nothing else of it was needed
	cursor   string
	written  time.Time
}

func (j *journal) follow(ctx context.Context) {
	j.cursor, j.written = j.old.Journal, j.old.Written
	res, err := j.run(ctx, j.position())
	if err == nil && res.Exit != 0 && strings.Contains(res.Stderr, "seek to cursor") {
		j.unwhole("the place where the last look ended cannot be found any more: " + firstLine(res.Stderr))
		j.cursor, j.begun = "", true
		res, err = j.run(ctx, "--since=@"+strconv.FormatInt(j.from.Unix(), 10))
	}
	j.lastEntry()
	if !j.judge(ctx, res, err) {
		j.next.Journal, j.next.Written = "", time.Time{} // syslog's files stand in; the journal goes on from the window's end
		return
	}
	j.next.Journal, j.next.Written = j.cursor, j.written
	quiet := j.read.Lines == 0 && (j.written.IsZero() || j.now.Sub(j.written) > silence)
	if quiet && j.following == nil { // of what another kind asks for there may be nothing
		j.unwhole("holds nothing of the last day; is systemd-journald running, and does it store (Storage= in journald.conf)?")
	}
	j.journalLive = !quiet
	j.verify(ctx)
	j.done()
}

// position asks for the entry that was read last and all after it, so that its
// absence shows.
func (j *journal) position() string {
	if j.cursor != "" {
		j.followed = true
		return "--cursor=" + j.cursor
	}
	j.begun = true
	return "--since=@" + strconv.FormatInt(j.from.Unix(), 10)
}

func (j *journal) run(ctx context.Context, position string) (host.Result, error) {
	wait := j.stop.Sub(j.host.Now())
	if wait <= 0 {
		return host.Result{Cut: true}, nil
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	args := append([]string{"--output=json", "--all", "--no-pager", "--output-fields=" + journalFields, position}, j.where...)
	if j.following != nil {
		args = append(args, j.following.Journal...)
	}
	limit := max(minBytes, int64(float64(j.left)*journalShare))
	j.lines = splitter{line: j.line}
	res, err := j.host.Run(short, host.Command{Name: "journalctl", Args: args, Limit: limit, Stdout: &j.lines})
	if err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		res.Cut, err = true, nil
	}
	j.left -= j.read.Bytes
	return res, err
}

// judge states what could not be read, and reports whether anything could.
func (j *journal) judge(_ context.Context, res host.Result, err error) bool {
	switch {
	case errors.Is(err, host.ErrNoProgram):
		j.gap(journalName, "journalctl is not installed")
		return false
	case err != nil:
		j.gap(journalName, err.Error())
		return false
	case res.Cut && j.read.Lines == 0:
		j.gap(journalName, "journalctl gave nothing in the time that it had")
		return false
	case res.Cut:
		j.cutShort()
	case res.Exit != 0 && j.read.Lines == 0:
		j.gap(journalName, journalCure(res.Stderr, fmt.Sprintf("journalctl ended with %d: %s", res.Exit, firstLine(res.Stderr))))
		return false
	case res.Exit != 0:
		j.unwhole(fmt.Sprintf("journalctl ended with %d: %s", res.Exit, firstLine(res.Stderr)))
	}
	if why := journalCure(res.Stderr, firstLine(res.Stderr)); why != "" {
		if j.read.Lines == 0 {
			j.gap(journalName, why)
			return false
		}
		j.unwhole(why)
	}
	if !j.begun && !res.Cut {
		j.gone()
	}
	if j.broken > 0 {
		j.unwhole(fmt.Sprintf("%d entries could not be read", j.broken))
	}
	if j.lines.long > 0 {
		j.unwhole(fmt.Sprintf("%d entries were longer than %d bytes and were left out", j.lines.long, maxJournalLine))
	}
	return true
}

// journalCure puts journalctl's own words about what it could not show into words
// with a cure; other is what it says of any other trouble.
func journalCure(stderr, other string) string {
	switch {
	case strings.Contains(stderr, "not seeing messages from"), strings.Contains(stderr, "insufficient permissions"), strings.Contains(stderr, "Permission denied"):
		return "only a part may be read, or nothing; add the agent's user to the group systemd-journal"
	case strings.Contains(stderr, "No journal files were found"):
		return "there are no journal files; set Storage=persistent in journald.conf"
	case strings.TrimSpace(stderr) == "":
		return ""
	}
	return "journalctl says: " + other
}

// gone notes that the journal does not hold the entry any more that was read last:
// entries after it may have been removed unread.
func (j *journal) gone() {
	j.begun = true
	cure := "raise SystemMaxUse in journald.conf, or look more often"
	if j.volatile {
		cure = "it is kept in memory only: set Storage=persistent in journald.conf"
	}
	j.unwhole("the entry that was read last is gone, and entries after it may have been removed unread; " + cure)
}

var (
	jsonMessageBytes = []byte(`"MESSAGE":[`)
	jsonCursor       = []byte(`"__CURSOR":"`)
)

// line looks at one entry. What no rule can match is not decoded.
func (j *journal) line(line []byte) {
	if !j.begun {
		j.begun = true
		if bytes.Contains(line[:min(len(line), 4<<10)], append(jsonCursor[:len(jsonCursor):len(jsonCursor)], j.cursor...)) || sameCursor(line, j.cursor) {
			return // the entry that was counted before
		}
		j.gone()
	}
	j.read.Lines++
	j.read.Bytes += int64(len(line)) + 1
	if j.read.Lines > 1 && !j.mayMatter(line) && !bytes.Contains(line, jsonMessageBytes) {
		j.latest = append(j.latest[:0], line...)
		return
	}
	j.latest = j.latest[:0]
	if e, ok := j.decode(line); ok {
		j.take(e)
	}
}

func sameCursor(line []byte, cursor string) bool {
	_, found, err := ParseJournal(line)
	return err == nil && found == cursor
}

func (j *journal) decode(line []byte) (Event, bool) {
	e, cursor, err := ParseJournal(line)
	if err != nil {
		j.broken++
		return e, false
	}
	j.cursor, j.written = cursor, e.Time
	j.saw(e.Time)
	return e, true
}

// lastEntry decodes the last entry for its cursor and time.
func (j *journal) lastEntry() {
	if len(j.latest) > 0 {
		j.decode(j.latest)
		j.latest = j.latest[:0]
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return printable(s[:min(len(s), 200)])
}

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
	for i := bytes.IndexByte(p, '\n'); i >= 0; i = bytes.IndexByte(p, '\n') {
		switch {
		case s.skip:
			s.skip = false
		case len(s.rest) > 0:
			s.rest = append(s.rest, p[:i]...)
			s.line(s.rest)
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
