package eventlog

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Event is one message of a log.
type Event struct {
	Time    time.Time
	Program string // syslog identifier without its process id, "" if unknown
	Message []byte // valid until the next line is read
	Repeat  int64  // how often the same message came, 1 or more
}

var errForm = errors.New("no time in it that is known: want syslog (RFC 3164, RFC 5424, RFC 3339), ISO 8601, or the form of a web server, auditd or a panel")

// ParseSyslog reads one line of a log file: the traditional form of RFC 3164
// ("Nov 23 03:00:00 host program[pid]: message", local time without a year),
// rsyslog's RFC 3339 form, RFC 5424, and the own forms of programs that write past
// syslog (see form). Stamps without a zone are in that of ref, and no line is later
// than a day after ref.
func ParseSyslog(line []byte, ref time.Time) (Event, error) {
	return newLines(ref, "").parse(line)
}

// lines reads the lines of one log.
type lines struct {
	stamps  *stamps
	program string            // whose log it is, where lines do not say
	names   map[string]string // programs seen, so that their names are kept once
}

func newLines(ref time.Time, program string) *lines {
	return &lines{stamps: newStamps(ref), program: program, names: map[string]string{}}
}

const maxNames = 4096

func (l *lines) name(b []byte) string {
	if s, known := l.names[string(b)]; known {
		return s
	}
	s := string(b)
	if len(l.names) < maxNames {
		l.names[s] = s
	}
	return s
}

// header skips what may stand before the stamp: zero bytes that a crash or a
// truncation left, the priority of RFC 5424 and its version.
func header(line []byte) []byte {
	line = bytes.TrimLeft(line, "\x00")
	if len(line) > 3 && line[0] == '<' {
		if end := bytes.IndexByte(line[:min(6, len(line))], '>'); end > 1 {
			line = line[end+1:]
			if len(line) > 2 && line[0] == '1' && line[1] == ' ' {
				line = line[2:]
			}
		}
	}
	return line
}

func (l *lines) parse(line []byte) (Event, error) {
	rest := header(line)
	structured := len(rest) < len(line) && len(line)-len(rest) > 4 && line[len(line)-len(rest)-1] == ' '
	h := locate(rest)
	if h.form == formNone {
		return Event{}, errForm
	}
	at, ok := l.stamps.read(h.form, rest[h.from:h.to])
	if !ok {
		return Event{}, errForm
	}
	e := Event{Time: at, Repeat: 1}
	if h.form != formSyslog {
		e.Program, e.Message = cmp.Or(programOf[h.form], l.program), behind(rest, h)
		if h.form == formC && bytes.HasPrefix(e.Message, []byte("[pid ")) {
			e.Program = "vsftpd"
		}
		return e, nil
	}
	spaced := rest[3] != ' ' && rest[10] == ' '
	alone := rest[h.to-1] == ':' // nothing but the message follows
	rest = withoutPriority(bytes.TrimLeft(rest[h.to:], " "))
	switch {
	case alone:
		e.Program, e.Message = l.program, rest
	case structured:
		l.rfc5424(&e, rest)
	case spaced && !tagged(rest):
		e.Program, e.Message = l.program, withoutPID(rest)
	default:
		l.tagged(&e, rest)
	}
	if e.Program == "kernel" {
		e.Message = withoutUptime(e.Message)
	}
	e.inner()
	e.unrepeat()
	return e, nil
}

// withoutPriority drops "<auth.info> ", which FreeBSD's syslogd -v writes before the host.
func withoutPriority(rest []byte) []byte {
	if word, more, ok := bytes.Cut(rest, []byte("> ")); ok && len(word) > 3 && word[0] == '<' && bytes.IndexByte(word, '.') > 0 && bytes.IndexByte(word, ' ') < 0 {
		return more
	}
	return rest
}

// withoutLevel drops "auth.info ", which BusyBox's syslogd writes before the tag.
func withoutLevel(rest []byte) []byte {
	word, more, _ := bytes.Cut(rest[:min(len(rest), 20)], []byte(" "))
	_, level, ok := bytes.Cut(word, []byte("."))
	if ok && len(more) > 0 && slices.Contains([]string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}, string(level)) {
		return rest[len(word)+1:]
	}
	return rest
}

// withPID is a tag without the colon that should follow it, as ProFTPD writes it.
var withPID = regexp.MustCompile(`^([A-Za-z][\w./-]{1,40})\[\d+\] `)

