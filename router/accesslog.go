package router

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

const (
	shownPath = 256 // bytes of a path in the access log
	shownSID  = 8   // characters of a sid: its worker's tag and 24 of its 96 random bits
)

// record is what the access log, the debug field and OnDecision say about a request. While none of
// them is on, nothing looks at the clock. The text is copied for the log alone.
type record struct {
	told     bool // kept for the access log
	began    time.Time
	sent     int64  // by the connection when it began
	text     []byte // method and path; the exchange keeps the buffer for its next request
	method   int    // bytes of text
	decision string
	worker   string // that was tried last
	status   int    // 0: the client has no answer of ours, because it left or was passed
	reason   string // of a refusal
	tries    int
	named    bool // over a door
	passed   bool
	broken   bool // the answer broke off
}

// accessLog writes lines about requests.
type accessLog struct {
	accessMode
	log  *slog.Logger
	seen atomic.Uint64 // requests, where one of several gets a line
}

func (l *accessLog) init(cfg *Config) {
	l.accessMode, _ = parseAccessMode(cfg.AccessLog)
	l.log = slog.New(anyLevel{cfg.Log.Handler()})
}

// accessMode says which requests get a line.
type accessMode struct {
	errors bool
	every  uint64 // one of so many; 0: none
	sids   bool   // in full
}

var errAccessLog = errors.New("must be off, errors, all or 1/N, optionally followed by ,sids")

// parseAccessMode reads Config.AccessLog.
func parseAccessMode(text string) (l accessMode, err error) {
	mode, more, found := strings.Cut(text, ",")
	if l.sids = found; found && more != "sids" {
		return l, errAccessLog
	}
	switch mode {
	case "", "off":
	case "errors":
		l.errors = true
	case "all":
		l.every = 1
	default:
		n, ok := strings.CutPrefix(mode, "1/")
		if l.every, err = strconv.ParseUint(n, 10, 32); !ok || err != nil || l.every == 0 {
			return l, errAccessLog
		}
	}
	return l, nil
}

// begin opens the record of a request on c.
func (a *record) begin(c *conn) {
	r := c.r
	switch l := &r.access; {
	case l.errors:
		a.told = true
	case l.every > 0:
		a.told = l.seen.Add(1)%l.every == 0
	}
	if a.told || r.cfg.DebugHeader || r.cfg.OnDecision != nil {
		a.began, a.sent = time.Now(), c.Written()
	}
}

// note keeps what the head says, which is gone when the answer is there. A query stays out of the
// log: sids and the app's secrets are in it.
func (a *record) note(h *http1.Head, b []byte) {
	if !a.told {
		return
	}
	method, path := h.Method.Of(b), h.Target.Of(b)
	for i, c := range path {
		if c == '?' || i == shownPath {
			path = path[:i]
			break
		}
	}
	a.text = append(append(a.text[:0], method...), path...)
	a.method = len(method)
}

// write writes the line, if the request gets one.
func (a *record) write(ctx context.Context, x *exchange) {
	if a.told && (!x.c.r.access.errors || a.status >= 400 || a.broken) {
		x.writeLine(ctx)
	}
}

func (x *exchange) writeLine(ctx context.Context) {
	c, a := x.c, &x.record
	from, proto := x.req.from.addr, protoH1
	if !from.IsValid() {
		from = c.peer.addr
	}
	if s, ok := c.nc.(*requestConn); ok && s.req.ProtoMajor == 2 {
		proto = protoH2
	}
	path := len(a.text)
	a.text = from.AppendTo(a.text)
	client := len(a.text)
	a.text = c.r.access.appendSID(a.text, x.req.sid)
	text := string(a.text) // one allocation for all of them
	fields := append(make([]slog.Attr, 0, 12), slog.String("client", text[path:client]), slog.String("proto", proto),
		slog.String("method", text[:a.method]), slog.String("path", text[a.method:path]), slog.String("kind", x.req.kind.String()))
	if x.req.sid != "" {
		fields = append(fields, slog.String("sid", text[client:]))
	}
	if a.decision != "" {
		fields = append(fields, slog.String("decision", a.decision))
	}
	if a.worker != "" {
		fields = append(fields, slog.String("worker", a.worker))
	}
	switch {
	case a.passed:
		fields = append(fields, slog.Bool("passed", true))
	case a.status != 0:
		fields = append(fields, slog.Int("status", a.status))
	default:
		fields = append(fields, slog.Bool("left", true))
	}
	if a.reason != "" {
		fields = append(fields, slog.String("reason", a.reason))
	}
	if a.broken {
		fields = append(fields, slog.Bool("broken", true))
	}
	fields = append(fields, slog.Int64("bytes", c.Written()-a.sent), slog.Float64("took_ms", float64(time.Since(a.began))/float64(time.Millisecond)))
	c.r.access.log.LogAttrs(ctx, slog.LevelInfo, "request", fields...)
}

// appendSID appends a sid as the log shows it. The whole of it would let a reader of the log use
// the session.
func (l accessMode) appendSID(dst []byte, sid string) []byte {
	if l.sids || len(sid) <= shownSID {
		return append(dst, sid...)
	}
	return append(append(dst, sid[:shownSID]...), "…"...)
}

// appendDebug writes the debug field, where it is wanted: not to other routers, which write their
// own.
func (x *exchange) appendDebug(dst []byte) []byte {
	a := &x.record
	if !x.c.r.cfg.DebugHeader || x.c.bound != nil {
		return dst
	}
	dst = append(append(bufpool.Grow(dst, 128), "Sidereal-Debug: decision="...), a.decision...)
	dst = append(append(dst, "; worker="...), a.worker...)
	dst = strconv.AppendInt(append(dst, "; took="...), time.Since(a.began).Microseconds(), 10)
	return append(dst, "us\r\n"...)
}

// anyLevel is a handler that gets the lines of every level: the lines of the access log were asked
// for, whatever the level of the rest is.
type anyLevel struct{ slog.Handler }

func (anyLevel) Enabled(context.Context, slog.Level) bool { return true }
