package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// greetLocked sends the socket's CONNECT, or starts AuthFunc for it.
func (s *Socket) greetLocked() {
	if s.asked {
		return // by an earlier Connect that gave up; its answer serves this one, too
	}
	if s.client.set.AuthFunc != nil {
		s.client.authorize(s)
		return
	}
	s.askLocked(s.client.set.Auth)
}

// authorize asks AuthFunc on a goroutine of its own, since it may block.
func (s *Socket) authorize(ctx context.Context, conn *engine.Conn) {
	auth, err := s.client.set.AuthFunc(ctx, s.name)
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.conn != conn || !s.active || s.connected || s.asked: // too late
	case err != nil:
		s.refusedLocked(fmt.Errorf("client: connect %s: auth: %w", s.name, err))
	default:
		s.askLocked(auth)
	}
}

func (s *Socket) askLocked(auth any) {
	body, err := s.session.auth(auth)
	if err == nil {
		err = s.sendLocked(packet.Header{Type: packet.Connect, Namespace: s.name, ID: packet.NoID}, body, nil)
	}
	if err == nil {
		s.asked = true
	} else if !errors.Is(err, engine.ErrClosed) { // of a lost connection run hears
		s.refusedLocked(err)
	}
}

// answered reads the server's answer to CONNECT.
func (l *link) answered(s *Socket, body []byte) error {
	var told struct{ SID, PID string }
	if err := json.Unmarshal(body, &told); err != nil || told.SID == "" {
		return errors.New("client: CONNECT answered without a socket id: server of protocol 4 or older")
	}
	s.asked = false
	switch {
	case !s.active: // Disconnect was called meanwhile
		return ignoreClosed(s.sendLocked(packet.Header{Type: packet.Disconnect, Namespace: s.name, ID: packet.NoID}, nil, nil))
	case !s.connected:
		s.connectedLocked(told.SID, told.PID)
	}
	return nil
}

// refused reads a CONNECT_ERROR.
func (l *link) refused(s *Socket, body []byte) {
	s.asked = false
	if !s.active || s.connected {
		return
	}
	e := &ConnectError{Namespace: s.name}
	var told struct {
		Message string
		Data    json.RawMessage
	}
	if err := json.Unmarshal(body, &told); err == nil {
		e.Message, e.Data = told.Message, told.Data
	}
	s.refusedLocked(e)
}
