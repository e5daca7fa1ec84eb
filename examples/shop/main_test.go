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
		for _, c := range []struct {
			name   string
			who    *socketiotest.Client
			order  order
			answer string
		}{
			{"confirmed", customer(t, s, true), order{"tea", 2}, `[{"number":1,"total":6}]`},
			{"refused", customer(t, s, false), order{"cake", 1}, `[{"error":"not confirmed"}]`},
			{"silent", customer(t, s), order{"cake", 1}, `[{"error":"not confirmed in time"}]`},
			{"unknown", customer(t, s), order{"gold", 1}, `[{"error":"we have no \"gold\""}]`},
			{"nothing", customer(t, s), order{"tea", 0}, `[{"error":"nothing ordered","data":{"item":"tea","count":0}}]`},
		} {
			start := time.Now()
			if got := string(c.who.Call("order", c.order).Payload().JSON); got != c.answer {
				t.Errorf("%s: %s, want %s", c.name, got, c.answer)
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
		var coins int
		if err := c.Call("price", "tea").Scan(&coins); err != nil || coins != 3 {
			t.Errorf("tea costs %d: %v", coins, err)
		}
	})
}
