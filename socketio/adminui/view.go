package adminui

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

// view is a socket as the UI knows it.
type view struct {
	ID        string                     `json:"id"`
	ClientID  string                     `json:"clientId"`
	Transport string                     `json:"transport"`
	Namespace string                     `json:"nsp"`
	Data      map[string]any             `json:"data"`
	Handshake map[string]json.RawMessage `json:"handshake"`
	Rooms     []string                   `json:"rooms"`
}

// maxValue limits the bytes of one value of a socket's data, and of the arguments of one event.
const maxValue = 8 << 10

// clientIDLength is how much of a session's id the UI gets. The whole would let an admin take the
// session over.
const clientIDLength = 12

func newView(n *socketio.Namespace, s socketio.RemoteSocket) view {
	m, _ := markKey.Get(s) // another server may not have set it yet
	v := view{ID: s.ID, ClientID: m.ClientID, Transport: m.Transport, Namespace: n.Name(), Data: viewData(s), Rooms: s.Rooms}
	h := s.Handshake
	h.Auth = nil
	h.Headers = h.Headers.Clone()
	for _, secret := range []string{"Authorization", "Cookie"} {
		if h.Headers.Get(secret) != "" {
			h.Headers.Set(secret, "(hidden)")
		}
	}
	if text, err := json.Marshal(h); err == nil {
		_ = json.Unmarshal(text, &v.Handshake) // an object, by its own MarshalJSON
	}
	delete(v.Handshake, "auth")
	if v.Rooms == nil {
		v.Rooms = []string{}
	}
	return v
}

// viewData returns a socket's data without what is ours.
func viewData(s socketio.RemoteSocket) map[string]any {
	var members map[string]socketio.Value
	if err := s.DecodeData(&members); err != nil {
		return map[string]any{}
	}
	data := make(map[string]any, len(members))
	for name, value := range members {
		if name != markKey.Name() {
			data[name] = short(value)
		}
	}
	return data
}

// short returns a value, or how long it is.
func short(v socketio.Value) any {
	if v.Size() > maxValue {
		return fmt.Sprintf("(%d bytes)", v.Size())
	}
	return v
}

// viewEvent returns an event with its arguments.
func viewEvent(event string, args socketio.Args) []any {
	list := []any{event}
	size := 0
	for i := range args.Len() {
		v := args.Value(i)
		if size += v.Size(); size > maxValue {
			return append(list, fmt.Sprintf("(%d arguments more)", args.Len()-i))
		}
		list = append(list, v)
	}
	return list
}

// date is a time as JavaScript's JSON has it.
func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
