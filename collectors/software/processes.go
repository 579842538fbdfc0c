package software

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxProcesses = 100_000
	maxPrograms  = 20 // named in the facts
	maxMaps      = 16 << 20
	kernelThread = 0x00200000 // PF_KTHREAD in the flags of /proc/PID/stat (proc(5))
)

// staleLine is a mapping of /proc/PID/maps (proc(5)) that can be executed, and
// whose file was deleted or replaced.
var staleLine = regexp.MustCompile(`^[0-9a-f]+-[0-9a-f]+ ..x. \S+ \S+ [1-9]\d* +(/.*) \(deleted\)$`)

// programFolders are where package managers put programs and libraries.
var programFolders = []string{"/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/libexec", "/usr/bin", "/usr/sbin", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/opt"}

// ParseMaps names the programs and libraries that a process still runs although
// their files were replaced, from its /proc/PID/maps.
func ParseMaps(r io.Reader) ([]string, error) {
	var out []string
	s := bufio.NewScanner(io.LimitReader(r, maxMaps))
	s.Buffer(nil, maxLine)
	for s.Scan() {
		line := s.Text()
		if !strings.HasSuffix(line, " (deleted)") {
			continue
		}
		m := staleLine.FindStringSubmatch(line)
		if m == nil || !slices.ContainsFunc(programFolders, func(f string) bool { return strings.HasPrefix(m[1], f+"/") }) {
			continue
		}
		if name := strings.TrimSuffix(path.Base(m[1]), ".dpkg-new"); !slices.Contains(out, name) && len(out) < 100 {
			out = append(out, name)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("memory map: %w", err)
	}
	return out, nil
}

// processes looks for programs that still run what an update replaced.
// Processes in containers are their images' business and are left out.
func (l *look) processes(ctx context.Context) {
	pids, err := l.h.Glob("/proc/[0-9]*")
	if err != nil || len(pids) == 0 || len(pids) > maxProcesses {
		l.unknown("running programs", fmt.Sprintf("%d processes in /proc", len(pids)))
		l.cursor.keep("restart program")
		return
	}
	own := l.depth("/proc/self")
	stale := map[string][]string{}
	hidden := 0
	for _, dir := range pids {
		if ctx.Err() != nil {
			l.unknown("running programs", ctx.Err().Error())
			return
		}
		if !isNumber(path.Base(dir)) || l.depth(dir) > own {
			continue
		}
		files, err := l.maps(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH):
		case err != nil && !l.kernelThread(dir):
			hidden++
		case len(files) > 0:
			name := l.program(dir)
			stale[name] = append(stale[name], files...)
		}
	}
	if hidden > 0 {
		l.cursor.keep("restart program")
		l.unknown("running programs", fmt.Sprintf("%d processes cannot be read, so what they run is not known: give the agent CAP_SYS_PTRACE (AmbientCapabilities= in its unit) or run it as root", hidden))
	}
	l.stale(stale)
}

func (l *look) stale(programs map[string][]string) {
	names := slices.Sorted(maps.Keys(programs))
	for i, name := range names {
		if i == maxPrograms {
			l.restart("programs", fmt.Sprintf("%d more programs run replaced files", len(names)-i), time.Time{})
			break
		}
		files := programs[name]
		slices.Sort(files)
		l.restart("program "+name, clip(fmt.Sprintf("%s still runs replaced %s", name, strings.Join(slices.Compact(files), ", "))), time.Time{})
	}
}

func (l *look) maps(dir string) ([]string, error) {
	f, err := l.h.Open(dir + "/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	return ParseMaps(f)
}

// depth is in how many PID namespaces a process is, as seen from here: more than
// one's own is a container's.
func (l *look) depth(dir string) int {
	for line := range strings.Lines(l.small(dir + "/status")) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return len(strings.Fields(ids))
		}
	}
	return 1
}

// kernelThread reports whether a process is one of the kernel's: they map nothing.
func (l *look) kernelThread(dir string) bool {
	stat := l.small(dir + "/stat")
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 7 {
		return stat == "" // it ended meanwhile
	}
	flags, err := strconv.ParseUint(f[6], 10, 64)
	return err == nil && flags&kernelThread != 0
}

// program is the name of the file that a process runs, never its command line.
func (l *look) program(dir string) string {
	exe, err := os.Readlink(l.h.Path(dir + "/exe"))
	name := path.Base(strings.TrimSuffix(exe, " (deleted)"))
	if err != nil || !word(name) {
		return "a program"
	}
	return name
}
