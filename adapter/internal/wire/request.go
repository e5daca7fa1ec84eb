package wire

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// RequestType numbers the requests of the classic adapter (docs/adapter-wire.md, 2.3). The last two
// are answers.
type RequestType int

// The requests, with Node's names.
const (
	Sockets RequestType = iota
	AllRooms
	RemoteJoin
	RemoteLeave
	RemoteDisconnect
	RemoteFetch
	ServerSideEmit
	BroadcastWithAck
	BroadcastClientCount
	BroadcastAck
)

// Request is a message on the request channel. Type says which fields are set.
type Request struct {
	UID  string // the sender; emitters and old servers send none
	ID   []byte // the requestId as JSON text; nil when no answer is wanted
	Type RequestType
	Options
	JoinLeave []string       // the rooms to join, to leave, or to list the sockets of
	SID       string         // the socket id of the form that old servers send, for one socket instead of Options
	Close     bool           // RemoteDisconnect: the transport too
	Data      packet.Payload // the event of a ServerSideEmit or a BroadcastWithAck
	Namespace string         // BroadcastWithAck
	// Sidereal says that the sender reads answers in Sidereal's form, not only in Node's. Node's
	// servers ignore it. Cluster messages don't have it, because their answers have one form.
	Sidereal bool
}

// AppendRequest appends q as Node sends it: as msgpack with a packet, otherwise as JSON. A
// server-side event with attachments also becomes msgpack, because in JSON its binary arguments
// would be lists of numbers. Sidereal is a last member that Node doesn't send.
func AppendRequest(dst []byte, q Request) ([]byte, error) {
	if q.Type == BroadcastWithAck || q.Type == ServerSideEmit && len(q.Data.Attachments) > 0 {
		return appendPackedRequest(dst, q)
	}
	dst = append(dst, '{')
	if q.UID != "" {
		dst = AppendString(append(dst, `"uid":`...), q.UID)
		dst = append(dst, ',')
	}
	if q.ID != nil {
		dst = append(append(dst, `"requestId":`...), q.ID...)
		dst = append(dst, ',')
	}
	dst = append(dst, `"type":`...)
	dst = append(dst, '0'+byte(q.Type))
	switch q.Type {
	case RemoteJoin, RemoteLeave:
		dst = appendJSONOptions(dst, q.Options)
		dst = appendJSONRooms(append(dst, `,"rooms":`...), q.JoinLeave)
	case RemoteDisconnect:
		dst = appendJSONOptions(dst, q.Options)
		if q.Close {
			dst = append(dst, `,"close":true`...)
		} else {
			dst = append(dst, `,"close":false`...)
		}
	case RemoteFetch:
		dst = appendJSONOptions(dst, q.Options)
	case ServerSideEmit:
		dst = append(append(dst, `,"data":`...), q.Data.JSON...)
	case Sockets:
		dst = appendJSONRooms(append(dst, `,"rooms":`...), q.JoinLeave)
	}
	if q.Sidereal {
		dst = append(dst, `,"sidereal":true`...)
	}
	return append(dst, '}'), nil
}

func appendJSONOptions(dst []byte, o Options) []byte {
	dst = appendJSONRooms(append(dst, `,"opts":{"rooms":`...), o.Rooms)
	dst = appendJSONRooms(append(dst, `,"except":`...), o.Except)
	return append(dst, '}')
}

func appendPackedRequest(dst []byte, q Request) ([]byte, error) {
	header := len(dst)
	dst = msgpack.AppendMapHeader(dst, 2)
	if q.UID != "" {
		dst = msgpack.AppendString(msgpack.AppendString(dst, "uid"), q.UID)
		dst[header]++
	}
	if q.ID != nil {
		var err error
		if dst, err = appendValue(msgpack.AppendString(dst, "requestId"), q.ID, nil); err != nil {
			return dst, err
		}
		dst[header]++
	}
	dst = append(msgpack.AppendString(dst, "type"), byte(q.Type))
	var err error
	if q.Type == ServerSideEmit { // its dates are text, as in Node's JSON
		dst, err = appendValue(msgpack.AppendString(dst, "data"), q.Data.JSON, q.Data.Attachments)
	} else if dst, err = appendPacket(msgpack.AppendString(dst, "packet"), q.Namespace, q.Data); err == nil {
		dst = appendOptions(msgpack.AppendString(dst, "opts"), q.Options)
		dst[header]++
	}
	if q.Sidereal {
		dst = append(msgpack.AppendString(dst, "sidereal"), 0xc3)
		dst[header]++
	}
	return dst, err
}

// RequestFrom reports, from the first bytes of a request and without allocating, whether uid sent
// it. It recognizes only requests whose first field is the uid, as in all of Node's; ParseRequest
// reads the others.
func RequestFrom(msg []byte, uid string) bool {
	const jsonHead = `{"uid":"`
	if len(msg) > len(jsonHead)+len(uid) && string(msg[:len(jsonHead)]) == jsonHead {
		rest := msg[len(jsonHead):]
		return string(rest[:len(uid)]) == uid && rest[len(uid)] == '"'
	}
	r := reader{B: msg}
	if v, err := r.Next(); err != nil || v.Kind != msgpack.Map || v.Count == 0 {
		return false
	}
	if key, err := r.String(); err != nil || string(key) != "uid" {
		return false
	}
	got, err := r.String()
	return err == nil && string(got) == uid
}

