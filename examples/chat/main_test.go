package main

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// TestChat runs the chat on two servers that share their rooms, as on two hosts.
func TestChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := socketiotest.ServeCluster(t, 2, socketio.Config{}, chat)
		as := func(name string) map[string]string { return map[string]string{"name": name} }
		if got := hosts[0].Refused("/", as(" ")); got.Message != "say who you are" {
			t.Errorf("a client without a name was told %q", got.Message)
		}
		ada, bob := hosts[0].Connect("/", as("Ada")), hosts[1].Connect("/", as("Bob"))
		if present := socketiotest.Call[[]string](ada, "join", "lobby"); !slices.Equal(present, []string{"Ada"}) {
			t.Errorf("in the lobby: %v", present)
		}
		if got := bob.Fails("say", "lobby", "too early"); got.Message != "join the room first" || got.Data.String() != `"lobby"` {
			t.Errorf("too early: %v, %v", got, got.Data)
		}
		if present := socketiotest.Call[[]string](bob, "join", "lobby"); !slices.Equal(present, []string{"Ada", "Bob"}) {
			t.Errorf("in the lobby: %v", present)
		}
		ada.Want("joined", "lobby", "Bob")
		hello := said{Room: "lobby", From: "Bob", Text: "hello", At: time.Now()}
		bob.Call("say", "lobby", "hello")
		ada.Want("said", hello)
		bob.Socket.Disconnect()
		ada.Want("left", "lobby", "Bob")
	})
}
