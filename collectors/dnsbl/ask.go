package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// question is one query: a fully qualified name and a type.
type question struct {
	name  string
	qtype uint16
}

// answer is the outcome of one question; err says why there is no reply.
type answer struct {
	reply reply
	err   error
	took  time.Duration
}

// asker sends many questions to one resolver over one UDP socket. Questions go
// out paced, because an unpaced burst overruns socket buffers and loses
// answers; what is still unanswered after the time-out goes out again.
type asker struct {
	resolver string
	timeout  time.Duration // of one try
	tries    int
}

const (
	headerSize = 12 // of a DNS message (RFC 1035 section 4.1.1)
	paceBurst  = 32 // datagrams between two pauses
	pace       = time.Millisecond
	udpSize    = 1232 // DNS flag day 2020: fits any path without fragments
	// readBuffer holds the answers to many questions at once.
	readBuffer = 1 << 20
	// restart is how long a name server that starts anew is given.
	restart = 500 * time.Millisecond
)

var (
	errNoReply = errors.New("no reply from the name server")
	errNobody  = errors.New("no name server listens there")
)

// ask puts all questions and returns their answers in the same order. A resolver
// whose port is closed is tried again after a moment: it may be starting anew.
func (a asker) ask(ctx context.Context, questions []question) []answer {
	answers := make([]answer, len(questions))
	for range a.tries {
		failAll(answers, errNoReply)
		if len(questions) == 0 || !a.round(ctx, questions, answers) {
			break
		}
		failAll(answers, errNobody)
		select {
		case <-ctx.Done():
			return answers
		case <-time.After(restart):
		}
	}
	a.askTCP(ctx, questions, answers)
	return answers
}

// round asks over one socket, and again what got no reply in time. It reports
// whether nobody listens at all.
func (a asker) round(ctx context.Context, questions []question, answers []answer) (nobody bool) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", a.resolver)
	if err != nil {
		failAll(answers, fmt.Errorf("asking the name server: %w", err))
		return false
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		_ = udp.SetReadBuffer(readBuffer) // a wish: the system may give less
	}
	r := newRound(questions, answers)
	var reader sync.WaitGroup
	reader.Go(func() { r.read(conn) })
	for range a.tries {
		r.send(ctx, conn)
		if r.wait(ctx, a.timeout) {
			break
		}
	}
	_ = conn.Close() // ends the reader
	reader.Wait()
	return r.nobody
}

func failAll(answers []answer, err error) {
	for i := range answers {
		answers[i] = answer{err: err}
	}
}

// round is the state of the questions on one socket.
type round struct {
	questions []question
	mu        sync.Mutex
	answers   []answer
	byID      map[uint16]int
	ids       []uint16
	sent      []time.Time
	open      int
	nobody    bool          // the port is closed, and nothing has answered
	done      chan struct{} // closed when nothing more is to be waited for
}

func newRound(questions []question, answers []answer) *round {
	r := &round{questions: questions, answers: answers, byID: map[uint16]int{}, ids: make([]uint16, len(questions)),
		sent: make([]time.Time, len(questions)), open: len(questions), done: make(chan struct{})}
	for i := range questions {
		id := uint16(rand.Uint32())
		for _, taken := r.byID[id]; taken; _, taken = r.byID[id] {
			id++
		}
		r.byID[id], r.ids[i] = i, id
	}
	return r
}

func (r *round) send(ctx context.Context, conn net.Conn) {
	burst := 0
	for i, q := range r.questions {
		r.mu.Lock()
		waiting := errors.Is(r.answers[i].err, errNoReply)
		if waiting {
			r.sent[i] = time.Now()
		}
		r.mu.Unlock()
		if !waiting {
			continue
		}
		m := newQuery(q)
		m.Id = r.ids[i]
		packed, err := m.Pack()
		if err != nil {
			r.fail(i, fmt.Errorf("the name to ask for cannot be asked: %w", err))
			continue
		}
		if _, err := conn.Write(packed); err != nil {
			if errors.Is(err, syscall.ECONNREFUSED) && r.closedPort() {
				return
			}
			continue // it counts as no reply, and goes out again with the next try
		}
		if burst++; burst%paceBurst == 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pace):
			}
		}
	}
}

func newQuery(q question) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.SetEdns0(udpSize, false)
	return m
}

func (r *round) read(conn net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if r.closedPort() {
				return
			}
		case n >= headerSize:
			r.take(buf[:n])
		}
	}
}

// closedPort notes that a read failed, as it does when the port is closed. While
// nothing has answered, that ends the round; later it may be one lost datagram.
func (r *round) closedPort() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == 0 || r.open != len(r.questions) {
		return false
	}
	if !r.nobody {
		r.nobody = true
		close(r.done)
	}
	return true
}

// fail settles a question without a reply.
func (r *round) fail(i int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[i].err = err
	r.settle()
}

func (r *round) take(msg []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.byID[uint16(msg[0])<<8|uint16(msg[1])]
	if !ok || !errors.Is(r.answers[i].err, errNoReply) {
		return
	}
	reply, err := parseReply(msg, r.questions[i])
	if err != nil {
		return // not an answer to our question: it may be forged, the true one can still come
	}
	r.answers[i] = answer{reply: reply, took: time.Since(r.sent[i])}
	r.settle()
}

// settle counts a question that is done with.
func (r *round) settle() {
	if r.open--; r.open == 0 && !r.nobody {
		close(r.done)
	}
}

// wait reports whether all questions were answered before the time-out.
func (r *round) wait(ctx context.Context, timeout time.Duration) bool {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-r.done:
		return true
	case <-ctx.Done():
		return true // no more tries: what is open stays without a reply
	case <-timer.C:
		return false
	}
}

// askTCP asks again over TCP what came back truncated.
func (a asker) askTCP(ctx context.Context, questions []question, answers []answer) {
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for i := range answers {
		if answers[i].err != nil || !answers[i].reply.truncated {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			client := dns.Client{Net: "tcp", Timeout: a.timeout}
			m, took, err := client.ExchangeContext(ctx, newQuery(questions[i]), a.resolver)
			if err != nil {
				return // the truncated answer stays, and is judged as such
			}
			packed, err := m.Pack()
			if err != nil {
				return
			}
			if r, err := parseReply(packed, questions[i]); err == nil {
				answers[i] = answer{reply: r, took: took}
			}
		})
	}
	wg.Wait()
}
