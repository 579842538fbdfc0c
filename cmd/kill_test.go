package cmd_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pushes is how many records the story of sudden deaths goes on for.
const pushes = 200

// TestSuddenDeaths kills agent and server with SIGKILL at random moments while
// records are made and pushed. Whatever was sealed must stand in the log exactly
// once, the chain must have no hole, and all receipts must verify.
func TestSuddenDeaths(t *testing.T) {
	dir := t.TempDir()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	w := &deaths{t: t, dir: dir, port: port, rnd: rand.New(rand.NewPCG(7, 11))} //nolint:gosec // repeatable moments, no secrets
	w.write("server.yaml", fmt.Sprintf("name: proof.example\nlisten: 127.0.0.1:%d\nstore: sqlite:%s/server.db\ndata: %s/data\nlog: {level: error}\n", w.port, dir, dir))
	w.write("log", "")
	w.write("agent.yaml", withoutOthers(fmt.Sprintf(`state_dir: %s/agent
log_level: error
collectors:
  eventlog: {every: 1s, journal: "off", files: ["%s/log"]}
  dnsbl: {every: 1s, discover: false}
  others: {enabled: false}
`, dir, dir)))
	w.run("attesto-server", "org", "add", "--kind", "provider", "--name", "Provider")
	org := w.run("attesto-server", "org", "add", "--name", "Customer")
	token := w.run("attesto-server", "token", "create", "--org", org)
	w.start("attesto-server", "serve")
	w.await()
	w.run("attesto-agent", "enroll", "--server", fmt.Sprintf("http://127.0.0.1:%d", w.port), "--token", token)
	w.start("attesto-agent", "run")

	kills := 0
	for deadline := time.Now().Add(15 * time.Minute); w.sealed() < pushes; {
		if time.Now().After(deadline) {
			t.Fatalf("%d records after %d deaths, want %d within a quarter of an hour", w.sealed(), kills, pushes)
		}
		time.Sleep(time.Duration(50+w.rnd.IntN(900)) * time.Millisecond)
		victim := []string{"attesto-agent", "attesto-server"}[w.rnd.IntN(2)]
		w.kill(victim)
		kills++
		if w.rnd.IntN(3) == 0 {
			time.Sleep(time.Duration(w.rnd.IntN(300)) * time.Millisecond)
		}
		w.start(victim, map[string]string{"attesto-agent": "run", "attesto-server": "serve"}[victim])
	}
	w.kill("attesto-agent")
	w.await()
	w.run("attesto-agent", "run", "--once", "--timeout", "60s")
	w.kill("attesto-server")

	status := w.status()
	if status.Spool.Waiting != 0 || status.Alarm != nil {
		t.Fatalf("status %+v", status)
	}
	w.run("attesto-server", "check")
	entries := map[int64]bool{}
	held := w.envelopes(org)
	lines := strings.Split(w.run("attesto-agent", "journal", "--json"), "\n")
	for i, line := range lines {
		var e struct {
			Seq    uint64
			Proven bool
			Index  int64
			SHA256 string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Seq != uint64(i+1) || !e.Proven || (e.Index >= 0 && entries[e.Index]) {
			t.Fatalf("journal's line %d: %+v", i, e)
		}
		if !held[e.SHA256] {
			t.Fatalf("journal's line %d: the server holds no envelope %s", i, e.SHA256)
		}
		entries[e.Index] = true
	}
	if uint64(len(lines)) != status.Spool.Last {
		t.Fatalf("%d records in the journal, %d were sealed", len(lines), status.Spool.Last)
	}
	if got := w.recordsLogged(); got != status.Spool.Last {
		t.Fatalf("%d records are in the log, %d were sealed", got, status.Spool.Last)
	}
	t.Logf("%d records through %d deaths", status.Spool.Last, kills)
}

type deaths struct {
	t       *testing.T
	dir     string
	port    int
	rnd     *rand.Rand
	running map[string]*exec.Cmd
}

// freePort is a loopback port that nobody listens on, below those that the system
// gives to connections, so that none of them takes it meanwhile.
func freePort() (int, error) {
	for range 100 {
		port := 10_000 + rand.IntN(20_000) //nolint:gosec // no secret
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

func (w *deaths) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *deaths) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	config := map[string]string{"attesto-agent": "agent.yaml", "attesto-server": "server.yaml"}[program]
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, program), append([]string{"--config", filepath.Join(w.dir, config)}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+w.dir)
	return cmd
}

func (w *deaths) run(program string, args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := w.command(ctx, program, args...)
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s%s", program, args, err, out, errOut.String())
	}
	return strings.TrimSpace(string(out))
}

func (w *deaths) start(program string, args ...string) {
	w.t.Helper()
	cmd := w.command(w.t.Context(), program, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if w.running == nil {
		w.running = map[string]*exec.Cmd{}
	}
	w.running[program] = cmd
}

func (w *deaths) kill(program string) {
	w.t.Helper()
	if program == "attesto-server" && w.running[program].ProcessState != nil {
		return
	}
	_ = w.running[program].Process.Kill()
	_ = w.running[program].Wait()
}

// await waits until the server answers.
func (w *deaths) await() {
	w.t.Helper()
	for range 300 {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", w.port))
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatal("the server does not answer")
}

type agentStatus struct {
	Spool struct {
		Last    uint64
		Waiting int
	}
	Alarm any
}

func (w *deaths) status() agentStatus {
	w.t.Helper()
	var s agentStatus
	if err := json.Unmarshal([]byte(w.run("attesto-agent", "status", "--json")), &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// sealed counts the records that the agent ever sealed, by the newest one's name.
func (w *deaths) sealed() uint64 {
	newest := uint64(0)
	for _, sub := range []string{"wait", "sent"} {
		names, err := filepath.Glob(filepath.Join(w.dir, "agent", sub, "*.rec"))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, n := range names {
			var seq uint64
			if _, err := fmt.Sscanf(filepath.Base(n), "%d.rec", &seq); err == nil {
				newest = max(newest, seq)
			}
		}
	}
	return newest
}

// recordsLogged counts the agent's entries in the log.
// envelopes are the hashes of all that the server holds, from an export.
func (w *deaths) envelopes(org string) map[string]bool {
	w.t.Helper()
	bundle, day := filepath.Join(w.dir, "bundle"), func(days int) string { return time.Now().AddDate(0, 0, days).Format(time.DateOnly) }
	w.run("attesto-server", "export", "--org", org, "--from", day(-2), "--to", day(2), "-o", bundle)
	files, err := filepath.Glob(filepath.Join(bundle, "records", "*", "envelope.json"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("no envelopes in the export: %v", err)
	}
	held := map[string]bool{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		held[fmt.Sprintf("%x", sha256.Sum256(b))] = true
	}
	return held
}

func (w *deaths) recordsLogged() uint64 {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	db, err := openSQLite(filepath.Join(w.dir, "server.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	var entries, distinct uint64
	err = db.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(DISTINCT seq) FROM record WHERE type = 'evidence'`).Scan(&entries, &distinct)
	if err != nil || entries != distinct {
		w.t.Fatalf("%d entries of %d records (%v)", entries, distinct, err)
	}
	return entries
}
