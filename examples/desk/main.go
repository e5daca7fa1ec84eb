// Desk is a support desk: customers ask, agents answer. docs/app.md builds it step by step.
//
//	go run .              one process on :8080
//	sidereal up ./desk    one worker per core; with SIDEREAL_REDIS_URL on many hosts
package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

func main() {
	app := desk{
		tokens:   tokens{secret: []byte(cmp.Or(os.Getenv("DESK_SECRET"), "only for tests"))},
		password: cmp.Or(os.Getenv("DESK_PASSWORD"), "staff"),
		files:    files{dir: cmp.Or(os.Getenv("DESK_FILES"), filepath.Join(os.TempDir(), "desk-files"))},
	}
	worker.MainConfig(limits(), app.setup)
}

// desk has everything that its handlers need. It doesn't change after setup.
type desk struct {
	tokens   tokens
	password string // of the agents
	files    files

	customers, agents *socketio.Namespace
}

// setup registers the desk's handlers on a server.
func (d desk) setup(_ context.Context, io *socketio.Server) error {
	d.customers, d.agents = io.Of("/"), io.Of("/agents")
	d.serveCustomers()
	d.serveAgents()
	io.Handle("/", d.pages())
	return nil
}
