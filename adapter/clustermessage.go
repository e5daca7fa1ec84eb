package adapter

import (
	"strings"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// clusterReceiver takes what the forms hear through pub/sub that speak in cluster messages: over sharded channels, and beside
// streams.
type clusterReceiver struct {
	r       *Redis
	scratch wire.Scratch // of receive
}

// receive passes over echoes by their last bytes. Answers are heard on the namespace's own channel alone, and nothing else
// is heard there but events for this process.
func (f *clusterReceiver) receive(channel string, payload []byte) (kept bool, err error) {
	if f.isEcho(payload) {
		f.r.metrics.skipped.Inc()
		return false, nil
	}
	c, err := wire.ParseCluster(payload)
	if err != nil {
		return false, err
	}
	f.r.mu.RLock()
	n := f.r.byName[string(c.Namespace)]
	f.r.mu.RUnlock()
	private := n != nil && channel == n.own
	alone := private && c.Type == wire.ClusterServerSideEmit // an event for this process and no other
	switch {                                                 // n is nil for a namespace that is not here, or no longer
	case n == nil, !strings.HasPrefix(channel, n.talk.counted()), string(c.UID) == n.uid,
		c.Type < wire.ClusterBroadcast, c.Type > wire.ClusterAck, private != c.Type.IsAnswer() && !alone:
		f.r.metrics.skipped.Inc()
		return false, nil
	case private && !alone:
		return true, n.takeClusterAnswer(&c)
	case c.Type == wire.ClusterBroadcast && !c.WantsAck():
		return f.deliver(n, &c, "")
	}
	q, err := c.Request()
	if err == nil {
		n.take(q)
	}
	return true, err
}

// isEcho tells whether a message ends with one of our names, as all of ours do.
func (f *clusterReceiver) isEcho(msg []byte) bool {
	return f.r.isEcho(wire.ClusterSender(msg))
}

// deliver tells whether it keeps anything of the message.
func (f *clusterReceiver) deliver(n *namespace, c *wire.Cluster, offset string) (kept bool, err error) {
	concerns, err := c.Concerns(&f.scratch, n.hasRoom)
	if err != nil {
		return false, err
	}
	if !concerns {
		f.r.metrics.skipped.Inc()
		return false, nil
	}
	o, err := c.Options()
	if err != nil {
		return false, err
	}
	data, err := c.Payload()
	if err != nil {
		return false, err
	}
	f.r.metrics.in.Inc()
	n.local.Deliver(&cluster.Broadcast{
		Target: cluster.Target{Rooms: o.Rooms, Except: o.Except},
		Flags:  localFlags(o.Flags),
		Data:   data,
		Offset: offset,
	})
	return true, nil
}

// takeClusterAnswer takes an answer to a request of this namespace.
func (n *namespace) takeClusterAnswer(c *wire.Cluster) error {
	pending := n.calls.get(c.ResponseID())
	if pending == nil { // it comes too late
		n.r.metrics.skipped.Inc()
		return nil
	}
	a, err := c.Response()
	if err != nil {
		return err
	}
	if !pending.answer(a) {
		return wire.ErrMalformed
	}
	n.r.metrics.in.Inc()
	return nil
}
