package wire

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// ClusterType numbers the messages that the sharded adapter, the one over streams and Node's own cluster adapter have in
// common (ADAPTER-WIRE, 3).
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

// AppendTaken appends a ClusterTaken for the session pid.
func AppendTaken(dst []byte, uid, namespace, pid string) ([]byte, error) {
	w := clusterWriter{out: dst, packed: true}
	w.begin(ClusterTaken)
	w.key("pid")
	w.string(pid)
	return w.finish(dst, uid, namespace)
}

// IsAnswer tells whether a message of the type answers another.
func (t ClusterType) IsAnswer() bool {
	return t == ClusterFetchResponse || t == ClusterServerSideEmitResponse || t == ClusterClientCount || t == ClusterAck
}

// AppendClusterBroadcast appends a broadcast that nobody acknowledges.
func AppendClusterBroadcast(dst []byte, uid, namespace string, p packet.Payload, o Options) ([]byte, error) {
	return AppendClusterRequest(dst, namespace, Request{UID: uid, Type: BroadcastWithAck, Options: o, Data: p})
}

// AppendClusterRequest appends q, from q.UID, as Node's sharded adapter sends it: as JSON, and as msgpack where its packet
// has attachments. A BroadcastWithAck without an ID is a broadcast that nobody acknowledges. It fails on a type that there
// is not among cluster messages, and on a packet that is not JSON.
func AppendClusterRequest(dst []byte, namespace string, q Request) ([]byte, error) {
	return appendClusterRequest(dst, namespace, q, len(q.Data.Attachments) > 0)
}

// AppendPackedRequest appends q as Node's adapter over streams publishes what does not go through the stream: always as
// msgpack.
func AppendPackedRequest(dst []byte, namespace string, q Request) ([]byte, error) {
	return appendClusterRequest(dst, namespace, q, true)
}

func appendClusterRequest(dst []byte, namespace string, q Request, packed bool) ([]byte, error) {
	t, err := q.clusterType()
	if err != nil {
		return dst, err
	}
	w := clusterWriter{out: dst, packed: packed}
	w.begin(t)
	w.request(q)
	return w.finish(dst, q.UID, namespace)
}

// AppendClusterResponse appends the answer of uid to a request, in the same manner.
func AppendClusterResponse(dst []byte, uid, namespace string, a Response) ([]byte, error) {
	return appendClusterResponse(dst, uid, namespace, a, len(a.Answer.Attachments) > 0 || haveBinary(a.Sockets))
}

// AppendPackedResponse is AppendClusterResponse for the adapter over streams.
func AppendPackedResponse(dst []byte, uid, namespace string, a Response) ([]byte, error) {
	return appendClusterResponse(dst, uid, namespace, a, true)
}

func appendClusterResponse(dst []byte, uid, namespace string, a Response, packed bool) ([]byte, error) {
	t, err := a.clusterType()
	if err != nil {
		return dst, err
	}
	w := clusterWriter{out: dst, packed: packed}
	w.begin(t)
	w.response(a)
	return w.finish(dst, uid, namespace)
}

// clusterType is what a request is called among cluster messages.
func (q *Request) clusterType() (ClusterType, error) {
	switch q.Type {
	case BroadcastWithAck:
		return ClusterBroadcast, nil
	case RemoteJoin, RemoteLeave:
		return ClusterJoin + ClusterType(q.Type-RemoteJoin), nil
	case RemoteDisconnect:
		return ClusterDisconnect, nil
	case RemoteFetch:
		return ClusterFetch, nil
	case ServerSideEmit:
		return ClusterServerSideEmit, nil
	}
	return 0, ErrMalformed
}

func (a *Response) clusterType() (ClusterType, error) {
	switch {
	case a.Sockets != nil:
		return ClusterFetchResponse, nil
	case a.Type == BroadcastClientCount:
		return ClusterClientCount, nil
	case a.Type == ServerSideEmit:
		return ClusterServerSideEmitResponse, nil
	case a.Type == BroadcastAck:
		return ClusterAck, nil
	}
	return 0, ErrMalformed
}

// clusterWriter writes {type, data, uid, nsp} in either encoding. Its methods are called in the order of the fields.
type clusterWriter struct {
	out    []byte
	packed bool
	first  bool  // the next key is the first of its object
	counts []int // where the headers of the open objects are, in msgpack
	err    error
}

func (w *clusterWriter) begin(t ClusterType) {
	w.object()
	w.key("type")
	w.integer(int(t))
	w.key("data")
	w.object()
}

// request writes the fields of a request's data.
func (w *clusterWriter) request(q Request) {
	switch q.Type {
	case BroadcastWithAck:
		w.key("packet")
		w.object()
		w.key("type")
		w.integer(eventType)
		w.key("data")
		w.payload(q.Data.JSON, q.Data.Attachments)
		w.end()
		w.id(q.ID)
		w.options(q.Options)
	case RemoteJoin, RemoteLeave:
		w.options(q.Options)
		w.key("rooms")
		w.rooms(q.JoinLeave)
	case RemoteDisconnect:
		w.options(q.Options)
		w.key("close")
		w.payload(strconv.AppendBool(nil, q.Close), nil)
	case RemoteFetch:
		w.options(q.Options)
		w.id(q.ID)
	case ServerSideEmit:
		w.id(q.ID)
		w.key("packet")
		w.payload(q.Data.JSON, q.Data.Attachments)
	}
}

