// Package restore tries, where the operator asks for it, whether backups can be read
// back: it restores a few files, chosen at random from the newest state of a restic or
// borg repository, into a folder of its own, compares them and deletes them again.
package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	every   = 24 * time.Hour // a look; a test only after Config.Interval
	timeout = time.Hour
	month   = 30 * 24 * time.Hour

	// DefaultFolder is where samples are restored to, unless the configuration names
	// another one.
	DefaultFolder = "/var/lib/attesto/restore"
)

// Spec describes the collector.
func Spec() host.Spec {
	return host.Spec{
		Kind: evidence.KindRestore, Title: "Restore tests: a sample of files from restic and borg, read back and compared",
		OS:    []string{"linux", "darwin", "freebsd"},
		Needs: host.NeedExec, Every: every, Timeout: timeout,
		New: New, Detect: detect, Formats: Formats(),
		About: host.About{
			Reads: []string{
				"nothing, unless its configuration names repositories or says `discover: true`",
				"the newest state of each repository: `restic snapshots`, `restic ls`, `borg list`; files chosen at random from it, restored with `restic restore --verify` or `borg extract` into a folder that only the agent may read, and deleted at once",
				"the same files of this host where size and time say that they have not changed",
			},
			Sends: []string{
				"per job: when the last test and the last good one ended, which state was restored, how many files and bytes, how long it took, how many were equal to the file on this host, whether the repository is encrypted",
				"paths, sizes and SHA-256 of the files restored (erasable)",
			},
			Never: []string{
				"contents of files; they lie in the folder for the time of the test only, and what a killed test left is deleted by the next",
				"passwords and keys of repositories",
			},
			Needs: []string{
				"what the collector of backups needs to open a repository",
				"room in its folder for the sample, at most `max_bytes`",
				"reading the live files, if they are to be compared (CAP_DAC_READ_SEARCH, by the drop-in `restore.conf`): what may not be read is restored and not compared",
			},
		},
	}
}

// Config is the kind's part of the agent's config file.
type Config struct {
	// Repositories are named as under backup: repositories. None is tested unless it
	// stands here, or Discover is set.
	Repositories []backup.Repository `yaml:"repositories"`
	// Discover tests those that the collector of backups finds by itself too.
	Discover bool `yaml:"discover"`
	// Folder is where samples are restored to.
	Folder string `yaml:"folder"`
	// Interval is how long after a good test the next one comes; 720h if zero. One that
	// failed is repeated the next day.
	Interval time.Duration `yaml:"interval"`
	// Files and MaxBytes bound a sample: 20 files and 256 MiB if zero.
	Files    int   `yaml:"files"`
	MaxBytes int64 `yaml:"max_bytes"`
}

func (c *Config) check() error {
	if c.Folder == "" {
		c.Folder = DefaultFolder
	}
	if c.Interval == 0 {
		c.Interval = month
	}
	if c.Files == 0 {
		c.Files = 20
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 256 << 20
	}
	switch {
	case c.Interval < time.Hour:
		return fmt.Errorf("restore.interval %v: want at least 1h", c.Interval)
	case c.Files < 1 || c.Files > 200:
		return fmt.Errorf("restore.files %d: want 1 to 200", c.Files)
	case c.MaxBytes < 1<<10 || c.MaxBytes > 1<<40:
		return fmt.Errorf("restore.max_bytes %d: want 1024 to 1099511627776", c.MaxBytes)
	case c.Folder[0] != '/':
		return fmt.Errorf("restore.folder %q: want a whole path; the folder is the agent's alone", c.Folder)
	}
	seen := map[string]bool{}
	for i := range c.Repositories {
		r := &c.Repositories[i]
		switch err := r.Validate(); {
		case !evidence.BackupJobName(r.Name):
			return fmt.Errorf("restore.repositories[%d].name %q: want 1 to 64 letters, digits, blanks, '.', '_' and '-'", i, r.Name)
		case seen[r.Name]:
			return fmt.Errorf("restore.repositories[%d].name %q: stands twice", i, r.Name)
		case err != nil:
			return fmt.Errorf("restore.repositories[%d] (%s): %w", i, r.Name, err)
		case !r.Restorable():
			return fmt.Errorf("restore.repositories[%d] (%s): tool %q: want restic or borg", i, r.Name, r.Tool)
		}
		seen[r.Name] = true
	}
	return nil
}

