package lifeline

import (
	"encoding/json"
	"os"
	"strings"
)

// Keys that a child reports. Other keys are attributes that the supervisor keeps.
const (
	Worker   = "worker"   // the id of the worker that the process is
	Ready    = "ready"    // "1": it serves
	Draining = "draining" // "1": it takes nothing new
	Alive    = "alive"    // a beat: the milliseconds to the next, or "1" of earlier versions, see BeatEvery
	Child    = "child"    // ChildReport
	Listen   = "listen"   // ListenReport
)

// Keys that a supervisor tells.
const (
	Channel   = "channel"   // ChannelTold, with a descriptor
	Port      = "port"      // PortTold
	Exited    = "exited"    // an id
	Drain     = "drain"     // an id
	Send      = "send"      // SendTold
	Listened  = "listened"  // ListenedTold
	Listener  = "listener"  // an address, with a descriptor
	Advertise = "advertise" // host:port
	Silent    = "silent"    // the id of a worker without a sign of life
	Overhear  = "overhear"  // for how many seconds to report what processes send their parent
	Heard     = "heard"     // the id of a worker that is alive again
)

// ChannelTold announces a Node process that has just started. Its channel's parent end comes with
// it.
type ChannelTold struct {
	ID      string `json:"id"`      // of this incarnation: decimal, 1 to 2^31-1, also its NODE_UNIQUE_ID in cluster mode
	Name    string `json:"name"`    // of its place: the same at the next incarnation
	Slot    int    `json:"slot"`    // SIDEREAL_WORKER_ID, from 1
	PID     int    `json:"pid"`     //
	Mode    string `json:"mode"`    // NODE_CHANNEL_SERIALIZATION_MODE: "advanced" or "json"
	Cluster bool   `json:"cluster"` // it has a NODE_UNIQUE_ID: cluster.isWorker. Else it was merely forked: messages only
	// WaitReady means that the process is ready only when it sends the message "ready".
	WaitReady bool `json:"waitReady,omitempty"`
}

// PortTold announces a program that has just started. It may serve HTTP at Addr later, or never.
type PortTold struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Slot int    `json:"slot"`
	PID  int    `json:"pid"`
	Addr string `json:"addr"` // host:port, on the loopback interface
}

// SendTold is a message for a child with a channel, as Node's child.send sends it.
type SendTold struct {
	ID      string          `json:"id"`
	Message json.RawMessage `json:"message"`
}

// The states of a ChildReport.
const (
	ChildReady   = "ready"   // it serves, or has reported so
	ChildLoaded  = "loaded"  // it has run its code, and awaits no sign that it serves
	ChildAlive   = "alive"   // a beat of its own event loop
	ChildDrained = "drained" // after Drain: its sessions have left, or the time is over
	ChildMessage = "message" // it sent a message that is for the supervisor, or overheard: Message
	// ChildAdapters says how many Socket.IO servers of a Node process have our adapter: Adapters.
	ChildAdapters = "adapters"
)

// ChildReport is a node host's report on a process.
type ChildReport struct {
	ID    string `json:"id"`
	State string `json:"state"`
	// Worker is the process's id in the directory, with ChildReady.
	Worker string `json:"worker,omitempty"`
	// By says what made it ready: "listening", "adapter", "ready", "port".
	By string `json:"by,omitempty"`
	// Adapters is the number of ChildAdapters.
	Adapters int `json:"adapters,omitempty"`
	// Message is the JSON message of ChildMessage. {"cmd":"disconnect"} asks for a successor.
	Message json.RawMessage `json:"message,omitempty"`
}

// ListenReport asks the supervisor's side to open an address and to have the router serve it.
type ListenReport struct {
	ID   string `json:"id"`
	Addr string `json:"addr"` // host:port, ":port"; unix paths and port 0 stay with the nodehost
}

// ListenedTold answers a ListenReport.
type ListenedTold struct {
	Addr string `json:"addr"` // as in the report
	// Error is the reason why the address can't be reached, in Node's words: "EADDRINUSE",
	// "EACCES". Empty means that it is served.
	Error string `json:"error,omitempty"`
	// Advertise is the address at which other hosts reach it, if it has a door of its own. Empty
	// means the app's.
	Advertise string `json:"advertise,omitempty"` // host:port
}

// Told is one line from the supervisor. The receiver owns File.
type Told struct {
	Key, Value string
	File       *os.File // nil: none came
}

// Decode reads a structured value.
func (t Told) Decode(into any) error { return json.Unmarshal([]byte(t.Value), into) }

// withFile reports whether lines of this key have a descriptor.
func withFile(key string) bool { return key == Channel || key == Listener }

// line formats a fact for the wire.
func line(key, value string) (string, error) {
	if strings.ContainsAny(key+value, "\n\r") || strings.Contains(key, "=") {
		return "", errLineBreak
	}
	return key + "=" + value + "\n", nil
}
