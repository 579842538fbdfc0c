// Package eventlog reads the host's logs and says which rules matched how often,
// how much was read, and whether that was all: a window that cannot be proven
// whole says so.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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
	// Kernel: auto reads the kernel's ring buffer where there is no journal, off leaves
	// it alone.
	Kernel string `yaml:"kernel"`
	// Files are read besides the journal; without a journal the usual files of
	// syslog are read by themselves.
	Files []string `yaml:"files"`
	// Rules are files with rules of one's own, added to the built-in ones.
	Rules []string `yaml:"rules"`
	// MaxBytes bounds what one look reads; the rest is read by the next one.
	MaxBytes int64 `yaml:"max_bytes"`
	// Samples are kept per rule, redacted, in the erasable detail.
	Samples int `yaml:"samples"`
}

// firstWindow is how far back the first look goes.
const firstWindow = 24 * time.Hour

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindEventLog,
		Title:   "event logs: rules matched, lines read, gaps",
		OS:      []string{"linux", "darwin", "freebsd"},
		Needs:   host.NeedExec | host.NeedRoot,
		Every:   time.Hour,
		Timeout: 2 * time.Minute,
		New:     newCollector,
		Detect:  detect,
		Formats: formats(),
	}
}

type collector struct {
	cfg  Config
	host *host.Host
}

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	cfg := Config{Journal: "auto", Kernel: "auto", MaxBytes: 256 << 20, Samples: 3}
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"auto", "on", "off"}, cfg.Journal) {
		return nil, fmt.Errorf("eventlog: journal %q: want auto, on or off", cfg.Journal)
	}
	if !slices.Contains([]string{"auto", "on", "off"}, cfg.Kernel) {
		return nil, fmt.Errorf("eventlog: kernel %q: want auto, on or off", cfg.Kernel)
	}
	if cfg.MaxBytes < 1<<20 || cfg.Samples < 0 || cfg.Samples > 10 {
		return nil, fmt.Errorf("eventlog: max_bytes %d and samples %d: want at least 1048576, and 0 to 10", cfg.MaxBytes, cfg.Samples)
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
	engine *engine
	tally  *tally
	facts  evidence.EventLog
	gaps   []evidence.Gap
	next   cursor
	left   int64 // bytes that may still be read
}

func (l *look) gap(what, why string) {
	l.gaps = append(l.gaps, evidence.Gap{What: what, Why: why})
}

// Collect reads what came since the last look.
func (c *collector) Collect(ctx context.Context, saved []byte) (host.Look, error) {
	rules, err := c.rules()
	if err != nil {
		return host.Look{}, err
	}
	l := &look{collector: c, now: c.host.Now(), left: c.cfg.MaxBytes,
		engine: newEngine(rules), facts: evidence.EventLog{Sources: []evidence.LogSource{}, Hits: []evidence.RuleHit{}, Rules: len(rules)}}
	l.facts.RuleSet = ruleSetDigest(rules)
	l.tally = newTally(rules, c.cfg.Samples, c.host.MachineKey)
	old, err := readCursor(saved)
	if err != nil {
		l.gap("cursor", "cannot be read, so the last day is read again: "+err.Error())
	}
	l.from = old.Until
	if l.from.IsZero() {
		l.from = l.now.Add(-firstWindow)
	}
	l.next = cursor{V: cursorVersion, Until: l.now, Files: map[string]fileMark{}}
	journal := l.readJournal(ctx, old)
	l.readFiles(ctx, old, journal)
	if !journal && !l.keepsKernel() {
		logs := len(l.facts.Sources)
		if l.readKernel(ctx, old); logs == 0 && len(l.facts.Sources) > 0 {
			l.gap("logs", "only the kernel's messages: no journal and no syslog files found; name files in collectors.eventlog.files")
		}
	}
	if err := ctx.Err(); err != nil {
		return host.Look{}, fmt.Errorf("reading logs: %w", err)
	}
	if len(l.facts.Sources) == 0 {
		if len(l.gaps) == 0 {
			l.gap("logs", "no journal and no syslog files found; name files in collectors.eventlog.files")
			return host.Look{Gaps: l.gaps, Unsupported: true}, nil
		}
		return host.Look{Gaps: l.gaps}, errors.New("no log could be read")
	}
	l.facts.Hits = l.tally.hits()
	return host.Look{Facts: l.facts, Detail: Detail{l.tally.samples()}, Gaps: l.gaps, Next: l.next.encode(), From: l.from, To: l.now}, nil
}

// keepsKernel reports whether a file was read that syslog writes the kernel's
// messages to.
func (l *look) keepsKernel() bool {
	return slices.ContainsFunc(l.facts.Sources, func(s evidence.LogSource) bool {
		return slices.Contains([]string{"/var/log/kern.log", "/var/log/syslog", "/var/log/messages"}, s.Source)
	})
}

func (c *collector) rules() ([]Rule, error) {
	rules, err := BuiltinRules()
	if err != nil {
		return nil, err
	}
	for _, path := range c.cfg.Rules {
		b, err := c.host.ReadFile(path, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("reading rules: %w", err)
		}
		more, err := ParseRules(b)
		if err != nil {
			return nil, fmt.Errorf("rules %s: %w", path, err)
		}
		rules = append(rules, more...)
	}
	return rules, uniqueRules(rules)
}

// take counts an event. Of a log that is followed from where it was read last, all
// that comes is new, however old its stamp; of one that is read for the first
// time, only what lies within the window counts.
func (l *look) take(e Event, followed bool) {
	if !followed && e.Time.Before(l.from) {
		return
	}
	if e.Time.After(l.now.Add(time.Minute)) {
		e.Time = l.now // a stamp from the future: the event is here, its time is not to be believed
	}
	for _, m := range l.engine.match(e) {
		l.tally.add(m, e)
	}
}

func detect(_ context.Context, h *host.Host) host.Detection {
	var d host.Detection
	if dir := journalDir(h); dir != "" {
		d.Useful, d.Found = true, "journald in "+dir
		if !canRead(h, dir) {
			d.Missing = append(d.Missing, host.Missing{What: "permission to read the journal", Cure: "usermod -aG systemd-journal,adm attesto, then restart the agent"})
		}
		return d
	}
	for _, path := range defaultFiles {
		f, err := h.Open(path)
		switch {
		case err == nil:
			_ = f.Close()
			d.Useful = true
			d.Found += path + " "
		case errors.Is(err, fs.ErrPermission):
			d.Missing = append(d.Missing, host.Missing{What: "permission to read " + path, Cure: "usermod -aG adm attesto, then restart the agent"})
		}
	}
	if !d.Useful && len(d.Missing) == 0 {
		d.Missing = []host.Missing{{What: "a journal or syslog files", Cure: "install systemd-journald or rsyslog, or name files in collectors.eventlog.files"}}
	}
	return d
}