// tagged reports whether "tag: " or "host tag: " comes first.
func tagged(rest []byte) bool {
	word, more, _ := bytes.Cut(rest, []byte(" "))
	if bytes.HasSuffix(word, []byte(":")) || withPID.Match(more) {
		return true
	}
	tag, _, ok := bytes.Cut(more, []byte(": "))
	return ok && len(tag) > 0 && bytes.IndexByte(tag, ' ') < 0 && bytes.IndexByte(word, '=') < 0 && word[0] != '['
}

// Dovecot's own files (log_path) and syslog with an empty host have no host.
var dovecotPart = regexp.MustCompile(`^(?:auth|auth-worker|dovecot-auth|[a-z0-9]+-login|lmtp|imap|pop3|managesieve)(?:\(.*\))?(?:<[^>]*>)?:$`)

func (l *lines) tagged(e *Event, rest []byte) {
	word, more, _ := bytes.Cut(rest, []byte(" "))
	if dovecotPart.Match(word) && bytes.HasSuffix(word, []byte(":")) {
		e.Program, e.Message = "dovecot", rest
		return
	}
	if !bytes.HasSuffix(word, []byte(":")) {
		rest = withoutLevel(more) // the word is the host's name
	}
	if tag := withPID.FindSubmatchIndex(rest); tag != nil {
		e.Program, e.Message = l.name(rest[tag[2]:tag[3]]), rest[tag[1]:]
		return
	}
	tag, msg, ok := bytes.Cut(rest, []byte(": "))
	if !ok {
		if tag, ok = bytes.CutSuffix(rest, []byte(":")); !ok {
			tag = nil
		}
	}
	if tag == nil || bytes.IndexByte(tag, ' ') >= 0 {
		e.Program, e.Message = l.program, rest
		return
	}
	tag = bytes.Trim(tag, "[]")
	if i := bytes.IndexAny(tag, "[("); i > 0 {
		tag = tag[:i]
	}
	e.Program, e.Message = l.name(tag), msg
}

// rfc5424 reads HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG.
func (l *lines) rfc5424(e *Event, rest []byte) {
	for i := range 4 {
		var word []byte
		word, rest, _ = bytes.Cut(rest, []byte(" "))
		if i == 1 && string(word) != "-" {
			e.Program = l.name(word)
		}
	}
	if bytes.HasPrefix(rest, []byte("-")) {
		rest = rest[1:]
	}
	for len(rest) > 0 && rest[0] == '[' {
		end := 1
		for quoted := false; end < len(rest) && (quoted || rest[end] != ']'); end++ {
			switch rest[end] {
			case '\\':
				end++
			case '"':
				quoted = !quoted
			}
		}
		rest = rest[min(end+1, len(rest)):]
	}
	e.Message = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte(" ")), []byte("\ufeff"))
}

// withoutPID drops Exim's "[1234] " before a message.
func withoutPID(msg []byte) []byte {
	if len(msg) > 3 && msg[0] == '[' {
		if end := bytes.Index(msg[:min(14, len(msg))], []byte("] ")); end > 1 {
			if _, ok := number(msg[1:end]); ok {
				return msg[end+2:]
			}
		}
	}
	return msg
}

// withoutUptime drops the kernel's own "[12345.678901] " before a message.
func withoutUptime(msg []byte) []byte {
	if len(msg) > 0 && msg[0] == '[' {
		if end := bytes.Index(msg[:min(24, len(msg))], []byte("] ")); end > 0 {
			return msg[end+2:]
		}
	}
	return msg
}

// unrepeat takes rsyslog's "message repeated 3 times: [ text]" apart.
func (e *Event) unrepeat() {
	rest, ok := bytes.CutPrefix(e.Message, []byte(repeated))
	if !ok {
		return
	}
	count, rest, ok := bytes.Cut(rest, []byte(" times: ["))
	n, err := strconv.ParseInt(string(count), 10, 32)
	if !ok || err != nil || n < 1 || !bytes.HasSuffix(rest, []byte("]")) {
		return
	}
	e.Repeat, e.Message = n, bytes.TrimPrefix(rest[:len(rest)-1], []byte(" "))
}

// lastRepeated reads sysklogd's "last message repeated 3 times", which has no tag.
func lastRepeated(msg []byte) (n int64, ok bool) {
	rest, ok := bytes.CutPrefix(msg, []byte("last "+repeated))
	if !ok {
		return 0, false
	}
	count, ok := bytes.CutSuffix(rest, []byte(" times"))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(count), 10, 32)
	return n, err == nil && n > 0
}

// Lines reads the lines of one log in their order, as ParseSyslog does each: so years and
// hours that come twice are told apart. program is whose log it is, where lines do not say.
func Lines(ref time.Time, program string) func(line []byte) (Event, error) {
	return newLines(ref, program).parse
}
