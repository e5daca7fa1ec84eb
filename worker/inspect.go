package worker

import (
	"fmt"
	"net/http"
	"os"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// facts is what the worker tells operators.
type facts struct {
	inspect.Sampled
	w *worker
}

// source returns the worker's facts.
func (w *worker) source() inspect.Source {
	return &facts{inspect.Sampled{Process: w.process, Counts: w.counts, Complete: w.complete}, w}
}

// inspect returns the handler of operators' questions. A worker without a supervisor also asks and
// answers the other processes of the app.
func (w *worker) inspect() http.Handler {
	own := w.source()
	if w.cfg.supervised.dir != "" || w.conn == nil {
		return inspect.NewHandler(own, nil)
	}
	w.peers = inspect.NewPeers(inspect.PeersConfig{Conn: w.conn, App: w.cfg.App, Local: own})
	return inspect.NewHandler(inspect.Join(func() []inspect.Source { return []inspect.Source{own, w.peers} }), own)
}

// process says whose facts they are.
func (w *worker) process() inspect.Process {
	name := "worker"
	if w.cfg.supervised.dir != "" {
		name = fmt.Sprintf("worker-%d", w.cfg.supervised.slot)
	}
	return inspect.Process{Host: w.cfg.HostName, App: w.cfg.App, Name: name, Role: "worker", Worker: w.ID(), PID: os.Getpid(), Started: w.started}
}

// complete adds to a sample what no metric counts.
func (w *worker) complete(s *inspect.Sample) {
	for session := range w.io.Engine().Sessions() {
		s.QueueBytes += int64(session.Buffered())
	}
	if w.conn != nil {
		s.RedisLatency = w.conn.Latency()
	}
}
