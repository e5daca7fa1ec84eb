package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// customer connects somebody who answers the shop's question so, or never.
func customer(t *testing.T, s *socketiotest.Server, answers ...bool) *socketiotest.Client {
	c := s.Connect("/", nil)
	c.Socket.On("confirm", func(total int, ack client.Ack) {
		for _, yes := range answers {
			ack(yes)
		}
	})
	return c
}

func TestOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := socketiotest.Serve(t, socketio.Config{}, shop)
		want := receipt{Number: 1, Total: 6}
		if got := socketiotest.Call[receipt](customer(t, s, true), "order", order{"tea", 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for _, c := range []struct {
			name    string
			who     *socketiotest.Client
			order   order
			message string
			data    string
		}{
			{"refused", customer(t, s, false), order{"cake", 1}, "not confirmed", "null"},
			{"silent", customer(t, s), order{"cake", 1}, "not confirmed in time", "null"},
			{"unknown", customer(t, s), order{"gold", 1}, `we have no "gold"`, "null"},
			{"nothing", customer(t, s), order{"tea", 0}, "nothing ordered", `{"item":"tea","count":0}`},
		} {
			start := time.Now()
			if got := c.who.Fails("order", c.order); got.Message != c.message || got.Data.String() != c.data {
				t.Errorf("%s: %v %v, want %s %s", c.name, got, got.Data, c.message, c.data)
			}
			if waited := time.Since(start); (c.name == "silent") != (waited == patience) {
				t.Errorf("%s: answered after %v", c.name, waited)
			}
		}
	})
}

func TestPrice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := socketiotest.Serve(t, socketio.Config{}, shop).Connect("/", nil)
		if coins := socketiotest.Call[int](c, "price", "tea"); coins != 3 {
			t.Errorf("tea costs %d", coins)
		}
	})
}
