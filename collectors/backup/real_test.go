package backup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/evidence"
)

// bench is a repository of a real tool, its source and a collector over it.
type bench struct {
	t *testing.T
	*hosttest.Repository
	cfg  backup.Repository
	now  func() time.Time
	run  func(context.Context, host.Command) (host.Result, error)
	cur  []byte
	text string // all that the last look would send
}

func newBench(t *testing.T, tool string) *bench {
	t.Helper()
	t.Parallel()
	b := &bench{t: t, Repository: hosttest.NewRepository(t, tool), now: time.Now}
	b.run = b.Run
	b.cfg = backup.Repository{Name: "nightly", Tool: tool, Repository: b.Path("repo"), PasswordFile: b.Path("password")}
	b.cfg.Check = "off" // each costs a second; the tests of it turn it on
	b.files(6)
	if tool == "restic" {
		b.copyOf(emptyRestic())
	} else {
		b.Do("init", "--encryption=repokey")
	}
	return b
}

// emptyRestic is an initialised repository, made once: that costs seconds.
var emptyRestic = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "attesto-restic")
	if err != nil {
		return "", err
	}
	templates = append(templates, dir)
	cmd := exec.CommandContext(context.Background(), "restic", "init")
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+dir+"/repo", "RESTIC_PASSWORD="+hosttest.Password, "HOME="+dir)
	return dir + "/repo", cmd.Run()
})

var templates []string

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range templates {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func (b *bench) copyOf(repo string, err error) {
	b.t.Helper()
	if err == nil {
		err = os.CopyFS(b.Path("repo"), os.DirFS(repo))
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) files(n int) {
	for i := range n {
		b.Write(fmt.Sprintf("src/mario.rossi/f%d", i), strings.Repeat(fmt.Sprint("content ", i), 2000))
	}
}

func (b *bench) look() []evidence.BackupJob {
	b.t.Helper()
	look := b.collect(context.Background(), backup.Config{Repositories: []backup.Repository{b.cfg}, Reports: b.Path("reports")})
	return look.Facts.(evidence.Backup).Jobs
}

// one looks and wants exactly one job.
func (b *bench) one() evidence.BackupJob {
	b.t.Helper()
	jobs := b.look()
	if len(jobs) != 1 {
		b.t.Fatalf("%d jobs, want 1: %+v", len(jobs), jobs)
	}
	return jobs[0]
}

func (b *bench) collect(ctx context.Context, cfg backup.Config) host.Look {
	b.t.Helper()
	if err := os.MkdirAll(b.Path("reports"), 0o755); err != nil {
		b.t.Fatal(err)
	}
	h := &host.Host{Now: b.now, Run: b.run, MachineKey: []byte("key")}
	c, err := backup.Spec().New(func(v any) error { *v.(*backup.Config) = cfg; return nil }, h)
	if err != nil {
		b.t.Fatal(err)
	}
	look, err := c.Collect(ctx, b.cur)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cur = look.Next
	if look.Facts == nil {
		return look
	}
	facts, err := evidence.FactsBlob(look.Facts, look.Gaps)
	if err != nil {
		b.t.Fatal(err)
	}
	detail, err := json.Marshal(look.Detail)
	if err != nil {
		b.t.Fatal(err)
	}
	b.text = string(facts) + string(detail) + string(look.Next)
	if strings.Contains(b.text, hosttest.Password) {
		b.t.Errorf("the password left the host: %s", b.text)
	}
	name, err := os.Hostname()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, private := range []string{b.Dir, "mario.rossi", `"` + name} {
		if strings.Contains(string(facts), private) {
			b.t.Errorf("facts hold %q: %s", private, facts)
		}
	}
	return look
}

func (b *bench) later(d time.Duration) { b.now = func() time.Time { return time.Now().Add(d) } }

// want checks result and that all reasons stand there, and no others.
func want(t *testing.T, j evidence.BackupJob, result string, reasons ...string) {
	t.Helper()
	got := slices.Clone(j.Reasons)
	slices.Sort(got)
	slices.Sort(reasons)
	if j.Result != result || !slices.Equal(got, reasons) {
		t.Errorf("result %s %v, want %s %v", j.Result, got, result, reasons)
	}
}

func (b *bench) largest(dir string) string {
	b.t.Helper()
	var name string
	var size int64
	err := filepath.WalkDir(b.Path(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			name, size = path, info.Size()
		}
		return err
	})
	if err != nil || name == "" {
		b.t.Fatalf("no file in %s: %v", dir, err)
	}
	return name
}

// flip overwrites bytes in the middle of a file.
func (b *bench) flip(path string) {
	b.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := len(content) / 2; i < len(content)/2+16 && i < len(content); i++ {
		content[i] ^= 0xff
	}
	if err := os.Chmod(path, 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// report hands in a report as a hook does.
func (b *bench) report(exit int, log string) {
	b.t.Helper()
	if err := os.MkdirAll(b.Path("reports"), 0o755); err != nil {
		b.t.Fatal(err)
	}
	end := time.Now()
	r := backup.Report{Job: "nightly", Tool: b.Tool, Exit: exit, End: &end}
	if log != "" {
		if err := r.ReadLog([]byte(log), end); err != nil {
			b.t.Fatal(err)
		}
	}
	if _, err := backup.WriteReport(b.Path("reports"), r); err != nil {
		b.t.Fatal(err)
	}
}

// unreadable runs the tool where one file of the source cannot be read: as it is
// for an ordinary user, as nobody for root, whom no permission stops.
func (b *bench) unreadable(args ...string) (int, string) {
	b.t.Helper()
	if err := os.Chmod(b.Path("src/mario.rossi/f0"), 0); err != nil {
		b.t.Fatal(err)
	}
	if os.Getuid() != 0 {
		return b.Try(b.Tool, args...)
	}
	hosttest.NeedTool(b.t, "setpriv")
	open := func(on string, own string) {
		for _, d := range []string{"repo", "borg", "cache"} {
			if code, out := b.Try("sh", "-c", "mkdir -p "+d+" && chown -R "+own+" "+d); code != 0 {
				b.t.Fatal(out)
			}
		}
		for dir := b.Dir; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			if code, out := b.Try("chmod", on, dir); code != 0 {
				b.t.Fatal(out)
			}
		}
	}
	for _, f := range []string{"src", "src/mario.rossi"} {
		if err := os.Chmod(b.Path(f), 0o755); err != nil {
			b.t.Fatal(err)
		}
	}
	for i := 1; i < 6; i++ {
		if err := os.Chmod(b.Path(fmt.Sprintf("src/mario.rossi/f%d", i)), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	open("a+x", "65534")
	defer open("a+x", "0")
	return b.Try("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", b.Tool}, args...)...)
}