// IsRequest reports whether msg begins as our requests do, with the sender's uid. Answers never
// do. On a channel for answers it is a request to one server.
func IsRequest(msg []byte) bool {
	if len(msg) > 0 && msg[0] == '{' {
		return bytes.HasPrefix(msg, []byte(`{"uid":`))
	}
	r := reader{B: msg}
	if v, err := r.Next(); err != nil || v.Kind != msgpack.Map || v.Count == 0 {
		return false
	}
	key, err := r.String()
	return err == nil && string(key) == "uid"
}

// requestFields is a request in JSON.
type requestFields struct {
	UID    string         `json:"uid"`
	ID     jsontext.Value `json:"requestId"`
	Type   *RequestType   `json:"type"`
	Opts   *optionFields  `json:"opts"`
	Rooms  roomNames      `json:"rooms"`
	SID    string         `json:"sid"`
	Room   jsontext.Value `json:"room"`
	Close  bool           `json:"close"`
	Data   jsontext.Value `json:"data"`
	Ours   jsontext.Value `json:"sidereal"`
	Packet *struct {
		Type      *int           `json:"type"`
		Data      jsontext.Value `json:"data"`
		Namespace *string        `json:"nsp"`
	} `json:"packet"`
}

type optionFields struct {
	Rooms  roomNames      `json:"rooms"`
	Except roomNames      `json:"except"`
	Flags  jsontext.Value `json:"flags"`
}

// lenient reads JSON like JSON.parse.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// unpack returns msg as JSON, converted if it is msgpack. Node also distinguishes them by the
// first byte.
func unpack(msg []byte) (text []byte, attachments [][]byte, err error) {
	if len(msg) > 0 && msg[0] == '{' {
		return msg, nil, nil
	}
	return DecodeValue(make([]byte, 0, len(msg)*5/4), nil, msg)
}

// ParseRequest parses a request in JSON or msgpack. It refuses a request that lacks what its type
// needs. Callers ignore unknown types.
func ParseRequest(msg []byte) (q Request, err error) {
	text, attachments, err := unpack(msg)
	if err != nil {
		return q, err
	}
	var f requestFields
	if err := json.Unmarshal(text, &f, lenient); err != nil || f.Type == nil {
		return q, ErrMalformed
	}
	q.UID, q.Type, q.Close, q.JoinLeave = f.UID, *f.Type, f.Close, f.Rooms
	q.Sidereal = q.UID != "" && f.Ours.Kind() == 't'
	if present(f.ID) {
		q.ID = f.ID
	}
	if f.Opts != nil {
		q.Options = Options{Rooms: f.Opts.Rooms, Except: f.Opts.Except}
	} else {
		q.SID = f.SID
	}
	switch q.Type {
	case RemoteJoin, RemoteLeave:
		return q, q.parseJoinLeave(f)
	case RemoteDisconnect, RemoteFetch:
		if f.Opts == nil && (q.SID == "" || q.Type == RemoteFetch) {
			err = ErrMalformed
		}
	case ServerSideEmit:
		q.Data = packet.Payload{JSON: f.Data, Attachments: attachments}
		err = checkEventText(f.Data)
	case BroadcastWithAck:
		return q, q.parseBroadcast(f, attachments)
	}
	return q, err
}

func present(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != 'n' }

func (q *Request) parseJoinLeave(f requestFields) error {
	if f.Opts != nil {
		if len(q.JoinLeave) == 0 {
			return ErrMalformed
		}
		return nil
	}
	room, ok := roomFromJSON(f.Room)
	if q.SID == "" || !ok {
		return ErrMalformed
	}
	q.JoinLeave = []string{room}
	return nil
}

func (q *Request) parseBroadcast(f requestFields, attachments [][]byte) error {
	p := f.Packet
	if p == nil || f.Opts == nil || q.ID == nil || p.Type != nil && *p.Type != eventType && *p.Type != binaryEventType {
		return ErrMalformed
	}
	if err := checkEventText(p.Data); err != nil {
		return err
	}
	q.Namespace = "/"
	if p.Namespace != nil {
		q.Namespace = *p.Namespace
	}
	if present(f.Opts.Flags) {
		flags, err := appendValue(nil, f.Opts.Flags, nil)
		if err != nil {
			return err
		}
		q.Flags = parseFlags(flags)
	}
	if attachments != nil {
		q.Data = packet.Payload{JSON: p.Data, Attachments: attachments}
		return nil
	}
	// Clients get it, so it goes through msgpack and back, like everything else.
	packed, err := appendValue(nil, p.Data, nil)
	if err != nil {
		return err
	}
	q.Data.JSON, _, err = DecodeValue(nil, nil, packed)
	return err
}

// checkEventText returns an error unless text is a JSON array that begins with an event's name.
func checkEventText(text jsontext.Value) error {
	if text.Kind() != '[' {
		return ErrMalformed
	}
	d := jsontext.NewDecoder(bytes.NewReader(text), lenient)
	_, _ = d.ReadToken()
	if k := d.PeekKind(); k != '"' && k != '0' {
		return ErrMalformed
	}
	return nil
}
