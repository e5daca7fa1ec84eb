package demo

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// TestEventsByteForByte sends what the official client sends for each event that the demo promises,
// and compares every byte of what comes back.
func TestEventsByteForByte(t *testing.T) {
	s := socketiotest.Serve(t, socketio.Config{}, App)
	c := connect(t, s)
	for _, x := range []struct{ name, send, want string }{
		{"echo, acknowledged", `421["echo",1,"two",{"three":[null,1.5]}]`, `431[1,"two",{"three":[null,1.5]}]`},
		{"echo, as an event", `42["echo",1,"two"]`, `42["echo",1,"two"]`},
		{"echo of nothing", `422["echo"]`, `432[]`},
		{"echo of binary", "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAQID", "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAQID"},
		{"join", `423["join","r"]`, `433["ok"]`},
		{"say to all", `424["say",{"msg":"hi"}]`, `42["said",{"msg":"hi","from":"<ID>","worker":""}]` + "\x1e" + `434["ok"]`},
		{"say to a room", `42["say",{"room":"r","msg":"hi"}]`, `42["said",{"room":"r","msg":"hi","from":"<ID>","worker":""}]`},
		{"say more", `42["say",{"msg":1,"at":17,"x":{"y":[]}}]`, `42["said",{"msg":1,"from":"<ID>","worker":"","at":17,"x":{"y":[]}}]`},
		{"say who one is not", `42["say",{"msg":"","from":"me","worker":"mine"}]`, `42["said",{"msg":"","from":"<ID>","worker":""}]`},
		{"say nothing", `42["say",{}]`, `42["said",{"msg":null,"from":"<ID>","worker":""}]`},
		{"say binary", "451-[\"say\",{\"msg\":{\"_placeholder\":true,\"num\":0}}]\x1ebAQID",
			"451-[\"said\",{\"msg\":{\"_placeholder\":true,\"num\":0},\"from\":\"<ID>\",\"worker\":\"\"}]\x1ebAQID"},
		{"say more binary", "451-[\"say\",{\"msg\":0,\"b\":{\"_placeholder\":true,\"num\":0}}]\x1ebAQID",
			"451-[\"said\",{\"msg\":0,\"from\":\"<ID>\",\"worker\":\"\",\"b\":{\"_placeholder\":true,\"num\":0}}]\x1ebAQID"},
		{"count of a room", `425["count","r"]`, `435[1]`},
		{"count of all", `426["count"]`, `436[1]`},
		{"leave", `427["leave","r"]`, `437["ok"]`},
		{"whoami", `428["whoami"]`, `438[{"sid":"<SID>","id":"<ID>","worker":"","slot":0,"host":"","transport":"polling"}]`},
		{"workers", `429["workers"]`, `439[[{"worker":"","host":"","pid":<PID>,"clients":1}]]`},
		{"hello", `4210["hello",{"name":"Ada"}]`,
			`42["joined",{"id":"<ID>","name":"Ada","worker":"","slot":0,"host":"","transport":"polling"}]` + "\x1e" + `4310[]`},
		{"people", `4211["people"]`, `4311[[{"id":"<ID>","name":"Ada","worker":"","slot":0,"host":"","transport":"polling"}]]`},
	} {
		c.post(x.send)
		want := strings.NewReplacer("<SID>", c.sid, "<ID>", c.id, "<PID>", strconv.Itoa(os.Getpid())).Replace(x.want)
		got := c.poll()
		for len(got) < len(want) { // an acknowledgement may follow its event in a poll of its own
			got += "\x1e" + c.poll()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", x.name, got, want)
		}
	}
}

// polling is a client that shows the bytes of the protocol.
type polling struct {
	t       *testing.T
	http    *http.Client
	sid, id string
}

func connect(t *testing.T, s *socketiotest.Server) *polling {
	t.Helper()
	c := &polling{t: t, http: s.HTTP}
	c.sid = between(c.poll(), `{"sid":"`, `"`)
	c.post("40")
	c.id = between(c.poll(), `40{"sid":"`, `"`)
	return c
}

func (c *polling) poll() string { return c.do(http.MethodGet, "") }
func (c *polling) post(body string) {
	c.t.Helper()
	if got := c.do(http.MethodPost, body); got != "ok" {
		c.t.Fatalf("%q was answered %q", body, got)
	}
}

func (c *polling) do(method, body string) string {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://server/socket.io/?EIO=4&transport=polling&sid="+c.sid, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.sid == "" {
		r.URL.RawQuery = strings.TrimSuffix(r.URL.RawQuery, "&sid=")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		c.t.Fatalf("%s was answered %d, %s, %v", method, answer.StatusCode, text, err)
	}
	return string(text)
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}
