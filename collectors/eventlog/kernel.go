package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	kernelName  = "kernel"
	kernelLimit = 64 << 20 // the buffer itself is far smaller (log_buf_len)
)

// readKernel reads the kernel's own ring buffer (dmesg(1)) where neither a journal nor
// a file keeps it.
func readKernel(ctx context.Context, l *look) {
	if l.journalLive || l.keepsKernel() || l.cfg.Kernel == "off" || (l.host.Root != "" && l.cfg.Kernel != "on") {
		return
	}
	others := len(l.facts.Sources)
	k := kernel{source: l.newSource(kernelName)}
	k.follow(ctx)
	if others == 0 && len(l.facts.Sources) > 0 {
		l.gap("logs", "only the kernel's messages: no journal and no syslog files found; name files in collectors.eventlog.files")
	}
}

// keepsKernel reports whether a file was read that syslog writes the kernel's
// messages to.
func (l *look) keepsKernel() bool {
	return slices.ContainsFunc(l.facts.Sources, func(s evidence.LogSource) bool {
		return slices.Contains([]string{"/var/log/kern.log", "/var/log/syslog", "/var/log/messages"}, s.Source)
	})
}

// kernel is the reading of the ring buffer in one look. It is whole as long as its
// oldest message is not younger than what was read last.
type kernel struct {
	source
	first, last time.Time
	broken      int
}

func (k *kernel) follow(ctx context.Context) {
	k.followed = !k.old.Kernel.IsZero()
	k.next.Kernel = k.old.Kernel
	res, err := k.host.Run(ctx, host.Command{Name: "dmesg", Args: []string{"--time-format=iso", "--color=never"},
		Limit: kernelLimit, Stdout: &splitter{line: k.line}})
	switch {
	case errors.Is(err, host.ErrNoProgram):
		k.gap(kernelName, "dmesg is not installed")
		return
	case err != nil:
		k.gap(kernelName, err.Error())
		return
	case res.Exit != 0:
		k.gap(kernelName, "the ring buffer cannot be read: "+firstLine(res.Stderr)+"; give the agent CAP_SYSLOG, or keep a journal")
		return
	}
	if k.followed && k.first.After(k.old.Kernel) {
		k.unwhole("messages since the last look were overwritten in the ring buffer, or went with a restart; keep a journal")
	}
	if k.broken > 0 {
		k.unwhole(fmt.Sprintf("%d lines are not of a form that is known", k.broken))
	}
	if !k.last.IsZero() {
		k.next.Kernel = k.last
	}
	k.done()
}

func (k *kernel) line(line []byte) {
	if len(line) == 0 || line[0] == ' ' {
		return // the rest of a message of several lines
	}
	at, msg, err := parseKernel(line)
	if err != nil {
		k.broken++
		return
	}
	if k.first.IsZero() {
		k.first = at
	}
	k.last = at
	if !at.After(k.old.Kernel) {
		return
	}
	k.read.Lines++
	k.read.Bytes += int64(len(line)) + 1
	k.saw(at)
	k.take(Event{Time: at, Program: kernelName, Message: msg, Repeat: 1})
}

// parseKernel reads a line of dmesg --time-format=iso:
// "2026-11-23T16:30:19,000000+00:00 message".
func parseKernel(line []byte) (at time.Time, msg []byte, err error) {
	word, msg, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return at, nil, errForm
	}
	at, err = time.Parse("2006-01-02T15:04:05,999999999Z07:00", string(word))
	if err != nil {
		return at, nil, errForm
	}
	return at, msg, nil
}
