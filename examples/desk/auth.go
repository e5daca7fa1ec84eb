package main

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

// admit lets users with a role into a namespace, for as long as their tokens are valid.
func (d desk) admit(n *socketio.Namespace, role string) {
	n.Share(userKey)
	n.Use(d.authenticate(role))
	n.OnRecover(stillValid)
	n.OnConnect(expire)
	n.OnConnect(welcome)
	n.On("renew", d.renew)
}

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

// userKey is the user of a socket. All hosts see it, and a recovered client has it again.
var userKey = socketio.NewKey[user]("user")

// userOf returns the user of a socket. Each has one, since authenticate sets it.
func userOf(s socketio.AnySocket) user {
	u, _ := userKey.Get(s)
	return u
}

// expiry is the timer that ends a connection. It can't leave this process, so it is a Local.
var expiry = socketio.NewLocal[*time.Timer]()

// expire ends a connection when its token does. The client gets a new token and connects again.
func expire(s *socketio.Socket) {
	timer := time.AfterFunc(time.Until(userOf(s).Expires), func() {
		s.Emit("expired")
		s.Disconnect(true)
	})
	expiry.Set(s, timer)
	context.AfterFunc(s.Context(), func() { timer.Stop() })
}

// welcome tells a client who it is, and when to renew its token. Only a client that has received an
// event can be recovered.
func welcome(s *socketio.Socket) {
	if !s.Recovered() {
		s.Emit("welcome", userOf(s))
	}
}

// renew takes a newer token of the same user, so that the connection goes on.
func (d desk) renew(s *socketio.Socket, token string) error {
	u, err := d.tokens.verify(token)
	if old := userOf(s); err != nil || u.Name != old.Name || u.Role != old.Role {
		return socketio.NewError("not a newer token of yours")
	}
	if timer, ok := expiry.Get(s); ok {
		timer.Reset(time.Until(u.Expires))
	}
	return userKey.Set(s, u)
}

// stillValid refuses to recover a client whose token has ended while it was away.
func stillValid(_ context.Context, s *socketio.Socket) error {
	if time.Now().After(userOf(s).Expires) {
		return errToken
	}
	return nil
}
