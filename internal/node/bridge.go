package node

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

const (
	maxNamespaces = 10_000 // of one worker
	maxNamespace  = 1024   // bytes of one's name
	maxServers    = 64     // of one worker that have our adapter
	// maxAsking limits the open questions of a worker. Servers on other hosts don't get further
	// ones.
	maxAsking = 512
)

// bridge carries the messages of one worker's adapters: unchanged to the other workers of this
// host, and through an adapter of its own to servers on other hosts. A worker has one for
// cluster-adapter, and one for each Socket.IO server that has our adapter.
type bridge struct {
	c      *child
	server int // which server of the process has our adapter, from 1; 0: cluster-adapter's messages
	asking atomic.Int32

	mu         sync.Mutex // guards the rest
	gen        generation
	group      *group
	cluster    *adapter.Adapter // nil: no server on another host
	stop       context.CancelFunc
	stopped    chan struct{} // closed when cluster has ended
	namespaces map[string]*namespace
	closed     bool
}

func newBridge(c *child, server int) *bridge {
	return &bridge{c: c, server: server, namespaces: make(map[string]*namespace)}
}

// fromWorker handles one message. The caller keeps the worker's order.
func (b *bridge) fromWorker(f ipc.Frame, o *ipc.Object) {
	gen := generationOf(o)
	k := gen.kindOf(o)
	if k == kindNone || !b.joined(gen) {
		return
	}
	m, err := b.read(k, o)
	if err != nil { // other workers would trust it and end
		b.c.h.metrics.malformed.Inc()
		b.c.uncarried("value", 1, "error", err)
		return
	}
	s := b.namespace(o.Text("nsp"), o.Text("uid"))
	if s == nil {
		b.c.uncarried("namespace", 1)
		return
	}
	switch k {
	case kindFetched, kindEventAnswer, kindCount, kindAck:
		b.answer(s, f, k, o)
		return
	}
	b.group.relay(b, f)
	if k == kindHello && gen == injected {
		b.presentOthers(s)
	}
	switch {
	case k == kindGone && gen != second:
		b.drop(s)
	case s.adapter != nil:
		s.outward(k, m)
	}
}

// presentOthers tells a namespace that has just opened about those of the other workers. Those of
// cluster-adapter answer its message themselves, once they have time.
func (b *bridge) presentOthers(s *namespace) {
	for _, other := range b.group.all(b) {
		if uid := other.uidOf(s.name); uid != "" {
			s.send(b.message(s.name, uid, kindBeat))
		}
	}
}

// uidOf returns the uid of the worker's namespace of that name, or "" if it isn't open.
func (b *bridge) uidOf(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.namespaces[name]; s != nil {
		return s.uid
	}
	return ""
}

// answer passes an answer to the one that asked: a worker of this host, or a server on another
// one.
func (b *bridge) answer(s *namespace, f ipc.Frame, k kind, o *ipc.Object) {
	if b.gen != second {
		if asker := b.group.owner(o.Text("requesterUid")); asker != nil {
			asker.relay(b, f)
			return
		}
		s.answered(k, o.Object("data"))
		return
	}
	switch id, ok := o.Object("data").Int("workerId"); {
	case s.answered(k, o.Object("data")):
	case k == kindCount || k == kindAck: // these don't name the worker that asked
		b.group.relay(b, f)
	case ok:
		if asker := b.group.member(id); asker != nil {
			asker.relay(b, f)
		}
	}
}

