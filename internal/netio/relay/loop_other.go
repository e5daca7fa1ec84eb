//go:build !linux

package relay

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// loop doesn't exist here: each pair takes two goroutines.
type loop struct{ pairs atomic.Int64 }

func newLoop(time.Duration) (*loop, error)                  { return nil, errors.ErrUnsupported }
func (*loop) run()                                          {}
func (*loop) close()                                        {}
func (*loop) join(*Pair, *netio.Stream, *netio.Stream) bool { return false }
func (*loop) expire(int64)                                  {}
func (*loop) cut(*Pair)                                     {}

func (*side) readNow([]byte) (int, error) { return 0, syscall.ENOTSUP }
func (*side) send([]byte) error           { return syscall.ENOTSUP }
