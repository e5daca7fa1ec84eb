package directory

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// recordVersion is the format that this version writes. It reads this one and the next, so that a fleet can be updated
// host by host.
const recordVersion = 1

// State is where a worker or router is in its life.
type State string

const (
	StateStarting State = "starting" // its id is claimed, it does not serve yet
	StateReady    State = "ready"
	StateDraining State = "draining" // serves what it has, gets nothing new
	StateLost     State = "lost"     // never written: the reader's word for a record that expired without a goodbye
	StateSick     State = "sick"     // never written: an upstream that fails its checks or was ejected, a worker that has missed its beats: nothing new, what it has is tried
	stateGone     State = "gone"     // only in events
	stateSilent   State = "silent"   // only in events: its supervisor hears nothing of it
	stateHeard    State = "heard"    // only in events: it does again
)

// Worker is one incarnation of a worker process, as its record in Redis says.
type Worker struct {
	V       int       `json:"v"`
	ID      string    `json:"id"`
	Slot    int       `json:"slot"` // its number on the host, from 1
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Addr    string    `json:"addr"`    // host:port where other hosts reach it: its host's door, or itself without a router
	Handoff string    `json:"handoff"` // path of its handoff socket on its host; empty: it has none
	State   State     `json:"state"`
	Clients int       `json:"clients"` // Engine.IO sessions at its last beat
	Started time.Time `json:"started"` // by its host's clock: for people, never compared
	Version string    `json:"version"`
	Adapter string    `json:"adapter"`
	// AdapterKey is its channels' prefix, and AdapterMode its mode if the adapter is redis-sharded; empty where there are none.
	AdapterKey  string `json:"adapter_key,omitempty"`
	AdapterMode string `json:"adapter_mode,omitempty"`
	// Stream is the stream it reads, or what the names of several begin with, and Streams how many, if the adapter is redis-streams.
	Stream  string `json:"stream,omitempty"`
	Streams int    `json:"streams,omitempty"`
	Path    string `json:"path"` // where its Socket.IO answers, as in SIDEREAL_PATH
	Tags    bool   `json:"tags"` // its sids begin with its id

	// Beat changes whenever a new beat was seen: from then on Clients includes what happened before it. Not in Redis.
	Beat uint64 `json:"-"`
	// Upstream is set for backends that are listed by hand, which have no record in Redis.
	Upstream *Upstream `json:"-"`
}

// Router is one incarnation of a router process, as its record in Redis says.
type Router struct {
	V        int       `json:"v"`
	ID       string    `json:"id"`
	Host     string    `json:"host"`
	Addr     string    `json:"addr"` // its door
	State    State     `json:"state"`
	Sessions int       `json:"sessions"` // what it relays and proxies at its last beat
	Started  time.Time `json:"started"`
	Version  string    `json:"version"`
}

// event is a message on the events channel.
type event struct {
	Worker string `json:"worker"`
	State  State  `json:"state"`
}

// decode reads a record or refuses it: an unknown version, or an id that is not the key's.
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
	w.State, w.Clients = stateOf(w.State), countOf(w.Clients)
	return w, err
}

func decodeRouter(raw, id string) (*Router, error) {
	r := new(Router)
	err := decode(raw, id, r, func() (int, string) { return r.V, r.ID })
	r.State, r.Sessions = stateOf(r.State), countOf(r.Sessions)
	return r, err
}

// stateOf is a state as a record may have it. One that this version doesn't know takes nothing new.
func stateOf(s State) State {
	switch s {
	case StateReady, StateDraining:
		return s
	}
	return StateStarting
}

// countOf keeps a number of clients in the range in which it can be added to.
func countOf(n int) int { return min(max(n, 0), math.MaxInt32) }

// encode returns the JSON of a record; these structs always have one.
func encode(record any) string {
	b, err := json.Marshal(record)
	if err != nil {
		panic("directory: a record that JSON cannot hold: " + err.Error())
	}
	return string(b)
}
