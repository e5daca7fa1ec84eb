package link

import (
	"strings"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// TakeCluster handles a message in the encoding that the sharded form and the form over streams
// share. Answers arrive on the namespace's own channel; the only other message there is an event
// for this process alone. It reports whether it keeps any part of the message.
func (n *Namespace) TakeCluster(channel string, c *wire.Cluster, scratch *wire.Scratch) (kept bool, err error) {
	private := channel == n.Own
	alone := private && c.Type == wire.ClusterServerSideEmit
	switch {
	case !strings.HasPrefix(channel, n.protocol.RequestChannel()), string(c.UID) == n.UID,
		c.Type < wire.ClusterBroadcast, c.Type > wire.ClusterAck, private != c.Type.IsAnswer() && !alone:
		n.link.Skip()
		return false, nil
	case private && !alone:
		_, err := n.TakeAnswer(c.ResponseID(), c.Response)
		return true, err
	case c.Type == wire.ClusterBroadcast && !c.WantsAck():
		return n.DeliverCluster(c, scratch, "")
	}
	q, err := c.Request()
	if err == nil {
		n.TakeRequest(q)
	}
	return true, err
}

// DeliverCluster delivers a broadcast if it is for somebody here, and reports whether it keeps any
// part of it. Offset is its place in the stream, for clients that may be recovered.
func (n *Namespace) DeliverCluster(c *wire.Cluster, scratch *wire.Scratch, offset string) (kept bool, err error) {
	concerns, err := c.Concerns(scratch, n.HasRoom)
	if err != nil {
		return false, err
	}
	if !concerns {
		n.link.Skip()
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
	n.Deliver(o, data, offset)
	return true, nil
}
