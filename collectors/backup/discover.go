package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// Where the settings of jobs lie, by the tools' manuals and the habits of
// distributions' packages.
var (
	envFiles = []string{
		"/etc/restic/*.env", "/etc/restic/env", "/etc/restic*/env", "/etc/restic*.env", "/etc/default/restic*", "/etc/sysconfig/restic*",
		"/etc/borg/*.env", "/etc/borg/env", "/etc/borg*.env", "/etc/default/borg*", "/etc/sysconfig/borg*",
	}
	borgmaticFiles = []string{"/etc/borgmatic/config.yaml", "/etc/borgmatic.d/*.yaml", "/etc/borgmatic.d/*.yml"}
)

// finding is what a search for jobs gave.
type finding struct {
	jobs  []Repository
	gaps  []evidence.Gap // without paths
	files []string       // that could not be used, with why, for people
}

// discover looks for jobs that nobody configured.
func discover(h *host.Host) finding {
	var f finding
	for _, path := range globAll(h, envFiles) {
		f.envFile(h, path)
	}
	for _, path := range globAll(h, borgmaticFiles) {
		f.borgmatic(h, path)
	}
	for _, dir := range h.Unlisted(slices.Concat(envFiles, borgmaticFiles)...) {
		f.unusable("a folder of backup jobs' settings", dir, fs.ErrPermission)
	}
	names := map[string]int{}
	for i := range f.jobs {
		j := &f.jobs[i]
		if names[j.Name]++; names[j.Name] > 1 {
			j.Name = fmt.Sprintf("%s-%d", j.Name, names[j.Name])
		}
	}
	return f
}

func globAll(h *host.Host, patterns []string) []string {
	var all []string
	for _, p := range patterns {
		found, err := h.Glob(p)
		if err != nil { // only a malformed pattern is an error
			continue
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (f *finding) unusable(what, path string, err error) {
	why := err.Error() + cureOf(err)
	f.gaps = append(f.gaps, evidence.Gap{What: what, Why: why})
	f.files = append(f.files, path+": "+why)
}

func (f *finding) envFile(h *host.Host, path string) {
	env, err := readEnv(h, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		f.unusable("a backup job's settings file", path, err)
		return
	}
	for tool, keys := range map[string][]string{toolRestic: {"RESTIC_REPOSITORY", "RESTIC_REPOSITORY_FILE"}, toolBorg: {"BORG_REPO"}} {
		if slices.ContainsFunc(keys, func(k string) bool { return env[k] != "" }) {
			f.add(Repository{Name: nameOf(path, tool), Tool: tool, EnvFile: path, found: path})
		}
	}
}

func (f *finding) add(r Repository) {
	if err := r.check(); err != nil {
		f.unusable("a backup job's settings file", r.found, err)
		return
	}
	f.jobs = append(f.jobs, r)
}

// nameOf makes a job's name of the name that its settings file has, unless that
// could be a host's or a domain's.
func nameOf(path, tool string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".env"), ".yaml"), ".yml")
	if name == "env" || name == "config" {
		name = filepath.Base(filepath.Dir(path))
	}
	if !evidence.BackupJobName(name) || strings.Contains(name, ".") {
		return tool
	}
	return name
}

// borgmaticConfig is what a borgmatic config file says of repositories: at the
// top since 1.8, in sections before (borgmatic's reference, "Configuration").
type borgmaticConfig struct {
	borgmaticSection `yaml:",inline"`
	Location         borgmaticSection `yaml:"location"`
	Storage          borgmaticSection `yaml:"storage"`
}

type borgmaticSection struct {
	Repositories  []yaml.Node `yaml:"repositories"`
	Passphrase    string      `yaml:"encryption_passphrase"`
	Passcommand   string      `yaml:"encryption_passcommand"`
	SSHCommand    string      `yaml:"ssh_command"`
	RemotePath    string      `yaml:"remote_path"`
	BaseDirectory string      `yaml:"borg_base_directory"`
	ArchiveFormat string      `yaml:"archive_name_format"`
	Relocated     *bool       `yaml:"relocated_repo_access_is_ok"`
	Unencrypted   *bool       `yaml:"unknown_unencrypted_repo_access_is_ok"`
}

func (f *finding) borgmatic(h *host.Host, path string) {
	const what = "borgmatic's configuration"
	info, err := h.Stat(path)
	if err == nil && othersMayChange(info) {
		err = errors.New("other accounts can change the file, and the commands in it would run as the agent; give it to root and take write access from group and others")
	}
	var b []byte
	if err == nil {
		b, err = h.ReadFile(path, maxSettings)
	}
	if err != nil {
		f.unusable(what, path, plainPath(err))
		return
	}
	jobs, err := parseBorgmatic(b)
	if err != nil {
		f.unusable(what, path, err)
		return
	}
	for _, r := range jobs {
		if r.Name == "" {
			r.Name = nameOf(path, toolBorg)
		}
		r.found = path
		f.add(r)
	}
}

