package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/evidence"
)

const (
	handInSocket  = "report.sock"
	handInTime    = 5 * time.Second // for one report
	handInAtATime = 8
)

// SocketPath is where a running agent takes reports from hooks: a stream socket that
// any account may connect to. The kernel says which account that is (unix(7),
// SO_PEERCRED), so nobody can hand in under another's name.
func (c Config) SocketPath() string { return filepath.Join(c.StateDir, handInSocket) }

// takeReports answers hooks on the socket until ctx ends; the returned function
// waits for the last of them. Without a socket the drop folder still takes reports;
// where no kind reads them, none are taken.
func (a *Agent) takeReports(ctx context.Context) (wait func()) {
	log := a.log.With("part", "reports")
	dir := cmp.Or(a.cfg.ReportDir(), backup.DefaultReports)
	reads := func(l *looker) bool { return l.spec.Kind == evidence.KindBackup }
	if dir == "off" || !slices.ContainsFunc(a.looks, reads) {
		return func() {}
	}
	l, err := listenForReports(ctx, a.cfg.SocketPath())
	if err != nil {
		log.Warn("no socket for reports; hooks hand in by the drop folder", "error", err)
		return func() {}
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // the accept below says so
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		defer l.Close() //nolint:errcheck // closed twice at the end
		seats := make(chan struct{}, handInAtATime)
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				if ctx.Err() == nil {
					log.Error("the socket for reports ended; hooks hand in by the drop folder", "error", err)
				}
				return
			}
			seats <- struct{}{}
			wg.Go(func() {
				defer func() { <-seats }()
				takeReport(ctx, conn, dir, log)
			})
		}
	})
	return wg.Wait
}

func listenForReports(ctx context.Context, path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an agent that was killed; ours is the only one
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil { //nolint:gosec // any account may hand in, under its own name
		return nil, errors.Join(err, l.Close())
	}
	return l.(*net.UnixListener), nil
}

// takeReport reads one report, keeps it durably and says so, or why not.
func takeReport(ctx context.Context, conn *net.UnixConn, dir string, log *slog.Logger) {
	defer conn.Close() //nolint:errcheck // the answer was written, or nobody hears it
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	answer := func() string {
		if err := conn.SetDeadline(time.Now().Add(handInTime)); err != nil {
			return "refused: " + err.Error()
		}
		uid, err := peer(conn)
		if err != nil {
			return "refused: the system does not tell which account this is: " + err.Error()
		}
		b, err := io.ReadAll(io.LimitReader(conn, backup.MaxReport+1))
		if err != nil {
			return "refused: reading the report: " + err.Error()
		}
		path, err := backup.KeepReport(dir, bytes.TrimSpace(b), uid)
		if err != nil {
			log.Warn("a report was refused", "uid", uid, "error", err)
			return "refused: " + err.Error()
		}
		return "ok " + path
	}()
	if _, err := io.WriteString(conn, strings.ReplaceAll(answer, "\n", " ")+"\n"); err != nil {
		log.Debug("answering a hook", "error", err)
	}
}

// peer is the uid of who connected.
func peer(conn *net.UnixConn) (uid string, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "", err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || inner != nil {
		return "", errors.Join(err, inner)
	}
	return strconv.FormatUint(uint64(cred.Uid), 10), nil
}

// ErrNoAgent says that no agent takes reports on its socket.
var ErrNoAgent = errors.New("no agent answers on its socket")

// HandIn gives a report, as JSON, to the running agent and returns the file that it
// keeps it in. ErrNoAgent: use the drop folder.
func HandIn(ctx context.Context, cfg Config, report []byte) (path string, err error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, 2*handInTime)
	defer cancel()
	conn, err := d.DialContext(ctx, "unix", cfg.SocketPath())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	defer conn.Close() //nolint:errcheck // the answer was read
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	if _, werr := conn.Write(report); err != nil || werr != nil {
		return "", errors.Join(err, werr)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(conn, 8<<10))
	if err != nil {
		return "", fmt.Errorf("hearing what the agent says of the report: %w", err)
	}
	path, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "ok ")
	if !ok {
		return "", fmt.Errorf("the agent says: %s", strings.TrimSpace(string(b)))
	}
	return path, nil
}
