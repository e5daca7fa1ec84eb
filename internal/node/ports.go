package node

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// ports are the addresses at which the processes listen: those that the supervisor opens for a
// router, those of acceptors, and those of UDP, whose descriptor the processes share.
type ports struct {
	h *Host

	mu        sync.Mutex // guards the rest
	asked     map[string]*asked
	shared    map[string]*os.File
	acceptors map[string]*acceptor
}

// maxPorts limits the addresses that processes may open, and those that they share.
const maxPorts = 1024

// asked is an address that we asked the supervisor to open.
type asked struct {
	settled bool
	waiting []func(errno string)
	timer   *time.Timer
}

func newPorts(h *Host) *ports {
	return &ports{h: h, asked: make(map[string]*asked), shared: make(map[string]*os.File), acceptors: make(map[string]*acceptor)}
}

// open asks the supervisor to open the address of q, and calls then with the outcome, perhaps at
// once. It doesn't remember a failure.
func (p *ports) open(id string, q query, then func(errno string)) {
	addr := net.JoinHostPort(q.address, strconv.Itoa(q.port))
	p.mu.Lock()
	a := p.asked[addr]
	if a != nil && a.settled {
		p.mu.Unlock()
		then("")
		return
	}
	first := a == nil
	if first && len(p.asked) >= maxPorts {
		p.mu.Unlock()
		then("EMFILE")
		return
	}
	if first {
		a = &asked{}
		a.timer = time.AfterFunc(listenTimeout, func() { p.opened(addr, "") })
		p.asked[addr] = a
	}
	a.waiting = append(a.waiting, then)
	p.mu.Unlock()
	if first {
		if err := p.h.cfg.Report(lifeline.Listen, lifeline.ListenReport{ID: id, Addr: addr}); err != nil {
			p.opened(addr, "EINVAL")
		}
	}
}

// opened takes the supervisor's answer; an empty errno is success.
func (p *ports) opened(addr, errno string) {
	p.mu.Lock()
	a := p.asked[addr]
	if a == nil || a.settled {
		p.mu.Unlock()
		return
	}
	a.timer.Stop()
	waiting := a.waiting
	a.waiting, a.settled = nil, true
	if errno != "" {
		delete(p.asked, addr) // the next attempt may succeed
	}
	p.mu.Unlock()
	for _, then := range waiting {
		then(errno)
	}
}

// share gives a worker the descriptor of a UDP socket, like Node's primary.
func (c *child) share(o *ipc.Object, q query) {
	f, errno := c.h.ports.share(q)
	if errno != "" {
		c.refuse(o, errno)
		return
	}
	msg := (&ipc.Object{}).Set("cmd", "NODE_CLUSTER").Set("seq", float64(c.seq.Add(1)-1)).Set("ack", o.Get("seq")).
		Set("errno", nil).Set("key", q.key()).Set("data", o.Get("data"))
	frame, err := ipc.Encode(c.ch.mode, (&ipc.Object{}).Set("cmd", "NODE_HANDLE").Set("type", "dgram.Native").Set("msg", msg), c.h.cfg.MaxUnread)
	if err == nil {
		err = c.ch.give(frame, f)
	}
	if err != nil {
		f.Close()
		c.log.Debug("listening socket not shared", "error", err)
	}
}

// share returns a duplicate of the descriptor for q, which it opens the first time.
func (p *ports) share(q query) (*os.File, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.shared[q.key()]
	if f == nil {
		if len(p.shared) >= maxPorts {
			return nil, "EMFILE"
		}
		var err error
		if f, err = listenUDP(q); err != nil {
			return nil, errnoOf(err)
		}
		p.shared[q.key()] = f
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, errnoOf(err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "shared"), ""
}

func listenUDP(q query) (*os.File, error) {
	l, err := net.ListenPacket(q.kind, net.JoinHostPort(q.address, strconv.Itoa(q.port)))
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.(*net.UDPConn).File()
}

// errnoOf names an error as Node does.
func errnoOf(err error) string {
	for _, known := range []syscall.Errno{syscall.EACCES, syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EMFILE} {
		if errors.Is(err, known) {
			return unix.ErrnoName(known)
		}
	}
	return "EINVAL"
}

// close closes our copies of shared sockets, and the acceptors.
func (p *ports) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, a := range p.acceptors {
		a.l.Close()
		delete(p.acceptors, key)
	}
	for key, f := range p.shared {
		f.Close()
		delete(p.shared, key)
	}
	for _, a := range p.asked {
		a.timer.Stop()
	}
}