// joined adds the worker to its group with its first message. It returns false if the worker now
// speaks another generation.
func (b *bridge) joined(gen generation) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gen != unknown || b.closed {
		return b.gen == gen && !b.closed
	}
	b.gen, b.group = gen, b.c.h.group(gen, b.server)
	b.group.join(b)
	if gen != injected && !b.c.preloaded.Load() { // without the script nobody reports that it takes connections; most with the adapter do
		b.c.openSticky()
	}
	if b.c.h.cfg.NewAdapter == nil {
		return true
	}
	cluster, err := b.c.h.cfg.NewAdapter(b.c.told.Slot, b.server, b.group.adapters)
	if err != nil {
		b.c.log.Error("the worker doesn't hear servers on other hosts", "error", err)
		return true
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(b.c.ctx)) // ends with the bridge, after its goodbye
	stopped := make(chan struct{})
	ok := b.c.h.start(func() {
		defer close(stopped)
		if err := cluster.Run(ctx); err != nil {
			b.c.log.Error("the worker no longer hears servers on other hosts", "error", err)
		}
	})
	if !ok {
		stop()
		return false
	}
	b.cluster, b.stop, b.stopped = cluster, stop, stopped
	return true
}

// namespace returns a namespace of the worker, which it opens with the first message. It returns
// nil if the name isn't valid or there are too many.
func (b *bridge) namespace(name, uid string) *namespace {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.namespaces[name]
	if s != nil && s.uid == uid || b.closed {
		return s
	}
	if s != nil { // the worker has opened another namespace of that name
		b.closeReplacedLocked(s)
	}
	if !validNamespace(name) || len(b.namespaces) >= maxNamespaces || len(uid) > maxNamespace {
		return nil
	}
	s = &namespace{b: b, name: name, uid: uid, pending: make(map[string]*pending)}
	if b.cluster != nil {
		a, err := b.cluster.Open(s)
		if err != nil {
			b.c.log.Error("the namespace doesn't hear servers on other hosts", "namespace", name, "error", err)
		} else {
			s.adapter = a
		}
	}
	b.namespaces[name] = s
	if b.gen != second {
		b.group.owns(b, uid)
	}
	return s
}

// closeReplacedLocked closes a namespace that the worker has replaced without closing it.
func (b *bridge) closeReplacedLocked(s *namespace) {
	delete(b.namespaces, s.name)
	b.group.disowns(b, s.uid)
	for _, other := range b.group.all(b) {
		_ = other.c.ch.sendValue(b.message(s.name, s.uid, kindGone))
	}
	s.close()
}

// list returns the worker's open namespaces.
func (b *bridge) list() (list []*namespace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.namespaces {
		list = append(list, s)
	}
	return list
}

// drop removes a namespace that the worker has closed.
func (b *bridge) drop(s *namespace) {
	b.mu.Lock()
	delete(b.namespaces, s.name)
	b.mu.Unlock()
	b.group.disowns(b, s.uid)
	s.close()
}

// wait returns when the worker's adapter is connected. It returns at once if the worker has sent
// nothing.
func (b *bridge) wait(ctx context.Context) error {
	b.mu.Lock()
	cluster := b.cluster
	b.mu.Unlock()
	if cluster == nil {
		return nil
	}
	return cluster.Wait(ctx)
}

// close tells the other workers and servers that the worker has ended, so that they don't wait
// for it.
func (b *bridge) close() {
	b.mu.Lock()
	b.closed = true
	namespaces, group, stop, stopped := b.namespaces, b.group, b.stop, b.stopped
	b.namespaces = make(map[string]*namespace)
	b.mu.Unlock()
	if group == nil {
		return
	}
	var uids []string
	for _, s := range namespaces {
		uids = append(uids, s.uid)
	}
	group.leave(b)
	group.disowns(b, uids...)
	for _, o := range b.farewells(namespaces) {
		for _, other := range group.all(b) {
			_ = other.c.ch.sendValue(o)
		}
	}
	for _, s := range namespaces {
		s.close()
	}
	if stop != nil {
		stop()
		<-stopped
	}
}

// farewells are the messages that announce the worker's end: one per namespace in the third
// generation, one for the worker in the second.
func (b *bridge) farewells(namespaces map[string]*namespace) (list []*ipc.Object) {
	if b.gen == second {
		return []*ipc.Object{b.message("", "", kindGone).Set("data", float64(b.c.id))}
	}
	for _, s := range namespaces {
		list = append(list, b.message(s.name, s.uid, kindGone))
	}
	return list
}
