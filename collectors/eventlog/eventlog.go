// Package eventlog reads the host's logs and says which rules matched how often,
// how much was read, and whether that was all: a window that cannot be proven
// whole says so.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Journal: auto reads journald where it is there, on demands it, off leaves it alone.
	Journal string `yaml:"journal"`
	// JournalDir reads another folder of journal files instead of the host's own.
	JournalDir string `yaml:"journal_dir"`
	// Verify compares, once a day, every journal file with the hashes in it
	// (journalctl --verify): a changed entry shows in no other way. It reads all files
	// whole, so it is off unless asked for.
	Verify bool `yaml:"verify"`
	// Kernel: auto reads the kernel's ring buffer where neither a journal nor a file
	// keeps its messages, off leaves it alone.
	Kernel string `yaml:"kernel"`
	// Files (with * and ?) are read besides the journal. Name only what the journal
	// does not carry, or it counts twice. Without a journal the usual files of syslog
	// are read by themselves; those that programs write past it always are.
	Files []string `yaml:"files"`
	// OwnFiles: auto reads the usual files of programs that write past syslog, off only
	// what Files names.
	OwnFiles string `yaml:"own_files"`
	// Rules are files with rules of one's own, added to the built-in ones.
	Rules []string `yaml:"rules"`
	// MaxBytes bounds what one look reads; the rest is read by the next one.
	MaxBytes int64 `yaml:"max_bytes"`
	// Samples are kept per rule, redacted, in the erasable detail.
	Samples int `yaml:"samples"`
}

const (
	every   = time.Hour
	timeout = 2 * time.Minute
	// firstWindow is how far back the first look goes.
	firstWindow = 24 * time.Hour
	// silence is how long a journal may have nothing new before that is a gap: a
	// system whose services run writes something every day.
	silence  = 24 * time.Hour
	minBytes = 1 << 20
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindEventLog,
		Title:   "event logs: rules matched, lines read, gaps",
		OS:      []string{"linux", "darwin", "freebsd", "windows"},
		Needs:   host.NeedExec | host.NeedRoot,
		Every:   every,
		Timeout: timeout,
		New:     newCollector,
		Detect:  detect,
		Formats: formats(),
		About: host.About{
			Reads: []string{
				"the journal, only the fields that rules need",
				"syslog, authentication, mail and web logs as files, with what was rotated",
			},
			Sends: []string{
				"per rule: how often, first and last time, redacted samples (erasable)",
				"lines read, and every stretch that is not proven whole",
			},
			Never: []string{
				"lines that no rule matched",
				"passwords, mail subjects, tokens and query strings: samples are redacted before they are kept",
			},
			Needs: []string{
				"group `systemd-journal` for the journal, group `adm` for files; without them the look says which could not be read",
				"`setfacl -m u:attesto:r` on logs that only root reads (`/var/log/audit/audit.log`, Plesk's); each that is missing is named",
			},
		},
	}
}

type collector struct {
	cfg  Config
	host *host.Host
}

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	cfg := Config{Journal: "auto", Kernel: "auto", OwnFiles: "auto", MaxBytes: 256 << 20, Samples: 3}
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	for key, value := range map[string]string{"journal": cfg.Journal, "kernel": cfg.Kernel, "own_files": cfg.OwnFiles} {
		if !slices.Contains([]string{"auto", "on", "off"}, value) {
			return nil, fmt.Errorf("eventlog: %s %q: want auto, on or off", key, value)
		}
	}
	if cfg.MaxBytes < minBytes || cfg.Samples < 0 || cfg.Samples > 10 {
		return nil, fmt.Errorf("eventlog: max_bytes %d and samples %d: want at least %d, and 0 to 10", cfg.MaxBytes, cfg.Samples, minBytes)
	}
	for _, path := range slices.Concat(cfg.Files, cfg.Rules) {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("eventlog: file %q: want a path from the root", path)
		}
	}
	return &collector{cfg, h}, nil
}

// Detail holds the samples, which can be erased.
type Detail struct {
	Samples map[string][]string `json:"samples"` // by rule
}

// look is one look under way.
type look struct {
	*collector
	now    time.Time
	from   time.Time // events before are older than the window
	to     time.Time // all up to here was read
	stop   time.Time // when to end reading and leave the rest to the next look
	engine *Engine
	tally  *tally
	facts  evidence.EventLog
	gaps   []evidence.Gap
	old    cursor
	next   cursor
	left   int64 // bytes that may still be read
	buf    []byte
	// journalLive says that the journal carries what syslog would write to its files.
	journalLive bool
	// following is set where the logs are read for another kind, without rules.
	following *Following
}

