package main

import (
	"slices"
	"testing"
	"testing/synctest"

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
		var who []string
		if err := ada.Call("who").Scan(&who); err != nil || !slices.Equal(who, []string{"Ada", "Bob"}) {
			t.Errorf("online are %v: %v", who, err)
		}
		ada.WantNothing()

		bob.Socket.Disconnect()
		synctest.Wait()
		ada.WantNothing() // one connection is left
		again.Socket.Disconnect()
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
