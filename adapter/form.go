package adapter

import (
	"context"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Form is a family of Node's adapters: Classic, Sharded or Streams.
type Form interface {
	validate() error
	open(link.Config) (running, error)
}

// running is a form at work in one process.
type running interface {
	Open(cluster.Local) (cluster.Adapter, error)
	Run(context.Context) error
	Up() bool
	Wait(context.Context) error
	Settled() bool
	Check(ctx context.Context, namespaces []string, recovery bool) ([]link.Denial, error)
}