// parseBorgmatic reads the repositories of a borgmatic config file.
func parseBorgmatic(b []byte) ([]Repository, error) {
	var root yaml.Node
	var doc borgmaticConfig
	if err := yaml.Unmarshal(b, &root); err != nil || host.CheckKeys(&root) != nil || root.Decode(&doc) != nil {
		return nil, errors.New("not readable as YAML: run borgmatic config validate")
	}
	var jobs []Repository
	for _, node := range append(doc.Repositories, doc.Location.Repositories...) {
		var entry struct{ Path, Label string }
		if err := node.Decode(&entry.Path); err != nil {
			if err := node.Decode(&entry); err != nil {
				return nil, errors.New("repositories: an entry is neither a text nor a path with a label")
			}
		}
		if strings.Contains(entry.Path, "${") || strings.Contains(entry.Path, "{") {
			return nil, errors.New("repositories: an entry has a placeholder, which the agent does not fill in; name the repository in the agent's config")
		}
		r := Repository{Tool: toolBorg, Repository: entry.Path, env: []string{}}
		if evidence.BackupJobName(entry.Label) && !strings.Contains(entry.Label, ".") {
			r.Name = entry.Label
		}
		for _, s := range []borgmaticSection{doc.Location, doc.Storage, doc.borgmaticSection} {
			s.apply(&r)
		}
		jobs = append(jobs, r)
	}
	return jobs, nil
}

func (s borgmaticSection) apply(r *Repository) {
	if s.Passphrase != "" {
		r.password = s.Passphrase
	}
	if s.Passcommand != "" {
		r.PasswordCommand = s.Passcommand
	}
	for key, v := range map[string]string{"BORG_RSH": s.SSHCommand, "BORG_REMOTE_PATH": s.RemotePath, "BORG_BASE_DIR": s.BaseDirectory} {
		if v != "" {
			r.env = append(r.env, key+"="+v)
		}
	}
	for key, v := range map[string]*bool{"BORG_RELOCATED_REPO_ACCESS_IS_OK": s.Relocated, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": s.Unencrypted} {
		if v != nil && *v {
			r.env = append(r.env, key+"=yes")
		}
	}
	if glob := archiveGlob(s.ArchiveFormat); glob != "" {
		r.Archives = glob
	}
}

// archiveGlob turns borgmatic's archive_name_format into a pattern, by
// replacing each placeholder; a format without fixed words gives none.
func archiveGlob(format string) string {
	var out strings.Builder
	fixed := false
	for format != "" {
		before, rest, ok := strings.Cut(format, "{")
		fixed = fixed || strings.Trim(before, "-_. ") != ""
		out.WriteString(before)
		if !ok {
			break
		}
		_, after, closed := strings.Cut(rest, "}")
		if !closed {
			return ""
		}
		out.WriteByte('*')
		format = after
	}
	if !fixed || strings.ContainsAny(out.String(), "?[]") {
		return ""
	}
	return out.String()
}

// detect says what a look would find, for doctor.
func detect(_ context.Context, h *host.Host) host.Detection {
	f := discover(h)
	var d host.Detection
	var found []string
	for _, j := range f.jobs {
		found = append(found, j.Tool+" repository in "+j.found)
	}
	if n := countReports(h); n > 0 {
		found = append(found, fmt.Sprintf("%d reports in %s", n, DefaultReports))
	}
	for _, t := range toolLogs {
		if len(globAll(h, t.globs)) > 0 {
			found = append(found, "log of "+t.tool)
		}
	}
	for _, t := range toolLogs {
		d.Missing = append(d.Missing, h.Unread(t.globs...)...)
	}
	d.Missing = append(d.Missing, h.Unread(DefaultReports+"/*.json")...)
	found = append(found, panels(h)...)
	d.Useful, d.Found = len(found) > 0, strings.Join(found, ", ")
	for _, file := range f.files {
		path, _, _ := strings.Cut(file, ": ")
		if unread := h.Unread(path, path+"/*"); len(unread) > 0 {
			d.Missing = append(d.Missing, unread...)
			continue
		}
		d.Missing = append(d.Missing, host.Missing{What: file, Cure: "let the agent's account read it, or name the repository under backup: repositories: in the agent's config"})
	}
	if len(found) == 0 && len(d.Missing) == 0 {
		d.Missing = append(d.Missing, host.Missing{What: "no restic, borg or borgmatic settings found", Cure: howToConfigure})
	}
	return d
}

func countReports(h *host.Host) int {
	found, err := h.Glob(DefaultReports + "/*.json")
	if err != nil {
		return 0
	}
	return len(found)
}

const howToConfigure = "name the repositories under backup: repositories: in the agent's config, or have the job hand in its result with attesto-agent report backup"
