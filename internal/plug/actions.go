package plug

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// Host is the host that the page shows and harms.
type Host interface {
	// URL is where clients connect, and Path the path of Socket.IO there.
	URL() string
	Path() string
	// Recovery reports how long clients may be away and resume their sessions; 0: not at all.
	Recovery() time.Duration
	Processes() []supervisor.Status
	Signal(sig syscall.Signal, names ...string) error
	// Reload replaces all workers, one by one.
	Reload()
	// AddWorker starts one more worker.
	AddWorker(ctx context.Context) error
}

const (
	// redisPause is how long Redis is frozen.
	redisPause = 3 * time.Second
	// mostWorkers bounds AddWorker.
	mostWorkers = 8
)

// action is a button.
type action struct {
	name  string
	label string
	does  string // the consequence that is promised, for people
	do    func(ctx context.Context, s *Show) (did string, err error)
}

var actions = []action{
	{"kill-worker", "Kill a worker", "Its clients reconnect to other workers and resume. The supervisor starts another.", killWorker},
	{"freeze-worker", "Freeze a worker", "The supervisor finds it frozen and replaces it after 3 seconds. Its clients are late, then resume.", freezeWorker},
	{"kill-router", "Kill the router", "WebSockets don't notice, since the workers hold them. Polling clients resume.", killRouter},
	{"stop-redis", "Stop Redis for 3 seconds", "Sessions go on. Messages wait, and then arrive in order.", stopRedis},
	{"reload", "Reload everything", "New workers start beside the old ones. Clients move over and resume.", reload},
	{"add-worker", "Add a worker", "Clients stay where they are. New ones come to it.", addWorker},
}

var (
	errNone     = errors.New("there is none that runs")
	errForeign  = errors.New("this Redis isn't a process of this host")
	errEnough   = fmt.Errorf("%d workers are enough for a demo", mostWorkers)
	errStopping = errors.New("the host is stopping")
)

// kind is what a process is on the picture.
func kind(name string) string {
	switch {
	case strings.HasPrefix(name, "worker-"):
		return "worker"
	case strings.HasPrefix(name, "router"):
		return "router"
	case name == "redis":
		return "redis"
	}
	return "other"
}

// pick returns a running process of a kind that isn't frozen.
func (s *Show) pick(of string) (supervisor.Status, error) {
	var ready []supervisor.Status
	for _, p := range s.host.Processes() {
		if kind(p.Name) == of && p.State == supervisor.Ready && !s.isFrozen(p) {
			ready = append(ready, p)
		}
	}
	if len(ready) == 0 {
		return supervisor.Status{}, errNone
	}
	return ready[rand.IntN(len(ready))], nil
}

func killWorker(_ context.Context, s *Show) (string, error) { return s.kill("worker") }
func killRouter(_ context.Context, s *Show) (string, error) { return s.kill("router") }

func (s *Show) kill(of string) (string, error) {
	p, err := s.pick(of)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Killed %s, process %d.", p.Name, p.PID), s.host.Signal(syscall.SIGKILL, p.Name)
}

func freezeWorker(_ context.Context, s *Show) (string, error) {
	p, err := s.pick("worker")
	if err != nil {
		return "", err
	}
	s.setFrozen(p, true)
	return fmt.Sprintf("Froze %s, process %d.", p.Name, p.PID), s.host.Signal(syscall.SIGSTOP, p.Name)
}

// stopRedis freezes the embedded Redis, and has run wake it.
func stopRedis(ctx context.Context, s *Show) (string, error) {
	all := s.host.Processes()
	i := slices.IndexFunc(all, func(p supervisor.Status) bool { return kind(p.Name) == "redis" })
	if i < 0 {
		return "", errForeign
	}
	p := all[i]
	if p.State != supervisor.Ready || s.isFrozen(p) {
		return "", errNone
	}
	s.setFrozen(p, true)
	if err := s.host.Signal(syscall.SIGSTOP, p.Name); err != nil {
		s.setFrozen(p, false)
		return "", err
	}
	select {
	case s.wake <- p:
		return fmt.Sprintf("Stopped Redis, process %d, for %d seconds.", p.PID, redisPause/time.Second), nil
	case <-ctx.Done():
		return "", errors.Join(errStopping, s.host.Signal(syscall.SIGCONT, p.Name))
	}
}

func reload(_ context.Context, s *Show) (string, error) {
	s.host.Reload()
	return "Reloading all workers.", nil
}

func addWorker(ctx context.Context, s *Show) (string, error) {
	n := 0
	for _, p := range s.host.Processes() {
		if kind(p.Name) == "worker" {
			n++
		}
	}
	if n >= mostWorkers {
		return "", errEnough
	}
	return "Started one more worker.", s.host.AddWorker(ctx)
}
