package main

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

func TestPresenceAcrossHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := socketiotest.ServeCluster(t, 2, socketio.Config{}, presence)
		as := func(name string) map[string]string { return map[string]string{"name": name} }
		ada := hosts[0].Connect("/", as("Ada"))
		ada.Want("online", "Ada")
		bob := hosts[1].Connect("/", as("Bob"))
		ada.Want("online", "Bob")
		bob.Want("online", "Bob")

		again := hosts[0].Connect("/", as("Bob")) // on another host this time: no news
		synctest.Wait()
		if who := socketiotest.Call[[]string](ada, "who"); !slices.Equal(who, []string{"Ada", "Bob"}) {
			t.Errorf("online are %v", who)
		}
		ada.WantNothing()

		bob.Socket.Disconnect()
		ada.WantNothing() // one connection is left
		again.Socket.Disconnect()
		ada.Want("offline", "Bob")
	})
}

// TestAShortBreakIsNoNews: with recovery, a client that loses its connection hasn't left.
func TestAShortBreakIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := socketiotest.ServeCluster(t, 2, socketio.Config{Recovery: &socketio.Recovery{}}, presence)
		ada := hosts[0].Connect("/", map[string]string{"name": "Ada"})
		ada.Want("online", "Ada")
		bob := hosts[1].Dial(client.Config{Auth: map[string]string{"name": "Bob"}, Transports: []string{client.WebSocket}}).Of("/")
		back := make(chan bool, 2)
		bob.OnConnect(func() { back <- bob.Recovered() })
		if err := bob.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		ada.Want("online", "Bob")
		<-back
		for session := range hosts[1].Engine().Sessions() {
			session.Close()
		}
		if !<-back {
			t.Fatal("not recovered")
		}
		synctest.Wait()
		ada.WantNothing()
		bob.Disconnect()
		ada.Want("offline", "Bob")
	})
}

func TestNobodyComesWithoutAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := socketiotest.Serve(t, socketio.Config{}, presence)
		if got := s.Refused("/", nil); got.Message != "say who you are" {
			t.Errorf("refused with %q", got.Message)
		}
	})
}
