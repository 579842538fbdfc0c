package restore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/collectors/host/hosttest"
	"github.com/attesto/attesto/collectors/restore"
	"github.com/attesto/attesto/evidence"
)

// bench is a real repository with one state of a few files, and a collector over it.
type bench struct {
	t *testing.T
	*hosttest.Repository
	now   func() time.Time
	run   func(context.Context, host.Command) (host.Result, error)
	cfg   restore.Config
	cur   []byte
	usage func(string) (host.DiskUsage, error)
}

func newBench(t *testing.T, tool string) *bench {
	t.Helper()
	t.Parallel()
	b := &bench{t: t, Repository: hosttest.NewRepository(t, tool), now: time.Now}
	b.run = b.Run
	b.cfg = restore.Config{Folder: b.Path("restored"), Repositories: []backup.Repository{{Name: "nightly", Tool: tool, Repository: b.Path("repo"), PasswordFile: b.Path("password")}}}
	for i := range 8 {
		b.Write(fmt.Sprintf("src/mario.rossi/file [%d] $HOME*?.txt", i), strings.Repeat(fmt.Sprint("content ", i), 500))
	}
	b.Write("src/empty", "")
	if err := os.Symlink("empty", b.Path("src/link")); err != nil {
		t.Fatal(err)
	}
	if tool == "restic" {
		b.Do("init")
		b.Do("backup", b.Path("src"))
	} else {
		b.Do("init", "--encryption=repokey")
		b.Do("create", "::one", b.Path("src"))
	}
	return b
}

func (b *bench) collect(ctx context.Context) (host.Look, error) {
	b.t.Helper()
	c, err := restore.New(func(v any) error { *v.(*restore.Config) = b.cfg; return nil }, &host.Host{Now: b.now, Run: b.run, Usage: b.usage, MachineKey: []byte("key")})
	if err != nil {
		b.t.Fatal(err)
	}
	return c.Collect(ctx, b.cur)
}

