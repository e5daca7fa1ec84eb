package router

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

// TestLatePosts: who sends something to a session that a worker has just moved away is told what
// the worker would have said, by every router; a poll is told that the session is over.
func TestLatePosts(t *testing.T) {
	for _, remote := range []bool{false, true} {
		t.Run(fmt.Sprintf("remote %v", remote), func(t *testing.T) {
			d := directory.NewStatic()
			hosts := cluster(t, d, nil, 1, 1)
			entry, owner := hosts[0], hosts[1]
			if !remote {
				entry = hosts[1]
			}
			w := owner.workers["wkb0"]
			sid := w.open()
			leaving := *d.Workers().Get("wkb0")
			leaving.State = directory.StateDraining
			d.Set(*d.Workers().Get("wka0"), leaving)
			w.kill()
			q := "/socket.io/?transport=polling&sid=" + sid
			for round := range 2 { // the first finds out that the worker is gone
				c := dialTo(t, entry.addr)
				c.send("POST %s HTTP/1.1\r\nHost: x\r\nOrigin: http://page\r\nContent-Length: 3\r\n\r\nabc", q)
				resp, body := c.answer("POST")
				if resp.StatusCode != 200 || body != "ok" || resp.Header.Get("Access-Control-Allow-Origin") != "http://page" {
					t.Errorf("%d: %s %q %v", round, resp.Status, body, resp.Header)
				}
				c.ended()
			}
			if d.Workers().Get("wkb0") != nil {
				t.Error("nobody was told that the worker is gone")
			}
			if resp, body := dialTo(t, entry.addr).get(q); resp.StatusCode != 400 || !strings.Contains(body, `"code":1`) {
				t.Errorf("GET: %s %q", resp.Status, body)
			}
		})
	}
}
