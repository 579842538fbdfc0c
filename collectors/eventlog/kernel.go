package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// readKernel reads the kernel's own ring buffer (dmesg(1)) where neither a journal nor
// a file keeps it. The buffer is whole as long as its oldest message is not
// younger than what was read last.
func (l *look) readKernel(ctx context.Context, old cursor) {
	if l.cfg.Kernel == "off" || (l.host.Root != "" && l.cfg.Kernel != "on") {
		return
	}
	var first, last time.Time
	src := evidence.LogSource{Source: "kernel", Whole: true}
	broken := 0
	lines := &splitter{line: func(line []byte) {
		if len(line) == 0 || line[0] == ' ' {
			return // the rest of a message of several lines
		}
		at, msg, err := parseKernel(line)
		if err != nil {
			broken++
			return
		}
		if first.IsZero() {
			first = at
		}
		last = at
		if !at.After(old.Kernel) {
			return
		}
		src.Lines++
		src.Bytes += int64(len(line)) + 1
		moment := evidence.At(at)
		if src.From == nil {
			src.From = &moment
		}
		src.To = &moment
		l.take(Event{Time: at, Program: "kernel", Message: msg}, !old.Kernel.IsZero())
	}}
	res, err := l.host.Run(ctx, host.Command{Name: "dmesg", Args: []string{"--time-format=iso", "--color=never"}, Limit: 64 << 20, Stdout: lines})
	l.next.Kernel = old.Kernel
	switch {
	case errors.Is(err, host.ErrNoProgram):
		l.gap("kernel", "dmesg is not installed")
		return
	case err != nil:
		l.gap("kernel", err.Error())
		return
	case res.Exit != 0:
		l.gap("kernel", "the ring buffer cannot be read: "+firstLine(res.Stderr)+"; give the agent CAP_SYSLOG, or keep a journal")
		return
	}
	if !old.Kernel.IsZero() && first.After(old.Kernel) {
		src.Whole = false
		l.gap("kernel", "messages since the last look were overwritten in the ring buffer")
	}
	if broken > 0 {
		src.Whole = false
		l.gap("kernel", fmt.Sprintf("%d lines are not of a form that is known", broken))
	}
	if !last.IsZero() {
		l.next.Kernel = last
	}
	l.facts.Sources = append(l.facts.Sources, src)
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
