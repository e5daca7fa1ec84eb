package node

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

const (
	// maxInFlight limits the descriptors on their way to a process. They count against our limit of
	// open files, and a process whose event loop is blocked takes none.
	maxInFlight = 64
	// maxWaiting limits the descriptors that wait here for their turn. Beyond it routers wait, and
	// learn that the worker is full.
	maxWaiting = 64
	maxRead    = 64 << 10
)

var errClosed = errors.New("node: channel is closed")

// channel is the parent's end of a process's IPC channel. Sending never blocks: a goroutine writes
// while messages wait. Handles, which are messages with a descriptor, wait in a queue of their own
// until the process has acknowledged earlier ones.
type channel struct {
	conn  *net.UnixConn
	mode  ipc.Mode
	limit int // of bytes that wait

	mu       sync.Mutex // guards the rest
	queue    []ipc.Frame
	queued   int // bytes
	handles  []handle
	inFlight int
	writing  bool
	closed   bool
	unread   int           // messages that waited when there were too many; 0: it closed for another reason
	room     chan struct{} // closed, and replaced, when a handle leaves
	writer   sync.WaitGroup
}

// handle is a descriptor on its way to the process.
type handle struct {
	frame ipc.Frame
	file  descriptor
	raw   syscall.RawConn // of file
}

// descriptor is a connection, or a file.
type descriptor interface {
	io.Closer
	syscall.Conn
}

// openChannel makes a channel from a duplicate of f.
func openChannel(f *os.File, mode ipc.Mode, limit int) (*channel, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("node: a channel must be a unix socket")
	}
	return &channel{conn: conn, mode: mode, limit: limit, room: make(chan struct{})}, nil
}

// read calls frame for each frame in order, until the channel ends or breaks the rules. The error
// tells which. It closes descriptors that come along.
func (c *channel) read(maxFrame int, frame func(ipc.Frame) error) error {
	split := ipc.Splitter{Mode: c.mode, Limit: maxFrame}
	buf := make([]byte, maxRead)
	oob := make([]byte, syscall.CmsgSpace(16*4))
	for {
		n, oobn, _, _, err := c.conn.ReadMsgUnix(buf, oob)
		closeDescriptors(oob[:oobn])
		if n <= 0 || err != nil { // -1 with ECONNRESET if the process left bytes unread
			return errClosed
		}
		if err := split.Feed(buf[:n], frame); err != nil {
			return err
		}
	}
}

func closeDescriptors(oob []byte) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for _, m := range messages {
		if fds, err := syscall.ParseUnixRights(&m); err == nil {
			for _, fd := range fds {
				syscall.Close(fd)
			}
		}
	}
}

// send queues a frame. A process that doesn't read loses its channel once too many bytes wait.
func (c *channel) send(f ipc.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	c.queue = append(c.queue, f)
	if c.queued += len(f); c.queued > c.limit {
		c.unread = len(c.queue)
		c.closeLocked()
		return errClosed
	}
	c.startLocked()
	return nil
}

// sendValue sends a message.
func (c *channel) sendValue(v ipc.Value) error {
	f, err := ipc.Encode(c.mode, v, c.limit)
	if err != nil {
		return err
	}
	return c.send(f)
}

// give sends a descriptor with the message that explains it, and takes it over unless it fails. If
// many descriptors wait, it blocks until one of them has left.
func (c *channel) give(f ipc.Frame, file descriptor) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.handles) >= maxWaiting && !c.closed {
		room := c.room
		c.mu.Unlock()
		<-room
		c.mu.Lock()
	}
	if c.closed {
		return errClosed
	}
	c.handles = append(c.handles, handle{f, file, raw})
	c.startLocked()
	return nil
}

// acknowledged notes that the process has taken a descriptor.
func (c *channel) acknowledged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight = max(c.inFlight-1, 0)
	c.startLocked()
}

// startLocked starts the writer if there is something to write.
func (c *channel) startLocked() {
	if !c.writing && !c.closed && (len(c.queue) > 0 || c.mayGiveLocked()) {
		c.writing = true
		c.writer.Go(c.write)
	}
}

func (c *channel) mayGiveLocked() bool { return len(c.handles) > 0 && c.inFlight < maxInFlight }

// write empties the queues.
func (c *channel) write() {
	for {
		frames, h, ok := c.next()
		if !ok {
			return
		}
		var err error
		if len(frames) > 0 {
			err = c.writeFrames(frames)
		}
		if err == nil && h.file != nil {
			err = c.pass(h)
		}
		if h.file != nil {
			h.file.Close() // our copy, without a shutdown
		}
		if err != nil {
			c.close()
		}
	}
}

// writeFrames writes frames that next took. Their bytes count as waiting until they are written.
func (c *channel) writeFrames(frames []ipc.Frame) error {
	buffers := make(net.Buffers, len(frames))
	for i, f := range frames {
		buffers[i] = f
	}
	n, err := buffers.WriteTo(c.conn)
	c.mu.Lock()
	c.queued -= int(n)
	c.mu.Unlock()
	return err
}

// next takes all frames that wait, and one handle.
func (c *channel) next() (frames []ipc.Frame, h handle, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.queue) == 0 && !c.mayGiveLocked() {
		c.writing = false
		return nil, h, false
	}
	frames, c.queue = c.queue, nil
	if c.mayGiveLocked() {
		h = c.handles[0]
		c.handles = c.handles[1:]
		c.inFlight++
		close(c.room)
		c.room = make(chan struct{})
	}
	return frames, h, true
}

// pass sends a handle in one piece: the receiver holds one descriptor at a time, and a frame in
// pieces could lose it.
func (c *channel) pass(h handle) error {
	var err error
	cerr := h.raw.Control(func(fd uintptr) { // holds the descriptor open meanwhile
		_, _, err = c.conn.WriteMsgUnix(h.frame, syscall.UnixRights(int(fd)), nil)
	})
	return errors.Join(cerr, err)
}

// leftUnread returns how many messages waited when the channel closed because they were too many. It
// returns 0 if it closed for another reason.
func (c *channel) leftUnread() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unread
}

// close ends the channel, and with it a cluster worker.
func (c *channel) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked()
}

func (c *channel) closeLocked() {
	if c.closed {
		return
	}
	c.closed = true
	c.conn.Close()
	for _, h := range c.handles {
		h.file.Close()
	}
	c.handles, c.queue = nil, nil
	close(c.room)
}
