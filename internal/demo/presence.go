package demo

import (
	"cmp"
	"context"
	"slices"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/socketio"
)

const (
	lobby   = "\x00people" // the room of everyone who said hello; no client can name it by accident
	maxName = 24           // characters
)

// person is a user of the chat page, as others see them.
type person struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Worker    string `json:"worker"`
	Slot      int    `json:"slot"`
	Host      string `json:"host"`
	Transport string `json:"transport"`
}

// personKey has the person that a socket said hello as.
var personKey = socketio.NewKey[person]("person")

type hello struct {
	Name string `json:"name"`
}

// keepPresence tells people who said hello about each other. Load generators don't say hello, so
// they cause no presence events.
func (d *demo) keepPresence() {
	d.io.Share(personKey)
	d.io.On("hello", d.hello)
	d.io.On("people", d.people)
	d.io.OnGone(d.left)
}

// hello makes the socket a person, or updates the person's name and transport.
func (d *demo) hello(s *socketio.Socket, h hello) error {
	if h.Name == "" || utf8.RuneCountInString(h.Name) > maxName {
		return &socketio.Error{Message: "a name has 1 to 24 characters"}
	}
	p := person{ID: s.ID(), Name: h.Name, Worker: d.me.ID, Slot: d.me.Slot, Host: d.me.Host, Transport: s.Transport()}
	if err := personKey.Set(s, p); err != nil {
		return err
	}
	s.Join(lobby)
	return d.io.To(lobby).Emit("joined", p)
}

// people lists the people on all hosts.
func (d *demo) people(ctx context.Context) ([]person, error) {
	sockets, err := d.io.To(lobby).FetchSockets(ctx)
	if err != nil && len(sockets) == 0 {
		return nil, err
	}
	people := make([]person, 0, len(sockets))
	for _, s := range sockets {
		if p, err := personKey.Get(s); err == nil {
			people = append(people, p)
		}
	}
	slices.SortFunc(people, func(a, b person) int { return cmp.Compare(a.Name, b.Name) })
	return people, nil
}

// left tells the others that a person won't come back.
func (d *demo) left(s socketio.RemoteSocket) {
	if _, err := personKey.Get(s); err == nil {
		_ = d.io.To(lobby).Emit("left", map[string]string{"id": s.ID}) // fails only for what JSON can't say
	}
}
