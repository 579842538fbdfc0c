package antivirus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const clamName = "clamav"

var (
	clamdConfs     = []string{"/etc/clamav/clamd.conf", "/etc/clamd.d/scan.conf", "/etc/clamd.conf", "/usr/local/etc/clamd.conf", "/usr/local/etc/clamav/clamd.conf"}
	freshclamConfs = []string{"/etc/clamav/freshclam.conf", "/etc/freshclam.conf", "/usr/local/etc/freshclam.conf", "/usr/local/etc/clamav/freshclam.conf"}
	databaseDirs   = []string{"/var/lib/clamav", "/usr/local/share/clamav", "/usr/share/clamav", "/var/db/clamav"}
	updateLogs     = []string{"/var/log/clamav/freshclam.log", "/var/log/freshclam.log"}
	scanLogs       = []string{"/var/log/clamav/*scan*.log", "/var/log/clamscan*.log", "/var/log/clamdscan*.log"}
)

// clamav looks at ClamAV.
func (l *look) clamav(ctx context.Context) (evidence.AntivirusProduct, bool) {
	p := unknownProduct(clamName)
	engine, why := l.engine(ctx)
	clamd, fresh := l.conf(clamdConfs), l.conf(freshclamConfs)
	dirs := databaseDirs
	for _, conf := range []map[string]string{clamd, fresh} {
		if dir := conf["DatabaseDirectory"]; dir != "" {
			dirs = append([]string{dir}, dirs...)
		}
	}
	dir, bases := databases(l.host, dirs)
	for _, d := range l.host.Unlisted(globs(dirs)...) {
		l.gap("definitions of "+clamName, d+": may not be listed: "+host.CureFolder(d))
	}
	if why != "" && len(bases) == 0 {
		if installed(l.host, "clamscan", "clamd", "clamdscan") {
			l.gap("engine of "+clamName, why)
		}
		return p, false
	}
	if p.Engine = engine; why != "" {
		l.gap("engine of "+clamName, why)
	}
	engines().put(&p)
	p.Definitions = l.readDatabases(dir, bases)
	l.clamd(ctx, clamd, &p)
	l.freshclam(ctx, fresh, &p)
	l.onAccess(clamd, &p)
	l.scans(&p)
	return p, true
}

// engine asks for the engine's version. --version reads no database but its header.
func (l *look) engine(ctx context.Context) (version, why string) {
	for _, name := range []string{"clamscan", "clamd", "/usr/sbin/clamd"} {
		out, said, err := l.run(ctx, maxText, name, "--version")
		if errors.Is(err, host.ErrNoProgram) {
			if why == "" {
				why = said
			}
			continue
		}
		if why = said; why != "" {
			continue
		}
		if version, _, err = ParseVersion(out, l.zone); err == nil {
			return version, ""
		}
		why = err.Error()
	}
	return "", why
}

// conf reads the first of some configuration files that is there.
func (l *look) conf(paths []string) map[string]string {
	for _, path := range paths {
		b, err := l.host.ReadFile(path, 1<<20)
		switch {
		case err == nil:
			return parseConf(b)
		case errors.Is(err, fs.ErrPermission):
			l.gap("settings of "+clamName, path+": no permission: "+host.CureFile(path))
			return nil
		}
	}
	return nil
}

// globs are the patterns of databases in folders.
func globs(dirs []string) (out []string) {
	for _, dir := range dirs {
		out = append(out, dir+"/*.c[vlu]d")
	}
	return out
}

// databases finds the folder of databases: the first that holds one.
func databases(h *host.Host, dirs []string) (dir string, files []string) {
	if dirs == nil {
		dirs = databaseDirs
	}
	for _, dir := range dirs {
		found, err := h.Glob(dir + "/*.c[vlu]d")
		if err == nil && len(found) > 0 {
			return dir, found
		}
	}
	return "", nil
}

