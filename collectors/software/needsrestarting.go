package software

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

// needsRestarting asks needs-restarting -r (dnf-utils; man page dnf-needs_restarting)
// where the host has it: exit 0 says that no reboot is needed, 1 that one is. Where
// it is absent, the kernels and the programs that run are what there is.
func (l *look) needsRestarting(ctx context.Context) {
	const tool = "needs-restarting"
	if _, ok := l.managerNamed(managerRPM); !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	res, err := l.h.Run(ctx, host.Command{Name: tool, Args: []string{"-r"}, Limit: 1 << 20})
	switch {
	case errors.Is(err, host.ErrNoProgram):
	case err != nil:
		l.unknown(tool, err.Error())
	case res.Exit == 1 && len(ParseNeedsRestarting(string(res.Stdout))) > 0:
		names := ParseNeedsRestarting(string(res.Stdout))
		l.restart(tool, clip("updated since boot: "+strings.Join(names, ", ")), time.Time{})
	case res.Exit != 0 || res.Cut:
		l.unknown(tool, failure(tool, res).Error())
	}
}

// needsRestartingPrograms counts the programs that needs-restarting without -r names:
// lines of "PID : COMMAND".
func needsRestartingPrograms(out string) int {
	n := 0
	for line := range strings.Lines(out) {
		if pid, _, ok := strings.Cut(line, " : "); ok && isNumber(strings.TrimSpace(pid)) {
			n++
		}
	}
	return n
}

// ParseNeedsRestarting reads the packages that needs-restarting -r names: lines
// of "  * NAME".
func ParseNeedsRestarting(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "* "); ok && word(name) && len(names) < 20 {
			names = append(names, name)
		}
	}
	return names
}