func (l *look) gap(what, why string) {
	l.gaps = append(l.gaps, evidence.Gap{What: what, Why: why})
}

// Collect reads what came since the last look.
func (c *collector) Collect(ctx context.Context, saved []byte) (host.Look, error) {
	l, err := c.begin(ctx, saved)
	if err != nil {
		return host.Look{}, err
	}
	for _, read := range readers() {
		read(ctx, l)
	}
	if err := ctx.Err(); err != nil {
		return host.Look{}, fmt.Errorf("reading logs: %w", err)
	}
	if len(l.facts.Sources) == 0 {
		if len(l.gaps) == 0 {
			l.gap("logs", "no log was found that this agent can read; name files in collectors.eventlog.files")
			return host.Look{Gaps: l.gaps, Unsupported: true}, nil
		}
		return host.Look{Gaps: l.gaps}, errors.New("no log could be read")
	}
	l.facts.Hits = l.tally.hits()
	l.next.Until = l.to
	l.next.Bursts = l.tally.bursts.marks(l.now.Add(-maxWithin))
	l.next.Bursts = l.next.Bursts[:min(len(l.next.Bursts), keptBursts)]
	next, err := l.next.encode()
	if err != nil {
		return host.Look{}, err
	}
	return host.Look{Facts: l.facts, Detail: Detail{l.tally.samples()}, Gaps: l.gaps, Next: next, From: l.from, To: l.to}, nil
}

func (c *collector) begin(ctx context.Context, saved []byte) (*look, error) {
	l := c.start(ctx, saved)
	rules, err := l.rules()
	if err != nil {
		return nil, err
	}
	digest, err := ruleSetDigest(rules)
	if err != nil {
		return nil, err
	}
	l.facts.RuleSet, l.facts.Rules = digest, len(rules)
	l.engine = NewEngine(rules)
	l.tally = newTally(rules, c.cfg.Samples, c.host.MachineKey, readBursts(l.old.Bursts))
	return l, nil
}

// start begins a look where the last one ended.
func (c *collector) start(ctx context.Context, saved []byte) *look {
	l := &look{collector: c, now: c.host.Now(), left: c.cfg.MaxBytes, next: cursor{V: cursorVersion, Files: map[string]fileMark{}}}
	l.to, l.stop = l.now, l.now.Add(timeout*3/4)
	if deadline, ok := ctx.Deadline(); ok {
		l.stop = l.now.Add(time.Until(deadline) * 3 / 4)
	}
	l.facts = evidence.EventLog{Sources: []evidence.LogSource{}, Hits: []evidence.RuleHit{}}
	var err error
	if l.old, err = readCursor(saved); err != nil {
		l.gap("cursor", "what was kept of the last look is damaged, so the last day is read again and counts again: "+err.Error())
		l.old = cursor{}
	}
	l.from = l.old.Until
	switch {
	case l.from.IsZero():
		l.from = l.now.Add(-firstWindow)
	case l.from.After(l.now):
		l.gap("clock", "it went back behind the last look, at "+l.from.UTC().Format(time.RFC3339))
		l.from = l.now
	}
	return l
}

// rules are the built-in ones and the operator's. A file that cannot be used is a
// gap: the other rules still hold.
func (l *look) rules() ([]Rule, error) {
	rules, err := BuiltinRules()
	if err != nil {
		return nil, err
	}
	for _, path := range l.cfg.Rules {
		b, err := l.host.ReadFile(path, 1<<20)
		if err != nil {
			l.gap("rules "+path, "not applied: "+err.Error())
			continue
		}
		more, err := ParseRules(b)
		if err == nil {
			more = append(slices.Clone(rules), more...)
			err = checkTogether(more)
		}
		if err != nil {
			l.gap("rules "+path, "not applied: "+err.Error())
			continue
		}
		rules = more
	}
	return rules, nil
}

// until notes that a log was read only up to a moment: the window ends there, and
// the next one begins there.
func (l *look) until(at time.Time) {
	if at.Before(l.to) {
		l.to = at
	}
	if l.to.Before(l.from) {
		l.to = l.from
	}
}

// enough reports whether the rest must wait for the next look.
func (l *look) enough() bool { return l.left <= 0 || l.host.Now().After(l.stop) }
