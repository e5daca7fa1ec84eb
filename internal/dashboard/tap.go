package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

const (
	maxTaps  = 20               // at a time; others get 503
	tapAlive = 15 * time.Second // between signs of life of a tap that has nothing to tell
)

// tap sends a page the names and sizes of what passes at one client until it leaves. It never has
// payloads.
func (d *Dashboard) tap(w http.ResponseWriter, r *http.Request) {
	q, ok := queryOf(r)
	if !ok || q.ID == "" {
		http.Error(w, "name a client with id", http.StatusBadRequest)
		return
	}
	if !d.takeTap(1) {
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d clients are watched already", maxTaps), http.StatusServiceUnavailable)
		return
	}
	defer d.takeTap(-1)
	ctx, cancel := context.WithCancel(r.Context())
	passed, ended := make(chan inspect.Event, 64), make(chan struct{})
	var failed error // after ended
	go func() {
		defer close(ended)
		failed = d.cfg.Source.Tap(ctx, q, func(e inspect.Event) {
			select {
			case passed <- e:
			case <-ctx.Done():
			}
		})
	}()
	defer func() {
		cancel()
		<-ended
	}()
	out := newEvents(w)
	alive := time.NewTicker(tapAlive)
	defer alive.Stop()
	if !out.send("open", []byte("{}")) {
		return
	}
	for {
		name := "event"
		var text []byte
		select {
		case e := <-passed:
			e.Payload = nil
			text, _ = json.Marshal(e) // of plain fields
		case <-alive.C:
			name, text = "alive", []byte("{}")
		case <-ended:
			why := ""
			if failed != nil {
				why = clipped(failed.Error())
			}
			text, _ = json.Marshal(map[string]string{"why": why}) // of plain text
			out.send("end", text)
			return
		case <-ctx.Done():
			return
		}
		if !out.send(name, text) {
			return
		}
	}
}

// takeTap counts taps. It reports whether there was room for one more.
func (d *Dashboard) takeTap(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taps+n > maxTaps {
		return false
	}
	d.taps += n
	return true
}
