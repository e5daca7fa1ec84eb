// Package notice limits the lines of the log that clients can cause.
package notice

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Notice is one kind of line. The first ones are written at once, then a few each second. The next
// line says how many were left out. Its methods may be called concurrently.
type Notice struct {
	limit *rate.Limiter
	left  atomic.Int64
}

const (
	atOnce = 20
	every  = 200 * time.Millisecond
)

// New makes a Notice.
func New() *Notice { return &Notice{limit: rate.NewLimiter(rate.Every(every), atOnce)} }

// Warn writes a line at level warn, unless it is left out.
func (n *Notice) Warn(log *slog.Logger, message string, args ...any) {
	if args, due := n.due(args); due {
		log.Warn(message, args...)
	}
}

// Error writes a line at level error, unless it is left out.
func (n *Notice) Error(log *slog.Logger, message string, args ...any) {
	if args, due := n.due(args); due {
		log.Error(message, args...)
	}
}

// due reports whether a line may be written now, and adds to its fields how many lines were left
// out before it.
func (n *Notice) due(args []any) ([]any, bool) {
	if !n.limit.Allow() {
		n.left.Add(1)
		return nil, false
	}
	if left := n.left.Swap(0); left > 0 {
		args = append(args, "left_out", left)
	}
	return args, true
}

// maxText limits the bytes of Cut. A stack of a hundred frames fits.
const maxText = 16 << 10

// Cut shortens a stack, or another long text, for a field of a line.
func Cut(text string) string {
	if len(text) > maxText {
		return strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
