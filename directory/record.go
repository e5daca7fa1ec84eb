package directory

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// recordVersion is the format that this version writes. It reads this format and the next, so that
// hosts can be updated one by one.
const recordVersion = 1

// State is the state of a worker or router.
type State string

const (
	StateStarting State = "starting" // it has claimed its id and doesn't serve yet
	StateReady    State = "ready"
	StateDraining State = "draining" // it serves the sessions that it has and gets no new ones

	// StateLost is the state of a worker whose record expired without a goodbye. Records never hold
	// it.
	StateLost State = "lost"
	// StateSick is the state of a worker that has missed its beats, or of an upstream that fails
	// its checks or was ejected. It gets no new sessions. Records never hold it.
	StateSick State = "sick"

	stateGone   State = "gone"   // only in events
	stateSilent State = "silent" // only in events: its supervisor hears nothing of it
	stateHeard  State = "heard"  // only in events: its supervisor hears it again
)

// Worker is the record of a worker: of one process, from its start to its end.
type Worker struct {
	V       int       `json:"v"` // the format
	ID      string    `json:"id"`
	Slot    int       `json:"slot"` // its number on its host, from 1
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Addr    string    `json:"addr"`    // host:port at which other hosts reach it, or its host's router
	Handoff string    `json:"handoff"` // path of its handoff socket on its host; empty: none
	State   State     `json:"state"`
	Clients int       `json:"clients"` // Engine.IO sessions at its last beat
	Started time.Time `json:"started"` // by its host's clock: for people, never compared
	Version string    `json:"version"`

	// Adapter is "redis", "redis-sharded", "redis-streams" or "memory". The next four fields say
	// how it is set up; those that don't apply are empty.
	Adapter     string `json:"adapter"`
	AdapterKey  string `json:"adapter_key,omitempty"`  // the prefix of its channels
	AdapterMode string `json:"adapter_mode,omitempty"` // of redis-sharded
	Stream      string `json:"stream,omitempty"`       // the stream, or the prefix of several
	Streams     int    `json:"streams,omitempty"`      // how many

	Path string `json:"path"` // where Socket.IO answers, such as /socket.io/
	Tags bool   `json:"tags"` // its sids begin with its id
	// Repeats says that it recognises repeated polls and posts, and that routers tell it when a
	// client leaves during a poll: see handoff.ClientLeft.
	Repeats bool `json:"repeats,omitempty"`
	// Movable is how many sessions the worker moves each second if it is ordered to: see
	// OrderMoves. Zero means that it takes no orders.
	Movable int `json:"movable,omitempty"`
	// Moving says that the worker carries out such an order. Its host gets new sessions only if no
	// other host can have them.
	Moving bool `json:"moving,omitempty"`

	// Beat changes with every beat that this process sees. From then on Clients includes what
	// happened before that beat. It isn't in Redis.
	Beat uint64 `json:"-"`
	// Upstream is set for upstreams, which have no record in Redis.
	Upstream *Upstream `json:"-"`
}

// Router is the record of a router: of one process, from its start to its end.
type Router struct {
	V        int       `json:"v"` // the format
	ID       string    `json:"id"`
	Host     string    `json:"host"`
	Addr     string    `json:"addr"` // host:port at which other hosts reach it
	State    State     `json:"state"`
	Sessions int       `json:"sessions"` // that it relayed and proxied at its last beat
	Started  time.Time `json:"started"`
	Version  string    `json:"version"`
}

// event is a message on the events channel.
type event struct {
	Worker string `json:"worker"`
	State  State  `json:"state"`
	// Dead says of a worker that is gone that it didn't say so itself.
	Dead bool `json:"dead,omitempty"`
}

// decode reads a record. It refuses an unknown version, and an id that isn't the key's.
func decode(raw, id string, record any, version func() (v int, ownID string)) error {
	if len(raw) > maxRecord {
		return fmt.Errorf("%d bytes, at most %d are read", len(raw), maxRecord)
	}
	if err := json.Unmarshal([]byte(raw), record); err != nil {
		return err
	}
	v, own := version()
	if v != recordVersion && v != recordVersion+1 {
		return fmt.Errorf("format version %d, this reads %d and %d", v, recordVersion, recordVersion+1)
	}
	if own != id {
		return fmt.Errorf("names itself %.64q", own)
	}
	return nil
}

func decodeWorker(raw, id string) (*Worker, error) {
	w := new(Worker)
	err := decode(raw, id, w, func() (int, string) { return w.V, w.ID })
	w.State, w.Clients, w.Movable = stateOf(w.State), countOf(w.Clients), countOf(w.Movable)
	return w, err
}

func decodeRouter(raw, id string) (*Router, error) {
	r := new(Router)
	err := decode(raw, id, r, func() (int, string) { return r.V, r.ID })
	r.State, r.Sessions = stateOf(r.State), countOf(r.Sessions)
	return r, err
}

// stateOf returns a state that a record may have. A worker in a state that this version doesn't
// know gets no new sessions.
func stateOf(s State) State {
	switch s {
	case StateReady, StateDraining:
		return s
	}
	return StateStarting
}

// countOf keeps a number of clients in the range in which it can be added to.
func countOf(n int) int { return min(max(n, 0), math.MaxInt32) }

// encode returns the JSON of a record, which always has one.
func encode(record any) string {
	b, err := json.Marshal(record)
	if err != nil {
		panic("directory: a record that JSON can't hold: " + err.Error())
	}
	return string(b)
}
