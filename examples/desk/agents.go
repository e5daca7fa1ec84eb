package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

func (d desk) serveAgents() {
	n := d.agents
	d.admit(n, "agent")
	limitEvents(n)
	n.OnConnect(func(s *socketio.Socket) {
		s.Join(devices(userOf(s).Name))
	})
	n.On("take", d.take)
	n.On("say", func(s *socketio.Socket, customer, text string) (message, error) {
		if !slices.Contains(s.Rooms(), room(customer)) {
			return message{}, socketio.NewError("take the conversation first")
		}
		return d.say(customer, userOf(s), text)
	})
	n.On("finish", d.finish)
	n.On("read", d.read)
	n.On("who", d.present)
	d.announce()
}

// devices is the room of an agent's connections, on all hosts.
func devices(agent string) string { return "agent:" + agent }

// take adds an agent to the conversation with a customer, on all devices.
func (d desk) take(s *socketio.Socket, customer string) error {
	agent := userOf(s).Name
	slog.Info("conversation taken", "agent", agent, "customer", customer)
	return errors.Join(
		d.agents.To(devices(agent)).SocketsJoin(room(customer)),
		d.customers.To(room(customer)).Emit("taken", agent),
	)
}

// finish asks the customer whether the problem is solved. If so, it ends the conversation.
func (d desk) finish(ctx context.Context, s *socketio.Socket, customer string) (bool, error) {
	answers, err := d.customers.To(room(customer)).Timeout(10*time.Second).EmitWithAck(ctx, "solved?")
	if err != nil && !errors.Is(err, socketio.ErrTimeout) {
		return false, err
	}
	for _, answer := range answers { // one from each device
		var solved bool
		if answer.Scan(&solved) == nil && solved {
			return true, d.agents.To(room(customer)).SocketsLeave(room(customer))
		}
	}
	return false, nil
}
