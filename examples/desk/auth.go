package main

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

// authenticate returns a middleware that admits users with a valid token and the given role.
func (d desk) authenticate(role string) func(context.Context, *socketio.Socket) error {
	return func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil {
			return socketio.NewError("auth is {token: …}")
		}
		u, err := d.tokens.verify(auth.Token)
		if err != nil {
			return socketio.NewError(err.Error())
		}
		if u.Role != role {
			return &socketio.Error{Message: "not for you", Data: map[string]string{"role": u.Role}}
		}
		return userKey.Set(s, u)
	}
}

// expire ends a connection when its token does. The client gets a new token and connects again.
func expire(s *socketio.Socket) {
	timer := time.AfterFunc(time.Until(userOf(s).Expires), func() {
		s.Emit("expired")
		s.Disconnect(true)
	})
	context.AfterFunc(s.Context(), func() { timer.Stop() })
}

// userKey is the user of a socket. It moves with the socket to another host.
var userKey = socketio.NewKey[user]("user")

// userOf returns the user of a socket. Each has one, since the middleware sets it.
func userOf(s *socketio.Socket) user {
	u, _ := userKey.Get(s)
	return u
}