// readDatabases reads the headers. Of a .cvd and a .cld (what incremental updates make of
// it) of the same name the newer one counts, as libclamav does.
func (l *look) readDatabases(dir string, files []string) []evidence.Definitions {
	newest := map[string]Header{}
	for _, file := range files {
		name := databaseName(file)
		if name == "" {
			continue
		}
		h, err := l.header(file)
		if err != nil {
			why := err.Error()
			if errors.Is(err, fs.ErrPermission) {
				why = "no permission: " + host.CureFile(file)
			}
			l.gap("definitions of "+clamName, fmt.Sprintf("%s: %s", file, why))
			continue
		}
		if old, ok := newest[name]; !ok || h.Version > old.Version || h.Version == old.Version && h.Built.After(old.Built) {
			newest[name] = h
		}
	}
	out := []evidence.Definitions{}
	for name, h := range newest {
		out = append(out, h.definitions(name))
	}
	host.SortFunc(out, func(a, b evidence.Definitions) int { return strings.Compare(a.Name, b.Name) })
	if len(out) > evidence.MaxDefinitions {
		l.gap("definitions of "+clamName, fmt.Sprintf("%d in %s: only the first %d were looked at", len(out), dir, evidence.MaxDefinitions))
		out = slices.DeleteFunc(out[evidence.MaxDefinitions-1:], func(d evidence.Definitions) bool { return !d.Decides })
	}
	return out
}

func (l *look) header(file string) (Header, error) {
	f, err := l.host.Open(file)
	if err != nil {
		return Header{}, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b := make([]byte, headerSize)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return Header{}, err
	}
	return ParseHeader(b[:n])
}

// clamd asks the service what it has loaded: it may look with older definitions than
// those on disk. Where no socket is configured there is no service to ask.
func (l *look) clamd(ctx context.Context, conf map[string]string, p *evidence.AntivirusProduct) {
	network, address := "unix", conf["LocalSocket"]
	if address == "" && conf["TCPSocket"] != "" {
		network, address = "tcp", net.JoinHostPort(orLocal(conf["TCPAddr"]), conf["TCPSocket"])
	}
	if address == "" || !installed(l.host, "clamd") {
		return
	}
	if network == "unix" {
		address = l.host.Path(address)
	}
	answer, err := command(ctx, network, address, "nVERSION\n")
	switch {
	case errors.Is(err, fs.ErrPermission):
		p.Running = evidence.Unknown
		l.gap("service of "+clamName, fmt.Sprintf("no permission for clamd's socket %s; set LocalSocketMode 666 in clamd.conf, or add the agent's user to LocalSocketGroup", address))
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		p.Running = evidence.Unknown
		l.gap("service of "+clamName, "clamd takes connections and does not answer VERSION within "+askClamd.String())
	case err != nil:
		p.Running = evidence.No
	default:
		p.Running = evidence.Yes
		engine, daily, err := ParseVersion(answer, l.zone)
		if err != nil {
			l.gap("service of "+clamName, "clamd's answer to VERSION: "+err.Error())
			return
		}
		if p.Loaded = daily; p.Engine == "" {
			p.Engine = engine
			engines().put(p)
		}
	}
}

func orLocal(addr string) string {
	if addr == "" || addr == "0.0.0.0" || addr == "::" {
		return "127.0.0.1"
	}
	return addr
}

const askClamd = 10 * time.Second

// command sends one command of clamd(8) and reads its answer.
func command(ctx context.Context, network, address, cmd string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askClamd)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing was written that must arrive
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if _, err := io.WriteString(conn, cmd); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(conn, 1<<10))
}

