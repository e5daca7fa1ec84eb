package socketio

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// notice is a line of the log that clients can cause. The first ones are written at once, then a
// few each second. The next line says how many were left out.
type notice struct {
	limit *rate.Limiter
	left  atomic.Int64
}

const (
	noticesAtOnce = 20
	noticeEvery   = 200 * time.Millisecond
)

func newNotice() *notice {
	return &notice{limit: rate.NewLimiter(rate.Every(noticeEvery), noticesAtOnce)}
}

// at starts a line, or returns nil, which zerolog takes, if the line is left out.
func (n *notice) at(log *zerolog.Logger, level zerolog.Level) *zerolog.Event {
	if !n.limit.Allow() {
		n.left.Add(1)
		return nil
	}
	e := log.WithLevel(level)
	if left := n.left.Swap(0); left > 0 {
		e = e.Int64("left_out", left)
	}
	return e
}

// notices are the kinds of such lines.
type notices struct {
	failures  *notice // of handlers
	panics    *notice
	refusals  *notice // by middlewares and namespaces that failed
	unencoded *notice // data of sockets
}

func newNotices() notices { return notices{newNotice(), newNotice(), newNotice(), newNotice()} }
