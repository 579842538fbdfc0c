package backup_test

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

func newRestic(t *testing.T) *bench {
	t.Helper()
	return newBench(t, "restic")
}

// tokyo is a time as restic takes it, in the zone in which the benches run.
func tokyo(t time.Time) string {
	return t.In(time.FixedZone("JST", 9*3600)).Format("2006-01-02 15:04:05")
}

func TestResticGood(t *testing.T) {
	b := newRestic(t)
	b.Do("backup", "src")
	b.cfg.Every, b.cfg.Check = 24*time.Hour, "structure"
	j := b.one()
	want(t, j, "ok")
	if j.Points != 1 || j.Paths != 1 || j.Integrity.Result != "ok" || j.Integrity.Depth != "structure" || j.Encryption != "aes256" ||
		j.RunFrom != evidence.FromRepository || j.Errors != -1 || j.Bytes <= 0 || j.ExpectedMinutes != 1440 || len(j.Day) != 1 {
		t.Errorf("facts: %+v", j)
	}
	if age := time.Since(j.NewestRestorable.Time); age > time.Minute {
		t.Errorf("newest point is %v old", age)
	}
	first := *j.Integrity.At
	j = b.one()
	if *j.Integrity.At != first {
		t.Error("checked again within the interval")
	}
	b.later(8 * 24 * time.Hour)
	j = b.one()
	if *j.Integrity.At == first {
		t.Error("not checked again after the interval")
	}
	want(t, j, "ok") // how old is too old is the server's word
	if age := b.now().Sub(j.NewestRestorable.Time); age < 7*24*time.Hour {
		t.Errorf("age %v does not show", age)
	}
}

func TestResticTwoDaysOld(t *testing.T) {
	b := newRestic(t)
	old := time.Now().Add(-50 * time.Hour)
	b.Do("backup", "--time", tokyo(old), "src")
	j := b.one()
	want(t, j, "ok")
	if d := j.NewestRestorable.Sub(old).Abs(); d > 2*time.Second {
		t.Errorf("newest point %v, want %v", j.NewestRestorable, old)
	}
}

func TestResticUnreadable(t *testing.T) {
	for name, how := range map[string]func(b *bench, exit int, out string){
		"report":            func(b *bench, exit int, out string) { b.report(exit, out) },
		"report, exit only": func(b *bench, exit int, _ string) { b.report(exit, "") },
		"log":               func(b *bench, _ int, out string) { b.Write("job.log", out); b.cfg.Log = b.Path("job.log") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newRestic(t)
			b.Do("backup", "src")
			want(t, b.one(), "ok")
			exit, out := b.unreadable("backup", "--json", "src")
			if exit != 3 {
				t.Fatalf("exit code %d: %s", exit, out)
			}
			how(b, exit, out)
			j := b.one()
			want(t, j, "warning", evidence.ReasonUnreadSource)
			if j.Errors != 1 && name != "report, exit only" || j.Points != 2 || j.RunFrom != strings.Split(name, ",")[0] {
				t.Errorf("facts: %+v", j)
			}
		})
	}
}

func TestResticCorrupt(t *testing.T) {
	t.Run("pack removed", func(t *testing.T) {
		b := newRestic(t)
		b.cfg.Check = "structure"
		b.Do("backup", "src")
		want(t, b.one(), "ok")
		if err := os.Remove(b.largest("repo/data")); err != nil {
			t.Fatal(err)
		}
		want(t, b.one(), "ok") // no check is due yet
		b.later(8 * 24 * time.Hour)
		j := b.one()
		want(t, j, "failed", evidence.ReasonCorrupt)
		if j.Integrity.Result != "failed" {
			t.Errorf("integrity %+v", j.Integrity)
		}
	})
	t.Run("index damaged", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "src")
		b.flip(b.largest("repo/index"))
		b.cfg.Check = "structure"
		want(t, b.one(), "failed", evidence.ReasonCorrupt)
	})
	t.Run("pack damaged", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "src")
		b.flip(b.largest("repo/data"))
		b.cfg.Check, b.cfg.CheckSubset = "data", "100%"
		j := b.one()
		want(t, j, "failed", evidence.ReasonCorrupt)
		if j.Integrity.Depth != "data" {
			t.Errorf("integrity %+v", j.Integrity)
		}
	})
}

