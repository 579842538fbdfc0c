package backup_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/attesto/attesto/evidence"
)

func newBorg(t *testing.T) *bench {
	t.Helper()
	return newBench(t, "borg")
}

func TestBorgGood(t *testing.T) {
	b := newBorg(t)
	b.cfg.Check = "structure"
	// borg 1.x writes local times without a zone, and benches run in Tokyo.
	b.Do("create", "::one", "src")
	b.Do("create", "::two", "src")
	j := b.one()
	want(t, j, "ok")
	if j.Points != 2 || j.Integrity.Result != "ok" || j.Encryption != "repokey" || j.Files != 6 || j.LastEnd == nil {
		t.Errorf("facts: %+v", j)
	}
	if age := time.Since(j.NewestRestorable.Time).Abs(); age > time.Minute {
		t.Errorf("newest point is %v old", age)
	}
	b.cfg.Archives = "on*"
	if j = b.one(); j.Points != 1 {
		t.Errorf("%d points match on*", j.Points)
	}
	b.cfg.Archives, b.cfg.Host = "", "web-old"
	want(t, b.one(), "failed", evidence.ReasonNoPoints, evidence.ReasonHostMismatch)
}

func TestBorgTwoDaysOld(t *testing.T) {
	b := newBorg(t)
	old := time.Now().Add(-50 * time.Hour).UTC()
	b.Do("create", "--timestamp", old.Format("2006-01-02T15:04:05"), "::old", "src")
	j := b.one()
	want(t, j, "ok")
	if d := j.NewestRestorable.Sub(old).Abs(); d > 2*time.Second {
		t.Errorf("newest point %v, want %v", j.NewestRestorable, old)
	}
}

func TestBorgUnreadable(t *testing.T) {
	b := newBorg(t)
	exit, out := b.unreadable("create", "--json", "--log-json", "::part", "src")
	if exit != 1 {
		t.Fatalf("exit code %d: %s", exit, out)
	}
	b.report(exit, out)
	j := b.one()
	if j.Result != "warning" || !strings.Contains(strings.Join(j.Reasons, " "), evidence.ReasonUnreadSource) || j.Errors != 1 || j.RunFrom != evidence.FromReport {
		t.Errorf("facts: %+v", j)
	}
}

func TestBorgFaults(t *testing.T) {
	t.Run("segment damaged", func(t *testing.T) {
		b := newBorg(t)
		b.cfg.Check = "structure"
		b.Do("create", "::one", "src")
		b.flip(b.largest("repo/data"))
		want(t, b.one(), "failed", evidence.ReasonCorrupt)
	})
	t.Run("wrong password", func(t *testing.T) {
		b := newBorg(t)
		b.Write("password", "another")
		want(t, b.one(), "unknown", evidence.ReasonWrongPassword)
	})
	t.Run("no password", func(t *testing.T) {
		b := newBorg(t)
		b.cfg.PasswordFile = ""
		want(t, b.one(), "unknown", evidence.ReasonNoPassword)
	})
	t.Run("repository missing", func(t *testing.T) {
		b := newBorg(t)
		b.cfg.Repository = b.Path("nowhere")
		want(t, b.one(), "failed", evidence.ReasonRepositoryMissing)
	})
	t.Run("moved", func(t *testing.T) {
		b := newBorg(t)
		b.Do("create", "::one", "src")
		if err := os.Rename(b.Path("repo"), b.Path("moved")); err != nil {
			t.Fatal(err)
		}
		b.cfg.Repository = b.Path("moved")
		want(t, b.one(), "unknown", evidence.ReasonAccessRefused)
	})
	t.Run("no archives", func(t *testing.T) {
		want(t, newBorg(t).one(), "failed", evidence.ReasonNoPoints)
	})
	t.Run("empty source", func(t *testing.T) {
		b := newBorg(t)
		if err := os.Mkdir(b.Path("void"), 0o755); err != nil {
			t.Fatal(err)
		}
		b.Do("create", "::void", "void")
		want(t, b.one(), "warning", evidence.ReasonEmpty)
	})
	t.Run("locked", func(t *testing.T) {
		b := newBorg(t)
		b.cfg.Check = "structure"
		b.Do("create", "::one", "src")
		if err := os.Mkdir(b.Path("repo/lock.exclusive"), 0o755); err != nil {
			t.Fatal(err)
		}
		j := b.one()
		want(t, j, "ok", evidence.ReasonLocked)
		if j.Integrity.Result != "unknown" {
			t.Errorf("checked while somebody works: %+v", j.Integrity)
		}
	})
}
