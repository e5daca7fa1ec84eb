package wire

import (
	"bytes"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// ClusterType numbers the messages that the sharded adapter, the one over streams and Node's own cluster adapter have in
// common (docs/adapter-wire.md, 3).
type ClusterType int

// The messages, with Node's names. Heartbeats (1, 2) and goodbyes (13) are not used by those that speak over Redis.
const (
	ClusterBroadcast ClusterType = iota + 3
	ClusterJoin
	ClusterLeave
	ClusterDisconnect
	ClusterFetch
	ClusterFetchResponse
	ClusterServerSideEmit
	ClusterServerSideEmitResponse
	ClusterClientCount
	ClusterAck
)

// ClusterTaken tells a server of ours, on its own channel, that another took a session over. Node has no such message.
const ClusterTaken ClusterType = 100

// IsAnswer tells whether a message of the type answers another.
func (t ClusterType) IsAnswer() bool {
	return t == ClusterFetchResponse || t == ClusterServerSideEmitResponse || t == ClusterClientCount || t == ClusterAck
}

// ClusterSender reads the sender's uid from the last bytes of a cluster message, whose envelope ends with it and the
// namespace. It is nil, or nonsense, where that is not so: it serves to know echoes without reading them.
func ClusterSender(msg []byte) []byte {
	text, packed := []byte(`,"uid":"`), []byte("\xa3uid")
	if encodingOf(msg) == asText {
		i := bytes.LastIndex(msg, text)
		if i < 0 {
			return nil
		}
		uid := msg[i+len(text):]
		return uid[:max(bytes.IndexByte(uid, '"'), 0)]
	}
	i := bytes.LastIndex(msg, packed)
	if i < 0 {
		return nil
	}
	r := reader{B: msg, I: i + len(packed)}
	uid, _ := r.String()
	return uid
}

// Cluster is a cluster message as it was found: its parts alias it, and are not decoded yet.
type Cluster struct {
	Type      ClusterType
	UID       []byte
	Namespace []byte

	enc    encoding
	acked  bool // a client's answer is wanted
	pid    []byte
	id     []byte
	packet []byte // of a broadcast: its data
	rooms  []byte
	except []byte
	flags  []byte
	list   []byte // rooms to join or leave
	close  []byte
	socks  []byte
	count  []byte
}

// ParseCluster finds the parts of a cluster message, and refuses one that lacks what its type needs. Types that are not
// known are the caller's to ignore; heartbeats have no data.
func ParseCluster(msg []byte) (c Cluster, err error) {
	c.enc = encodingOf(msg)
	var data []byte
	err = c.enc.each(msg, func(key, value []byte) (err error) {
		switch string(key) {
		case "type":
			var n int
			n, err = c.enc.integer(value)
			c.Type = ClusterType(n)
		case "data":
			data = value
		case "uid":
			c.UID, err = c.enc.string(value)
		case "nsp":
			c.Namespace, err = c.enc.string(value)
		}
		return err
	})
	if err != nil || len(c.UID) == 0 || c.Namespace == nil {
		return c, ErrMalformed
	}
	return c, c.fill(data)
}

// fill finds the parts of a message's data.
func (c *Cluster) fill(data []byte) error {
	if c.Type != ClusterTaken && (c.Type < ClusterBroadcast || c.Type > ClusterAck) {
		return nil
	}
	if err := c.enc.each(data, c.field); err != nil {
		return err
	}
	return c.check()
}

// field takes one field of a message's data.
func (c *Cluster) field(key, value []byte) error {
	switch string(key) {
	case "requestId":
		if !c.enc.isNull(value) {
			c.id = value
		}
	case "packet":
		c.packet = value
	case "opts":
		return c.enc.each(value, c.option)
	case "rooms":
		c.list = value
	case "close":
		c.close = value
	case "sockets":
		c.socks = value
	case "clientCount":
		c.count = value
	case "pid":
		c.pid = value
	}
	return nil
}

func (c *Cluster) option(key, value []byte) error {
	switch string(key) {
	case "rooms":
		c.rooms = value
	case "except":
		c.except = value
	case "flags":
		c.flags = value
	}
	return nil
}

// check wants what the type needs, and takes a broadcast's packet apart.
func (c *Cluster) check() error {
	ok := true
	switch c.Type {
	case ClusterBroadcast:
		packet := c.packet
		c.packet = nil
		err := c.enc.each(packet, func(key, value []byte) error {
			switch string(key) {
			case "data":
				c.packet = value
			case "id":
				c.acked = !c.enc.isNull(value)
			case "type":
				if n, err := c.enc.integer(value); err != nil || n != eventType && n != binaryEventType {
					return ErrMalformed
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		ok = c.rooms != nil && c.enc.isEvent(c.packet)
	case ClusterJoin, ClusterLeave:
		ok = c.rooms != nil && c.list != nil
	case ClusterDisconnect:
		ok = c.rooms != nil
	case ClusterFetch:
		ok = c.rooms != nil && c.id != nil
	case ClusterFetchResponse:
		ok = c.id != nil && c.socks != nil
	case ClusterServerSideEmit:
		ok = c.enc.isEvent(c.packet)
	case ClusterServerSideEmitResponse, ClusterAck:
		ok = c.id != nil
	case ClusterClientCount:
		n, err := c.enc.integer(c.count)
		ok = c.id != nil && err == nil && n >= 0
	}
	if !ok {
		return ErrMalformed
	}
	return nil
}

// WantsAck tells a broadcast that is to be acknowledged from one that is not.
func (c *Cluster) WantsAck() bool { return c.id != nil }

// Recoverable tells whether clients that missed a broadcast get it when they come back: not when it may be lost, nor when
// somebody waits for what they answer.
func (c *Cluster) Recoverable() bool {
	return c.Type == ClusterBroadcast && c.id == nil && !c.acked && !c.enc.flags(c.flags).Volatile
}

// PID is the session that a ClusterTaken is about.
func (c *Cluster) PID() string {
	pid, _ := c.enc.string(c.pid)
	return string(pid)
}

// Scratch is what Concerns works in, so that it need not allocate. Its zero value is ready.
type Scratch struct{ list, name []byte }

// Concerns tells whether has is true for any of the rooms that a message is for, or it is for all. The names that has gets
// are valid during the call.
func (c *Cluster) Concerns(s *Scratch, has func(room []byte) bool) (bool, error) {
	list, err := c.enc.roomList(s.list, c.rooms)
	if err != nil {
		return false, err
	}
	if c.enc == asText {
		s.list = list[:0]
	}
	if s.name == nil {
		s.name = make([]byte, 0, 32)
	}
	return list.Len() == 0 || list.Any(s.name, has), nil
}

// Options reads for whom a message is, and how.
func (c *Cluster) Options() (o Options, err error) {
	rooms, err := c.enc.roomList(nil, c.rooms)
	if err != nil {
		return o, err
	}
	except, err := c.enc.roomList(nil, c.except)
	if err != nil {
		return o, err
	}
	return Options{Rooms: rooms.Strings(), Except: except.Strings(), Flags: c.enc.flags(c.flags)}, nil
}

// Payload is the event of a broadcast or of a server-side event. Its attachments, and what was JSON, alias the message.
func (c *Cluster) Payload() (packet.Payload, error) {
	text, attachments, err := c.enc.text(c.packet)
	return packet.Payload{JSON: text, Attachments: attachments}, err
}

// Request reads a message that is no answer as the request of the classic adapter that it equals. A broadcast is a
// BroadcastWithAck.
func (c *Cluster) Request() (q Request, err error) {
	q.UID, q.Namespace = string(c.UID), string(c.Namespace)
	if c.id != nil {
		if q.ID, _, err = c.enc.text(c.id); err != nil {
			return q, err
		}
	}
	if q.Options, err = c.Options(); err != nil {
		return q, err
	}
	switch c.Type {
	case ClusterBroadcast:
		q.Type = BroadcastWithAck
		q.Data, err = c.Payload()
	case ClusterJoin, ClusterLeave:
		q.Type = RemoteJoin + RequestType(c.Type-ClusterJoin)
		var list RoomList
		if list, err = c.enc.roomList(nil, c.list); err == nil && list.Len() == 0 {
			err = ErrMalformed
		}
		q.JoinLeave = list.Strings()
	case ClusterDisconnect:
		q.Type, q.Close = RemoteDisconnect, c.enc.isTrue(c.close)
	case ClusterFetch:
		q.Type = RemoteFetch
	case ClusterServerSideEmit:
		q.Type = ServerSideEmit
		q.Data, err = c.Payload()
	default:
		err = ErrMalformed
	}
	return q, err
}

// ResponseID is the id of the request that a message answers, nil where it is no plain text.
func (c *Cluster) ResponseID() []byte {
	id, err := c.enc.string(c.id)
	if err != nil {
		return nil
	}
	return id
}

// Response reads an answer.
func (c *Cluster) Response() (a Response, err error) {
	a.UID, a.Type = string(c.UID), NoType
	if a.ID, _, err = c.enc.text(c.id); err != nil {
		return a, err
	}
	switch c.Type {
	case ClusterFetchResponse:
		a.Sockets, err = c.sockets()
	case ClusterServerSideEmitResponse, ClusterAck:
		if a.Type = BroadcastAck; c.Type == ClusterServerSideEmitResponse {
			a.Type = ServerSideEmit
		}
		var text []byte
		var attachments [][]byte
		if c.packet != nil {
			text, attachments, err = c.enc.text(c.packet)
		}
		a.Answer = answer(text, attachments)
	case ClusterClientCount:
		a.Type = BroadcastClientCount
		a.ClientCount, err = c.enc.integer(c.count)
	default:
		err = ErrMalformed
	}
	return a, err
}

// sockets reads descriptions of sockets.
func (c *Cluster) sockets() ([]Socket, error) {
	text, attachments, err := c.enc.text(c.socks)
	if err != nil {
		return nil, err
	}
	return readSockets(text, attachments)
}