// freshclam finds the last update: in the log that is configured, in the usual ones, or in
// the journal.
func (l *look) freshclam(ctx context.Context, conf map[string]string, p *evidence.AntivirusProduct) {
	paths := updateLogs
	if path := conf["UpdateLogFile"]; path != "" {
		paths = []string{path}
	}
	path, err := logOf(l.host, paths)
	if err != nil {
		l.gap("updates of "+clamName, fmt.Sprintf("%s: %s", path, err))
		return
	}
	var text []byte
	if path != "" {
		text = append(tail(l.host, path+".1"), tail(l.host, path)...)
	}
	if f, err := ParseFreshclam(text, l.zone); err == nil {
		p.Update = f.Update
		return
	}
	out, why, err := l.run(ctx, maxOutput, "journalctl", "--output=cat", "--no-pager", "--lines=2000", "--since=-7d", "_SYSTEMD_UNIT=clamav-freshclam.service", "+", "SYSLOG_IDENTIFIER=freshclam")
	if err == nil && why == "" {
		if f, err := ParseFreshclam(out, l.zone); err == nil {
			p.Update = f.Update
			return
		}
	}
	l.gap("updates of "+clamName, "neither freshclam's log nor the journal tells of a run; set UpdateLogFile in freshclam.conf")
}

// logOf is the first log that is there, with an error if it may not be read.
func logOf(h *host.Host, paths []string) (string, error) {
	for _, path := range paths {
		f, err := h.Open(path)
		switch {
		case err == nil:
			_ = f.Close()
			return path, nil
		case errors.Is(err, fs.ErrPermission):
			return path, fmt.Errorf("no permission; %s", cureLog(path))
		}
	}
	return "", nil
}

func cureLog(path string) string {
	return host.CureFile(path) + " (on Debian and Ubuntu the group adm suffices)"
}

// maxTail is how much of the end of a log is read.
const maxTail = 256 << 10

// tail reads the end of a file, from the start of a line.
func tail(h *host.Host, path string) []byte {
	f, err := h.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	from := max(0, info.Size()-maxTail)
	b, err := io.ReadAll(io.NewSectionReader(f, from, maxTail))
	if err != nil {
		return nil
	}
	if from > 0 {
		if i := slices.Index(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return b
}

// onAccess finds out whether files are looked at when they are opened: clamonacc(8) runs,
// or, before 0.102, clamd itself does it.
func (l *look) onAccess(conf map[string]string, p *evidence.AntivirusProduct) {
	names, err := l.host.Glob("/proc/[0-9]*/comm")
	if err != nil || len(names) == 0 {
		l.gap("real-time protection of "+clamName, "/proc lists no process")
		return
	}
	p.RealTime = evidence.No
	for _, name := range names {
		if b, err := l.host.ReadFile(name, 64); err == nil && strings.TrimSpace(string(b)) == "clamonacc" {
			p.RealTime = evidence.Yes
		}
	}
	if yes(conf["ScanOnAccess"]) && p.Running == evidence.Yes {
		p.RealTime = evidence.Yes
	}
}

// scans finds the last scan in logs that clamscan and clamdscan wrote.
func (l *look) scans(p *evidence.AntivirusProduct) {
	patterns := slices.Concat(scanLogs, l.cfg.ScanLogs)
	for _, dir := range l.host.Unlisted(patterns...) {
		l.gap("scans of "+clamName, dir+": may not be listed: "+host.CureFolder(dir))
	}
	for _, pattern := range patterns {
		found, err := l.host.Glob(pattern)
		if err != nil {
			continue
		}
		if len(found) == 0 && slices.Contains(l.cfg.ScanLogs, pattern) {
			l.gap("scans of "+clamName, pattern+": no such file; correct collectors.antivirus.scan_logs")
		}
		for _, path := range found {
			if _, err := logOf(l.host, []string{path}); err != nil {
				l.gap("scans of "+clamName, fmt.Sprintf("%s: %s", path, err))
				continue
			}
			_, s, err := ParseScan(tail(l.host, path), l.zone)
			if err != nil {
				continue
			}
			if info, err := l.host.Stat(path); err == nil && s.At == nil {
				s.At = moment(info.ModTime())
			}
			if p.Scan == nil || s.At != nil && (p.Scan.At == nil || s.At.After(p.Scan.At.Time)) {
				p.Scan = s
			}
		}
	}
}
