// Package socketio is a Socket.IO v4 server.
package socketio
