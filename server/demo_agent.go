package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// agentName is the program that the demo starts.
const agentName = "attesto-agent"

// findAgent looks beside this program, then in PATH.
func findAgent() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), agentName)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(agentName)
	if err != nil {
		return "", fmt.Errorf("%s is neither beside this program nor in PATH: the demo runs the real one; build it (make build) or install its package", agentName)
	}
	return path, nil
}

// demoConfig makes an agent look at once and not wait long for a network that is
// not there.
const demoConfig = `state_dir: %q
collectors:
  dnsbl:
    deadline: 12s
    query_timeout: 2s
    tries: 1
`

// demoAgent is a running agent of the demo.
type demoAgent struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // how, once done
}

// startAgent enrolls an agent with a one-time token and starts it, both with the
// agent's own program.
func (r *demoRun) startAgent(ctx context.Context, program string, side *demoSide) (*demoAgent, error) {
	dir := filepath.Join(r.dir, "agent-"+side.org.Kind)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the agent's folder: %w", err)
	}
	config := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, demoConfig, filepath.Join(dir, "state")), 0o600); err != nil {
		return nil, fmt.Errorf("writing the agent's configuration: %w", err)
	}
	token, err := r.server.AddToken(ctx, TokenRequest{Org: side.org.ID, Uses: 1, TTL: 10 * time.Minute, Note: "demo"})
	if err != nil {
		return nil, err
	}
	enroll := exec.CommandContext(ctx, program, "enroll", "--config", config, "--server", r.url, "--token", token.String())
	if out, err := enroll.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("enrolling the agent: %w: %s", err, clip(strings.TrimSpace(string(out)), 600))
	}
	a := &demoAgent{log: filepath.Join(dir, "agent.log"), done: make(chan struct{})}
	return a, a.start(program, config)
}

// start runs the agent until stop. The goroutine keeps its thread: Linux ties the
// signal for an orphan to the thread that made it.
func (a *demoAgent) start(program, config string) error {
	out, err := os.Create(a.log)
	if err != nil {
		return fmt.Errorf("making the agent's log: %w", err)
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(a.done)
		a.cmd = exec.Command(program, "run", "--config", config) //nolint:noctx // ended by stop
		a.cmd.Stdout, a.cmd.Stderr = out, out
		a.cmd.SysProcAttr = endWithParent()
		err := a.cmd.Start()
		started <- err
		if err == nil {
			err = a.cmd.Wait()
		}
		a.err = errors.Join(err, out.Close())
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	return nil
}

// running returns an error with the agent's last words once it has ended.
func (a *demoAgent) running() error {
	select {
	case <-a.done:
	default:
		return nil
	}
	text, err := os.ReadFile(a.log)
	if err != nil {
		return fmt.Errorf("the agent has ended (%w), and its log cannot be read: %w", a.err, err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return fmt.Errorf("the agent has ended (%w): %s", a.err, bytes.Join(lines[max(0, len(lines)-3):], []byte(" | ")))
}

// stop asks the agent to end, so that it pushes what it has, and makes it end
// after a while.
func (a *demoAgent) stop() error {
	select {
	case <-a.done:
		return nil
	default:
	}
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the agent: %w", err)
	}
	select {
	case <-a.done:
		return nil
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("the agent did not end in 20 seconds"), a.cmd.Process.Kill())
	}
}
