package testkit

import (
	"strings"
	"testing"
)

// Message is a message of a Redis channel.
type Message struct{ Channel, Payload string }

// Heard keeps what a subscription to Redis reports. It has room for all that a test sends, so that
// the subscription never waits for the test.
type Heard struct {
	Messages   chan Message
	Ups, Downs chan struct{}
}

// NewHeard returns a Heard whose methods OnMessage, OnUp and OnDown a subscription calls.
func NewHeard() *Heard {
	return &Heard{Messages: make(chan Message, 1<<16), Ups: make(chan struct{}, 64), Downs: make(chan struct{}, 64)}
}

// OnMessage keeps a copy of a message.
func (h *Heard) OnMessage(channel string, payload []byte) bool {
	h.Messages <- Message{strings.Clone(channel), string(payload)}
	return false
}

// OnUp notes that the subscription is complete.
func (h *Heard) OnUp() { h.Ups <- struct{}{} }

// OnDown notes that the subscription is lost.
func (h *Heard) OnDown() { h.Downs <- struct{}{} }

// Expect waits for the next message and fails the test if it is another one.
func (h *Heard) Expect(t testing.TB, channel, payload string) {
	t.Helper()
	if got := Receive(t, payload+" on "+channel, h.Messages); got != (Message{channel, payload}) {
		t.Fatalf("heard %q on %q, want %q on %q", got.Payload, got.Channel, payload, channel)
	}
}
