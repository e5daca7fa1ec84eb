package daemon

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// list is everything that runs, as it is now.
func (d *Daemon) list() Listing {
	st := d.statuses()
	l := Listing{Processes: []Process{}, Apps: map[string]AppStatus{}}
	d.do(func(b *book) {
		for _, e := range byID(b.entries) {
			l.Processes = append(l.Processes, d.describe(b, e, st[e.place]))
		}
		for key, ap := range b.apps {
			l.Apps[key] = ap.seenIn(b).status(st)
		}
	})
	for _, name := range []string{host.RedisPlace, host.SharedNodeHostPlace} {
		if s, ok := st[name]; ok {
			l.Services = append(l.Services, serviceOf(s))
		}
	}
	d.measure(&l)
	return l
}

func (d *Daemon) describe(b *book, e *entry, st supervisor.Status) Process {
	a, f := &e.app.facts.in(b).app, e.facts.in(b)
	p := Process{
		ID: e.id, Name: a.Name, Namespace: a.Namespace, App: e.app.key, Instance: e.instance, Mode: a.ExecMode, UniqueID: e.uniqueID,
		Status: statusOf(st), Reason: st.Reason, PID: st.PID, Created: f.created, Started: st.Started,
		Restarts: max(st.Restarts-unfollowed(st)+st.Renewed+f.commands, 0), Unstable: st.Unstable, Worker: st.Attrs[lifeline.Worker], Port: st.Port,
		OutFile: pathOf(e.out.file), ErrorFile: pathOf(e.err.file), LogFile: pathOf(e.out.both), PIDFile: d.pids.path(e, a), ReloadedAt: f.reloaded,
	}
	p.Adapters = adapters(st)
	if st.Last != nil {
		p.ExitCode = &st.Last.Code
		if p.Reason == "" {
			p.Reason = st.Last.Cause
		}
	}
	return p
}

// adapters returns how many Socket.IO servers of a process got our adapter.
func adapters(st supervisor.Status) int {
	n, _ := strconv.Atoi(st.Attrs[lifeline.ChildAdapters]) // empty for other processes
	return n
}

func statusOf(st supervisor.Status) Status {
	switch st.State {
	case "":
		return Launching // what it needs around it is being made
	case supervisor.Starting:
		return Launching
	case supervisor.Ready:
		return Online
	case supervisor.Stopping:
		return Stopping
	case supervisor.Errored:
		return Errored
	case supervisor.Waiting:
		if st.Starts == 0 {
			return Launching // its host is on its way
		}
		return Waiting
	}
	return Stopped
}

// status is an app with what stands around its processes.
func (ap seen) status(st map[string]supervisor.Status) AppStatus {
	now := ap.deployment.State()
	s := AppStatus{App: ap.app, Directory: ap.set.App.App, Problems: slices.Clone(now.Problems), Warnings: now.Warnings}
	for _, door := range now.Doors {
		s.Doors = append(s.Doors, door.Listeners[0].Addr().String())
	}
	if c := ap.deployment.Cluster(); c != nil {
		if s.Redis = c.Conn.String(); ap.set.RedisURL == "" {
			s.Redis = "embedded"
		}
		if !c.Conn.Up() {
			s.Problems = append(s.Problems, "Redis does not answer")
		}
	}
	for _, name := range ap.deployment.Services() {
		if status, ok := st[name]; ok {
			s.Services = append(s.Services, serviceOf(status))
		}
	}
	return s
}

func serviceOf(st supervisor.Status) Service {
	return Service{Name: st.Name, Status: statusOf(st), PID: st.PID, Started: st.Started, Restarts: st.Restarts}
}

// measure adds what the processes take.
func (d *Daemon) measure(l *Listing) {
	var alive []int
	take := func(pid int) (memory int64, cpu float64) {
		if pid == 0 {
			return 0, 0
		}
		alive = append(alive, pid)
		return d.usage.of(pid)
	}
	for i := range l.Processes {
		p := &l.Processes[i]
		p.Memory, p.CPU = take(p.PID)
	}
	for _, services := range append([][]Service{l.Services}, appServices(l.Apps)...) {
		for i := range services {
			services[i].Memory, services[i].CPU = take(services[i].PID)
		}
	}
	d.usage.keep(alive)
}

func appServices(apps map[string]AppStatus) (out [][]Service) {
	for _, a := range apps {
		out = append(out, a.Services)
	}
	return out
}

// minSample is the shortest time over which processor use is told: the kernel counts it in
// hundredths of a second.
const minSample = 200 * time.Millisecond

// meter tells what processes take, by what they took when somebody looked last.
type meter struct {
	mu   sync.Mutex // guards last
	last map[int]sample
}

type sample struct {
	at      time.Time
	cpu     time.Duration
	percent float64
}

// of is a process' resident memory, and its use of one core in percent.
func (m *meter) of(pid int) (memory int64, percent float64) {
	memory, cpu := supervisor.Usage(pid)
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	before, seen := m.last[pid]
	if seen && now.Sub(before.at) < minSample {
		return memory, before.percent
	}
	next := sample{at: now, cpu: cpu}
	if seen && cpu >= before.cpu {
		next.percent = 100 * float64(cpu-before.cpu) / float64(now.Sub(before.at))
	}
	m.last[pid] = next
	return memory, next.percent
}

// keep forgets all processes but these.
func (m *meter) keep(pids []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.last, func(pid int, _ sample) bool { return !slices.Contains(pids, pid) })
}
