package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	maxViewers   = 100              // at a time; others get 503
	writeTimeout = 10 * time.Second // for an event: a viewer that reads nothing is cut off
)

// viewer is a page that looks. Its channel has room for one notice.
type viewer struct{ news chan struct{} }

// tell wakes the viewer. One that is slow misses views, and never the latest.
func (v *viewer) tell() {
	select {
	case v.news <- struct{}{}:
	default:
	}
}

// hello is what a page is told first.
type hello struct {
	Host    string   `json:"host"`
	App     string   `json:"app,omitempty"`
	Version string   `json:"version"`
	Actions []string `json:"actions"` // that the host can carry out
	Keyed   bool     `json:"keyed"`   // there is a key
	Points  []point  `json:"points"`
}

// enter adds a viewer, unless there are too many.
func (d *Dashboard) enter() (v *viewer, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.viewers) >= maxViewers {
		return nil, false
	}
	v = &viewer{make(chan struct{}, 1)}
	d.viewers[v] = struct{}{}
	if d.nobody == nil {
		d.nobody = make(chan struct{})
		select {
		case d.wakeUp <- struct{}{}:
		default: // it hasn't noticed the last one yet
		}
	}
	if d.now != nil {
		v.tell()
	}
	return v, true
}

// leave removes a viewer. The last one ends the collection.
func (d *Dashboard) leave(v *viewer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.viewers, v)
	if len(d.viewers) == 0 {
		close(d.nobody)
		d.nobody = nil
	}
}

// nobodyLooks returns a channel that is closed when the last viewer leaves; nil if there is none.
func (d *Dashboard) nobodyLooks() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nobody
}

// live sends a page what happens until it leaves.
func (d *Dashboard) live(w http.ResponseWriter, r *http.Request) {
	v, ok := d.enter()
	if !ok {
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d pages look already", maxViewers), http.StatusServiceUnavailable)
		return
	}
	defer d.leave(v)
	out := newEvents(w)
	greeted := false
	for {
		select {
		case <-v.news:
		case <-r.Context().Done():
			return
		}
		now, points := d.current(!greeted)
		if now == nil {
			continue
		}
		if !greeted {
			text, err := json.Marshal(hello{
				Host: d.cfg.Host, App: d.cfg.App, Version: d.cfg.Version, Actions: d.verbs(), Keyed: d.cfg.Key != "", Points: points,
			})
			if err != nil || !out.send("hello", text) {
				return
			}
			greeted = true
		}
		if !out.send("now", now) {
			return
		}
	}
}

// current returns the last view and, if asked for, a copy of the points before it.
func (d *Dashboard) current(withPoints bool) (now []byte, points []point) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if withPoints {
		points = append([]point{}, d.points...)
	}
	return d.now, points
}

// events writes server-sent events.
type events struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func newEvents(w http.ResponseWriter) *events {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	return &events{w, http.NewResponseController(w)}
}

// send writes one event of JSON, which has no line ends. It reports whether the reader took it.
func (e *events) send(name string, text []byte) bool {
	_ = e.ctl.SetWriteDeadline(time.Now().Add(writeTimeout)) // a writer without deadlines has none
	if _, err := fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", name, text); err != nil {
		return false
	}
	return e.ctl.Flush() == nil
}
