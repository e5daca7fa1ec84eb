package lifeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// BeatInterval is how often a child's Run says that it is alive.
const BeatInterval = 250 * time.Millisecond

// seldomBeats is the interval of children that don't tell theirs: those of earlier versions.
const seldomBeats = 2 * time.Second

// BeatEvery is how long after a beat of that value the next is due.
func BeatEvery(value string) time.Duration {
	if ms, err := strconv.Atoi(value); err == nil && ms > 1 && ms < 60_000 {
		return time.Duration(ms) * time.Millisecond
	}
	return seldomBeats
}

// ErrGone reports that the supervisor ended without stopping its children first.
var ErrGone = errors.New("lifeline: the supervisor is gone")

var errLineBreak = errors.New("lifeline: a line break in a fact, or an = in its key")

// Line is the child's end.
type Line struct {
	conn *net.UnixConn
	once sync.Once
	said chan struct{} // closed with the first report: from then on Run beats
}

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
	conn, err := unixConn(f)
	if err != nil {
		return nil, fmt.Errorf("lifeline: descriptor %d: %w", fd, err)
	}
	return &Line{conn: conn, said: make(chan struct{})}, nil
}

func unixConn(f *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("is no unix socket")
	}
	return u, nil
}

// Report tells the supervisor a fact. Neither part may hold a line break. An error means that
// nobody listens any more, which Run reports too.
func (l *Line) Report(key, value string) error {
	if l == nil {
		return nil
	}
	text, err := line(key, value)
	if err != nil {
		return err
	}
	l.once.Do(func() { close(l.said) })
	_, err = l.conn.Write([]byte(text))
	return err
}

// ReportJSON is Report of a structured value.
func (l *Line) ReportJSON(key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("lifeline: %s: %w", key, err)
	}
	return l.Report(key, string(raw))
}

// Run beats, and waits for the end: nil when ctx ended, ErrGone when the supervisor did. It closes
// the line. What the supervisor tells is dropped.
func (l *Line) Run(ctx context.Context) error {
	return l.Follow(ctx, func(t Told) {
		if t.File != nil {
			t.File.Close()
		}
	})
}

// Follow is Run, with told called for each line of the supervisor, in order, from this goroutine.
func (l *Line) Follow(ctx context.Context, told func(Told)) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	defer context.AfterFunc(ctx, func() { l.conn.Close() })()
	over := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() { l.beat(over) })
	l.read(told)
	close(over)
	l.conn.Close()
	beating.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return ErrGone
}

// beat says that this process runs.
func (l *Line) beat(over chan struct{}) {
	select {
	case <-l.said:
	case <-over:
		return
	}
	next := time.NewTimer(UntilBeat(time.Now()))
	defer next.Stop()
	for l.beatOnce() == nil {
		select {
		case now := <-next.C:
			next.Reset(UntilBeat(now))
		case <-over:
			return
		}
	}
}

// untilBeat returns the time until the next beat, which all processes of a host send at the same
// moment, so that their supervisor wakes up once for all of them.
func UntilBeat(now time.Time) time.Duration {
	return BeatInterval - time.Duration(now.UnixNano()%int64(BeatInterval))
}

// maxUnheard is how many bytes, as the kernel counts them, may wait for the supervisor when a beat
// is added: some 20 beats.
const maxUnheard = 16 << 10

// beatOnce beats unless earlier beats are still unread. So a supervisor that is stopped finds the
// last ones, and the reports that matter have room.
func (l *Line) beatOnce() error {
	if unread(l.conn) > maxUnheard {
		return nil
	}
	return l.Report(Alive, strconv.FormatInt(BeatInterval.Milliseconds(), 10))
}

// unread is how many bytes the other end has not read; 0 if that is not known.
func unread(c *net.UnixConn) (n int) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }) // 0, then
	}
	return n
}
