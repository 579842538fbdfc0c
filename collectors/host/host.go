// Package host is the only door from collectors to the machine: files,
// programs, name servers, clock. Tests give it a root folder, a runner and a
// clock of their own.
package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Host is the machine as collectors see it. The zero value is not usable; take
// Real, or fill the fields in a test.
type Host struct {
	// Root is put before every path that Path, Open, ReadFile and Glob get; "" for
	// the real machine.
	Root string
	// Now is the clock.
	Now func() time.Time
	// Run starts a program; see Exec.
	Run func(ctx context.Context, cmd Command) (Result, error)
	// Resolvers lists the name servers as host:port; nil: read /etc/resolv.conf.
	Resolvers []string
	// Addrs lists the addresses of this host's interfaces.
	Addrs func() ([]netip.Addr, error)
	// Usage answers DiskUsage in tests; nil: ask the file system.
	Usage func(path string) (DiskUsage, error)
	// Clock answers KernelClock in tests; nil: ask the kernel.
	Clock func() (KernelClock, error)
	// MachineKey is a secret of this host that never leaves it; it keys pseudonyms.
	MachineKey []byte
}

// Real is this machine.
func Real() *Host {
	return &Host{Now: time.Now, Run: Exec, Addrs: interfaceAddrs}
}

func interfaceAddrs() ([]netip.Addr, error) {
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var out []netip.Addr
	for _, n := range nets {
		if prefix, err := netip.ParsePrefix(n.String()); err == nil {
			out = append(out, prefix.Addr().Unmap())
		}
	}
	return out, nil
}

// Path is the real path behind a path of the host.
func (h *Host) Path(path string) string {
	if h.Root == "" {
		return path
	}
	return filepath.Join(h.Root, path)
}

// ReadFile reads a file of at most limit bytes; a larger one is an error, not a
// silent cut.
func (h *Host) ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(h.Path(path))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("reading %s: larger than %d bytes", path, limit)
	}
	return b, nil
}

// Stat describes a file.
func (h *Host) Stat(path string) (fs.FileInfo, error) { return os.Stat(h.Path(path)) }

// Open opens a file for reading.
func (h *Host) Open(path string) (*os.File, error) { return os.Open(h.Path(path)) }

// Glob lists the host's paths (without Root) that match pattern.
func (h *Host) Glob(pattern string) ([]string, error) {
	found, err := filepath.Glob(h.Path(pattern))
	if err != nil {
		return nil, fmt.Errorf("pattern %s: %w", pattern, err)
	}
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], h.Root)
	}
	return found, nil
}

// Command is a program to run. It gets no standard input, the C locale, and
// the agent's environment overlaid with Env.
type Command struct {
	Name string // looked up in PATH
	Args []string
	Env  []string // "KEY=value"; secrets go here, never into Args
	Dir  string
	// Limit bounds standard output in bytes; over it the program is stopped and
	// Result.Cut is true. 0 means 64 MiB.
	Limit int64
	// Stdout, if set, gets the output as it comes instead of Result.Stdout.
	Stdout io.Writer
}

// Result is what a program gave. Exit is its exit code, -1 if a signal ended it.
type Result struct {
	Stdout []byte
	Stderr string // at most 8 KiB, without secrets
	Exit   int
	Cut    bool
}

// ErrNoProgram says that a program is not installed.
var ErrNoProgram = errors.New("program not found")

const (
	defaultLimit = 64 << 20
	stderrLimit  = 8 << 10
)

// Exec runs a program, in a process group of its own where the system has such, and
// ends the whole group when ctx ends: nothing is left behind. A non-zero exit
// is no error; a program that is absent is ErrNoProgram.
func Exec(ctx context.Context, c Command) (Result, error) {
	path, err := exec.LookPath(c.Name)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", c.Name, ErrNoProgram)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := c.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	var stdout bytes.Buffer
	out := &cutter{w: &stdout, left: limit, full: cancel}
	if c.Stdout != nil {
		out.w = c.Stdout
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Dir = c.Dir
	cmd.Env = append(append(os.Environ(), "LC_ALL=C", "LANG=C", "LANGUAGE=C"), c.Env...)
	cmd.Stdout = out
	cmd.Stderr = &cutter{w: &stderr, left: stderrLimit}
	cmd.WaitDelay = 2 * time.Second
	ownGroup(cmd)
	err = cmd.Run()
	res := Result{Stdout: stdout.Bytes(), Stderr: WithoutSecrets(stderr.String()), Exit: cmd.ProcessState.ExitCode(), Cut: out.cut}
	var exit *exec.ExitError
	switch {
	case res.Cut:
		return res, nil
	case ctx.Err() != nil:
		return res, fmt.Errorf("running %s: %w", c.Name, ctx.Err())
	case err == nil || errors.As(err, &exit):
		return res, nil
	}
	return res, fmt.Errorf("running %s: %w", c.Name, err)
}

// cutter passes on the first left bytes, swallows the rest and calls full once.
type cutter struct {
	w    io.Writer
	left int64
	cut  bool
	full func()
}

func (c *cutter) Write(p []byte) (int, error) {
	n := len(p)
	if int64(n) > c.left {
		p = p[:c.left]
		if !c.cut && c.full != nil {
			c.full()
		}
		c.cut = true
	}
	c.left -= int64(len(p))
	if len(p) > 0 {
		if _, err := c.w.Write(p); err != nil {
			return 0, err
		}
	}
	return n, nil
}
