package worker

import (
	"context"
	"fmt"
	"testing"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// as sends a request of a session as the named router does.
func (c *talker) as(router, method, target, body string) {
	c.t.Helper()
	c.send("%s %s HTTP/1.1\r\nHost: x\r\nSidereal-Router: %s\r\nContent-Length: %d\r\n\r\n%s", method, target, router, len(body), body)
}

// ways are the servers on which a router's poll may wait.
func ways(t *testing.T, test func(t *testing.T, d *doors, ended chan string, open func() *talker)) {
	t.Run("parked", func(t *testing.T) {
		ended := make(chan string, 100)
		d := openDoors(t, echoes(ended))
		test(t, d, ended, func() *talker { return talk(t, d.open()) })
	})
	t.Run("net/http", func(t *testing.T) {
		ended := make(chan string, 100)
		d := openDoors(t, echoes(ended))
		test(t, d, ended, func() *talker {
			c := talk(t, d.open())
			c.get("/hello") // from now on the connection is net/http's
			c.answer("GET")
			return c
		})
	})
	t.Run("own port", func(t *testing.T) {
		ended := make(chan string, 100)
		d := openDoors(t, echoes(ended))
		d.accepts = func(_ context.Context, key string) bool { return key == "right" }
		test(t, d, ended, func() *talker {
			c := talk(t, dial(t, d.Addr()))
			c.send("GET /hello HTTP/1.1\r\nHost: x\r\nSidereal-Key: right\r\n\r\n")
			c.answer("GET")
			return c
		})
	})
}

// interrupted is how many sessions wait for the copy of a request.
func (d *doors) interrupted(t *testing.T) int {
	t.Helper()
	families, err := d.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sidereal_engine_interrupted_sessions" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return -1
}

// TestRouterDiesWithAPoll: the connection of a poll that waits ends without a word. The session
// goes on with the copy that comes over another router.
func TestRouterDiesWithAPoll(t *testing.T) {
	ways(t, func(t *testing.T, d *doors, ended chan string, open func() *talker) {
		first := open()
		target := first.session()
		first.as("a", "GET", target+"&t=1", "")
		first.Close()
		testkit.Until(t, "the session waits", func() bool { return d.interrupted(t) == 1 })
		second, post := open(), open()
		second.as("b", "GET", target+"&t=1", "")
		second.want(200, "2") // at once, so that the client shows that it is there
		post.as("b", "POST", target+"&t=2", "3\x1e420[\"echo\",\"x\"]")
		post.want(200, "ok")
		second.as("b", "GET", target+"&t=3", "")
		second.want(200, `430["x"]`)
		if n := d.interrupted(t); n != 0 || len(ended) > 0 {
			t.Errorf("%d sessions wait, %d have ended", n, len(ended))
		}
	})
}

// TestRouterSaysThatItsClientLeft ends the session at once.
func TestRouterSaysThatItsClientLeft(t *testing.T) {
	ways(t, func(t *testing.T, d *doors, ended chan string, open func() *talker) {
		for range 10 { // the word comes alone, or in one read with the poll
			c := open()
			c.as("a", "GET", c.session()+"&t=1", "")
			c.send("%c", handoff.ClientLeft)
			c.Close()
			if reason := testkit.Receive(t, "the end", ended); reason != "transport error" {
				t.Error(reason)
			}
		}
		if n := d.interrupted(t); n != 0 {
			t.Errorf("%d sessions wait", n)
		}
	})
}

// TestRouterDiesWithinAPost: nothing of the post was handled, so its copy is.
func TestRouterDiesWithinAPost(t *testing.T) {
	ways(t, func(t *testing.T, d *doors, ended chan string, open func() *talker) {
		first, poll := open(), open()
		target := first.session()
		poll.as("b", "GET", target+"&t=1", "")
		const body = `420["echo","whole"]`
		first.send("POST %s&t=2 HTTP/1.1\r\nHost: x\r\nSidereal-Router: a\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body[:5])
		first.Close()
		poll.want(200, "2")
		second := open()
		second.as("b", "POST", target+"&t=2", body)
		second.want(200, "ok")
		poll.as("b", "GET", target+"&t=3", "")
		poll.want(200, `430["whole"]`)
		if n := d.interrupted(t); n != 0 || len(ended) > 0 {
			t.Errorf("%d sessions wait, %d have ended", n, len(ended))
		}
	})
}

// TestOnlyRoutersDie: without the key, the end of a connection to the worker's own port is a
// client's, whatever it calls itself, and its bytes are no router's word.
func TestOnlyRoutersDie(t *testing.T) {
	for _, last := range []string{"", "\x04"} {
		t.Run(fmt.Sprintf("%q", last), func(t *testing.T) {
			ended := make(chan string, 100)
			d := openDoors(t, echoes(ended))
			c := talk(t, dial(t, d.Addr()))
			c.as("a", "GET", c.session()+"&t=1", "")
			c.send("%s", last)
			c.Close()
			if reason := testkit.Receive(t, "the end", ended); reason != "transport error" {
				t.Error(reason)
			}
		})
	}
}

// TestClientLeftInABody: the byte is one of a post's like any other.
func TestClientLeftInABody(t *testing.T) {
	ways(t, func(t *testing.T, d *doors, ended chan string, open func() *talker) {
		c := open()
		target := c.session()
		for i, body := range []string{"420[\"echo\",\"x\"]\x1e4\x04", "\x04", "4\x04"} {
			c.send("POST %s&t=%d HTTP/1.1\r\nHost: x\r\nSidereal-Router: a\r\nContent-Length: %d\r\n\r\n", target, i, len(body))
			for _, b := range []byte(body) {
				c.send("%c", b)
			}
			if res, _ := c.answer("POST"); i == 0 && res.StatusCode != 200 {
				t.Errorf("status %d", res.StatusCode)
			}
		}
	})
}
