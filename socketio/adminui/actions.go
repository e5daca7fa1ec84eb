package adminui

import (
	"github.com/sidereal-io/sidereal/socketio"
)

// addActions lets admins act on sockets. A filter is a room, or the id of a socket; nil means all
// sockets of the namespace.
func (u *ui) addActions() {
	u.admins.On("emit", func(s *socketio.Socket, nsp string, filter *string, event string, args socketio.Args) {
		u.act(s, "emit", nsp, filter, func(o socketio.Operator) error { return o.Emit(event, args) }, "event", event)
	})
	u.admins.On("join", func(s *socketio.Socket, nsp, room string, filter *string) {
		u.act(s, "join", nsp, filter, func(o socketio.Operator) error { return o.SocketsJoin(room) }, "room", room)
	})
	u.admins.On("leave", func(s *socketio.Socket, nsp, room string, filter *string) {
		u.act(s, "leave", nsp, filter, func(o socketio.Operator) error { return o.SocketsLeave(room) }, "room", room)
	})
	u.admins.On("_disconnect", func(s *socketio.Socket, nsp string, closeTransport bool, filter *string) {
		u.act(s, "disconnect", nsp, filter, func(o socketio.Operator) error { return o.DisconnectSockets(closeTransport) })
	})
}

// act does what an admin asks for, and logs it.
func (u *ui) act(s *socketio.Socket, action, nsp string, filter *string, do func(socketio.Operator) error, fields ...any) {
	fields = append([]any{"action", action, "address", s.Handshake().Address, "namespace", nsp}, fields...)
	n := u.namespace(nsp)
	if n == nil { // an admin must not make namespaces, which would let everybody in
		u.log.Warn("admin UI: action refused: this server has no such namespace", fields...)
		return
	}
	o := n.To()
	if filter != nil && *filter != "" {
		o = n.To(*filter)
		fields = append(fields, "room_or_socket", *filter)
	}
	if err := do(o); err != nil {
		u.log.Warn("admin UI: action failed", append(fields, "error", err)...)
		return
	}
	u.log.Info("admin UI: action", fields...)
}

// namespace returns a namespace that exists.
func (u *ui) namespace(name string) *socketio.Namespace {
	for n := range u.io.Namespaces() {
		if n.Name() == name {
			return n
		}
	}
	return nil
}
