package main

import (
	"errors"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

// message is one line of a conversation.
type message struct {
	Customer string    `json:"customer"`
	From     string    `json:"from"`
	Text     string    `json:"text"`
	At       time.Time `json:"at"`
}

// room is the conversation with a customer, in both namespaces.
func room(customer string) string { return "customer:" + customer }

func (d desk) serveCustomers() {
	n := d.customers
	d.admit(n, "customer")
	limitEvents(n)
	n.OnConnect(func(s *socketio.Socket) {
		s.Join(room(userOf(s).Name))
	})
	n.On("say", func(s *socketio.Socket, text string) (message, error) {
		customer := userOf(s).Name
		m, err := d.say(customer, userOf(s), text)
		if err == nil {
			err = d.agents.Except(room(customer)).Emit("waiting", customer)
		}
		return m, err
	})
	n.On("typing", func(s *socketio.Socket) error {
		name := userOf(s).Name
		return d.agents.To(room(name)).Volatile().Emit("typing", name)
	})
	n.On("upload", d.upload)
}

// say sends a message to all devices of a customer and to all agents in the conversation.
func (d desk) say(customer string, from user, text string) (message, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > 2000 {
		return message{}, &socketio.Error{Message: "a message has 1 to 2000 bytes", Data: len(text)}
	}
	m := message{Customer: customer, From: from.Name, Text: text, At: time.Now()}
	d.messages.WithLabelValues(from.Role).Inc()
	return m, errors.Join(
		d.journal.add(m),
		d.customers.To(room(customer)).Emit("said", m),
		d.agents.To(room(customer)).Emit("said", m),
	)
}
