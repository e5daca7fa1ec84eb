package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio"
)

// protocolApp is for the test suites of the two protocols: Engine.IO alone at /engine.io/,
// Socket.IO at /socket.io/.
func protocolApp(t timing) (app, error) {
	cors := &engineio.CORS{Origin: "*"}
	engine, err := engineio.New(engineio.Config{
		Path: "/engine.io/", PingInterval: t.pingInterval, PingTimeout: t.pingTimeout, MaxHTTPBufferSize: 1e6, CORS: cors,
		Open: func(s *engineio.Session) engineio.Receiver { return echo{s} },
	})
	if err != nil {
		return nil, err
	}
	io, err := socketio.New(socketio.Config{
		PingInterval: t.pingInterval, PingTimeout: t.pingTimeout, MaxHTTPBufferSize: 1e6, CORS: cors,
		ConnectTimeout: t.connectTimeout,
	})
	if err != nil {
		return nil, err
	}
	greet := func(s *socketio.Socket) { s.Emit("auth", s.Handshake().Auth) }
	io.OnConnect(greet)
	io.On("message", func(s *socketio.Socket, args socketio.Args) { s.Emit("message-back", args) })
	io.On("message-with-ack", func(args socketio.Args) socketio.Args { return args })
	io.Of("/custom").OnConnect(greet)
	return app{writable{engine}, engine, io}, nil
}

// writable answers, at /writable?SID, whether a session of the engine has a poll that waits.
type writable struct{ engine *engineio.Server }

func (writable) Handles(r *http.Request) bool { return r.URL.Path == "/writable" }

func (writable) Run(context.Context) error { return nil }

func (w writable) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	for s := range w.engine.Sessions() {
		if s.ID() == r.URL.RawQuery {
			fmt.Fprint(rw, s.SendVolatile()) // nothing is sent, but it says whether it could be
			return
		}
	}
	fmt.Fprint(rw, false)
}

// echo sends each message back as it came.
type echo struct{ session *engineio.Session }

func (e echo) Receive(data []byte, binary bool) {
	if binary {
		e.session.Send(engineio.NewBinary(data))
	} else {
		e.session.Send(engineio.NewText(data))
	}
}

func (echo) Idle()                {}
func (echo) Closed(string, error) {}
