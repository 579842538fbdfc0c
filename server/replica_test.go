package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attesto/attesto/evidence"
	"github.com/attesto/attesto/server"
	"github.com/attesto/attesto/server/ledger"
	"github.com/attesto/attesto/server/store"
	"github.com/attesto/attesto/server/store/storetest"
)

// replicaEnv makes the test binary a server: data folder, guard's file and DSN.
const replicaEnv = "ATTESTO_TEST_REPLICA"

// replica serves until its standard input ends. It prints its address.
func replica() {
	err := func() error {
		ctx := context.Background()
		part := strings.SplitN(os.Getenv(replicaEnv), "|", 3)
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
		keys, err := server.OpenKeys(part[0])
		if err != nil {
			return err
		}
		guard, err := store.OpenGuard(ctx, part[1])
		if err != nil {
			return err
		}
		st, err := store.Open(ctx, part[2], log)
		if err != nil {
			return err
		}
		s, err := server.New(ctx, testConfig(), server.Deps{Store: st, Guard: guard, Keys: keys, Log: log, Version: "test"})
		if err != nil {
			return err
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(l.Addr())
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		return s.Serve(ctx, l)
	}()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// cluster is two servers on one database, which die, and agents that push to them.
type cluster struct {
	t    *testing.T
	w    *world
	dsn  string
	dir  string
	at   [2]atomic.Value // address of each server
	proc [2]*exec.Cmd
	said [2]*logBuffer

	progress chan struct{} // one for each push that was receipted
	end      atomic.Bool
	failed   atomic.Int64 // pushes without an answer

	mu    sync.Mutex
	heads map[int64]tlog.Hash // every head that an agent was given
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (c *cluster) start(i int) {
	c.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), replicaEnv+"="+strings.Join([]string{c.w.data, filepath.Join(c.dir, fmt.Sprintf("guard%d.db", i)), c.dsn}, "|"))
	cmd.Stderr = c.said[i]
	if _, err := cmd.StdinPipe(); err != nil { // ends with this process
		c.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.proc[i] = cmd
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.t.Fatalf("server %d did not start: %v: %s", i, err, c.said[i].b.String())
	}
	c.at[i].Store(strings.TrimSpace(line))
}

func (c *cluster) kill(i int) {
	if err := c.proc[i].Process.Kill(); err != nil {
		c.t.Error(err)
	}
	_ = c.proc[i].Wait() // killed
}

// await returns after n further receipted pushes.
func (c *cluster) await(n int) {
	for range n {
		select {
		case <-c.progress:
		case <-time.After(2 * time.Minute):
			c.t.Fatalf("no push was receipted for two minutes; the servers said: %s%s", c.said[0].b.String(), c.said[1].b.String())
		}
	}
}

// pusher is an agent that pushes until the end, and then what it still has.
func (c *cluster) pusher(h *host, first int) error {
	var waiting []sealed
	for turn := first; !c.end.Load() || len(waiting) > 0; turn++ {
		if len(waiting) == 0 {
			waiting = h.seals(1 + turn%3)
		}
		answer, err := c.push(h, turn, waiting)
		if err != nil {
			return err
		}
		if answer == nil {
			c.failed.Add(1)
			time.Sleep(5 * time.Millisecond) // both may be down: do not spin
			continue
		}
		if err := c.receive(h, *answer, waiting); err != nil {
			return err
		}
		waiting = nil
		select {
		case c.progress <- struct{}{}:
		default:
		}
	}
	return nil
}

// push sends records to one of the servers; nil when it gave no answer.
func (c *cluster) push(h *host, turn int, list []sealed) (*evidence.PushAnswer, error) {
	body := evidence.Push{Known: evidence.KnownHead{Origin: h.known.Origin, Size: h.known.Size}}
	for _, s := range list {
		body.Records = append(body.Records, s.wire())
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+c.at[turn%2].Load().(string)+evidence.PathRecords, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+h.push)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil // it was killed
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode == http.StatusServiceUnavailable {
		return nil, nil // likewise
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	var answer evidence.PushAnswer
	return &answer, evidence.DecodeAnswer(text, &answer)
}

// receive checks an answer as an agent must, and its head against those of all
// others.
func (c *cluster) receive(h *host, a evidence.PushAnswer, list []sealed) error {
	head, err := h.trusted.OpenCheckpoint([]byte(a.Checkpoint))
	if err == nil {
		err = evidence.CheckConsistency(h.known, head, a.Consistency)
	}
	if err != nil {
		return err
	}
	for i, r := range a.Results {
		if r.Error != nil {
			return fmt.Errorf("record %d: %w", r.Seq, r.Error)
		}
		if _, _, under, err := r.Receipt().Verify(list[i].env, h.trusted); err != nil || under != head {
			return fmt.Errorf("record %d: receipt under %v: %w", r.Seq, under, err)
		}
	}
	h.known, h.checkpoint = head, []byte(a.Checkpoint)
	c.mu.Lock()
	defer c.mu.Unlock()
	if root, ok := c.heads[head.Size]; ok && root != head.Root {
		return fmt.Errorf("two heads of %d entries", head.Size)
	}
	c.heads[head.Size] = head.Root
	return nil
}

// terminate ends the database's side of connections in mid-transaction.
func (c *cluster) terminate() {
	statement(c.t, c.dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`)
}

// Two servers share a database and eight agents of one organisation push to both,
// while servers and database connections are killed in the midst of it: there are
// never two heads of one size, every receipt stays valid, and nothing is lost.
// ATTESTO_TEST_ROUNDS says how many deaths.
func TestReplicasDie(t *testing.T) {
	rounds := 5
	if text := os.Getenv("ATTESTO_TEST_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dsn := storetest.Postgres(t)
	c := &cluster{t: t, w: newWorld(t, dsn), dsn: dsn, dir: t.TempDir(), progress: make(chan struct{}, 64), heads: map[int64]tlog.Hash{},
		said: [2]*logBuffer{{}, {}}}
	hosts := make([]*host, 8)
	for i := range hosts {
		hosts[i] = c.w.enrolled(c.w.customer)
	}
	c.start(0)
	c.start(1)
	defer func() { c.kill(0); c.kill(1) }()
	errs := make([]error, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		wg.Go(func() { errs[i] = c.pusher(h, i) })
	}
	for round := range rounds {
		c.await(5 + round%7)
		c.kill(round % 2)
		c.await(2 + round%5)
		c.terminate()
		c.start(round % 2)
		c.await(2 + round%3)
		c.terminate()
	}
	c.end.Store(true)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	c.walk(hosts)
	t.Logf("%d heads, %d pushes went unanswered", len(c.heads), c.failed.Load())
}

// walk compares all that agents were given with the log as it is at the end.
func (c *cluster) walk(hosts []*host) {
	t, ctx := c.t, context.Background()
	if faults := c.w.check(t); len(faults) > 0 {
		t.Errorf("faults:\n%s", strings.Join(faults, "\n"))
	}
	st, err := c.w.store.Log(ctx, c.w.customer.ID)
	if err != nil {
		t.Fatal(err)
	}
	records := int64(len(hosts))
	for _, h := range hosts {
		records += int64(h.seq)
	}
	if st.Size != records {
		t.Errorf("the log has %d entries, %d were sealed and receipted", st.Size, records)
	}
	tree := ledger.At(ctx, c.w.store.Reader, st.ID, st.Size)
	for size, root := range c.heads {
		proof, err := tree.Consistency(size)
		if err == nil {
			err = evidence.CheckConsistency(evidence.Head{Origin: st.Origin, Size: size, Root: root}, st.Head(), proof)
		}
		if err != nil {
			t.Errorf("head of %d: %v", size, err)
		}
	}
}
