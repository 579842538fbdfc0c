package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

// maxFiles bounds how many files one look follows.
const maxFiles = 200

// syslogFiles are what syslog writes on Debian, Ubuntu, Red Hat and SUSE: where there
// is a journal, their lines stand there too.
var syslogFiles = []string{"/var/log/auth.log", "/var/log/secure", "/var/log/mail.log", "/var/log/maillog", "/var/log/mail",
	"/var/log/kern.log", "/var/log/syslog", "/var/log/messages"}

// ownFiles are what programs write themselves, past syslog: Exim on Debian, Red Hat
// and cPanel, Dovecot with log_path, web servers on Debian, Red Hat and Plesk (whose
// proxy's access logs would say everything twice), Plesk's panel, fail2ban, auditd.
var ownFiles = []string{"/var/log/exim4/mainlog", "/var/log/exim/main.log", "/var/log/exim_mainlog", "/var/log/dovecot.log", "/var/log/dovecot-info.log",
	"/var/log/apache2/*.log", "/var/log/httpd/*_log", "/var/log/nginx/*.log",
	"/var/www/vhosts/system/*/logs/access_log", "/var/www/vhosts/system/*/logs/access_ssl_log", "/var/www/vhosts/system/*/logs/error_log", "/var/www/vhosts/system/*/logs/proxy_error_log",
	"/var/log/plesk/panel.log", "/usr/local/psa/var/log/maillog", "/var/log/proftpd/proftpd.log", "/var/log/vsftpd.log",
	"/var/log/fail2ban.log", "/var/log/audit/audit.log", "/usr/local/cpanel/logs/login_log", "/var/log/proxmox-backup/api/auth.log"}

// expand names the files behind paths with * in them, without those that rotation made.
func expand(h *host.Host, paths []string) (out []string) {
	for _, p := range paths {
		if !strings.Contains(p, "*") {
			out = append(out, p)
			continue
		}
		found, err := h.Glob(p)
		if err == nil {
			out = append(out, slices.DeleteFunc(found, rotatedName)...)
		}
	}
	return out
}

// patternsOf are the paths with * in them: of others reading itself tells what is wrong.
func patternsOf(paths []string) (out []string) {
	for _, p := range paths {
		if strings.Contains(p, "*") {
			out = append(out, p)
		}
	}
	return out
}

// programs are names of programs as rules write them: "postfix*" for all that start so.
type programs []string

func (p programs) from(program string) bool { r := Rule{Programs: p}; return r.from(program) }

// coveredBy names, for the files that hold everything, the programs whose messages
// stand in a file of their own too, so that nothing counts twice. Messages of
// programs that are not listed count in both only where syslog writes them to both.
var coveredBy = map[string]programs{
	"/var/log/auth.log": {"sshd", "sshd-session", "sudo", "su", "login", "systemd-logind", "CRON", "useradd", "usermod", "userdel", "groupadd",
		"groupmod", "groupdel", "gpasswd", "passwd", "chpasswd", "newusers", "chage", "adduser", "addgroup", "deluser", "polkitd", "pkexec"},
	"/var/log/mail.log": {"postfix*", "dovecot*", "exim*", "sendmail", "sm-mta", "opendkim", "amavis", "spamd", "saslauthd"},
	"/var/log/kern.log": {"kernel"},
}

// sameAs are other systems' names for the same files.
var sameAs = map[string]string{"/var/log/secure": "/var/log/auth.log", "/var/log/maillog": "/var/log/mail.log", "/var/log/mail": "/var/log/mail.log"}

// readFiles reads the named files and programs' own; where the journal does not
// carry them, those of syslog too.
func readFiles(ctx context.Context, l *look) {
	paths, skip := l.paths()
	if len(paths) > maxFiles {
		l.gap("files", fmt.Sprintf("%d are named, only the first %d are read", len(paths), maxFiles))
		paths = paths[:maxFiles]
	}
	budget := l.left
	for i, p := range paths {
		if ctx.Err() != nil {
			return
		}
		l.left = budget / int64(len(paths)-i) // what one leaves, the next may use
		given := l.left
		f := newFile(l, p)
		if p == "/var/log/syslog" || p == "/var/log/messages" {
			f.skip = skip
		}
		f.follow(ctx)
		budget -= given - l.left
	}
	l.left = budget
}