func TestResticNotReadable(t *testing.T) {
	t.Run("wrong password", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "src")
		b.Write("password", "another")
		want(t, b.one(), "unknown", evidence.ReasonWrongPassword)
	})
	t.Run("no password", func(t *testing.T) {
		b := newRestic(t)
		b.cfg.PasswordFile = ""
		want(t, b.one(), "unknown", evidence.ReasonNoPassword)
	})
	t.Run("repository missing", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "src")
		if err := os.Rename(b.Path("repo"), b.Path("elsewhere")); err != nil {
			t.Fatal(err)
		}
		want(t, b.one(), "failed", evidence.ReasonRepositoryMissing)
	})
	t.Run("unreachable", func(t *testing.T) {
		b := newRestic(t)
		b.cfg.Repository = "rest:http://mario:hunter22@127.0.0.1:1/x"
		want(t, b.one(), "unknown", evidence.ReasonUnreachable)
		if strings.Contains(b.text, "hunter22") {
			t.Errorf("credentials left the host: %s", b.text)
		}
	})
	t.Run("no program", func(t *testing.T) {
		b := newRestic(t)
		b.run = func(ctx context.Context, _ host.Command) (host.Result, error) {
			return host.Exec(ctx, host.Command{Name: "no-such-program"})
		}
		want(t, b.one(), "unknown", evidence.ReasonNoProgram)
	})
	t.Run("settings unreadable", func(t *testing.T) {
		b := newRestic(t)
		b.cfg.EnvFile = b.Path("nowhere.env")
		want(t, b.one(), "unknown", evidence.ReasonBadConfig)
	})
	t.Run("settings open to others", func(t *testing.T) {
		b := newRestic(t)
		b.Write("job.env", "RESTIC_PASSWORD_COMMAND=touch "+b.Path("ran")+"\n")
		if err := os.Chmod(b.Path("job.env"), 0o666); err != nil {
			t.Fatal(err)
		}
		b.cfg.EnvFile, b.cfg.PasswordFile = b.Path("job.env"), ""
		want(t, b.one(), "unknown", evidence.ReasonBadConfig)
		if _, err := os.Stat(b.Path("ran")); err == nil {
			t.Error("a command out of a file that others can write was run")
		}
	})
}

func TestResticPoints(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		want(t, newRestic(t).one(), "failed", evidence.ReasonNoPoints)
	})
	t.Run("empty source", func(t *testing.T) {
		b := newRestic(t)
		if err := os.Mkdir(b.Path("void"), 0o755); err != nil {
			t.Fatal(err)
		}
		b.Do("backup", "void")
		want(t, b.one(), "warning", evidence.ReasonEmpty)
	})
	t.Run("shrunk", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "src")
		if err := os.RemoveAll(b.Path("src")); err != nil {
			t.Fatal(err)
		}
		b.files(1)
		b.Do("backup", "src")
		want(t, b.one(), "warning", evidence.ReasonShrunk)
	})
	t.Run("of the future", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "--time", "2031-01-01 00:00:00", "src")
		want(t, b.one(), "unknown", evidence.ReasonFutureTime)
	})
	t.Run("two hosts", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "--host", "web-old", "src")
		want(t, b.one(), "failed", evidence.ReasonNoPoints, evidence.ReasonHostMismatch)
		b.Do("backup", "--time", tokyo(time.Now().AddDate(0, 0, -3)), "src")
		j := b.one()
		want(t, j, "ok")
		if j.Points != 1 || time.Since(j.NewestRestorable.Time) < 48*time.Hour {
			t.Errorf("the other host's fresh point counts: %+v", j)
		}
		b.cfg.Host = "*"
		jobs := b.look()
		if len(jobs) != 2 {
			t.Errorf("%d jobs of two hosts", len(jobs))
		}
	})
	t.Run("two sets of sources", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "src")
		b.Do("backup", "--time", "2020-01-01 00:00:00", "password")
		if n := len(b.look()); n != 2 {
			t.Errorf("%d jobs, want one of each set of sources", n)
		}
		b.cfg.Paths = []string{b.Path("src")}
		want(t, b.one(), "ok")
		b.cfg.Paths = []string{b.Path("src"), b.Path("gone")}
		want(t, b.one(), "failed", evidence.ReasonNoPoints, evidence.ReasonSourceMissing)
	})
}

