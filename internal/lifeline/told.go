package lifeline

import (
	"encoding/json"
	"os"
	"strings"
)

// What a child may report. Other keys are attributes that the supervisor keeps.
const (
	Worker   = "worker"   // the id of the worker that the process is
	Ready    = "ready"    // "1": it serves
	Draining = "draining" // "1": it takes nothing new
	Alive    = "alive"    // a beat: the milliseconds to the next, or "1" of earlier versions, see BeatEvery
	Child    = "child"    // ChildReport
	Listen   = "listen"   // ListenReport
)

// What a supervisor may tell.
const (
	Channel   = "channel"   // ChannelTold, with a descriptor
	Port      = "port"      // PortTold
	Exited    = "exited"    // an id
	Drain     = "drain"     // an id
	Send      = "send"      // SendTold
	Listened  = "listened"  // ListenedTold
	Listener  = "listener"  // an address, with a descriptor
	Advertise = "advertise" // host:port
	Silent    = "silent"    // a worker's id: it gives no sign of life
	Heard     = "heard"     // a worker's id: it does again
)

// ChannelTold is a Node process that has just been started; its channel's parent end comes with it.
type ChannelTold struct {
	ID      string `json:"id"`      // of this incarnation: decimal, 1 to 2^31-1, also its NODE_UNIQUE_ID in cluster mode
	Name    string `json:"name"`    // of its place: the same at the next incarnation
	Slot    int    `json:"slot"`    // SIDEREAL_WORKER_ID, from 1
	PID     int    `json:"pid"`     //
	Mode    string `json:"mode"`    // NODE_CHANNEL_SERIALIZATION_MODE: "advanced" or "json"
	Cluster bool   `json:"cluster"` // it has a NODE_UNIQUE_ID: cluster.isWorker. Else it was merely forked: messages only
	// WaitReady says that the process itself says when it is ready, by the message "ready", and
	// nothing else counts.
	WaitReady bool `json:"waitReady,omitempty"`
}

// PortTold is a program of any kind that has just been started. It may come to serve HTTP at Addr,
// and may never.
type PortTold struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Slot int    `json:"slot"`
	PID  int    `json:"pid"`
	Addr string `json:"addr"` // host:port, on the loopback interface
}

// SendTold is a message for a child that has a channel, as a Node parent's child.send takes it.
type SendTold struct {
	ID      string          `json:"id"`
	Message json.RawMessage `json:"message"`
}

// The states of a ChildReport.
const (
	ChildReady   = "ready"   // it serves, or has said so
	ChildAlive   = "alive"   // a beat of its own event loop
	ChildDrained = "drained" // after Drain: all its sessions have left, or as many as will
	ChildMessage = "message" // it sent a message that is for the supervisor: Message
)

// ChildReport is what a nodehost says of a process that it was told of.
type ChildReport struct {
	ID    string `json:"id"`
	State string `json:"state"`
	// Worker is the id under which it is in the directory, with ChildReady.
	Worker string `json:"worker,omitempty"`
	// By is why it counts as ready: "listening", "adapter", "ready", "port".
	By string `json:"by,omitempty"`
	// Message is the message as JSON, with ChildMessage: {"cmd":"disconnect"} asks for a successor.
	Message json.RawMessage `json:"message,omitempty"`
}

// ListenReport is a process' wish to be reached at an address. The supervisor's side opens it, and
// has the router serve it.
type ListenReport struct {
	ID   string `json:"id"`
	Addr string `json:"addr"` // host:port, ":port"; unix paths and port 0 stay with the nodehost
}

// ListenedTold answers a ListenReport.
type ListenedTold struct {
	Addr string `json:"addr"` // as in the report
	// Error is why nobody can be reached there, as Node names it: "EADDRINUSE", "EACCES". Empty: it
	// is served.
	Error string `json:"error,omitempty"`
	// Advertise is how other hosts reach it, where that is a door of its own; empty: as they reach
	// the app.
	Advertise string `json:"advertise,omitempty"` // host:port
}

// Told is one line from the supervisor. Who takes it owns File.
type Told struct {
	Key, Value string
	File       *os.File // nil: none came
}

// Decode reads a structured value.
func (t Told) Decode(into any) error { return json.Unmarshal([]byte(t.Value), into) }

// withFile reports whether lines of this key bring a descriptor along.
func withFile(key string) bool { return key == Channel || key == Listener }

// line puts a fact on the wire.
func line(key, value string) (string, error) {
	if strings.ContainsAny(key+value, "\n\r") || strings.Contains(key, "=") {
		return "", errLineBreak
	}
	return key + "=" + value + "\n", nil
}
