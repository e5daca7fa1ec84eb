package inspect

import (
	"encoding/json"
	"time"
)

// Process says whose answer it is.
type Process struct {
	Host    string    `json:"host"`
	App     string    `json:"app,omitempty"`    // SIDEREAL_APP; empty for a process of several apps
	Name    string    `json:"name"`             // as in the label process of /metrics: worker-1, router
	Role    string    `json:"role"`             // worker, router, node, host, service
	Worker  string    `json:"worker,omitempty"` // a worker's id
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// Sample is what a process has done since its start, and what it has now. Fields that a role lacks
// are zero. Those with a plural of an event count up and never go down.
type Sample struct {
	Process
	At time.Time `json:"at"`

	CPU        time.Duration `json:"cpu"`    // user and system, since the start
	Memory     int64         `json:"memory"` // resident bytes
	Goroutines int           `json:"goroutines,omitempty"`

	// Of workers and Node workers.
	Sessions    int       `json:"sessions"` // live
	Polling     int       `json:"polling"`  // of these
	Sockets     int       `json:"sockets"`  // clients in namespaces
	QueueBytes  int64     `json:"queueBytes"`
	EventsIn    uint64    `json:"eventsIn"` // Socket.IO events from clients
	EventsOut   uint64    `json:"eventsOut"`
	BytesIn     uint64    `json:"bytesIn"`
	BytesOut    uint64    `json:"bytesOut"`
	Errors      uint64    `json:"errors"`      // of handlers and middlewares
	Opened      uint64    `json:"opened"`      // sessions
	Closed      uint64    `json:"closed"`      // sessions
	EventsTimed uint64    `json:"eventsTimed"` // whose handling was measured
	Latency     Histogram `json:"latency"`     // from the arrival of an event to the end of its handlers

	// Of routers.
	Connections int    `json:"connections"`
	Requests    uint64 `json:"requests"`
	Relayed     int    `json:"relayed"`  // WebSockets that pass through this router
	Refused     uint64 `json:"refused"`  // requests that the router answered itself with 4xx or 5xx
	Failures    uint64 `json:"failures"` // of these, 502 to 504

	// Of everything with a Redis.
	UsesRedis    bool          `json:"usesRedis,omitempty"`
	RedisUp      bool          `json:"redisUp"`
	RedisLatency time.Duration `json:"redisLatency"` // of the last probe

	// Of Node workers.
	LoopDelay time.Duration `json:"loopDelay,omitempty"` // p99 of the event loop's delay since the last sample
	Heap      int64         `json:"heap,omitempty"`
	GC        time.Duration `json:"gc,omitempty"` // since the start

	// Of children of a supervisor, which adds these. A child without a process has a sample with
	// these alone.
	State    string `json:"state,omitempty"` // starting, ready, stopping, waiting, stopped, errored
	Restarts int    `json:"restarts,omitempty"`
	LastEnd  string `json:"lastEnd,omitempty"` // why the process before this one ended: "signal: killed"

	// Of hosts: settings that differ, ports that didn't open.
	Problems []string `json:"problems,omitempty"`
}

// LatencyBounds are the upper bounds of a Histogram's buckets. The last bucket has the rest.
var LatencyBounds = [...]time.Duration{
	100 * time.Microsecond, 300 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond,
	30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second,
}

// Histogram counts durations by bucket of LatencyBounds.
type Histogram [len(LatencyBounds) + 1]uint64

// Client is one socket of a namespace, as lists show it.
type Client struct {
	Process   Process   `json:"process"`
	SID       string    `json:"sid"`    // its first 12 characters: see ShownSID
	Socket    string    `json:"socket"` // the socket's id
	Namespace string    `json:"namespace"`
	Address   string    `json:"address"` // ip:port of the client
	Transport string    `json:"transport"`
	Connected time.Time `json:"connected"`
	Rooms     []string  `json:"rooms"` // at most 100
	MoreRooms int       `json:"moreRooms,omitempty"`
	Queue     int64     `json:"queue"` // bytes that wait for the client
	EventsIn  uint64    `json:"eventsIn,omitempty"`
	EventsOut uint64    `json:"eventsOut,omitempty"`
}

// Room is a room of one process, Namespace one of its namespaces. Who asks adds those of all
// processes up.
type Room struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Sockets   int    `json:"sockets"`
}

