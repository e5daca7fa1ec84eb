package wire

import (
	"bytes"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// ClusterType numbers the messages that the sharded adapter, the streams adapter and Node's
// cluster adapter share (docs/adapter-wire.md, 3).
type ClusterType int

// The messages, with Node's names. Adapters over Redis don't use heartbeats (1, 2) and goodbyes
// (13).
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

// ClusterTaken tells a Sidereal server, on its own channel, that another server took over a
// snapshot. Node has no such message.
const ClusterTaken ClusterType = 100

// IsAnswer reports whether messages of the type answer another message.
func (t ClusterType) IsAnswer() bool {
	return t == ClusterFetchResponse || t == ClusterServerSideEmitResponse || t == ClusterClientCount || t == ClusterAck
}

// ClusterSender returns the sender's uid from the last bytes of a cluster message, whose envelope
// ends with uid and namespace. If the message isn't of that form, the result is nil or nonsense.
// It serves to drop echoes without parsing them.
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

// Cluster is a parsed cluster message. Its parts alias the message and aren't decoded yet.
type Cluster struct {
	Type      ClusterType
	UID       []byte
	Namespace []byte

	enc    encoding
	acked  bool // the clients' acks are wanted
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

// ParseCluster finds the parts of a cluster message. It refuses a message that lacks what its
// type needs. Callers ignore unknown types; heartbeats have no data.
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

// field stores one field of a message's data.
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

// check returns an error if a field that the type needs is missing, and parses a broadcast's
// packet.
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

// WantsAck reports whether a broadcast asks for acks.
func (c *Cluster) WantsAck() bool { return c.id != nil }

// Recoverable reports whether returning clients get a broadcast that they missed. They don't get
// volatile broadcasts, and those with acks.
func (c *Cluster) Recoverable() bool {
	return c.Type == ClusterBroadcast && c.id == nil && !c.acked && !c.enc.flags(c.flags).Volatile
}

// PID returns the pid of a ClusterTaken's snapshot.
func (c *Cluster) PID() string {
	pid, _ := c.enc.string(c.pid)
	return string(pid)
}

// Scratch is memory for Concerns, so that it doesn't allocate. Its zero value is ready.
type Scratch struct{ list, name []byte }

// Concerns reports whether the message is for the whole namespace, or has returns true for one of
// its rooms. The names are valid during has's call.
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

// Options returns the target and flags of a message.
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

// Payload returns the event of a broadcast or of a server-side event. It may alias the message.
func (c *Cluster) Payload() (packet.Payload, error) {
	text, attachments, err := c.enc.text(c.packet)
	return packet.Payload{JSON: text, Attachments: attachments}, err
}

// Request returns a message that isn't an answer as the equal request of the classic adapter. A
// broadcast becomes a BroadcastWithAck.
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

// ResponseID returns the id of the request that a message answers, or nil if the id isn't plain
// text.
func (c *Cluster) ResponseID() []byte {
	id, err := c.enc.string(c.id)
	if err != nil {
		return nil
	}
	return id
}

// Response returns an answer.
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
