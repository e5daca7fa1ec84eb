package wire

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Response answers a Request, whose type says which fields are set.
type Response struct {
	ID   []byte      // the request's id, as JSON text
	Type RequestType // ServerSideEmit, BroadcastClientCount or BroadcastAck; the others say no type: NoType
	// UID is the server that answers. Only Sidereal's servers send it.
	UID string

	Sockets     []Socket       // of a RemoteFetch; not nil
	SocketIDs   []string       // Sockets; not nil
	Rooms       []string       // AllRooms; not nil
	ClientCount int            // BroadcastClientCount
	Answer      packet.Payload // ServerSideEmit, BroadcastAck: an array of one value, or of none
}

// NoType is the Type of responses without one.
const NoType RequestType = -1

// Socket describes a socket of another server.
type Socket struct {
	ID        string
	Handshake []byte // JSON text
	Rooms     []string
	Data      []byte // JSON text, with placeholders for Attachments

	Attachments [][]byte
	Dates       []int // as in packet.Payload
}

// haveBinary reports whether the data of a socket has binary.
func haveBinary(sockets []Socket) bool {
	return slices.ContainsFunc(sockets, func(s Socket) bool { return len(s.Attachments) > 0 })
}

// AppendResponse appends a as Node sends it: as msgpack if it is a client's answer, or a server's
// with attachments, otherwise as JSON. Sidereal's servers send each other sockets with binary
// data as msgpack; Node's servers use and get JSON.
func AppendResponse(dst []byte, a Response) ([]byte, error) {
	if a.Type == BroadcastAck || a.Type == ServerSideEmit && len(a.Answer.Attachments) > 0 || a.UID != "" && haveBinary(a.Sockets) {
		return appendPackedResponse(dst, a)
	}
	dst = append(dst, '{')
	if a.Type != NoType {
		dst = append(dst, `"type":`...)
		dst = append(dst, '0'+byte(a.Type), ',')
	}
	dst = append(append(dst, `"requestId":`...), a.ID...)
	switch {
	case a.Type == ServerSideEmit:
		value, err := first(a.Answer.JSON)
		if err != nil {
			return dst, err
		}
		if value != nil {
			dst = append(append(dst, `,"data":`...), value...)
		}
	case a.Type == BroadcastClientCount:
		dst = strconv.AppendInt(append(dst, `,"clientCount":`...), int64(a.ClientCount), 10)
	case a.Sockets != nil:
		dst = appendSockets(append(dst, `,"sockets":`...), a.Sockets)
	case a.SocketIDs != nil:
		dst = appendJSONRooms(append(dst, `,"sockets":`...), a.SocketIDs)
	case a.Rooms != nil:
		dst = appendJSONRooms(append(dst, `,"rooms":`...), a.Rooms)
	}
	if a.UID != "" {
		dst = AppendString(append(dst, `,"uid":`...), a.UID)
	}
	return append(dst, '}'), nil
}

