package software

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

// Needrestart is what needrestart -b prints (README.batch.md of needrestart 3).
type Needrestart struct {
	Kernel    int      // NEEDRESTART-KSTA: 0 not known or none, 1 current, 2 an ABI-compatible upgrade waits, 3 a version upgrade waits
	Running   string   // NEEDRESTART-KCUR
	Expected  string   // NEEDRESTART-KEXP
	Microcode int      // NEEDRESTART-UCSTA: 0 not known, 1 current, 2 an upgrade waits
	Services  []string // NEEDRESTART-SVC: services that run replaced files
	Others    int      // containers and sessions that do
}

// maxServices bounds the services that are named.
const maxServices = 500

// ParseNeedrestart reads needrestart -b: lines NEEDRESTART-KEY: VALUE, of which it
// adds new ones over time. Without its version line the output is of another program.
func ParseNeedrestart(out []byte) (Needrestart, error) {
	var n Needrestart
	known := false
	for line := range strings.Lines(string(out)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		key, ours := strings.CutPrefix(key, "NEEDRESTART-")
		if !ok || !ours {
			continue
		}
		value = strings.TrimSpace(value)
		state := 0
		if key == "KSTA" || key == "UCSTA" {
			var err error
			if state, err = strconv.Atoi(value); err != nil || state < 0 || state > 9 {
				return n, fmt.Errorf("needrestart's output: %s is %s, want a number", key, show(value))
			}
		}
		switch key {
		case "VER":
			known = value != ""
		case "KSTA":
			n.Kernel = state
		case "UCSTA":
			n.Microcode = state
		case "KCUR":
			n.Running = clip(value)
		case "KEXP":
			n.Expected = clip(value)
		case "SVC":
			if word(value) && len(n.Services) < maxServices {
				n.Services = append(n.Services, value)
			}
		case "CONT", "SESS", "PID":
			n.Others++
		}
	}
	if !known {
		return n, errors.New("needrestart's output has no NEEDRESTART-VER: it was cut, or is of another command")
	}
	return n, nil
}

// needrestart asks needrestart where the host has it: in batch mode it lists only,
// and restarts nothing. It reports whether it saw the programs of all users, as root
// does.
func (l *look) needrestart(ctx context.Context) (all bool) {
	const tool = "needrestart"
	out, err := l.run(ctx, tool, "-b", "-r", "l")
	if errors.Is(err, host.ErrNoProgram) {
		return false
	}
	var n Needrestart
	if err == nil {
		n, err = ParseNeedrestart(out)
	}
	if err != nil {
		l.gap(tool, "%v; running programs are looked at without it", err)
		return false
	}
	l.needs(n)
	return os.Geteuid() == 0
}

// needs notes what needrestart found. Its knowledge of kernels counts where the
// packages tell nothing of their own.
func (l *look) needs(n Needrestart) {
	switch {
	case n.Kernel == 3 && n.Expected != "":
		l.restart("kernel", "kernel "+n.Expected+" is installed, "+n.Running+" runs", time.Time{})
	case n.Kernel == 2 || n.Kernel == 3:
		l.restart("kernel", "a newer build of kernel "+n.Running+" is installed", time.Time{})
	}
	if n.Microcode == 2 {
		l.restart("microcode", "newer microcode of the processor is installed", time.Time{})
	}
	for i, name := range n.Services {
		if i == maxPrograms {
			l.restart("programs", fmt.Sprintf("%d more services run replaced files", len(n.Services)-i), time.Time{})
			break
		}
		l.restart("program "+name, clip(name+" still runs replaced files"), time.Time{})
	}
	if n.Others > 0 {
		l.restart("others", fmt.Sprintf("%d containers or sessions run replaced files", n.Others), time.Time{})
	}
}
