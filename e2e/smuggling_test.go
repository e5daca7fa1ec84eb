//go:build e2e

package e2e

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestSmugglingBeforeNode: what a router passes on is what Node would have read by itself, request
// for request.
func TestSmugglingBeforeNode(t *testing.T) {
	node := harness.StartNode(t)
	var behind, alone struct{ URL string }
	node.Must("mirror", args{"name": "behind"}, &behind)
	node.Must("mirror", args{"name": "alone"}, &alone)
	router := harness.StartRouter(t, harness.HostConfig{Name: "host-a", Env: []string{"SIDEREAL_UPSTREAMS=" + behind.URL}})
	seen := func(name string) (requests []string) {
		t.Helper()
		node.Must("seen", args{"name": name}, &requests)
		return slices.DeleteFunc(requests, func(r string) bool { return strings.HasPrefix(r, "GET /socket.io/ ") }) // the router's checks
	}
	forwarded := 0
	for name, raw := range testkit.Smuggled() {
		sendAll(t, strings.TrimPrefix(alone.URL, "http://"), raw)
		sendAll(t, router.Addr, raw)
		want, got := seen("alone"), seen("behind")
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("%s: the server read %q, alone it reads %q", name, got, want)
		}
		for _, r := range got {
			if strings.HasPrefix(r, "GET /smuggled ") {
				t.Errorf("%s: smuggled", name)
			}
		}
		forwarded += len(got)
	}
	if forwarded < 15 {
		t.Errorf("%d requests got through", forwarded)
	}
}

// sendAll sends bytes and waits until everything that came of them is answered.
func sendAll(t *testing.T, addr, raw string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(harness.Patience))
	io.WriteString(c, raw)
	c.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c)
}