func appendSockets(dst []byte, sockets []Socket) []byte {
	dst = append(dst, '[')
	for i, s := range sockets {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(append(dst, `{"id":`...), s.ID)
		dst = append(append(dst, `,"handshake":`...), object(s.Handshake)...)
		dst = appendJSONRooms(append(dst, `,"rooms":`...), s.Rooms)
		dst = append(append(dst, `,"data":`...), inlineBuffers(object(s.Data), s.Attachments)...)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// object returns text, or {} if there is none, because Node's servers expect an object.
func object(text []byte) []byte {
	if len(text) == 0 {
		return []byte("{}")
	}
	return text
}

// appendPackedSockets is appendSockets in msgpack, which keeps binary.
func appendPackedSockets(dst []byte, sockets []Socket) (_ []byte, err error) {
	dst = msgpack.AppendArrayHeader(dst, len(sockets))
	for _, s := range sockets {
		dst = msgpack.AppendString(msgpack.AppendString(msgpack.AppendMapHeader(dst, 4), "id"), s.ID)
		if dst, err = appendValue(msgpack.AppendString(dst, "handshake"), object(s.Handshake), nil); err != nil {
			return dst, err
		}
		dst = appendRooms(msgpack.AppendString(dst, "rooms"), s.Rooms)
		if dst, err = appendDated(msgpack.AppendString(dst, "data"), object(s.Data), s.Attachments, s.Dates); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendPackedResponse(dst []byte, a Response) ([]byte, error) {
	header := len(dst)
	dst = msgpack.AppendMapHeader(dst, 1)
	if a.Type != NoType {
		dst = append(msgpack.AppendString(dst, "type"), byte(a.Type))
		dst[header]++
	}
	dst, err := appendValue(msgpack.AppendString(dst, "requestId"), a.ID, nil)
	if err != nil {
		return dst, err
	}
	if a.Sockets != nil {
		if dst, err = appendPackedSockets(msgpack.AppendString(dst, "sockets"), a.Sockets); err != nil {
			return dst, err
		}
		dst[header]++
	} else if dst, err = appendPackedAnswer(dst, header, a); err != nil {
		return dst, err
	}
	if a.UID != "" {
		dst = msgpack.AppendString(msgpack.AppendString(dst, "uid"), a.UID)
		dst[header]++
	}
	return dst, nil
}

// appendPackedAnswer adds an answer's value, if it has one, to the map at header.
func appendPackedAnswer(dst []byte, header int, a Response) ([]byte, error) {
	value, err := first(a.Answer.JSON)
	if err != nil {
		return dst, err
	}
	if value != nil {
		name := "packet"
		if a.Type == ServerSideEmit {
			name = "data"
		}
		if dst, err = appendValue(msgpack.AppendString(dst, name), value, a.Answer.Attachments); err != nil {
			return dst, err
		}
		dst[header]++
	}
	return dst, nil
}

// firstOf returns an answer's first element, without JSON if the answer is empty.
func firstOf(p packet.Payload) (packet.Payload, error) {
	value, err := first(p.JSON)
	one := packet.Payload{JSON: value, Attachments: p.Attachments}
	from := cap(p.JSON) - cap(value) // it is a part of it
	for _, at := range p.Dates {
		if at >= from && at < from+len(value) {
			one.Dates = append(one.Dates, at-from)
		}
	}
	return one, err
}

// first returns the first element of a JSON array, or nil. Only the first argument of an answer
// crosses Redis.
func first(array []byte) ([]byte, error) {
	w := scanner{msgpack.Text{In: array}}
	if !w.Take('[') {
		return nil, ErrMalformed
	}
	if w.Peek() == ']' {
		return nil, nil
	}
	from := w.I
	if err := w.Value(); err != nil {
		return nil, err
	}
	return array[from:w.I], nil
}

// ResponseID returns the id of the request that msg answers, without parsing the rest and without
// allocating. It returns nil for a message that Node wouldn't write; ParseResponse may still read
// it.
func ResponseID(msg []byte) []byte {
	if len(msg) > 0 && msg[0] == '{' {
		return jsonResponseID(msg)
	}
	r := reader{B: msg}
	v, err := r.Next()
	if err != nil || v.Kind != msgpack.Map {
		return nil
	}
	for range v.Count {
		key, err := r.String()
		if err != nil {
			return nil
		}
		if string(key) == "requestId" {
			id, _ := r.String()
			return id
		}
		if r.Skip() != nil {
			return nil
		}
	}
	return nil
}

func jsonResponseID(msg []byte) []byte {
	msg = msg[1:]
	if rest, ok := bytes.CutPrefix(msg, []byte(`"type":`)); ok {
		_, msg, _ = bytes.Cut(rest, []byte{','})
	}
	msg, ok := bytes.CutPrefix(msg, []byte(`"requestId":"`))
	end := bytes.IndexByte(msg, '"')
	if !ok || end < 0 {
		return nil
	}
	return msg[:end]
}

// responseFields is a response in JSON.
type responseFields struct {
	ID          jsontext.Value `json:"requestId"`
	Type        *RequestType   `json:"type"`
	UID         string         `json:"uid"`
	Sockets     []socketFields `json:"sockets"`
	Rooms       roomNames      `json:"rooms"`
	Data        jsontext.Value `json:"data"`
	ClientCount *int           `json:"clientCount"`
	Packet      jsontext.Value `json:"packet"`
}

type socketFields struct {
	ID        string         `json:"id"`
	Handshake jsontext.Value `json:"handshake"`
	Rooms     roomNames      `json:"rooms"`
	Data      jsontext.Value `json:"data"`
}

// ParseResponse parses an answer to an AllRooms, RemoteFetch, ServerSideEmit or BroadcastWithAck.
// It checks the kind of each part. The caller knows which parts it asked for.
func ParseResponse(msg []byte) (a Response, err error) {
	text, attachments, err := unpack(msg)
	if err != nil {
		return a, err
	}
	var f responseFields
	if err := json.Unmarshal(text, &f, lenient); err != nil || !present(f.ID) {
		return a, ErrMalformed
	}
	a.ID, a.UID, a.Type = f.ID, f.UID, NoType
	if f.Type != nil {
		a.Type = *f.Type
	}
	switch a.Type {
	case ServerSideEmit:
		a.Answer = answer(f.Data, attachments)
	case BroadcastAck:
		a.Answer = answer(f.Packet, attachments)
	case BroadcastClientCount:
		if f.ClientCount == nil || *f.ClientCount < 0 {
			return a, ErrMalformed
		}
		a.ClientCount = *f.ClientCount
	}
	a.Rooms = f.Rooms
	if f.Sockets != nil {
		a.Sockets, err = sockets(f.Sockets, attachments)
	}
	return a, err
}

// sockets returns sockets whose placeholders refer to attachments of the whole message.
func sockets(fields []socketFields, attachments [][]byte) ([]Socket, error) {
	all := make([]Socket, len(fields))
	for i, s := range fields {
		if s.ID == "" {
			return nil, ErrMalformed
		}
		all[i] = Socket{ID: s.ID, Handshake: s.Handshake, Rooms: s.Rooms}
		all[i].Data, all[i].Attachments = ownAttachments(s.Data, attachments)
	}
	return all, nil
}

// answer puts an answer's value into an array, the form of arguments here.
func answer(value jsontext.Value, attachments [][]byte) packet.Payload {
	text := make([]byte, 0, len(value)+2)
	text = append(text, '[')
	text = append(text, value...)
	return packet.Payload{JSON: append(text, ']'), Attachments: attachments}
}
