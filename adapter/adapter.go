package adapter

import (
	"context"
	"fmt"

	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Adapter links the namespaces of this process with those of all servers that share Redis,
// Config.Key and the form.
type Adapter struct{ form running }

var _ cluster.Cluster = (*Adapter)(nil)

// New makes an adapter. It checks cfg and dials nothing; Run does.
func New(cfg Config) (*Adapter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Form == nil {
		cfg.Form = Classic{}
	}
	common, err := cfg.common()
	if err != nil {
		return nil, err
	}
	form, err := cfg.Form.open(common)
	if err != nil {
		return nil, err
	}
	return &Adapter{form}, nil
}

// Open makes the adapter of one namespace. It may be called at any time and doesn't block.
func (a *Adapter) Open(local cluster.Local) (cluster.Adapter, error) { return a.form.Open(local) }

// Run carries messages until ctx ends. Then it sends the waiting messages, for a second at most,
// and says goodbye to the peers. Call it once. Requests that are under way when it returns end with
// ErrClosed.
func (a *Adapter) Run(ctx context.Context) error { return a.form.Run(ctx) }

// Up reports whether this process hears all other servers at the moment.
func (a *Adapter) Up() bool { return a.form.Up() }

// Wait returns once this process hears all other servers, and messages to them go out at once, or
// with ctx's error. Run must be running.
func (a *Adapter) Wait(ctx context.Context) error { return a.form.Wait(ctx) }

// Settled reports whether this process hears what others say to its rooms as they are now, and has
// stored what its sockets need for recovery. Both take a moment after a socket has joined a room.
func (a *Adapter) Settled() bool { return a.form.Settled() }

// Needs says which rights Check tries.
type Needs struct {
	// Namespaces are the namespaces whose channels are tried. None means "/".
	Namespaces []string
	// Recovery also tries the commands of connection state recovery.
	Recovery bool
}

// MissingRight is a command that Redis denies to the adapter's user.
type MissingRight struct {
	Command string // with its channel or key, if the command alone isn't what Redis denies
	Err     error
}

func (m MissingRight) Error() string { return fmt.Sprintf("%s: %v", m.Command, m.Err) }
func (m MissingRight) Unwrap() error { return m.Err }

// Check tries every command that the adapter needs, on the channels and keys that it will use, and
// returns what Redis denies. Nobody notices: its messages are for rooms and servers that don't
// exist, its subscriptions are too short to be counted, and it writes no key. It returns an error
// if it couldn't try. Run need not be running.
func (a *Adapter) Check(ctx context.Context, n Needs) (missing []MissingRight, err error) {
	if len(n.Namespaces) == 0 {
		n.Namespaces = []string{"/"}
	}
	denied, err := a.form.Check(ctx, n.Namespaces, n.Recovery)
	for _, d := range denied {
		missing = append(missing, MissingRight(d))
	}
	return missing, err
}
