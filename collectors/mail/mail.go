// Package mail sees how a mail server's queue is, how much each account sends compared
// with its own past, and signs that an account is in other hands. Subjects, contents and
// recipients are read past and never kept.
package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/eventlog"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Names sends names of accounts in place of pseudonyms. Without it the erasable
	// detail explains the pseudonyms of accounts with a sign.
	Names bool `yaml:"names"`
	// Files (with * and ?) are mail logs besides those that are found by themselves.
	Files []string `yaml:"files"`
	// Journal: auto reads the journal where it is there, on demands it, off leaves it alone.
	Journal string `yaml:"journal"`
	// JournalDir reads another folder of journal files instead of the host's own.
	JournalDir string `yaml:"journal_dir"`
	// MaxBytes bounds what one look reads of the logs; the rest is read by the next one.
	MaxBytes int64 `yaml:"max_bytes"`
}

const (
	every   = 15 * time.Minute
	timeout = 2 * time.Minute
	// silence is how long a mail server may log nothing before that is a gap.
	silence = 26 * time.Hour
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindMail,
		Title:   "Mail: queue, sending rates, signs of stolen accounts",
		OS:      []string{"linux"},
		Needs:   host.NeedExec | host.NeedRoot,
		Every:   every,
		Timeout: timeout,
		New:     newCollector,
		Detect:  detect,
		Formats: Formats(),
		About: host.About{
			Reads: []string{
				"the queue: `postqueue -j` (Postfix 3.1 and later) or `exim -bp`",
				"lines of Postfix, Dovecot and Exim in the journal (facility mail) or in mail logs, with what was rotated: who signed in and from where, for how many recipients, what became of it",
			},
			Sends: []string{
				"the queue: how many messages and bytes, the oldest, why they wait by class, the senders that have most, by pseudonym",
				"what was taken, handed on, deferred and refused within the look",
				"per account with a sign, and of the ten that sent most, by pseudonym: messages, recipients, the busiest hour against its own past, sign-ins, failures, networks, refused mail, signs with their strength",
				"in the erasable detail: which name an account's pseudonym stands for, if it has a sign or is among the senders that have most in the queue",
			},
			Never: []string{
				"addresses of recipients, subjects, contents, passwords; addresses that sign-ins came from are counted by network and not sent",
			},
			Needs: []string{
				"group `postdrop` for Postfix's queue, or Exim's group for its own, by the drop-in `mail.conf` (see /usr/share/doc/attesto-agent/examples); without it the queue is a gap",
				"group `systemd-journal` for the journal, group `adm` for mail logs; without them the look says which could not be read",
			},
		},
	}
}

type collector struct {
	cfg  Config
	host *host.Host
}

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	cfg := Config{Journal: "auto", MaxBytes: 256 << 20}
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"auto", "on", "off"}, cfg.Journal) {
		return nil, fmt.Errorf("mail: journal %q: want auto, on or off", cfg.Journal)
	}
	if cfg.MaxBytes < 1<<20 {
		return nil, fmt.Errorf("mail: max_bytes %d: want at least %d", cfg.MaxBytes, 1<<20)
	}
	for _, path := range cfg.Files {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("mail: files: %q: want a whole path, such as /var/log/maillog", path)
		}
	}
	return &collector{cfg, h}, nil
}

// Detail explains pseudonyms; it can be erased.
type Detail struct {
	Names map[string]string `json:"names"`
}

var (
	syslogFiles = []string{"/var/log/mail.log", "/var/log/maillog", "/var/log/mail"}
	ownFiles    = []string{"/var/log/exim4/mainlog", "/var/log/exim/main.log", "/var/log/exim_mainlog", "/var/log/dovecot.log", "/var/log/dovecot-info.log",
		"/usr/local/psa/var/log/maillog", "/var/log/postfix.log"}
)

// wanted are parts of lines, of which one stands in every line that is read.
var wanted = [][]byte{[]byte("sasl_username="), []byte("nrcpt="), []byte("status="), []byte(" authentication failed"), []byte(": removed"),
	[]byte("-login: "), []byte("auth failed"), []byte("assword mismatch"), []byte("pam_authenticate() failed"), []byte("authenticator failed"),
	[]byte(" <= "), []byte(" => "), []byte(" -> "), []byte(" >> "), []byte(" ** "), []byte(" == "), []byte(" Completed")}

func wants(line []byte) bool {
	return slices.ContainsFunc(wanted, func(w []byte) bool { return bytes.Contains(line, w) })
}