type collector struct {
	cfg Config
	h   *host.Host
}

// New makes the collector of what the config file says.
func New(decode func(any) error, h *host.Host) (host.Collector, error) {
	c := &collector{h: h}
	if err := decode(&c.cfg); err != nil {
		return nil, err
	}
	return c, c.cfg.check()
}

// Detail is the erasable side of the facts.
type Detail struct {
	Tests []TestDetail `json:"tests"`
}

// TestDetail names what a test restored, and what the tool said if it failed.
type TestDetail struct {
	Job     string     `json:"job"`
	Message string     `json:"message,omitempty"`
	Files   []FileSeen `json:"files,omitempty"`
}

// FileSeen is one restored file.
type FileSeen struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	Result string `json:"result"` // "ok", "equal" to the live file too, "missing", "differs"
}

// Collect tests the repositories whose turn it is, and repeats what is known of the
// others. What a killed test left behind is deleted first.
func (c *collector) Collect(ctx context.Context, cur []byte) (host.Look, error) {
	repositories := c.repositories()
	if len(repositories) == 0 {
		return host.Look{Unsupported: true, Gaps: []evidence.Gap{{What: "restore tests", Why: "none is asked for: name repositories under restore: repositories in the agent's config, or set discover: true"}}}, nil
	}
	now := c.h.Now()
	mem := readCursor(cur)
	var gaps []evidence.Gap
	if mem.anyDue(repositories, now, c.cfg.Interval) {
		f, err := openFolder(c.h.Path(c.cfg.Folder))
		if err != nil {
			return host.Look{}, err
		}
		defer f.close()
		c.test(ctx, f, repositories, mem, now)
		if errors.Is(ctx.Err(), context.Canceled) { // the agent stops: no finding about a backup
			return host.Look{}, ctx.Err()
		}
	}
	facts, detail := evidence.Restore{}, Detail{}
	for i, r := range repositories {
		if i == evidence.MaxRestore {
			gaps = append(gaps, evidence.Gap{What: "restore tests", Why: fmt.Sprintf("%d repositories more than the %d that fit", len(repositories)-i, i)})
			break
		}
		t := mem.of(r)
		facts.Tests, detail.Tests = append(facts.Tests, t.Test), append(detail.Tests, t.Detail)
		if t.Test.Result == evidence.BackupUnknown {
			gaps = append(gaps, evidence.Gap{What: "restore test of " + r.Name, Why: untried(t.Test.Reasons)})
		}
	}
	next, err := mem.encode(repositories)
	if err != nil {
		return host.Look{}, err
	}
	return host.Look{Facts: facts, Detail: detail, Gaps: gaps, Next: next}, nil
}

// test gives each repository whose turn it is an equal part of the time left.
func (c *collector) test(ctx context.Context, f *folder, repositories []backup.Repository, mem cursor, now time.Time) {
	var due []backup.Repository
	for _, r := range repositories {
		if mem.of(r).due(now, c.cfg.Interval) {
			due = append(due, r)
		}
	}
	for i, r := range due {
		share, cancel := ctx, context.CancelFunc(func() {})
		if end, ok := ctx.Deadline(); ok {
			left := time.Until(end) * 9 / 10 // what is left over is for telling
			share, cancel = context.WithTimeout(ctx, left/time.Duration(len(due)-i))
		}
		d := drill{cfg: c.cfg, h: c.h, repository: r, folder: f, now: now}
		mem.keep(r, d.run(share), c.h.Now())
		cancel()
	}
}

func (c *collector) repositories() []backup.Repository {
	list := c.cfg.Repositories
	if !c.cfg.Discover {
		return list
	}
	seen := map[string]bool{}
	for _, r := range list {
		seen[r.Name] = true
	}
	for _, r := range backup.Repositories(c.h) {
		if r.Restorable() && !seen[r.Name] {
			list = append(list, r)
		}
	}
	return list
}

func detect(_ context.Context, h *host.Host) host.Detection {
	n := len(backup.Repositories(h))
	if n == 0 {
		return host.Detection{}
	}
	return host.Detection{Found: fmt.Sprintf("%d repositories of restic and borg", n),
		Missing: []host.Missing{{What: "no restore test is asked for", Cure: "set discover: true under collectors: restore: in the agent's config, or name the repositories there"}}}
}

var errBusy = errors.New("another restore test is under way in its folder: wait for its end")
