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

// outside is the uid of servers on other hosts in messages to workers. Adapters take it for an
// emitter, which they don't count as a server. Version 0.2 has numbers instead, and no worker has
// this one.
const (
	outside       = "emitter"
	outsideWorker = -1
)

// generation is one of the two protocols of cluster-adapter, or that of our own adapter. They
// number their types differently.
type generation uint8

const (
	unknown  generation = iota
	second              // 0.2: workers have numbers
	third               // 0.3: the namespaces of workers have uids and send heartbeats
	injected            // adapter.js: as third, without heartbeats, and each server of a process has a number
)

// kind is the type of a message in either generation.
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

// types lists the kinds by their numbers.
var (
	types = map[generation][]kind{
		second: {kindNone, kindHello, kindBeat, kindGone, kindBroadcast, kindJoin, kindLeave, kindDisconnect, kindFetch, kindFetched,
			kindEvent, kindEventAnswer, kindCount, kindAck},
		third: thirdTypes, injected: thirdTypes,
	}
	thirdTypes = []kind{kindNone, kindHello, kindBeat, kindBroadcast, kindJoin, kindLeave, kindDisconnect, kindFetch, kindFetched,
		kindEvent, kindEventAnswer, kindCount, kindAck, kindGone}
)

// kindOf returns the kind of a message, or kindNone.
func (g generation) kindOf(o *ipc.Object) kind {
	n, ok := o.Int("type")
	if list := types[g]; ok && n > 0 && n < len(list) {
		return list[n]
	}
	return kindNone
}

// generationOf returns the generation of a worker's message.
func generationOf(o *ipc.Object) generation {
	if o.Text("cmd") == preloadCommand {
		return injected
	}
	if _, ok := o.Get("uid").(string); ok {
		return third
	}
	return second
}

// message makes a message of a namespace.
func (b *bridge) message(nsp, uid string, k kind) *ipc.Object {
	o := &ipc.Object{}
	if b.gen == injected {
		o.Set("cmd", preloadCommand).Set("act", "adapter").Set("server", float64(b.server))
	} else {
		o.Set("source", adapterSource)
	}
	if b.gen != second {
		o.Set("uid", uid)
	}
	if nsp != "" {
		o.Set("nsp", nsp)
	}
	for n, of := range types[b.gen] {
		if of == k {
			o.Set("type", float64(n))
		}
	}
	return o
}

// errRooms reports rooms that can't leave this host, because their names are neither strings nor
// integers.
var errRooms = errors.New("node: rooms with names that cannot be sent")

// targetOf reads the target of a message. After errRooms the message has no target on other
// hosts.
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

// roomsOf reads a list of rooms. It leaves out rooms that can't be sent to other servers.
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

// options makes the opts of a message.
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

// payloadOf encodes a list of arguments.
func payloadOf(v ipc.Value, limit int) (p packet.Payload, err error) {
	a, ok := v.(*ipc.Array)
	if !ok {
		return p, fmt.Errorf("node: arguments of type %T", v)
	}
	p.JSON, err = ipc.AppendText(nil, a, limit, &p.Attachments)
	return p, err
}

// answerOf encodes an answer: one value, or none.
func answerOf(v ipc.Value, limit int) (packet.Payload, error) {
	list := &ipc.Array{}
	if _, none := v.(ipc.Undefined); !none {
		list.Items = []ipc.Value{v}
	}
	return payloadOf(list, limit)
}

// valueOf decodes a payload.
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

// answerValue returns the first argument of an answer.
func answerValue(p packet.Payload) ipc.Value {
	a, err := valueOf(p)
	if err != nil || len(a.Items) == 0 {
		return ipc.Undefined{}
	}
	return a.Items[0]
}

// validNamespace reports whether an adapter can have a namespace of that name.
func validNamespace(name string) bool {
	return strings.HasPrefix(name, "/") && len(name) <= maxNamespace
}
