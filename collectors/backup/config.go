package backup

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/attesto/attesto/evidence"
)

// Config is the kind's part of the agent's config file.
type Config struct {
	// Repositories are the jobs to look at. Without any, the collector looks where
	// restic, borg and borgmatic keep their settings.
	Repositories []Repository `yaml:"repositories"`
	// Reports is the drop folder of `attesto-agent report backup`; the packages' one
	// if empty, "off" for none.
	Reports string `yaml:"reports"`
	// Dumps are sets of dump files, such as those of databases.
	Dumps []Dump `yaml:"dumps"`
}

// Repository is one job: a repository and what in it belongs to the job.
type Repository struct {
	// Name is the job's name on the board.
	Name string `yaml:"name"`
	// Tool is restic, borg, kopia, duplicity or proxmox-backup. The last three are asked
	// for their list; paths, archives, password_*, log and check are for the first two.
	Tool string `yaml:"tool"`
	// Repository is where it lies, as the tool itself takes it; empty if the
	// env_file says it.
	Repository string `yaml:"repository"`
	// EnvFile holds the job's own settings as KEY=value lines. Secrets stay there.
	EnvFile string `yaml:"env_file"`
	// PasswordFile and PasswordCommand give the repository's password, if the
	// env_file does not.
	PasswordFile    string `yaml:"password_file"`
	PasswordCommand string `yaml:"password_command"`
	// Host keeps the points of one host: this one's name if empty, "*" for all.
	Host string `yaml:"host"`
	// Paths keeps the restic snapshots that have all these sources. Without, each
	// set of sources found is a job of its own.
	Paths []string `yaml:"paths"`
	// Archives keeps the borg archives whose name matches, such as "etc-*".
	Archives string `yaml:"archives"`
	// Every is how often a new point is expected.
	Every time.Duration `yaml:"every"`
	// Log is the file that the job's restic backup or borg create writes to, best
	// with --json. Unit is the systemd unit that runs the job.
	Log  string `yaml:"log"`
	Unit string `yaml:"unit"`
	// Check is the integrity check: structure (default), data or off.
	Check string `yaml:"check"`
	// CheckEvery is how often; 168h if zero.
	CheckEvery time.Duration `yaml:"check_every"`
	// CheckSubset is how much of a restic repository's data a check of "data" reads,
	// as restic's --read-data-subset takes it; 10% if empty.
	CheckSubset string `yaml:"check_subset"`

	env      []string // settings found beside the job, such as borgmatic's
	found    string   // where, for people; empty if configured
	password string   // a passphrase that borgmatic's config holds in the clear
}

const week = 7 * 24 * time.Hour

var (
	subsetForm = regexp.MustCompile(`^([0-9]+/[0-9]+|[0-9]+(\.[0-9]+)?%|[0-9]+[kKmMgGtT]?)$`)
	unitForm   = regexp.MustCompile(`^[A-Za-z0-9:_.@\\-]+\.service$`)
)

// check names the first setting that cannot be used, with its cure, and fills
// in what is left out.
func (c *Config) check() error {
	seen := map[string]bool{}
	for i := range c.Repositories {
		r := &c.Repositories[i]
		if !evidence.BackupJobName(r.Name) {
			return fmt.Errorf("backup.repositories[%d].name %q: want 1 to 64 letters, digits, blanks, '.', '_' and '-'", i, r.Name)
		}
		if seen[r.Name] {
			return fmt.Errorf("backup.repositories[%d].name %q: stands twice; give each job its own name", i, r.Name)
		}
		seen[r.Name] = true
		if err := r.check(); err != nil {
			return fmt.Errorf("backup.repositories[%d] (%s): %w", i, r.Name, err)
		}
	}
	for i, d := range c.Dumps {
		if err := d.check(); err != nil {
			return fmt.Errorf("backup.dumps[%d]: %w", i, err)
		}
		if seen[d.Name] {
			return fmt.Errorf("backup.dumps[%d].name %q: stands twice; give each job its own name", i, d.Name)
		}
		seen[d.Name] = true
	}
	if c.Reports == "" {
		c.Reports = DefaultReports
	}
	return nil
}

func (r *Repository) check() error {
	if r.Check == "" {
		r.Check = "structure"
	}
	if r.CheckEvery == 0 {
		r.CheckEvery = week
	}
	if r.CheckSubset == "" {
		r.CheckSubset = "10%"
	}
	if _, ok := listerOf(r.Tool); ok {
		return r.checkListed()
	}
	switch {
	case r.Tool != toolRestic && r.Tool != toolBorg:
		return fmt.Errorf("tool %q: want restic, borg, kopia, duplicity or proxmox-backup; other tools hand in reports (attesto-agent report backup)", r.Tool)
	case r.Repository == "" && r.EnvFile == "" && r.env == nil:
		return errors.New("repository is empty, and there is no env_file to say it")
	case !slices.Contains([]string{"structure", "data", "off"}, r.Check):
		return fmt.Errorf("check %q: want structure, data or off", r.Check)
	case r.Every < 0 || r.CheckEvery < time.Hour:
		return errors.New("every must not be negative, and check_every not below 1h")
	case !subsetForm.MatchString(r.CheckSubset):
		return fmt.Errorf("check_subset %q: want such as 10%%, 1/7 or 5G", r.CheckSubset)
	case r.PasswordFile != "" && r.PasswordCommand != "":
		return errors.New("password_file and password_command: give one")
	case r.Unit != "" && !unitForm.MatchString(r.Unit):
		return fmt.Errorf("unit %q: want a unit's name such as restic-backup.service", r.Unit)
	case r.Archives != "" && r.Tool != toolBorg:
		return errors.New("archives is for borg; for restic give paths")
	case len(r.Paths) > 0 && r.Tool != toolRestic:
		return errors.New("paths is for restic; for borg give archives")
	}
	return nil
}