// look makes a look, and holds that nothing stays behind and nothing private leaves.
func (b *bench) look(ctx context.Context) evidence.RestoreTest {
	b.t.Helper()
	look, err := b.collect(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cur = look.Next
	facts, err := evidence.FactsBlob(look.Facts, look.Gaps)
	if err != nil {
		b.t.Fatal(err)
	}
	detail, err := json.Marshal(look.Detail)
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.Contains(string(facts)+string(detail)+string(look.Next), hosttest.Password) {
		b.t.Error("the password left the host")
	}
	if strings.Contains(string(facts), "rossi") || strings.Contains(string(facts), b.Dir) {
		b.t.Errorf("facts hold names or paths: %s", facts)
	}
	if left := b.left(); len(left) > 0 {
		b.t.Errorf("left behind: %v", left)
	}
	test := look.Facts.(evidence.Restore).Tests[0]
	if (test.Result == evidence.BackupUnknown) != (len(look.Gaps) > 0) {
		b.t.Errorf("%s, gaps %v", test.Result, look.Gaps)
	}
	return test
}

// left are the samples in the folder.
func (b *bench) left() []string {
	found, err := filepath.Glob(b.Path("restored/sample-*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func want(t *testing.T, test evidence.RestoreTest, result string, reasons ...string) {
	t.Helper()
	if test.Result != result || fmt.Sprint(test.Reasons) != fmt.Sprint(reasons) && len(test.Reasons)+len(reasons) > 0 {
		t.Errorf("%s %v, want %s %v", test.Result, test.Reasons, result, reasons)
	}
}

func eachTool(t *testing.T, f func(t *testing.T, b *bench)) {
	for _, tool := range []string{"restic", "borg"} {
		t.Run(tool, func(t *testing.T) { f(t, newBench(t, tool)) })
	}
}

func TestRestoresASample(t *testing.T) {
	eachTool(t, func(t *testing.T, b *bench) {
		b.Write("src/mario.rossi/changed", "after the backup")
		b.Write("src/mario.rossi/file [0] $HOME*?.txt", "changed since")
		test := b.look(t.Context())
		want(t, test, evidence.BackupOK)
		if test.Held != 9 || test.Files != 9 || test.Compared != 8 || test.Bytes == 0 || test.Encryption == "none" || test.Encryption == "unknown" {
			t.Errorf("%+v: want 9 files, 8 of them compared", test)
		}
		// Not due: repeated, and the tool is not run.
		run := b.run
		b.run = func(context.Context, host.Command) (host.Result, error) { return host.Result{}, errors.New("was run") }
		if again := b.look(t.Context()); again.At.Time != test.At.Time || again.Result != test.Result {
			t.Errorf("%+v, want the last test again", again)
		}
		b.run = run
		b.now = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }
		if again := b.look(t.Context()); !again.At.After(test.At.Time) {
			t.Error("not tested again after its interval")
		}
		b.cur, b.cfg.Files, b.cfg.MaxBytes = nil, 3, 10000
		test = b.look(t.Context())
		want(t, test, evidence.BackupOK)
		if test.Files > 3 || test.Files < 1 || test.Bytes > 10000 || test.Held != 9 {
			t.Errorf("%+v: want up to 3 files of 9 and 10000 bytes", test)
		}
	})
}

func TestDamageIsFound(t *testing.T) {
	eachTool(t, func(t *testing.T, b *bench) {
		b.Do(map[string][]string{"restic": {"snapshots"}, "borg": {"list"}}[b.Tool]...)
		big := b.Path("src/big")
		noise := make([]byte, 3<<20)
		for i, x := 0, uint32(7); i < len(noise); i++ {
			x = x*1664525 + 1013904223
			noise[i] = byte(x >> 24)
		}
		if err := os.WriteFile(big, noise, 0o600); err != nil {
			t.Fatal(err)
		}
		b.Do(map[string][]string{"restic": {"backup", b.Path("src")}, "borg": {"create", "::two", b.Path("src")}}[b.Tool]...)
		want(t, b.look(t.Context()), evidence.BackupOK)
		b.flip(map[string]string{"restic": "repo/data", "borg": "repo/data"}[b.Tool])
		b.cur = nil
		test := b.look(t.Context())
		if test.Result != evidence.BackupFailed {
			t.Errorf("%s %v: a damaged pack was not found", test.Result, test.Reasons)
		}
		// The list is whole, so an ordinary look does not see it.
		if test.Held != 10 {
			t.Errorf("%d files held, want 10", test.Held)
		}
	})
}

// flip overwrites bytes in the middle of the largest file below a folder.
func (b *bench) flip(dir string) {
	b.t.Helper()
	var name string
	var size int64
	err := filepath.WalkDir(b.Path(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() > size {
			name, size = path, info.Size()
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range 64 {
		content[len(content)/2+i] ^= 0xff
	}
	if err := os.Chmod(name, 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestLiveFileThatDiffers(t *testing.T) {
	eachTool(t, func(t *testing.T, b *bench) {
		// As a disk that rots: another content under the same size and time.
		name := b.Path("src/mario.rossi/file [1] $HOME*?.txt")
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		b.Write("src/mario.rossi/file [1] $HOME*?.txt", strings.Repeat("CONTENT 1", 500))
		if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		want(t, b.look(t.Context()), evidence.BackupFailed, evidence.RestoreDiffers)
	})
}

func TestWhatKeepsFromTesting(t *testing.T) {
	eachTool(t, func(t *testing.T, b *bench) {
		b.Write("password", "another")
		want(t, b.look(t.Context()), evidence.BackupFailed, evidence.ReasonWrongPassword)
		b.Write("password", hosttest.Password)
		// The next day it is well again, and the day after that unknown: the good one stands.
		b.now = func() time.Time { return time.Now().Add(24 * time.Hour) }
		good := b.look(t.Context())
		want(t, good, evidence.BackupOK)
		b.now = func() time.Time { return time.Now().Add(60 * 24 * time.Hour) }
		b.run = func(context.Context, host.Command) (host.Result, error) { return host.Result{}, host.ErrNoProgram }
		test := b.look(t.Context())
		want(t, test, evidence.BackupUnknown, evidence.ReasonNoProgram)
		if test.LastGood == nil || !test.LastGood.Equal(good.At.Time) {
			t.Errorf("the last good test is forgotten: %+v", test)
		}
	})
}

// TestBadOutputs plays a tool that hangs, is cut off, speaks another language, or floods.
func TestBadOutputs(t *testing.T) {
	b := newBench(t, "restic")
	real := b.run
	at := func(verb string, answer func(context.Context, host.Command) (host.Result, error)) {
		b.cur = nil
		b.run = func(ctx context.Context, c host.Command) (host.Result, error) {
			if slices.Contains(c.Args, verb) {
				return answer(ctx, c)
			}
			return real(ctx, c)
		}
	}
	at("ls", func(_ context.Context, c host.Command) (host.Result, error) {
		_, err := c.Stdout.Write([]byte(`{"struct_type":"node","type":"file","path":"/a"`))
		return host.Result{}, err
	})
	want(t, b.look(t.Context()), evidence.BackupUnknown, evidence.ReasonBadOutput)
	at("ls", func(_ context.Context, c host.Command) (host.Result, error) {
		_, err := c.Stdout.Write([]byte("apertura del deposito\n"))
		return host.Result{}, err
	})
	want(t, b.look(t.Context()), evidence.BackupUnknown, evidence.ReasonBadOutput)
	at("ls", func(_ context.Context, c host.Command) (host.Result, error) { // 100 MB, a fifth of it in one line
		line := []byte(`{"struct_type":"node","type":"file","path":"/srv/` + strings.Repeat("x", 200) + `","size":1}` + "\n")
		for range 80 << 20 / len(line) {
			if _, err := c.Stdout.Write(line); err != nil {
				return host.Result{}, err
			}
		}
		for range 20 {
			if _, err := c.Stdout.Write(make([]byte, 1<<20)); err != nil {
				return host.Result{}, err
			}
		}
		_, err := c.Stdout.Write([]byte("\n"))
		return host.Result{}, err
	})
	test := b.look(t.Context())
	if test.Result != evidence.BackupFailed || test.Held < 300000 { // what it lists does not exist
		t.Errorf("%+v", test)
	}
	at("restore", func(ctx context.Context, c host.Command) (host.Result, error) {
		if err := os.WriteFile(filepath.Join(c.Dir, "half"), []byte("secret"), 0o600); err != nil {
			return host.Result{}, err
		}
		<-ctx.Done()
		return host.Result{}, ctx.Err()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	want(t, b.look(ctx), evidence.BackupUnknown, evidence.ReasonTimeout)
	at("restore", func(context.Context, host.Command) (host.Result, error) {
		return host.Result{Exit: 1, Stderr: "Fatal: write: no space left on device"}, nil
	})
	want(t, b.look(t.Context()), evidence.BackupUnknown, evidence.RestoreLimit)
	b.cur, b.run = nil, real // a disk without room: the sample is not even begun
	b.usage = func(string) (host.DiskUsage, error) { return host.DiskUsage{Size: 1, Free: 1}, nil }
	want(t, b.look(t.Context()), evidence.BackupUnknown, evidence.RestoreLimit)
}

// An agent that is stopped in the middle reports nothing, and the next one that is
// killed leaves a sample, which the one after that deletes.
func TestKilledInTheMiddle(t *testing.T) {
	b := newBench(t, "restic")
	real := b.run
	ctx, cancel := context.WithCancel(t.Context())
	b.run = func(ctx context.Context, c host.Command) (host.Result, error) {
		if slices.Contains(c.Args, "restore") {
			cancel()
			<-ctx.Done()
			return host.Result{}, ctx.Err()
		}
		return real(ctx, c)
	}
	if _, err := b.collect(ctx); !errors.Is(err, context.Canceled) || len(b.left()) > 0 {
		t.Errorf("%v, left %v", err, b.left())
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperHangs$", "-test.v")
	cmd.Env = append(os.Environ(), "ATTESTO_HANGS_IN="+b.Dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for said.Scan() && !strings.Contains(said.Text(), "half is there") {
		t.Log(said.Text())
	}
	if len(b.left()) != 1 {
		t.Fatal("the helper did not begin")
	}
	b.run = real
	if _, err := b.collect(t.Context()); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("a second test beside the first: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if len(b.left()) != 1 {
		t.Fatalf("left %v", b.left())
	}
	want(t, b.look(t.Context()), evidence.BackupOK)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestHelperHangs is the process that TestKilledInTheMiddle kills.
func TestHelperHangs(t *testing.T) {
	dir := os.Getenv("ATTESTO_HANGS_IN")
	if dir == "" {
		t.Skip("run by TestKilledInTheMiddle")
	}
	host1, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, c host.Command) (host.Result, error) { // restic, as far as a test needs it
		switch {
		case slices.Contains(c.Args, "snapshots"):
			return host.Result{Stdout: []byte(`[{"id":"1","time":"2026-01-01T00:00:00Z","hostname":"` + host1 + `","paths":["/a"]}]`)}, nil
		case slices.Contains(c.Args, "ls"):
			_, err := c.Stdout.Write([]byte(`{"struct_type":"node","type":"file","path":"/a","size":1}` + "\n"))
			return host.Result{}, err
		case slices.Contains(c.Args, "restore"):
			if err := os.WriteFile(filepath.Join(c.Dir, "half"), []byte("x"), 0o600); err != nil {
				return host.Result{}, err
			}
			fmt.Println("half is there")
			<-ctx.Done()
		}
		return host.Result{}, ctx.Err()
	}
	cfg := restore.Config{Folder: dir + "/restored", Repositories: []backup.Repository{{Name: "nightly", Tool: "restic", Repository: dir + "/repo", PasswordFile: dir + "/password"}}}
	c, err := restore.New(func(v any) error { *v.(*restore.Config) = cfg; return nil }, &host.Host{Now: time.Now, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = c.Collect(ctx, nil)
	t.Log(err)
}

func TestOffUnlessAskedFor(t *testing.T) {
	ran := false
	h := &host.Host{Root: t.TempDir(), Now: time.Now, Run: func(context.Context, host.Command) (host.Result, error) {
		ran = true
		return host.Result{}, host.ErrNoProgram
	}}
	c, err := restore.New(func(any) error { return nil }, h)
	if err != nil {
		t.Fatal(err)
	}
	look, err := c.Collect(t.Context(), nil)
	if err != nil || !look.Unsupported || ran || exists(h.Path(restore.DefaultFolder)) {
		t.Errorf("%+v, %v, ran %v", look, err, ran)
	}
	for _, bad := range []restore.Config{
		{Folder: "here"}, {Interval: time.Minute}, {Files: 1000}, {MaxBytes: 5},
		{Repositories: []backup.Repository{{Name: "a", Tool: "kopia"}}},
		{Repositories: []backup.Repository{{Name: "a/b", Tool: "restic", Repository: "/x"}}},
		{Repositories: []backup.Repository{{Name: "a", Tool: "restic"}}},
		{Repositories: []backup.Repository{{Name: "a", Tool: "restic", Repository: "/x"}, {Name: "a", Tool: "restic", Repository: "/y"}}},
	} {
		if _, err := restore.New(func(v any) error { *v.(*restore.Config) = bad; return nil }, h); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	// A folder that others may look into is refused.
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := restore.Config{Folder: open, Repositories: []backup.Repository{{Name: "a", Tool: "restic", Repository: "/x"}}}
	c, err = restore.New(func(v any) error { *v.(*restore.Config) = cfg; return nil }, &host.Host{Now: time.Now, Run: h.Run})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Collect(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "0700") {
		t.Errorf("%v", err)
	}
}

func FuzzFormats(f *testing.F) {
	f.Add([]byte(`{"struct_type":"snapshot","id":"1"}` + "\n" + `{"name":"a","type":"file","path":"/a","size":3,"mtime":"2026-11-26T21:49:14.7Z","struct_type":"node"}`))
	f.Add([]byte(`{"type":"-","path":"src/a","healthy":false,"source":"","mtime":"2026-11-26T21:49:14.733294","size":3}`))
	hosttest.FuzzFormats(f, restore.Formats(), time.Unix(1795446525, 0))
}
