package inspect

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode"
)

const (
	// Prefix is the path below which a process answers.
	Prefix = "/inspect/"

	maxTaps     = 16               // of a handler at a time
	maxPages    = 8                // that a handler writes at a time
	tapPatience = 10 * time.Second // that a viewer may take to read an event
	maxError    = 500              // bytes of an error's text

	// incomplete is the header with the error of an answer that has something all the same.
	incomplete = "Sidereal-Incomplete"
)

// NewHandler returns a handler for the paths below Prefix. It asks s, or host if the parameter scope
// is "host" and host isn't nil. At most 16 taps and 8 other requests are served at a time.
func NewHandler(s, host Source) http.Handler {
	h := &handler{all: s, host: host, taps: make(chan struct{}, maxTaps), pages: make(chan struct{}, maxPages)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /inspect/samples", list(h, Source.Samples))
	mux.HandleFunc("GET /inspect/history", list(h, Source.History))
	mux.HandleFunc("GET /inspect/namespaces", list(h, Source.Namespaces))
	mux.HandleFunc("GET /inspect/rooms", page(h, Source.Rooms))
	mux.HandleFunc("GET /inspect/clients", page(h, Source.Clients))
	mux.HandleFunc("GET /inspect/ended", page(h, Source.Ended))
	mux.HandleFunc("GET /inspect/decisions", page(h, Source.Decisions))
	mux.HandleFunc("GET /inspect/tap", h.tap)
	return mux
}

type handler struct {
	all, host   Source
	taps, pages chan struct{} // a token for each that is served
}

// source returns the source that a request asks.
func (h *handler) source(r *http.Request) Source {
	if h.host != nil && r.URL.Query().Get("scope") == "host" {
		return h.host
	}
	return h.all
}

// list serves a question without a query.
func list[T any](h *handler, ask func(Source, context.Context) ([]T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer h.turn(r.Context())()
		rows, err := ask(h.source(r), r.Context())
		if rows == nil {
			rows = []T{} // for readers that want a list
		}
		reply(w, rows, len(rows) > 0, err)
	}
}

// page serves a question with a query.
func page[T any](h *handler, ask func(Source, context.Context, Query) (Page[T], error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, err := parseQuery(r.URL.Query())
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		defer h.turn(r.Context())()
		p, err := ask(h.source(r), r.Context(), q)
		if p.Rows == nil {
			p.Rows = []T{}
		}
		reply(w, p, len(p.Rows) > 0, err)
	}
}

// turn waits until a request may be served, or its client has left. The caller calls done then.
func (h *handler) turn(ctx context.Context) (done func()) {
	select {
	case h.pages <- struct{}{}:
		return func() { <-h.pages }
	case <-ctx.Done():
		return func() {}
	}
}

// reply writes an answer. An answer with nothing but an error is a refusal.
func reply(w http.ResponseWriter, answer any, some bool, err error) {
	if err != nil && !some {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	body, failed := json.Marshal(answer)
	if failed != nil {
		refuse(w, http.StatusInternalServerError, failed.Error())
		return
	}
	if err != nil {
		w.Header().Set(incomplete, printable(err.Error()))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(append(body, '\n'))
}

func refuse(w http.ResponseWriter, code int, why string) {
	http.Error(w, printable(why), code)
}

// printable returns a text of one line that is safe in a header and on a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '.'
		}
		return r
	}, strings.TrimSpace(text))
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "…"
	}
	return text
}

// tapLine is a line of a tap: an event, or the reason why there are no more.
type tapLine struct {
	*Event
	End string `json:"end,omitempty"`
}

// tap writes events, a line each, until the viewer leaves.
func (h *handler) tap(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case h.taps <- struct{}{}:
		defer func() { <-h.taps }()
	default:
		refuse(w, http.StatusTooManyRequests, "too many taps at a time")
		return
	}
	ctx, leave := context.WithCancel(r.Context())
	defer leave()
	control := http.NewResponseController(w)
	write := func(line any) {
		_ = control.SetWriteDeadline(time.Now().Add(tapPatience)) // else a write may take as long as it likes
		body, err := json.Marshal(line)
		if err == nil {
			_, err = w.Write(append(body, '\n'))
		}
		if err == nil {
			err = control.Flush()
		}
		if err != nil {
			leave()
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	if control.Flush() != nil { // the viewer knows then that the tap has begun
		return
	}
	err = h.source(r).Tap(ctx, q, func(e Event) {
		if ctx.Err() == nil {
			write(e)
		}
	})
	if err != nil && ctx.Err() == nil {
		write(tapLine{End: printable(err.Error())})
	}
}
