// Package antivirus sees which antivirus products a host has, how old what they know is,
// whether that is renewed, and whether and when they look. Files that are infected are
// counted, never named.
package antivirus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Skip leaves out products that stand on the host and are not in use.
	Skip []string `yaml:"skip"`
	// ScanLogs are logs of clamscan or clamdscan (--log), with * and ?, besides those that
	// lie where they usually do.
	ScanLogs []string `yaml:"scan_logs"`
	// Others are products that this agent does not know.
	Others []Other `yaml:"others"`
}

// Other is a product that a command or a file describes.
type Other struct {
	Name string `yaml:"name"`
	// Command is run without a shell and prints JSON; see ParseDeclared for its form.
	Command []string `yaml:"command"`
	// File holds the same JSON; who may write it is believed.
	File string `yaml:"file"`
}

const (
	every   = 6 * time.Hour
	timeout = 2 * time.Minute
	// ask is how long one program may take.
	ask       = 30 * time.Second
	maxOutput = 8 << 20
	maxText   = 64 << 10
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind:    evidence.KindAntivirus,
		Title:   "Antivirus: engine, age of definitions, updates, scans",
		OS:      []string{"linux"},
		Needs:   host.NeedExec,
		Every:   every,
		Timeout: timeout,
		New:     newCollector,
		Detect:  detect,
		Formats: Formats(),
		About: host.About{
			Reads: []string{
				"ClamAV: `clamscan --version`, the first 512 bytes of each database, `clamd.conf`, `freshclam.conf`, freshclam's log or its lines in the journal, the command VERSION on clamd's socket, whether `clamonacc` runs, summaries in logs of `clamscan --log`",
				"Imunify360 and ImunifyAV: `imunify360-agent` or `imunify-antivirus` with `rstatus`, `malware malicious list` and `malware on-demand list`, all as JSON; when its signatures came",
				"other products: the command or file that the configuration declares",
			},
			Sends: []string{
				"per product: version of the engine and until when it is supported and served, version and time of its definitions, of those that its service has loaded, the last update and its result, whether files are looked at when they are opened, the last scan with its counts, how many threats wait",
			},
			Never: []string{
				"names of files, of users and of what was found; licence keys",
			},
			Needs: []string{
				"group `adm` for freshclam's log on Debian and Ubuntu; elsewhere leave to read it (`setfacl -m u:attesto:r /var/log/freshclam.log`); without it the last update is unknown, the age of the definitions is not",
				"root for Imunify's own commands: without, let root write their answer to a file and declare it under `others`",
			},
		},
	}
}

type collector struct {
	cfg  Config
	host *host.Host
}

var goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,39}$`)

func newCollector(decode func(any) error, h *host.Host) (host.Collector, error) {
	c := &collector{host: h}
	if err := decode(&c.cfg); err != nil {
		return nil, err
	}
	for _, path := range c.cfg.ScanLogs {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("antivirus: scan_logs: %q: want a whole path, such as /var/log/clamav/weekly.log", path)
		}
	}
	for _, o := range c.cfg.Others {
		switch {
		case !goodName.MatchString(o.Name), o.Name == clamName:
			return nil, fmt.Errorf("antivirus: others: name %q: want small letters, digits, dots and dashes, and not %s", o.Name, clamName)
		case (len(o.Command) == 0) == (o.File == ""):
			return nil, fmt.Errorf("antivirus: others: %s: want either command or file", o.Name)
		case o.File != "" && !strings.HasPrefix(o.File, "/"), len(o.Command) > 0 && !strings.HasPrefix(o.Command[0], "/"):
			return nil, fmt.Errorf("antivirus: others: %s: want a whole path, such as /usr/local/bin/antivirus-json", o.Name)
		}
	}
	if len(c.cfg.Others) > evidence.MaxAntivirus-2 {
		return nil, fmt.Errorf("antivirus: others: %d products, want at most %d", len(c.cfg.Others), evidence.MaxAntivirus-2)
	}
	return c, nil
}

// look is one look under way.
type look struct {
	*collector
	now  time.Time
	zone *time.Location
	gaps []evidence.Gap
}

// gap notes what could not be seen of a product. Those whose What begins with one of
// shown stand in the facts as unknown.
func (l *look) gap(what, why string) {
	l.gaps = append(l.gaps, evidence.Gap{What: what, Why: why})
}

// Collect looks once.
func (c *collector) Collect(ctx context.Context, _ []byte) (host.Look, error) {
	now := c.host.Now()
	l := &look{collector: c, now: now, zone: now.Location()}
	facts := evidence.Antivirus{Products: []evidence.AntivirusProduct{}}
	for _, see := range []func(context.Context) (evidence.AntivirusProduct, bool){l.clamav, l.imunify} {
		if p, ok := see(ctx); ok && !slices.Contains(c.cfg.Skip, p.Name) {
			facts.Products = append(facts.Products, p)
		}
	}
	for _, o := range c.cfg.Others {
		p, ok := l.declared(ctx, o)
		if ok && !slices.ContainsFunc(facts.Products, func(q evidence.AntivirusProduct) bool { return q.Name == p.Name }) {
			facts.Products = append(facts.Products, p)
		}
	}
	if err := ctx.Err(); err != nil && len(facts.Products) == 0 {
		return host.Look{Gaps: l.gaps}, fmt.Errorf("looking for antivirus products: %w", err)
	}
	l.gaps = slices.DeleteFunc(l.gaps, func(g evidence.Gap) bool {
		return slices.ContainsFunc(c.cfg.Skip, func(name string) bool { return strings.HasSuffix(g.What, " of "+name) })
	})
	switch {
	case len(facts.Products) > 0:
		return host.Look{Facts: facts, Gaps: l.gaps}, nil
	case len(l.gaps) > 0:
		return host.Look{Gaps: l.gaps}, errors.New("no antivirus product could be looked at")
	}
	l.gap("antivirus", "none was found: looked for ClamAV, Imunify360 and ImunifyAV; declare others in collectors.antivirus.others")
	return host.Look{Gaps: l.gaps, Unsupported: true}, nil
}

// run asks a program and says what stood in the way, "" for nothing.
func (l *look) run(ctx context.Context, limit int64, name string, args ...string) (out []byte, why string, err error) {
	short, cancel := context.WithTimeout(ctx, ask)
	defer cancel()
	res, err := l.host.Run(short, host.Command{Name: name, Args: args, Limit: limit})
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return nil, name + " is not installed", err
	case err != nil && short.Err() != nil:
		return nil, name + " did not answer in the time that it had", nil
	case err != nil:
		return nil, err.Error(), nil
	case res.Cut:
		return nil, fmt.Sprintf("%s printed over %d bytes; it was stopped", name, limit), nil
	case res.Exit != 0:
		return nil, fmt.Sprintf("%s ended with %d: %s", name, res.Exit, firstLine(res.Stderr)), nil
	}
	return res.Stdout, "", nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.ToValidUTF8(s[:min(len(s), 200)], "?")
}

func detect(_ context.Context, h *host.Host) host.Detection {
	var d host.Detection
	var found []string
	if dir, bases := databases(h, nil); len(bases) > 0 {
		found = append(found, "ClamAV's databases in "+dir)
		if path, err := logOf(h, updateLogs); err != nil {
			d.Missing = append(d.Missing, host.Missing{What: "freshclam's log " + path, Cure: cureLog(path)})
		}
	} else if installed(h, "clamscan", "clamd") {
		found = append(found, "ClamAV, without databases")
	}
	if len(found) > 0 {
		d.Missing = append(d.Missing, h.Unread(slices.Concat(clamdConfs, freshclamConfs, globs(databaseDirs), scanLogs)...)...)
	}
	if program := imunifyProgram(h); program != "" {
		found = append(found, program)
	}
	d.Found, d.Useful = strings.Join(found, ", "), len(found) > 0
	return d
}

// installed reports whether one of the programs lies where distributions put them.
func installed(h *host.Host, names ...string) bool {
	for _, name := range names {
		for _, dir := range []string{"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/"} {
			if _, err := h.Stat(dir + name); err == nil {
				return true
			}
		}
	}
	return false
}
