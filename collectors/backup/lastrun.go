package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

const (
	maxLog   = 4 << 20 // of a log's end, in bytes
	freshLog = 15 * time.Minute
)

// lastRun finds what is known of a job's last run: the newest of its log, its
// unit and its hook's report.
func (l *look) lastRun(ctx context.Context, cfg Repository) (Run, bool) {
	var best Run
	found := false
	take := func(r Run) {
		if !found || best.Running || r.End.After(best.End) && !r.Running {
			best, found = r, true
		}
	}
	if list := l.reports[cfg.Name]; len(list) > 0 {
		take(list[len(list)-1].run())
	}
	if cfg.Log != "" {
		if r, err := l.logRun(cfg); err == nil {
			take(r)
		} else {
			l.missingRun(cfg, "log", err)
		}
	}
	if cfg.Unit != "" {
		if r, err := unitRun(ctx, l.h, cfg); err == nil {
			take(r)
		} else if !errors.Is(err, errNeverRan) {
			l.missingRun(cfg, "unit", err)
		}
	}
	return best, found
}

func (l *look) missingRun(cfg Repository, what string, err error) {
	l.gaps = append(l.gaps, evidence.Gap{What: "job " + cfg.Name, Why: "its last run, by its " + what + ": " + plainPath(err).Error() + cureOf(err)})
}

// logRun reads the end of a job's log.
func (l *look) logRun(cfg Repository) (Run, error) {
	f, err := l.h.Open(cfg.Log)
	if err != nil {
		return Run{}, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b, modified, err := tail(f)
	if err != nil {
		return Run{}, err
	}
	var r Run
	if cfg.Tool == toolBorg {
		r, err = ParseBorgCreate(b, modified, time.Local)
	} else {
		r, err = ParseResticBackup(b, modified)
	}
	if r.Open && l.now.Sub(modified) < freshLog {
		r.Running = true
	}
	return r, err
}

func tail(f *os.File) ([]byte, time.Time, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, time.Time{}, errors.New("not a regular file")
	}
	if skip := info.Size() - maxLog; skip > 0 {
		if _, err := f.Seek(skip, io.SeekStart); err != nil {
			return nil, time.Time{}, err
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxLog))
	return b, info.ModTime(), err
}

// unitRun asks systemd for the last run of a job's unit.
func unitRun(ctx context.Context, h *host.Host, cfg Repository) (Run, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	res, err := h.Run(ctx, host.Command{Name: "systemctl", Args: []string{"show", cfg.Unit, "--property=" + unitProperties}, Env: []string{"TZ=UTC"}})
	if err != nil {
		return Run{}, err
	}
	if res.Exit != 0 {
		return Run{}, fmt.Errorf("systemctl show failed with exit code %d: is systemd running here?", res.Exit)
	}
	return ParseUnit(res.Stdout, cfg.Tool)
}
