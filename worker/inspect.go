package worker

import (
	"fmt"
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
	if w.conn != nil {
		s.RedisLatency = w.conn.Latency()
	}
}
