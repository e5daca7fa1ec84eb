package lifeline

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxUnread is how many lines may wait for a child that does not read. One that lets so many lie is
// stuck.
const maxUnread = 4096

// ErrUnread reports a child that does not read its line.
var ErrUnread = errors.New("lifeline: the child does not read")

// End is the supervisor's end of a line.
type End struct {
	conn *net.UnixConn

	mu      sync.Mutex // guards the rest
	queue   []told
	writing bool
	closed  bool
	writer  sync.WaitGroup
}

// told is a line to be written, with a descriptor of ours where one goes along.
type told struct {
	text string
	file *os.File
}

// Pair makes a line: the supervisor's end, and the child's, to be inherited by it and closed here.
func Pair() (*End, *os.File, error) {
	ours, theirs, err := SocketPair("lifeline")
	if err != nil {
		return nil, nil, err
	}
	defer ours.Close()
	conn, err := unixConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("lifeline: %w", err)
	}
	return &End{conn: conn}, theirs, nil
}

// Reports calls reported for each report of the child, in order, until the line ends.
func (e *End) Reports(reported func(key, value string)) {
	lines := bufio.NewScanner(e.conn)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			reported(key, value)
		}
	}
}

// Tell sends the child a line and with it file, which it takes over in every case; nil: none. It
// never blocks: what the child does not read waits. An error means that the child is gone, or as
// good as.
func (e *End) Tell(key, value string, file *os.File) error {
	text, err := line(key, value)
	if err == nil {
		err = e.push(told{text, file})
	}
	if err != nil && file != nil {
		file.Close()
	}
	return err
}

// TellJSON is Tell of a structured value.
func (e *End) TellJSON(key string, value any, file *os.File) error {
	raw, err := json.Marshal(value)
	if err != nil {
		if file != nil {
			file.Close()
		}
		return fmt.Errorf("lifeline: %s: %w", key, err)
	}
	return e.Tell(key, string(raw), file)
}

func (e *End) push(t told) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return net.ErrClosed
	case len(e.queue) >= maxUnread:
		return ErrUnread
	}
	e.queue = append(e.queue, t)
	if !e.writing {
		e.writing = true
		e.writer.Go(e.write)
	}
	return nil
}

// write empties the queue. A line goes out in one piece with its descriptor: what the kernel takes
// of the first part of a long one carries it.
func (e *End) write() {
	for {
		e.mu.Lock()
		if len(e.queue) == 0 || e.closed {
			e.writing = false
			e.mu.Unlock()
			return
		}
		t := e.queue[0]
		e.queue = e.queue[1:]
		e.mu.Unlock()
		if err := e.send(t); err != nil {
			e.drop()
		}
	}
}

func (e *End) send(t told) error {
	var oob []byte
	if t.file != nil {
		defer t.file.Close()
		oob = syscall.UnixRights(int(t.file.Fd()))
	}
	text := []byte(t.text)
	n, _, err := e.conn.WriteMsgUnix(text, oob, nil)
	if err == nil && n < len(text) {
		_, err = e.conn.Write(text[n:])
	}
	return err
}

// drop discards the messages that nobody will read.
func (e *End) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, t := range e.queue {
		if t.file != nil {
			t.file.Close()
		}
	}
	e.queue = nil
}

// Ended reports whether the child has closed its end, by ending or otherwise. Reports may not have
// come so far.
func (e *End) Ended() bool {
	raw, err := e.conn.SyscallConn()
	if err != nil {
		return true
	}
	hungUp := true // what is closed here has ended
	raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(fds, 0)
		for err == unix.EINTR {
			n, err = unix.Poll(fds, 0)
		}
		hungUp = err == nil && n > 0 && fds[0].Revents&unix.POLLHUP != 0
	})
	return hungUp
}

// SetReadDeadline bounds Reports.
func (e *End) SetReadDeadline(t time.Time) error { return e.conn.SetReadDeadline(t) }

// Close ends the line. The child reads that as the end of its supervisor.
func (e *End) Close() error {
	e.drop()
	err := e.conn.Close()
	e.writer.Wait()
	return err
}
