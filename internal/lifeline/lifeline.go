package lifeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// What a child may report. The supervisor acts on Ready and Draining; other keys are attributes that it keeps for those
// who ask about the process.
const (
	Worker   = "worker"   // the id of the worker that the process is
	Ready    = "ready"    // "1": it serves
	Draining = "draining" // "1": it takes nothing new
)

// ErrGone reports that the supervisor ended without stopping its children first.
var ErrGone = errors.New("lifeline: the supervisor is gone")

// Line is the child's end.
type Line struct{ conn net.Conn }

// Open takes over the descriptor fd; a negative one gives a nil Line.
func Open(fd int) (*Line, error) {
	if fd < 0 {
		return nil, nil
	}
	syscall.CloseOnExec(fd) // a grandchild must not hold the line open
	f := os.NewFile(uintptr(fd), "lifeline")
	if f == nil {
		return nil, fmt.Errorf("lifeline: %d is no descriptor", fd)
	}
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("lifeline: descriptor %d: %w", fd, err)
	}
	return &Line{conn}, nil
}

// Report tells the supervisor a fact. Neither part may hold a line break. An error means that nobody listens any more,
// which Run reports too.
func (l *Line) Report(key, value string) error {
	if l == nil {
		return nil
	}
	if strings.ContainsAny(key+value, "\n\r") {
		return fmt.Errorf("lifeline: %q=%q has a line break", key, value)
	}
	_, err := l.conn.Write([]byte(key + "=" + value + "\n"))
	return err
}

// Run waits for the end: nil when ctx ended, ErrGone when the supervisor did. It closes the line.
func (l *Line) Run(ctx context.Context) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	defer context.AfterFunc(ctx, func() { l.conn.Close() })()
	defer l.conn.Close()
	var buf [64]byte
	for {
		if _, err := l.conn.Read(buf[:]); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return ErrGone
		}
	}
}