func TestResticLocked(t *testing.T) {
	b := newRestic(t)
	b.Do("backup", "src")
	big := make([]byte, 1<<20) // random, since what can be compressed is soon uploaded
	_, _ = rand.Read(big)
	b.Write("big", string(big))
	cmd := b.Command("restic", "backup", "--limit-upload", "1", "big")
	if cmd.Start() != nil {
		t.Fatal("restic did not start")
	}
	for range 200 { // until it holds its lock
		if found, _ := filepath.Glob(b.Path("repo/locks/*")); len(found) > 0 {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed on purpose
	b.cfg.Check = "structure"
	j := b.one()
	want(t, j, "ok", evidence.ReasonRunning)
	if j.Integrity.Result != "unknown" {
		t.Errorf("checked while somebody works: %+v", j.Integrity)
	}
	b.later(40 * time.Minute)
	want(t, b.one(), "warning", evidence.ReasonStaleLock)
}

func TestResticRunResults(t *testing.T) {
	t.Run("failed since the newest point", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "--time", tokyo(time.Now().Add(-time.Hour)), "src")
		b.report(1, "")
		j := b.one()
		want(t, j, "failed", "exit_1")
		if j.Points != 1 || j.LastSuccess == nil || j.ReportedBy == "" {
			t.Errorf("facts: %+v", j)
		}
	})
	t.Run("success without a point", func(t *testing.T) {
		b := newRestic(t)
		b.Do("backup", "--time", tokyo(time.Now().Add(-50*time.Hour)), "src")
		b.report(0, "")
		want(t, b.one(), "failed", evidence.ReasonNoPointMade)
	})
	t.Run("source missing", func(t *testing.T) {
		b := newRestic(t)
		_, out := b.Try("restic", "backup", "--json", "src", "gone")
		b.report(0, out)
		want(t, b.one(), "warning", evidence.ReasonSourceMissing)
	})
}

// TestResticHangs and the next use a runner in restic's place: the real one
// cannot be made to hang or to be cut at will.
func TestResticHangs(t *testing.T) {
	b := newRestic(t)
	b.Do("backup", "src")
	b.run = func(ctx context.Context, _ host.Command) (host.Result, error) {
		return host.Exec(ctx, host.Command{Name: "sleep", Args: []string{"600"}})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	start := time.Now()
	look := b.collect(ctx, backup.Config{Repositories: []backup.Repository{b.cfg}, Reports: "off"})
	want(t, look.Facts.(evidence.Backup).Jobs[0], "unknown", evidence.ReasonTimeout)
	if d := time.Since(start); d > 30*time.Second || ctx.Err() != nil {
		t.Errorf("ended after %v, context %v", d, ctx.Err())
	}
}

func TestResticCut(t *testing.T) {
	b := newRestic(t)
	b.Do("backup", "src")
	real := b.run
	b.run = func(ctx context.Context, c host.Command) (host.Result, error) {
		res, err := real(ctx, c)
		if c.Args[0] == "snapshots" {
			res.Stdout = res.Stdout[:len(res.Stdout)/2]
		}
		return res, err
	}
	want(t, b.one(), "unknown", evidence.ReasonBadOutput)
}
