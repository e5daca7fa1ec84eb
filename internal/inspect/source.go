package inspect

import (
	"context"
	"time"
)

// Source answers questions about one process, a host or a cluster. A worker, router or node host
// has a Source with its own facts; others ask processes over HTTP, or hosts through Redis, and join
// what these answer. A Source that lacks a kind of fact answers with nothing.
//
// The methods may be called concurrently. They return what they have, with an error for those that
// didn't answer.
type Source interface {
	Samples(ctx context.Context) ([]Sample, error)
	History(ctx context.Context) ([]Point, error)
	Namespaces(ctx context.Context) ([]Namespace, error)
	Rooms(ctx context.Context, q Query) (Page[Room], error)
	Clients(ctx context.Context, q Query) (Page[Client], error)
	Ended(ctx context.Context, q Query) (Page[Ended], error)
	Decisions(ctx context.Context, q Query) (Page[Decision], error)

	// Tap calls f for each event that q selects, until ctx ends or the source is gone. The calls
	// aren't concurrent.
	Tap(ctx context.Context, q Query, f func(Event)) error
}

// MaxRows bounds the rows of a Page.
const MaxRows = 500

// Query selects rows or events. Empty fields select all.
type Query struct {
	ID        string `json:"id,omitempty"` // a sid, a socket's id, or the begin of one (at least 4 characters)
	Namespace string `json:"namespace,omitempty"`
	Room      string `json:"room,omitempty"`
	Address   string `json:"address,omitempty"` // of the client, without the port
	Event     string `json:"event,omitempty"`
	Text      string `json:"text,omitempty"`    // in a sid, an id, an address or a room's name
	Worker    string `json:"worker,omitempty"`  // a worker's id
	Sort      string `json:"sort,omitempty"`    // of clients: connected, queue, events; of rooms: sockets, name
	Limit     int    `json:"limit,omitempty"`   // of rows; 0 means 50, and more than MaxRows means that
	Payload   bool   `json:"payload,omitempty"` // of a tap: with the arguments of events
}

// Page is the first rows of an answer.
type Page[T any] struct {
	Rows []T `json:"rows"`
	More int `json:"more"` // rows that exist and aren't here
}

// Point is what a process, or all processes together, did in a time of Step that ended At.
type Point struct {
	At        time.Time     `json:"at"`
	Step      time.Duration `json:"step"`
	Sessions  int           `json:"sessions"`
	Polling   int           `json:"polling"`
	Sockets   int           `json:"sockets"`
	Relayed   int           `json:"relayed"`
	EventsIn  float64       `json:"eventsIn"` // per second, as the following
	EventsOut float64       `json:"eventsOut"`
	BytesIn   float64       `json:"bytesIn"`
	BytesOut  float64       `json:"bytesOut"`
	Errors    float64       `json:"errors"`
	Failures  float64       `json:"failures"`
	CPU       float64       `json:"cpu"` // cores
	Memory    int64         `json:"memory"`
	Latency   Histogram     `json:"latency"` // of the events of this time
	Redis     time.Duration `json:"redis"`   // the longest probe
}
