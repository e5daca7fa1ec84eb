package client

import (
	"encoding/json"
	"fmt"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// session is what connection state recovery needs (Socket.IO v4.6 and later): the private id of the
// session, and the offset that the server put behind the arguments of the last event.
type session struct {
	pid    string
	offset []byte // the JSON string as it came; empty before the first event
}

// begun notes the pid of a new connection ("": the server has no recovery) and reports whether the
// session is the one before.
func (s *session) begun(pid string) (recovered bool) {
	recovered = pid != "" && pid == s.pid
	if !recovered {
		s.offset = nil
	}
	s.pid = pid
	return recovered
}

// saw stores the offset of an event. Events that ask for an acknowledgement have none.
func (s *session) saw(t task) {
	if s.pid == "" || t.id != packet.NoID || t.args.Len() == 0 {
		return
	}
	if last := t.args.Raw(t.args.Len() - 1); last[0] == '"' {
		s.offset = append(s.offset[:0], last...)
	}
}

// auth is the body of a CONNECT: the user's object, with pid and offset in front if there is
// something to recover.
func (s *session) auth(user any) ([]byte, error) {
	var body []byte
	if user != nil {
		p, err := packet.EncodeArgs(user)
		if err != nil {
			return nil, err
		}
		body = p.JSON[1 : len(p.JSON)-1]
		if len(p.Attachments) > 0 || packet.ParseObject(body) != nil {
			return nil, fmt.Errorf("client: auth is a %T, which does not encode to a JSON object", user)
		}
	}
	if s.pid == "" {
		return body, nil
	}
	pid, err := json.Marshal(s.pid)
	if err != nil {
		return nil, err
	}
	head := fmt.Appendf(nil, `{"pid":%s`, pid)
	if len(s.offset) > 0 {
		head = append(append(head, `,"offset":`...), s.offset...)
	}
	if len(body) > 2 {
		return append(append(head, ','), body[1:]...), nil
	}
	return append(head, '}'), nil
}
