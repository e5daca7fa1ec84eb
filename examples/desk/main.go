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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

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
	journal           *journal
	messages          *prometheus.CounterVec // by the role of who said it
}

// setup registers the desk's handlers on a server.
func (d desk) setup(ctx context.Context, io *socketio.Server) (err error) {
	info := worker.InfoFrom(ctx) // in tests there is no worker: the zero Info
	d.messages = promauto.With(info.Metrics).NewCounterVec(prometheus.CounterOpts{
		Name: "desk_messages_total", Help: "Messages of conversations.",
	}, []string{"from"})
	if d.journal, err = openJournal(d.files.dir, info.ID); err != nil {
		return err
	}
	io.OnShutdown(d.journal.close)
	io.Go(d.files.sweep)

	d.customers, d.agents = io.Of("/"), io.Of("/agents")
	d.serveCustomers()
	d.serveAgents()
	io.Handle("/", d.pages())
	return nil
}
