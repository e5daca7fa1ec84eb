package socketio

import (
	"log/slog"
	"sync/atomic"
	"time"

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

// warn writes a line at level warn, unless it is left out.
func (n *notice) warn(log *slog.Logger, message string, args ...any) {
	if args, due := n.due(args); due {
		log.Warn(message, args...)
	}
}

// error writes a line at level error, unless it is left out.
func (n *notice) error(log *slog.Logger, message string, args ...any) {
	if args, due := n.due(args); due {
		log.Error(message, args...)
	}
}

// due reports whether a line may be written now, and adds to its fields how many lines were left
// out before it.
func (n *notice) due(args []any) ([]any, bool) {
	if !n.limit.Allow() {
		n.left.Add(1)
		return nil, false
	}
	if left := n.left.Swap(0); left > 0 {
		args = append(args, "left_out", left)
	}
	return args, true
}

// notices are the kinds of such lines.
type notices struct {
	failures   *notice // of handlers
	panics     *notice
	recoveries *notice // that failed
	refusals   *notice // by middlewares and namespaces that failed
	unencoded  *notice // handshakes that an app changed
}

func newNotices() notices {
	return notices{newNotice(), newNotice(), newNotice(), newNotice(), newNotice()}
}
