package hosttest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/attesto/attesto/collectors/host"
)

// Password is that of every Repository.
const Password = "Zq8-secret-of-the-repository"

// Repository is a place for a repository of the real restic or borg, below a folder of its own
// that holds its password and all that the tool keeps.
type Repository struct {
	Dir, Tool string
	Env       []string // keeps the tool to Dir
	t         testing.TB
}

// NewRepository makes the folder; the repository itself is for Do to make.
func NewRepository(t testing.TB, tool string) *Repository {
	t.Helper()
	NeedTool(t, tool)
	dir := t.TempDir()
	r := &Repository{t: t, Dir: dir, Tool: tool, Env: []string{"TZ=Asia/Tokyo", "HOME=" + dir, "XDG_CACHE_HOME=" + dir + "/cache", "BORG_BASE_DIR=" + dir + "/borg"}}
	r.Write("password", Password)
	return r
}

// Path is that of a file below the folder: repo is the repository, password its password.
func (r *Repository) Path(name string) string { return filepath.Join(r.Dir, name) }

// Write makes a file below the folder.
func (r *Repository) Write(name, content string) {
	r.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(r.Path(name)), 0o755), os.WriteFile(r.Path(name), []byte(content), 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// Do runs the tool on the repository and wants it to end well.
func (r *Repository) Do(args ...string) string {
	r.t.Helper()
	code, out := r.Try(r.Tool, args...)
	if code != 0 {
		r.t.Fatalf("%s %v: exit code %d: %s", r.Tool, args, code, out)
	}
	return out
}

// Try runs a program as the tool would be, and returns its exit code and what it says.
func (r *Repository) Try(name string, args ...string) (int, string) {
	r.t.Helper()
	cmd := r.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// Command is a program in the folder, with the repository and its password in its
// environment.
func (r *Repository) Command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), name, args...)
	cmd.Env = slices.Concat(os.Environ(), r.Env, []string{"RESTIC_REPOSITORY=" + r.Path("repo"), "RESTIC_PASSWORD=" + Password, "BORG_REPO=" + r.Path("repo"), "BORG_PASSPHRASE=" + Password})
	cmd.Dir = r.Dir
	return cmd
}

// Run is host.Exec, with the tool kept to the folder.
func (r *Repository) Run(ctx context.Context, c host.Command) (host.Result, error) {
	c.Env = append(slices.Clone(r.Env), c.Env...)
	return host.Exec(ctx, c)
}