// response writes the fields of an answer's data. A server that answers with nothing says so in msgpack, and leaves it
// out in JSON.
func (w *clusterWriter) response(a Response) {
	w.id(a.ID)
	switch {
	case a.Sockets != nil:
		w.key("sockets")
		w.sockets(a.Sockets)
	case a.Type == BroadcastClientCount:
		w.key("clientCount")
		w.integer(a.ClientCount)
	default:
		value, err := first(a.Answer.JSON)
		if w.err == nil {
			w.err = err
		}
		if value == nil && w.packed {
			value = []byte("null")
		}
		if value != nil {
			w.key("packet")
			w.payload(value, a.Answer.Attachments)
		}
	}
}

// object opens an object. Its keys are counted as they come.
func (w *clusterWriter) object() {
	if w.packed {
		w.counts = append(w.counts, len(w.out))
		w.out = appendMapHeader(w.out, 0)
		return
	}
	w.out = append(w.out, '{')
	w.first = true
}

func (w *clusterWriter) end() {
	if w.packed {
		w.counts = w.counts[:len(w.counts)-1]
		return
	}
	w.out = append(w.out, '}')
	w.first = false
}

func (w *clusterWriter) key(name string) {
	if w.packed {
		w.out[w.counts[len(w.counts)-1]]++ // never more than 15
		w.out = appendString(w.out, name)
		return
	}
	if !w.first {
		w.out = append(w.out, ',')
	}
	w.first = false
	w.out = append(append(append(w.out, '"'), name...), '"', ':')
}

func (w *clusterWriter) string(s string) {
	if w.packed {
		w.out = appendString(w.out, s)
	} else {
		w.out = AppendString(w.out, s)
	}
}

func (w *clusterWriter) integer(n int) {
	if w.packed {
		w.out = appendIntValue(w.out, int64(n))
	} else {
		w.out = strconv.AppendInt(w.out, int64(n), 10)
	}
}

// id writes a request's id, which is JSON text; nil writes nothing.
func (w *clusterWriter) id(id []byte) {
	if id != nil {
		w.key("requestId")
		w.payload(id, nil)
	}
}

// payload writes JSON text. What is not JSON is never sent: a server of Node's that cannot read a message may end.
func (w *clusterWriter) payload(text []byte, attachments [][]byte) {
	var err error
	if w.packed {
		w.out, err = appendValue(w.out, text, attachments)
	} else if !jsontext.Value(text).IsValid(lenient) {
		err = ErrMalformed
	} else {
		w.out = append(w.out, text...)
	}
	if w.err == nil {
		w.err = err
	}
}

func (w *clusterWriter) options(o Options) {
	w.key("opts")
	if w.packed {
		w.out = appendOptions(w.out, o)
		return
	}
	w.out = append(w.out, `{"rooms":`...)
	w.rooms(o.Rooms)
	w.out = append(w.out, `,"except":`...)
	w.rooms(o.Except)
	w.out = appendJSONFlags(append(w.out, `,"flags":`...), o.Flags)
	w.out = append(w.out, '}')
}

func (w *clusterWriter) rooms(rooms []string) {
	if w.packed {
		w.out = appendRooms(w.out, rooms)
	} else {
		w.out = appendJSONRooms(w.out, rooms)
	}
}

func (w *clusterWriter) sockets(sockets []Socket) {
	if !w.packed {
		w.out = appendSockets(w.out, sockets)
		return
	}
	var err error
	if w.out, err = appendPackedSockets(w.out, sockets); w.err == nil {
		w.err = err
	}
}

func appendJSONFlags(dst []byte, f Flags) []byte {
	dst = append(dst, '{')
	if f.ExpectSingleResponse {
		dst = append(dst, `"expectSingleResponse":true,`...)
	}
	if f.Timeout > 0 {
		dst = append(strconv.AppendInt(append(dst, `"timeout":`...), f.Timeout.Milliseconds(), 10), ',')
	}
	if f.Volatile {
		dst = append(dst, `"volatile":true,`...)
	}
	if f.Compress != nil {
		dst = append(strconv.AppendBool(append(dst, `"compress":`...), *f.Compress), ',')
	}
	return append(bytes.TrimSuffix(dst, []byte{','}), '}')
}

func (w *clusterWriter) finish(dst []byte, uid, namespace string) ([]byte, error) {
	if w.err != nil {
		return dst, w.err
	}
	w.end()
	w.key("uid")
	w.string(uid)
	w.key("nsp")
	w.string(namespace)
	w.end()
	return w.out, nil
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
	r := reader{b: msg, i: i + len(packed)}
	uid, _ := r.str()
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
