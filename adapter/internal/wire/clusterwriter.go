package wire

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// AppendTaken appends a ClusterTaken for the snapshot pid.
func AppendTaken(dst []byte, uid, namespace, pid string) ([]byte, error) {
	w := clusterWriter{out: dst, packed: true}
	w.begin(ClusterTaken)
	w.key("pid")
	w.string(pid)
	return w.finish(dst, uid, namespace)
}

// AppendClusterBroadcast appends a broadcast without acks.
func AppendClusterBroadcast(dst []byte, uid, namespace string, p packet.Payload, o Options) ([]byte, error) {
	return AppendClusterRequest(dst, namespace, Request{UID: uid, Type: BroadcastWithAck, Options: o, Data: p})
}

// AppendClusterRequest appends q as Node's sharded adapter sends it: as msgpack if its packet has
// attachments, otherwise as JSON. A BroadcastWithAck without an ID is a broadcast without acks.
// It fails on a type that isn't a cluster message, and on a packet that isn't JSON.
func AppendClusterRequest(dst []byte, namespace string, q Request) ([]byte, error) {
	return appendClusterRequest(dst, namespace, q, len(q.Data.Attachments) > 0)
}

// AppendPackedRequest appends q as Node's streams adapter publishes it beside the stream: always
// as msgpack.
func AppendPackedRequest(dst []byte, namespace string, q Request) ([]byte, error) {
	return appendClusterRequest(dst, namespace, q, true)
}

func appendClusterRequest(dst []byte, namespace string, q Request, packed bool) ([]byte, error) {
	t, err := q.ClusterType()
	if err != nil {
		return dst, err
	}
	w := clusterWriter{out: dst, packed: packed}
	w.begin(t)
	w.request(q)
	return w.finish(dst, q.UID, namespace)
}

// AppendClusterResponse appends the answer of uid to a request, encoded like
// AppendClusterRequest.
func AppendClusterResponse(dst []byte, uid, namespace string, a Response) ([]byte, error) {
	return appendClusterResponse(dst, uid, namespace, a, len(a.Answer.Attachments) > 0 || haveBinary(a.Sockets))
}

// AppendPackedResponse is AppendClusterResponse for the streams adapter.
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

// ClusterType returns a request's type among cluster messages.
func (q *Request) ClusterType() (ClusterType, error) {
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

// clusterWriter writes {type, data, uid, nsp} in either encoding. Call its methods in the order
// of the fields.
type clusterWriter struct {
	out    []byte
	packed bool
	first  bool  // the next key is its object's first
	counts []int // positions of the open objects' headers, in msgpack
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
		w.payload(q.Data)
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
		w.payload(packet.Payload{JSON: strconv.AppendBool(nil, q.Close)})
	case RemoteFetch:
		w.options(q.Options)
		w.id(q.ID)
	case ServerSideEmit:
		w.id(q.ID)
		w.key("packet")
		w.payload(q.Data)
	}
}

// response writes the fields of an answer's data. An empty answer of a server is nil in msgpack
// and left out in JSON.
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
		value, err := firstOf(a.Answer)
		if w.err == nil {
			w.err = err
		}
		if value.JSON == nil && w.packed {
			value.JSON = []byte("null")
		}
		if value.JSON != nil {
			w.key("packet")
			w.payload(value)
		}
	}
}

// object opens an object and counts its keys.
func (w *clusterWriter) object() {
	if w.packed {
		w.counts = append(w.counts, len(w.out))
		w.out = msgpack.AppendMapHeader(w.out, 0)
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
		w.out = msgpack.AppendString(w.out, name)
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
		w.out = msgpack.AppendString(w.out, s)
	} else {
		w.out = AppendString(w.out, s)
	}
}

func (w *clusterWriter) integer(n int) {
	if w.packed {
		w.out = msgpack.AppendInt(w.out, int64(n))
	} else {
		w.out = strconv.AppendInt(w.out, int64(n), 10)
	}
}

// id writes a request's id, which is JSON. It writes nothing for nil.
func (w *clusterWriter) id(id []byte) {
	if id != nil {
		w.key("requestId")
		w.payload(packet.Payload{JSON: id})
	}
}

// payload writes JSON. It fails on anything else, because a Node server that can't read a message
// may end.
func (w *clusterWriter) payload(p packet.Payload) {
	var err error
	if w.packed {
		w.out, err = AppendPayload(w.out, p)
	} else if !jsontext.Value(p.JSON).IsValid(lenient) {
		err = ErrMalformed
	} else {
		w.out = append(w.out, p.JSON...)
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
