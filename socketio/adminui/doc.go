// Package adminui lets the official Admin UI of Socket.IO, @socket.io/admin-ui, watch and steer the
// servers of a cluster. Servers of Node that call its instrument may be among them.
//
//	hash := os.Getenv("ADMIN_HASH") // of bcrypt: htpasswd -nB admin
//	err := adminui.Instrument(io, adminui.Config{User: "admin", PasswordHash: hash})
//
// Instrument comes before the first client. Package worker calls it for SIDEREAL_ADMIN_UI.
//
// # What it costs
//
// While no admin is connected, to any server, an instrumented server sends nothing: it only keeps
// each socket's transport in its data, as _admin, like Node's servers. While one is, each server
// sends its counts every 2 seconds. In development mode it also tells of sockets, rooms and events.
// All servers together show at most [MaxSockets] sockets, and a server tells at most
// [MaxEventsPerSecond] events. The column of host names says what was left out.
//
// # What admins see
//
// Everybody who may connect sees headers, queries, data and events of clients. The UI never gets
// the values that a client authenticates with: Handshake.Auth, and the headers Cookie and
// Authorization. Each action of an admin is written to the log.
//
// # Protocol
//
// That of @socket.io/admin-ui 0.5.1.
package adminui
