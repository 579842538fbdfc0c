package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	askQueue = 45 * time.Second
	maxQueue = 64 << 20
)

// system is a mail server whose queue can be asked for.
type system struct {
	name     string
	programs []string // where one of these lies it is installed
	args     []string
	cure     string
}

var systems = []system{
	{"postfix", []string{"/usr/sbin/postqueue", "/usr/bin/postqueue", "/usr/local/sbin/postqueue"}, []string{"-j"},
		"let the agent ask: cp /usr/share/doc/attesto-agent/examples/mail.conf /etc/systemd/system/attesto-agent.service.d/ && systemctl daemon-reload && systemctl restart attesto-agent"},
	{"exim", []string{"/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim"}, []string{"-bp"},
		"put the agent's user into Exim's group, as /usr/share/doc/attesto-agent/examples/mail.conf says"},
}

// installedSystem finds the host's mail server.
func installedSystem(h *host.Host) (s system, program string, ok bool) {
	for _, s := range systems {
		for _, p := range s.programs {
			if info, err := h.Stat(p); err == nil && !info.IsDir() {
				return s, p, true
			}
		}
	}
	return system{}, "", false
}

// readQueue asks for the queue. whose gives the pseudonym of a message's account, or of
// its sender. A queue that was cut off counts as far as it was read.
func readQueue(ctx context.Context, h *host.Host, whose func(id, from string) string) (*queue, *evidence.Gap) {
	s, program, ok := installedSystem(h)
	if !ok {
		return nil, nil
	}
	q := newQueue(s.name, whose)
	out := &splitter{line: q.postfixLine}
	exim := &eximReader{q: q, now: h.Now()}
	if s.name == "exim" {
		out.line = exim.line
	}
	short, cancel := context.WithTimeout(ctx, askQueue)
	defer cancel()
	res, err := h.Run(short, host.Command{Name: program, Args: s.args, Limit: maxQueue, Stdout: out})
	exim.flush()
	gap := func(why string) *evidence.Gap { return &evidence.Gap{What: "queue of " + s.name, Why: why} }
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return nil, gap(program + " cannot be run")
	case err != nil && short.Err() != nil && q.Messages == 0:
		return nil, gap("no answer in the time that it had")
	case err != nil && short.Err() != nil:
		return q, gap(fmt.Sprintf("only %d messages were listed in the time that it had", q.Messages))
	case err != nil:
		return nil, gap(err.Error())
	case res.Cut:
		return q, gap(fmt.Sprintf("its list is over %d bytes: only the first %d messages were looked at", maxQueue, q.Messages))
	case res.Exit != 0:
		why, _, _ := strings.Cut(strings.TrimSpace(res.Stderr), "\n")
		if strings.Contains(why, "accessing queue directly") { // it says so to root only: no permission is missing
			s.cure = "start it: postfix start"
		}
		return nil, gap(fmt.Sprintf("%s ended with %d: %s; %s", program, res.Exit, strings.ToValidUTF8(why[:min(len(why), 200)], "?"), s.cure))
	case (out.bad > 0 || len(out.rest) > 0) && q.Messages == 0:
		return nil, gap(out.trouble())
	case out.bad > 0 || len(out.rest) > 0:
		return q, gap(out.trouble())
	case exim.strange > 0:
		return q, gap(fmt.Sprintf("%d lines are of no form that is known", exim.strange))
	}
	return q, nil
}
