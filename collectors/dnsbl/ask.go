package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
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
	paceBurst = 32 // datagrams between two pauses
	pace      = time.Millisecond
	udpSize   = 1232 // DNS flag day 2020: fits any path without fragments
)

var errNoReply = errors.New("no reply from the name server")

func (a asker) ask(ctx context.Context, questions []question) []answer {
	answers := make([]answer, len(questions))
	for i := range answers {
		answers[i].err = errNoReply
	}
	if len(questions) == 0 {
		return answers
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", a.resolver)
	if err != nil {
		return failAll(answers, fmt.Errorf("asking the name server: %w", err))
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
	a.askTCP(ctx, questions, answers)
	return answers
}

func failAll(answers []answer, err error) []answer {
	for i := range answers {
		answers[i].err = err
	}
	return answers
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
	done      chan struct{}
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
		if err == nil {
			_, err = conn.Write(packed)
		}
		if err != nil {
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
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 12 {
			// A refused port comes back as an error of one read; the next
			// datagram can still be an answer.
			if err != nil {
				time.Sleep(pace)
			}
			continue
		}
		r.take(buf[:n])
	}
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
	if r.open--; r.open == 0 {
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
