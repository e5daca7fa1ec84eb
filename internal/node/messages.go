package node

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// adapterSource marks messages of @socket.io/cluster-adapter.
const adapterSource = "_sio_adapter"

// outside is the uid under which servers beyond this host speak to workers. Adapters take it for an emitter's, which is no
// server and not counted. In version 0.2 servers have numbers; no worker has this one.
const (
	outside       = "emitter"
	outsideWorker = -1
)

// generation is one of the two protocols that cluster-adapter has spoken. Their types have other numbers, so messages of
// one mean something else in the other.
type generation uint8

const (
	unknown generation = iota
	second             // 0.2: workers are known by their numbers
	third              // 0.3: namespaces of workers have uids, and beat
)

// kind is what a message is about, whatever its generation.
type kind uint8

const (
	kindNone kind = iota
	kindHello
	kindBeat
	kindGone
	kindBroadcast
	kindJoin
	kindLeave
	kindDisconnect
	kindFetch
	kindFetched
	kindEvent
	kindEventAnswer
	kindCount
	kindAck
)

// types are the numbers of the kinds.
var types = map[generation][]kind{
	second: {kindNone, kindHello, kindBeat, kindGone, kindBroadcast, kindJoin, kindLeave, kindDisconnect, kindFetch, kindFetched,
		kindEvent, kindEventAnswer, kindCount, kindAck},
	third: {kindNone, kindHello, kindBeat, kindBroadcast, kindJoin, kindLeave, kindDisconnect, kindFetch, kindFetched,
		kindEvent, kindEventAnswer, kindCount, kindAck, kindGone},
}

// kindOf reads a message's kind; kindNone: of none.
func (g generation) kindOf(o *ipc.Object) kind {
	n, ok := o.Int("type")
	if list := types[g]; ok && n > 0 && n < len(list) {
		return list[n]
	}
	return kindNone
}

// message makes a message of a namespace.
func (g generation) message(nsp, uid string, k kind) *ipc.Object {
	o := (&ipc.Object{}).Set("source", adapterSource)
	if g == third {
		o.Set("uid", uid)
	}
	if nsp != "" {
		o.Set("nsp", nsp)
	}
	for n, of := range types[g] {
		if of == k {
			o.Set("type", float64(n))
		}
	}
	return o
}

// errRooms reports rooms that only processes of one host can have: their names are neither strings nor integers.
var errRooms = errors.New("node: rooms with names that cannot be sent")

// targetOf reads whom a message is for. With errRooms the target is nobody beyond this host.
func targetOf(opts *ipc.Object) (t cluster.Target, flags cluster.Flags, err error) {
	rooms, ok := opts.Get("rooms").(*ipc.Array)
	except, ok2 := opts.Get("except").(*ipc.Array)
	if !ok || !ok2 {
		return t, flags, errNotSent
	}
	t.Rooms, t.Except = roomsOf(rooms), roomsOf(except)
	if len(t.Rooms) == 0 && len(rooms.Items) > 0 {
		return t, flags, errRooms
	}
	f := opts.Object("flags")
	flags.Volatile, _ = f.Get("volatile").(bool)
	flags.ExpectSingleResponse, _ = f.Get("expectSingleResponse").(bool)
	if compress, ok := f.Get("compress").(bool); ok {
		flags.Compress = &compress
	}
	if ms, ok := f.Get("timeout").(float64); ok && ms > 0 && ms < maxTimeout {
		flags.Timeout = milliseconds(ms)
	}
	return t, flags, nil
}

// roomsOf reads the rooms of a list that can be told to other servers.
func roomsOf(a *ipc.Array) []string {
	rooms := make([]string, 0, len(a.Items))
	for _, item := range a.Items {
		switch room := item.(type) {
		case string:
			rooms = append(rooms, room)
		case float64:
			if n, ok := ipc.Int(room); ok {
				rooms = append(rooms, packet.NumberRoom(int64(n)))
			}
		}
	}
	return rooms
}

// rooms writes a list of rooms.
func rooms(list []string) *ipc.Array {
	a := &ipc.Array{Items: make([]ipc.Value, len(list))}
	for i, room := range list {
		a.Items[i] = room
		if n, ok := packet.RoomNumber(room); ok {
			a.Items[i] = float64(n)
		}
	}
	return a
}

// options writes whom a message is for.
func options(t cluster.Target, f cluster.Flags) *ipc.Object {
	flags := &ipc.Object{}
	if f.Volatile {
		flags.Set("volatile", true)
	}
	if f.Compress != nil {
		flags.Set("compress", *f.Compress)
	}
	if f.Timeout > 0 {
		flags.Set("timeout", float64(f.Timeout.Milliseconds()))
	}
	if f.ExpectSingleResponse {
		flags.Set("expectSingleResponse", true)
	}
	return (&ipc.Object{}).Set("rooms", rooms(t.Rooms)).Set("except", rooms(t.Except)).Set("flags", flags)
}

// payloadOf makes the payload of a list of values; what stands alone is a list of one, or of none where it is undefined.
func payloadOf(v ipc.Value, limit int) (p packet.Payload, err error) {
	a, ok := v.(*ipc.Array)
	if !ok {
		return p, fmt.Errorf("node: arguments of type %T", v)
	}
	p.JSON, err = ipc.AppendText(nil, a, limit, &p.Attachments)
	return p, err
}

// answerOf makes the payload of an answer, which is one value or none.
func answerOf(v ipc.Value, limit int) (packet.Payload, error) {
	list := &ipc.Array{}
	if _, none := v.(ipc.Undefined); !none {
		list.Items = []ipc.Value{v}
	}
	return payloadOf(list, limit)
}

// valueOf reads a payload.
func valueOf(p packet.Payload) (*ipc.Array, error) {
	v, err := ipc.FromText(p.JSON, p.Attachments)
	if err != nil {
		return nil, err
	}
	a, ok := v.(*ipc.Array)
	if !ok {
		return nil, fmt.Errorf("node: a payload must be a list")
	}
	return a, nil
}

// answerValue is the value of an answer: its first argument.
func answerValue(p packet.Payload) ipc.Value {
	a, err := valueOf(p)
	if err != nil || len(a.Items) == 0 {
		return ipc.Undefined{}
	}
	return a.Items[0]
}

// validNamespace tells names that an adapter can have.
func validNamespace(name string) bool {
	return strings.HasPrefix(name, "/") && len(name) <= maxNamespace
}