// Namespace is a namespace of one process.
type Namespace struct {
	Name      string `json:"name"`
	Sockets   int    `json:"sockets"`
	Rooms     int    `json:"rooms"`
	EventsIn  uint64 `json:"eventsIn"`
	EventsOut uint64 `json:"eventsOut"`
}

// Ended is a session that has ended, or a request that was refused, as the flight recorder keeps
// it.
type Ended struct {
	Process     Process       `json:"process"`
	SID         string        `json:"sid"`               // its first 12 characters: see ShownSID
	Sockets     []string      `json:"sockets,omitempty"` // ids, at most 8
	Namespaces  []string      `json:"namespaces,omitempty"`
	Address     string        `json:"address"`
	Router      string        `json:"router,omitempty"` // the process that the client came through
	Transport   string        `json:"transport"`
	Opened      time.Time     `json:"opened"`
	At          time.Time     `json:"at"`
	Reason      string        `json:"reason"`               // Socket.IO's: "ping timeout", "transport close", …
	By          string        `json:"by"`                   // client, server, app, network
	Detail      string        `json:"detail,omitempty"`     // the error, at most 200 bytes
	PingSent    time.Time     `json:"pingSent,omitzero"`    // last ping
	PongSeen    time.Time     `json:"pongSeen,omitzero"`    // last pong
	LastHeard   time.Time     `json:"lastHeard,omitzero"`   // last bytes from the client
	LastSent    time.Time     `json:"lastSent,omitzero"`    // last bytes to the client
	Queue       int64         `json:"queue"`                // bytes that waited
	Sending     string        `json:"sending,omitempty"`    // the event that waited first
	Handler     string        `json:"handler,omitempty"`    // the event whose handler ran at the end
	HandlerRuns time.Duration `json:"handlerRan,omitempty"` // for how long
	Limit       string        `json:"limit,omitempty"`      // the field of Config that the client exceeded
	CloseCode   int           `json:"closeCode,omitempty"`  // of the client's close frame; 1005: without one
	Unacked     int           `json:"unacked,omitempty"`    // TCP segments that the client's end hadn't confirmed
	Retransmits int           `json:"retransmits,omitempty"`
	Alive       bool          `json:"alive,omitempty"` // the session went on: only a socket ended, or wasn't let in
}

// Event is something that happened to a client, for `sidereal tap`.
type Event struct {
	Process   Process         `json:"process"`
	At        time.Time       `json:"at"`
	Kind      string          `json:"kind"` // connect, in, out, ack, join, leave, upgrade, disconnect, skipped
	SID       string          `json:"sid,omitempty"`
	Socket    string          `json:"socket,omitempty"`
	Namespace string          `json:"namespace,omitempty"`
	Name      string          `json:"name,omitempty"` // the event's, room's or reason's
	Bytes     int             `json:"bytes,omitempty"`
	Took      time.Duration   `json:"took,omitempty"`    // of handlers
	Payload   json.RawMessage `json:"payload,omitempty"` // only if asked for, at most 4 KB
	Skipped   uint64          `json:"skipped,omitempty"` // events that weren't sent, of kind skipped
}

// Decision is what a router did with one request.
type Decision struct {
	Process Process       `json:"process"`
	At      time.Time     `json:"at"`
	Method  string        `json:"method"`
	SID     string        `json:"sid,omitempty"`
	Client  string        `json:"client"` // address
	Kind    string        `json:"kind"`   // poll, post, handshake, upgrade, websocket, other
	Source  string        `json:"source"` // cache, redis, tag, balance, none
	Worker  string        `json:"worker,omitempty"`
	Way     string        `json:"way"` // local, handover, relay, refused
	Status  int           `json:"status"`
	Took    time.Duration `json:"took"`
	Tries   int           `json:"tries"`
	Why     string        `json:"why,omitempty"` // of a refusal
}