// Collect looks once.
func (c *collector) Collect(ctx context.Context, saved []byte) (host.Look, error) {
	if !present(c.host, c.cfg) {
		return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "mail", Why: "no mail server was found: looked for Postfix, Exim, Dovecot and their logs"}}}, nil
	}
	now := c.host.Now()
	var gaps []evidence.Gap
	old, err := readState(saved)
	if err != nil {
		gaps = append(gaps, evidence.Gap{What: "cursor", Why: "what was kept of the last look is damaged, so the history begins anew: " + err.Error()})
	}
	t := newTally(old, c.host.MachineKey, time.Time{})
	f := &eventlog.Following{Wants: wants, Journal: []string{"SYSLOG_FACILITY=2", "+", "SYSLOG_IDENTIFIER=exim", "+", "SYSLOG_IDENTIFIER=exim4"},
		Own: ownFiles, Syslog: syslogFiles,
		Config: eventlog.Config{Journal: c.cfg.Journal, JournalDir: c.cfg.JournalDir, Files: c.cfg.Files, MaxBytes: c.cfg.MaxBytes},
		Take: func(e eventlog.Event) {
			if line, ok := parse(e.Program, string(e.Message)); ok {
				t.add(line, e.Time)
			}
		}}
	read, err := f.Follow(ctx, c.host, old.Log)
	gaps = append(gaps, read.Gaps...)
	switch {
	case errors.Is(err, eventlog.ErrNoLog):
		gaps = append(gaps, evidence.Gap{What: "mail log", Why: "none was found that this agent can read; name it in collectors.mail.files"})
	case err != nil:
		return host.Look{Gaps: gaps}, err
	default:
		t.Log = read.Next
		t.facts.Sources = read.Sources
		if now.Sub(t.Written) > silence {
			gaps = append(gaps, evidence.Gap{What: "mail log", Why: "holds no line of a mail server for over a day; if it is written elsewhere, name it in collectors.mail.files"})
		}
	}
	return c.finish(ctx, t, read, gaps, now)
}

// finish asks for the queue and puts everything together.
func (c *collector) finish(ctx context.Context, t *tally, read eventlog.Followed, gaps []evidence.Gap, now time.Time) (host.Look, error) {
	queued := map[string]int64{}
	q, gap := readQueue(ctx, c.host, func(id, from string) string {
		if m := t.Messages[id]; m != nil {
			return m.Account
		}
		if from == "" || from == "mailer-daemon" {
			return ""
		}
		name := t.pseudonym(from)
		if len(t.names) < maxNames {
			t.names[name] = from
		}
		return name
	})
	if gap != nil {
		gaps = append(gaps, *gap)
	}
	if q == nil && len(t.facts.Sources) == 0 {
		return host.Look{Gaps: gaps}, errors.New("neither a queue nor a log could be read")
	}
	shown := map[string]string{}
	name := func(id string) string {
		real, known := t.names[id]
		if known && c.cfg.Names {
			return real
		}
		if known {
			shown[id] = real
		}
		return id
	}
	var waiting int64
	if q != nil {
		for id, s := range q.senders {
			queued[id] = s.messages
		}
		waiting = q.Messages
		t.facts.Queue = q.facts(name)
	}
	facts := t.done(now, queued, waiting, func(id string) string {
		if real, known := t.names[id]; known && c.cfg.Names {
			return real
		}
		return id
	})
	for _, a := range facts.Accounts {
		if len(a.Signs) > 0 {
			name(a.Name)
		}
	}
	next, err := t.encode(now)
	if err != nil {
		return host.Look{}, err
	}
	l := host.Look{Facts: facts, Gaps: gaps, Next: next, From: read.From, To: read.To}
	if len(shown) > 0 {
		l.Detail = Detail{shown}
	}
	return l, facts.Validate()
}

// present reports whether there is anything to see.
func present(h *host.Host, cfg Config) bool {
	if _, _, ok := installedSystem(h); ok || len(cfg.Files) > 0 {
		return true
	}
	return slices.ContainsFunc(slices.Concat([]string{"/usr/sbin/dovecot", "/usr/lib/dovecot"}, ownFiles), func(path string) bool {
		_, err := h.Stat(path)
		return err == nil
	})
}

func detect(_ context.Context, h *host.Host) host.Detection {
	var d host.Detection
	if s, program, ok := installedSystem(h); ok {
		d.Useful, d.Found = true, program
		if dir := map[string]string{"postfix": "/var/spool/postfix/public", "exim": "/var/spool/exim4/input"}[s.name]; dir != "" {
			if found, err := h.Glob(dir + "/*"); err == nil && len(found) == 0 && s.name == "postfix" {
				d.Missing = append(d.Missing, host.Missing{What: "permission to ask for the queue", Cure: s.cure})
			}
		}
	} else if present(h, Config{}) {
		d.Useful, d.Found = true, "Dovecot, or a mail log"
	}
	if d.Useful {
		d.Missing = append(d.Missing, h.Unread(slices.Concat(ownFiles, syslogFiles)...)...)
	}
	return d
}
