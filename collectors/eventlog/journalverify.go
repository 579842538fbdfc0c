package eventlog

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
)

const verifyEvery = 24 * time.Hour

// verify lets journalctl compare the files with the hashes in them: it reads a file
// that was changed without a complaint otherwise (journalctl(1), --verify).
func (j *journal) verify(ctx context.Context) {
	j.next.Checked = j.old.Checked
	wait := j.stop.Sub(j.host.Now())
	if !j.cfg.Verify || wait <= 0 || j.now.Sub(j.old.Checked) < verifyEvery {
		return
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	args := append([]string{"--verify", "--quiet", "--no-pager"}, j.where...)
	res, err := j.host.Run(short, host.Command{Name: "journalctl", Args: args, Limit: minBytes})
	switch {
	case err != nil:
		j.unwhole("its hashes could not be compared: " + err.Error() + "; set verify: off, or keep less in it (SystemMaxUse in journald.conf)")
		return
	case res.Exit != 0:
		j.unwhole("a file does not agree with its own hashes: it was changed or damaged after it was written" + damaged(res.Stderr))
	}
	j.next.Checked = j.now
}

// damaged names the file that journalctl says FAIL of.
func damaged(stderr string) string {
	for line := range strings.Lines(stderr) {
		if name, ok := strings.CutPrefix(line, "FAIL: "); ok {
			name, _, _ = strings.Cut(name, " (")
			return ": " + printable(path.Base(name))
		}
	}
	return ""
}
