package restore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/attesto/attesto/collectors/backup"
	"github.com/attesto/attesto/collectors/host"
	"github.com/attesto/attesto/evidence"
)

// sameTime is how far two times of the same file may lie apart: borg rounds to
// microseconds.
const sameTime = 3 * time.Microsecond

// listLimit bounds the list of a state that is read, in bytes; it is not kept.
const listLimit = 16 << 30

// drill is one test of one repository.
type drill struct {
	cfg        Config
	h          *host.Host
	repository backup.Repository
	folder     *folder
	now        time.Time

	store  *backup.Store
	newest backup.Newest
	out    outcome
}

// run tests the repository; the sample is deleted before it returns.
func (d *drill) run(ctx context.Context) outcome {
	d.out = outcome{Test: blank(d.repository), Detail: TestDetail{Job: d.repository.Name}}
	d.out.Test.Reasons = nil
	var fault *backup.Fault
	if d.store, fault = backup.OpenStore(d.h, d.repository); fault != nil {
		return d.fail(fault)
	}
	d.newest, fault = d.store.Newest(ctx, d.now)
	d.out.Test.Encryption = d.newest.Encryption
	if d.newest.Encryption == "" {
		d.out.Test.Encryption = "unknown"
	}
	if fault != nil {
		return d.fail(fault)
	}
	point := evidence.At(d.newest.Time)
	d.out.Test.Point = &point
	s := &sampler{want: d.cfg.Files, maxBytes: d.cfg.MaxBytes}
	if fault := d.list(ctx, s); fault != nil {
		return d.fail(fault)
	}
	d.out.Test.Held = s.held
	list, bytes := s.sample()
	switch {
	case s.broken > 0:
		return d.fail(&backup.Fault{Result: evidence.BackupFailed, Reason: evidence.ReasonCorrupt, Text: fmt.Sprintf("borg itself calls %d files unreadable", s.broken)})
	case len(list) == 0:
		return d.fail(&backup.Fault{Result: evidence.BackupUnknown, Reason: evidence.RestoreNothing, Text: fmt.Sprintf("%d files, none below %d bytes", s.held, d.cfg.MaxBytes)})
	case !d.room(bytes):
		return d.fail(&backup.Fault{Result: evidence.BackupUnknown, Reason: evidence.RestoreLimit})
	}
	return d.restore(ctx, list)
}

// fail ends the test for a reason that has a word. A password that does not open the
// repository, and a repository without anything, are failures of a restore.
func (d *drill) fail(f *backup.Fault) outcome {
	d.out.Test.Result, d.out.Test.Reasons = f.Result, []string{f.Reason}
	if f.Reason == evidence.ReasonWrongPassword {
		d.out.Test.Result = evidence.BackupFailed
	}
	d.out.Detail.Message = f.Text
	return d.out
}

// list chooses the sample from the state's own list.
func (d *drill) list(ctx context.Context, s *sampler) *backup.Fault {
	c := host.Command{Name: d.repository.Tool, Args: []string{"ls", "--json", "--no-lock", d.newest.Ref}}
	parse := ParseResticNode
	if d.borg() {
		c.Args = []string{"list", "--json-lines", "--log-json", "--bypass-lock", d.newest.Ref}
		parse = func(line []byte) (Entry, bool, error) { return ParseBorgItem(line, time.UTC) }
	}
	var bad error
	lines := &lineReader{take: func(line []byte) error {
		e, ok, err := parse(line)
		if err != nil {
			bad = err
			return err
		}
		if ok {
			s.add(e)
		}
		return nil
	}}
	c.Stdout, c.Limit = lines, listLimit
	res, fault := d.store.Run(ctx, c)
	switch {
	case bad != nil:
		return &backup.Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonBadOutput, Text: bad.Error()}
	case fault != nil:
		return fault
	case res.Exit != 0 && !d.warned(res.Exit):
		return d.unread(res)
	case len(lines.rest) > 0:
		return &backup.Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonBadOutput, Text: "the list stops in the middle of a line"}
	}
	return nil
}

func (d *drill) borg() bool { return d.repository.Tool == "borg" }

// warned tells whether an exit code of borg says that it did its work, with a warning.
func (d *drill) warned(exit int) bool {
	return d.borg() && (exit == 1 || exit >= 100 && exit <= 127)
}

// unread is the fault of a tool that opened the repository and then could not read what
// it lists.
func (d *drill) unread(res host.Result) *backup.Fault {
	f := d.store.FaultOf(res.Exit, res.Stderr)
	if f.Reason == evidence.ReasonNoSpace {
		return &backup.Fault{Result: evidence.BackupUnknown, Reason: evidence.RestoreLimit, Text: f.Text}
	}
	if strings.HasPrefix(f.Reason, "exit_") {
		f = &backup.Fault{Result: evidence.BackupFailed, Reason: evidence.RestoreFailed, Text: f.Text}
	}
	return f
}

