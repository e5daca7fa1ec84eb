package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

const (
	maxRiders    = 64      // scripts that follow the bus at a time
	maxBusEvents = 1024    // events that wait for a script; more are dropped, and counted
	maxBusBytes  = 4 << 20 // of their messages

	// overhearFor is how long node hosts report what processes send. A script that stays has the
	// daemon ask again every overhearAgain.
	overhearFor   = 60 * time.Second
	overhearAgain = 20 * time.Second
)

// bus is PM2's bus: what happens to processes, and what they say, for scripts that follow it.
type bus struct {
	mu  sync.Mutex // guards all
	all map[*rider]bool
}

// rider is a script that follows the bus, as what waits for it.
type rider = outbox[BusEvent]

func (b *bus) add() (*rider, error) {
	r := newOutbox[BusEvent](maxBusEvents, maxBusBytes)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.all) >= maxRiders {
		return nil, &Failure{Code: config.ExitFailed, Text: "too many scripts follow the bus: end one first"}
	}
	b.all[r] = true
	return r, nil
}

func (b *bus) remove(r *rider) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, r)
}

// publish gives all riders a message, without waiting for anybody.
func (b *bus) publish(e BusEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range b.all {
		give(r, e)
	}
}

// give gives a script an event if it has room for it.
func give(r *rider, e BusEvent) {
	r.offer(e.weight(), func(dropped int64) BusEvent {
		e.Dropped = dropped
		return e
	})
}

// weight is what an event counts for while it waits.
func (e *BusEvent) weight() int { return len(e.Data) + len(e.Message) }

// messaged takes a message of a process to its parent. It has PM2's form {type, data}, or any.
func (d *Daemon) messaged(place string, message json.RawMessage) {
	e := d.entryAt(place)
	if e == nil {
		return
	}
	event := BusEvent{Event: "process:msg", At: time.Now(), Process: Process{ID: e.id, Name: e.app.name, Namespace: e.app.names}}
	var typed struct {
		Type any             `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(message, &typed) == nil {
		if name, ok := typed.Type.(string); ok && name != "" && truthy(typed.Data) {
			event.Event, event.Data = name, typed.Data
		}
	}
	if event.Data == nil {
		event.Message = message
	}
	d.bus.publish(event)
}

// truthy reports whether a value counts as true in JavaScript.
func truthy(v json.RawMessage) bool {
	switch string(v) {
	case "", "null", "false", "0", `""`:
		return false
	}
	return true
}

// serveBus sends events as they come.
func (d *Daemon) serveBus(w http.ResponseWriter, r *http.Request) {
	me, err := d.bus.add()
	if err != nil {
		refuse(w, err)
		return
	}
	defer d.bus.remove(me)
	lines := d.logs.readers.add(func(from source, _ string) bool { return from != daemonLog })
	defer d.logs.readers.remove(lines)
	ctx, stop := context.WithCancel(r.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	var hosts nodeHosts
	var seen changes
	seen.look(d.looks(d.statuses())) // what is there is no news
	hosts.overhear(d, d.host.Processes.Status(), true)
	watching.Go(func() {
		_ = d.host.Processes.Wait(ctx, func(st []supervisor.Status) bool { // until the script or the daemon ends
			hosts.overhear(d, st, false)
			for _, e := range seen.look(d.looks(host.ByName(st))) {
				e.Event, e.At = "process:event", time.Now()
				if ap := d.appOf(e.Process.App); ap != nil {
					e.App = d.see(ap).app
				}
				give(me, e)
			}
			return false
		})
	})
	again := time.NewTicker(overhearAgain)
	defer again.Stop()
	out, conn := json.NewEncoder(w), http.NewResponseController(w)
	send := func(e BusEvent) error {
		if err := out.Encode(e); err != nil || len(me.items)+len(lines.items) > 0 {
			return err
		}
		return conn.Flush() // all that is there goes out at once
	}
	for err := conn.Flush(); err == nil; {
		select {
		case e := <-me.items:
			me.taken(e.weight())
			err = send(e)
		case l := <-lines.items:
			lines.taken(len(l.Text))
			err = send(d.lineEvent(l))
		case <-again.C:
			hosts.overhear(d, d.host.Processes.Status(), true)
		case <-ctx.Done():
			return
		}
	}
}

// lineEvent is a line of a process on the bus.
func (d *Daemon) lineEvent(l LogLine) BusEvent {
	e := BusEvent{Event: "log:" + l.Stream, At: l.Time, Process: Process{ID: l.ID, Name: l.Name}, Text: l.Text + "\n", Dropped: l.Dropped}
	d.do(func(b *book) {
		if of := b.entries[l.ID]; of != nil {
			e.Process.Namespace = of.app.names
		}
	})
	return e
}

// looks returns the processes as a look of changes has them.
func (d *Daemon) looks(st map[string]supervisor.Status) (all []lookedAt) {
	d.do(func(b *book) {
		for _, e := range byID(b.entries) {
			all = append(all, lookedAt{d.describe(b, e, st[e.place]), st[e.place].Last})
		}
	})
	return all
}

// nodeHosts are those that were asked to report what processes send.
type nodeHosts struct {
	mu    sync.Mutex // guards asked
	asked map[int]bool
}

// overhear asks the node hosts that weren't asked, or all of them again.
func (h *nodeHosts) overhear(d *Daemon, st []supervisor.Status, again bool) {
	h.mu.Lock()
	before := h.asked
	h.asked = map[int]bool{}
	var ask []string
	for i := range st {
		if s := &st[i]; s.PID != 0 && host.IsNodeHost(s.Name) {
			h.asked[s.PID] = true
			if again || !before[s.PID] {
				ask = append(ask, s.Name)
			}
		}
	}
	h.mu.Unlock()
	for _, name := range ask {
		_ = d.host.Processes.Tell(name, lifeline.Overhear, strconv.Itoa(int(overhearFor/time.Second))) // one that has ended reports nothing
	}
}
