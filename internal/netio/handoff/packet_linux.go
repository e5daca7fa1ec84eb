package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	defaultNetwork = "unixpacket"

	// sendBuffer is asked for on a router's end, in bytes (the kernel caps it at
	// net.core.wmem_max): how much a worker may be behind, and so how large a burst of upgrades
	// passes.
	sendBuffer = 1 << 20
)

// sameUser checks the credentials that the kernel noted when the connection was made.
func sameUser(c *net.UnixConn) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	if cerr := rc.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return cerr
	}
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("%w (uid %d)", ErrForeign, cred.Uid)
	}
	return nil
}

// servePackets takes connections from one sender until either side ends.
func (l *Listener) servePackets(c *net.UnixConn) {
	defer c.Close()
	if sameUser(c) != nil {
		l.lose()
		return
	}
	if _, err := c.Write(appendGreeting(nil, l.worker, l.untouched)); err != nil {
		return
	}
	b := make([]byte, maxPrefix+MaxHead)
	oob := make([]byte, unix.CmsgSpace(4*4)) // room for more than the one expected, so that a surplus is seen and closed
	for {
		n, oobn, flags, _, err := c.ReadMsgUnix(b, oob) // sets MSG_CMSG_CLOEXEC
		if err != nil {
			return
		}
		conn, err := l.receive(b[:n], oob[:oobn], flags)
		if err != nil {
			l.lose()
			continue
		}
		if !l.deliver(conn) {
			return
		}
	}
}

// receive makes a connection of one datagram. Every descriptor that came is in the connection or
// closed.
func (l *Listener) receive(b, oob []byte, flags int) (*Conn, error) {
	fds, err := descriptors(oob)
	if err == nil && (len(fds) != 1 || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0) {
		err = errWire
	}
	var m Meta
	if err == nil {
		var worker string
		if worker, m, err = parse(b); err == nil && worker != l.worker {
			err = ErrWrongWorker
		}
	}
	if err == nil && l.untouched && m.Kind == Client && len(m.Head) > 0 {
		err = ErrTouched
	}
	var inner *netio.Conn
	if err == nil {
		inner, err = netio.NewConn(fds[0], l.ln.Addr(), l.ln.Addr())
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, err
	}
	return newConn(inner, m), nil
}

// descriptors reads all SCM_RIGHTS of a control buffer. What it returns beside an error has to be
// closed too.
func descriptors(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	cms, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var fds []int
	for i := range cms {
		if cms[i].Header.Level != unix.SOL_SOCKET || cms[i].Header.Type != unix.SCM_RIGHTS {
			continue
		}
		f, err := unix.ParseUnixRights(&cms[i])
		if err != nil {
			return fds, err
		}
		fds = append(fds, f...)
	}
	return fds, nil
}

// packetLink is a Sender's link over a SOCK_SEQPACKET socket.
type packetLink struct {
	worker string
	c      *net.UnixConn
	rc     syscall.RawConn
	turn   chan struct{} // held by the one Open that waits for room
}

var _ link = (*packetLink)(nil)

func newPacketLink(c *net.UnixConn, worker string) (link, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := c.SetWriteBuffer(sendBuffer); err != nil {
		return nil, err
	}
	return &packetLink{worker: worker, c: c, rc: rc, turn: make(chan struct{}, 1)}, nil
}

// message is the scratch of one send.
type message struct {
	prefix [maxPrefix]byte
	parts  [2][]byte
}

var messages = sync.Pool{New: func() any { return new(message) }}

func (p *packetLink) pass(c syscall.Conn, m *Meta) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("handoff: %w", err)
	}
	cerr := rc.Control(func(fd uintptr) { // holds the descriptor open meanwhile
		err = p.send(int(fd), m)
	})
	if cerr != nil {
		return fmt.Errorf("handoff: %w", cerr)
	}
	return err
}

// send sends fd and m, without waiting.
func (p *packetLink) send(fd int, m *Meta) error {
	msg := messages.Get().(*message)
	defer messages.Put(msg)
	prefix, err := appendPrefix(msg.prefix[:0], p.worker, m)
	if err != nil {
		return err
	}
	msg.parts = [2][]byte{prefix, m.Head}
	parts := msg.parts[:]
	if len(m.Head) == 0 {
		parts = parts[:1]
	}
	oob := unix.UnixRights(fd)
	// Control, not Write: one sendmsg that does not wait, beside an Open that does.
	cerr := p.rc.Control(func(s uintptr) {
		for {
			_, err = unix.SendmsgBuffers(int(s), parts, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if err != unix.EINTR {
				return
			}
		}
	})
	msg.parts = [2][]byte{}
	if cerr != nil {
		return ErrDead // closed by us
	}
	return sendError(err)
}

// sendError says what a failed sendmsg means to the caller.
func sendError(err error) error {
	switch err {
	case nil:
		return nil
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.ETOOMANYREFS:
		return ErrFull
	case unix.EMSGSIZE:
		return ErrTooLarge
	case unix.EPIPE, unix.ECONNRESET, unix.ENOTCONN, unix.ECONNREFUSED:
		return ErrDead
	}
	return fmt.Errorf("handoff: %w", os.NewSyscallError("sendmsg", err))
}

func (p *packetLink) waiting() bool {
	n := 0
	p.rc.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n > 0
}

func (p *packetLink) open(ctx context.Context) (net.Conn, error) {
	ours, theirs, err := netio.SocketPair(true)
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	err = p.sendWaiting(ctx, theirs, &Meta{Kind: Local, Scheme: "http"})
	unix.Close(theirs)
	if err != nil {
		unix.Close(ours)
		return nil, err
	}
	c, err := netio.NewConn(ours, p.c.RemoteAddr(), p.c.RemoteAddr())
	if err != nil {
		unix.Close(ours)
		return nil, err
	}
	return c, nil
}

// sendWaiting is send that waits for room until ctx ends.
func (p *packetLink) sendWaiting(ctx context.Context, fd int, m *Meta) error {
	err := p.send(fd, m)
	if err != ErrFull {
		return err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrFull, ctx.Err())
	}
	p.c.SetWriteDeadline(time.Time{})
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		p.c.SetWriteDeadline(time.Unix(1, 0))
		close(fired)
	})
	defer func() {
		if !stop() {
			<-fired // before the turn passes on: the next one sets its own deadline
		}
	}()
	werr := p.rc.Write(func(uintptr) bool {
		err = p.send(fd, m)
		return err != ErrFull
	})
	switch {
	case werr == nil:
		return err
	case errors.Is(werr, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrFull, ctx.Err())
	}
	return ErrDead
}