// room tells whether the folder's disk holds the sample and as much again.
func (d *drill) room(bytes int64) bool {
	u, err := d.h.DiskUsage(d.cfg.Folder)
	return err != nil || u.Free > 2*bytes+1<<20
}

// restore brings the sample back, looks at it and deletes it.
func (d *drill) restore(ctx context.Context, list []Entry) (out outcome) {
	dir, done, err := d.folder.sample()
	if err != nil {
		return d.fail(&backup.Fault{Result: evidence.BackupUnknown, Reason: evidence.RestoreLimit, Text: err.Error()})
	}
	defer func() {
		if err := done(); err != nil {
			out.Detail.Message = strings.TrimSpace(out.Detail.Message + "\n" + err.Error())
		}
	}()
	started := d.h.Now()
	res, fault := d.store.Run(ctx, d.command(dir, list))
	d.out.Test.Millis = max(0, d.h.Now().Sub(started).Milliseconds())
	if fault == nil && res.Exit != 0 && !d.warned(res.Exit) {
		fault = d.unread(res)
	}
	missing, differ := d.compare(ctx, dir, list)
	switch {
	case ctx.Err() != nil:
		return d.fail(&backup.Fault{Result: evidence.BackupUnknown, Reason: evidence.ReasonTimeout, Text: "no time was left; give the kind a longer timeout, or lower max_bytes"})
	case fault != nil:
		return d.fail(fault)
	case missing+differ > 0:
		reason := evidence.RestoreMissing
		if differ > 0 {
			reason = evidence.RestoreDiffers
		}
		return d.fail(&backup.Fault{Result: evidence.BackupFailed, Reason: reason, Text: res.Stderr[:min(len(res.Stderr), 500)]})
	}
	d.out.Test.Result = evidence.BackupOK
	return d.out
}

// command restores the listed files below dir, with little claim to the machine. restic
// holds each file against the hashes of the snapshot (--verify); borg checks each piece
// that it reads by its key.
func (d *drill) command(dir string, list []Entry) host.Command {
	c := host.Command{Name: "nice", Dir: dir, Limit: 8 << 20}
	if d.borg() {
		c.Args = []string{"-n", "15", "borg", "extract", "--log-json", "--bypass-lock", d.newest.Ref}
		for _, e := range list {
			c.Args = append(c.Args, "pf:"+e.Path)
		}
		return c
	}
	c.Args = []string{"-n", "15", "restic", "restore", d.newest.Ref, "--no-lock", "--verify", "--target", dir}
	for _, e := range list {
		c.Args = append(c.Args, "--include", escaped.Replace(e.Path))
	}
	return c
}

// escaped keeps restic from taking a path's characters for a pattern's (Go's
// filepath.Match, with "$" for variables).
var escaped = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `$`, `\$`)

// compare holds what came back against the list, and against the live file where that
// has not changed since.
func (d *drill) compare(ctx context.Context, dir string, list []Entry) (missing, differ int) {
	here := d.store.Here(d.newest.Point)
	for _, e := range list {
		seen := FileSeen{Path: e.Path, Size: e.Size, Result: "ok"}
		switch sum, size, err := digest(ctx, filepath.Join(dir, filepath.FromSlash(e.Path)), e.Size); {
		case err != nil:
			seen.Result = "missing"
			missing++
		case size != e.Size:
			seen.Result, seen.Size = "differs", size
			differ++
		default:
			seen.SHA256 = hex.EncodeToString(sum)
			if here {
				seen.Result = d.live(ctx, e, seen.SHA256)
			}
			switch seen.Result {
			case "differs":
				differ++
			case "equal":
				d.out.Test.Compared++
				fallthrough
			default:
				d.out.Test.Files++
				d.out.Test.Bytes += e.Size
			}
		}
		d.out.Detail.Files = append(d.out.Detail.Files, seen)
	}
	return missing, differ
}

// live compares with the file of this host, if its size and time say that it has not
// changed since: before and after it was read.
func (d *drill) live(ctx context.Context, e Entry, sum string) string {
	path := d.h.Path("/" + strings.TrimPrefix(e.Path, "/"))
	same := func() bool {
		info, err := os.Lstat(path)
		return err == nil && info.Mode().IsRegular() && info.Size() == e.Size && info.ModTime().Sub(e.Mod).Abs() < sameTime
	}
	if !same() {
		return "ok"
	}
	have, _, err := digest(ctx, path, e.Size)
	switch {
	case err != nil || !same():
		return "ok"
	case hex.EncodeToString(have) != sum:
		return "differs"
	}
	return "equal"
}

// digest reads a regular file of about the size expected to its end.
func digest(ctx context.Context, path string, size int64) (sum []byte, n int64, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	if info.Size() != size {
		return nil, info.Size(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	h := sha256.New()
	n, err = io.Copy(until{ctx, h}, f)
	return h.Sum(nil), n, err
}

// until ends a long copy with the look.
type until struct {
	ctx context.Context
	h   hash.Hash
}

func (u until) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.h.Write(p)
}