// paths lists the files to read, and the programs that the catch-all files leave to others.
func (l *look) paths() (paths []string, skip []programs) {
	for _, pattern := range l.cfg.Files {
		found, err := l.host.Glob(pattern)
		if strings.ContainsAny(pattern, "*?[") {
			found = slices.DeleteFunc(found, rotatedName)
		} else if _, known := l.old.Files[pattern]; known {
			found = []string{pattern} // it may be gone only while it is being rotated
		}
		if err != nil || len(found) == 0 {
			l.gap(pattern, "no such file; correct files in the configuration, or the agent's permission to list the folder")
		}
		paths = append(paths, found...)
	}
	var usual []string
	switch {
	case l.following != nil:
		usual = l.following.usual(l.journalLive)
	case l.cfg.OwnFiles == "off":
	case l.journalLive:
		usual = ownFiles
	default:
		usual = slices.Concat(ownFiles, syslogFiles)
	}
	for _, dir := range l.host.Unlisted(patternsOf(usual)...) {
		l.gap(dir, "may not be listed, so logs in it are not read; add the agent's user to the folder's group (adm on Debian and Ubuntu), or: "+host.CureFolder(dir))
	}
	for _, p := range expand(l.host, usual) {
		_, known := l.old.Files[p]
		info, err := l.host.Stat(p)
		if err == nil && info.IsDir() || errors.Is(err, fs.ErrNotExist) && !known {
			continue
		}
		paths = append(paths, p)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	for _, p := range paths {
		if same, ok := sameAs[p]; ok {
			p = same
		}
		if c, ok := coveredBy[p]; ok {
			skip = append(skip, c)
		}
	}
	return paths, skip
}

// file is the reading of one file, and of what rotation made of it, in one look.
type file struct {
	source
	path  string
	skip  []programs
	lines *lines

	number, matched int64  // lines of a known kind so far; the last of them that a rule matched
	again           Event  // that line, in case it is said to have come again
	decade          []byte // stamp of the line that was taken apart last, up to ten minutes
	latest          []byte // stamp of the last line that no rule needed
	latestForm      form
	begun           []byte // beginning of a line that is longer than maxLine
	dropped         int64  // bytes of it so far
	mid             bool   // within such a line
	lastEnd         int64  // how far the last rotated file was read
	foreign, long   int64
	found           []int // where literals end in the lines at hand
	may             bool  // a rule may match the line at hand
	cut             bool  // the rest waits for the next look
}

func newFile(l *look, name string) *file {
	return &file{source: l.newSource(name), path: name}
}

// program is whose log a file is, where its lines do not say.
func (f *file) program() string {
	for _, name := range []string{"exim", "fail2ban", "plesk", "proftpd"} {
		if strings.Contains(path.Base(f.path), name) || strings.Contains(path.Dir(f.path), name) {
			return name
		}
	}
	return ""
}

// follow reads on where the last look ended, through all that happened to the file since.
func (f *file) follow(ctx context.Context) {
	mark, known := f.old.Files[f.path]
	f.lines = newLines(f.now, f.program())
	in, info, err := f.open(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && known:
		f.followed = true
		f.absent(ctx, mark)
		return
	case err != nil:
		f.unreadable(err)
		if known {
			f.next.Files[f.path] = mark
		}
		return
	}
	defer in.Close() //nolint:errcheck // opened for reading
	offset, old := int64(0), (*fileMark)(nil)
	switch {
	case !known:
		offset, old = f.start(ctx, in, info)
	case mark.is(info) && mark.in(in, info.Size()):
		f.followed, offset = true, mark.Offset
		if mark.Old != nil {
			f.drain(ctx, *mark.Old)
		}
		f.mid = mark.Mid
	default:
		f.followed = true
		old = f.finishRotated(ctx, mark, mark.is(info))
	}
	if f.cut { // a predecessor was too much for one look
		if old != nil {
			f.next.Files[f.path] = *old
		}
		f.verdict()
		return
	}
	f.reference(info)
	end := f.scan(ctx, io.NewSectionReader(in, offset, info.Size()-offset), offset, false)
	next := markOf(in, info, end)
	next.Mid, next.Old = f.mid, old
	f.next.Files[f.path] = next
	f.verdict()
}

// reference sets the moment that no line of a file can be later than by much.
func (f *file) reference(info fs.FileInfo) {
	ref := info.ModTime().In(f.now.Location())
	if ref.After(f.now) {
		ref = f.now
	}
	f.lines.stamps.until(ref)
}

// start finds where a log begins to matter that was never read: at the beginning of
// the window, in a predecessor where the log itself begins later.
func (f *file) start(ctx context.Context, in io.ReaderAt, info fs.FileInfo) (int64, *fileMark) {
	f.reference(info)
	if first, ok := f.timeAt(in, 0); ok && first.Before(f.from) {
		return f.seek(in, info.Size()), nil
	}
	old := f.readChain(ctx, f.since(f.predecessors()), fileMark{}, false)
	return 0, old
}

// seek finds the line where the window begins by halving: lines are in the order of time.
func (f *file) seek(in io.ReaderAt, size int64) int64 {
	low, high := int64(0), size
	for high-low > bufferSize {
		middle := lineAfter(in, low+(high-low)/2)
		at, ok := f.timeAt(in, middle)
		switch {
		case !ok || middle >= high:
			high = low + (high-low)/2
		case at.Before(f.from):
			low = middle
		default:
			high = low + (high-low)/2
		}
	}
	return low
}

// timeAt reads the stamp of the line that begins at offset.
func (f *file) timeAt(in io.ReaderAt, offset int64) (time.Time, bool) {
	b := make([]byte, 2*maxLead)
	n, err := in.ReadAt(b, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return time.Time{}, false
	}
	b = header(b[:n])
	line, _, _ := bytes.Cut(b, []byte("\n"))
	h := locate(line)
	if h.form == formNone {
		return time.Time{}, false
	}
	return newStamps(f.lines.stamps.ref).read(h.form, line[h.from:h.to])
}

// lineAfter finds where the next line after offset begins; far away if its end is.
func lineAfter(in io.ReaderAt, offset int64) int64 {
	b := make([]byte, maxLine)
	n, err := in.ReadAt(b, offset)
	i := bytes.IndexByte(b[:n], '\n')
	if i < 0 || err != nil && !errors.Is(err, io.EOF) {
		return math.MaxInt64
	}
	return offset + int64(i) + 1
}

func (f *file) unreadable(err error) {
	why := err.Error()
	if errors.Is(err, fs.ErrPermission) {
		why = "no permission; add the agent's user to the file's group (adm on Debian and Ubuntu), or: " + host.CureFile(f.path)
	}
	f.gap(f.path, why)
}

func (f *file) open(name string) (*os.File, fs.FileInfo, error) {
	info, err := f.host.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	in, err := f.host.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if info, err = in.Stat(); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return in, info, nil
}
