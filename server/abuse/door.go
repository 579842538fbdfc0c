package abuse

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// The bounds of what may connect to an inbox.
const (
	maxConns     = 50 // at a time, of all
	maxConnsFrom = 10 // at a time, from one address
	longest      = 10 * time.Minute
)

// door is a listener that lets only some addresses in, few at a time and each not for
// long: connections to an inbox take what the whole process has of files.
type door struct {
	net.Listener
	from []netip.Prefix

	mu   sync.Mutex
	in   map[netip.Addr]int
	all  int
	away func(from net.Addr, why string) // is told of whom it turned away
}

// Accept waits for somebody who may come in. Others are told so as RFC 5321 section 3.1
// has it, and sent away.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addrOf(c)
		answer := d.enter(addr)
		if answer == "" {
			return d.guest(c, addr), nil
		}
		d.away(c.RemoteAddr(), answer)
		_ = errors.Join(c.SetWriteDeadline(time.Now().Add(time.Second)), say(c, answer), c.Close()) // whoever it is, they are gone
	}
}

func say(c net.Conn, line string) error {
	_, err := io.WriteString(c, line+"\r\n")
	return err
}

func addrOf(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// enter counts somebody in, or says why not.
func (d *door) enter(addr netip.Addr) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !slices.ContainsFunc(d.from, func(p netip.Prefix) bool { return p.Contains(addr) }):
		return "554 5.7.1 Mail is not taken from here"
	case d.all >= maxConns || d.in[addr] >= maxConnsFrom:
		return "421 4.7.0 Too many connections, try again later"
	}
	d.all++
	d.in[addr]++
	return ""
}

func (d *door) leave(addr netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all--
	if d.in[addr]--; d.in[addr] == 0 {
		delete(d.in, addr)
	}
}

// guest is a connection that was let in. It is counted out once, and ends when its time
// is over.
type guest struct {
	net.Conn
	out func()
}

func (d *door) guest(c net.Conn, addr netip.Addr) net.Conn {
	timer := time.AfterFunc(longest, func() { _ = c.Close() }) // reading and writing end with it
	return &guest{c, sync.OnceFunc(func() { timer.Stop(); d.leave(addr) })}
}

// Close ends the connection.
func (g *guest) Close() error {
	g.out()
	return g.Conn.Close()
}
