package wire

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// shardPublished returns the vectors that carry a message, of all golden files of the sharded
// adapter.
func shardPublished(t testing.TB) []vector {
	t.Helper()
	return recorded(t, []string{"sharded-static", "sharded-dynamic", "sharded-dynamic-private"}, "SPUBLISH")
}

// reencode writes a message again from all that was read of it.
func reencode(c Cluster) ([]byte, error) {
	if c.Type.IsAnswer() {
		a, err := c.Response()
		if err != nil {
			return nil, err
		}
		return AppendClusterResponse(nil, string(c.UID), string(c.Namespace), a)
	}
	q, err := c.Request()
	if err != nil {
		return nil, err
	}
	return AppendClusterRequest(nil, string(c.Namespace), q)
}

func TestGoldenClusterMessages(t *testing.T) {
	for _, v := range shardPublished(t) {
		// Dates beside binary come back as text, and binary in a socket's data as JSON has it.
		t.Run(v.Name, func(t *testing.T) { checkGolden(t, v, reencode, "nested-binary", "sse-binary", "fetch-data-binary") })
	}
}

// checkGolden reads a recorded message, and writes it again: the same bytes, but for those whose
// name has one of inexact, which need only be read again.
func checkGolden(t *testing.T, v vector, write func(Cluster) ([]byte, error), inexact ...string) {
	t.Helper()
	c, err := ParseCluster(v.B64)
	if err != nil {
		t.Fatal(err)
	}
	sent := v.Decoded.(map[string]any)
	if float64(c.Type) != sent["type"] || string(c.UID) != sent["uid"] || string(c.Namespace) != sent["nsp"] {
		t.Errorf("envelope %d %s %s", c.Type, c.UID, c.Namespace)
	}
	if got := string(ClusterSender(v.B64)); got != sent["uid"] {
		t.Errorf("sender %q by the last bytes, want %q", got, sent["uid"])
	}
	checkClusterData(t, c, sent["data"].(map[string]any))
	again, err := write(c)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(inexact, func(part string) bool { return strings.Contains(v.Name, part) }) {
		if _, err := ParseCluster(again); err != nil {
			t.Error(err)
		}
	} else if !bytes.Equal(again, v.B64) {
		t.Errorf("again %q\nwant  %q", again, v.B64)
	}
}

func checkClusterData(t *testing.T, c Cluster, sent map[string]any) {
	t.Helper()
	if opts, ok := sent["opts"].(map[string]any); ok {
		o, err := c.Options()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(o.Rooms, roomsOf(opts["rooms"])) || !reflect.DeepEqual(o.Except, roomsOf(opts["except"])) {
			t.Errorf("options %+v, want %v", o, opts)
		}
	}
	switch c.Type {
	case ClusterBroadcast, ClusterServerSideEmit:
		p, err := c.Payload()
		if err != nil {
			t.Fatal(err)
		}
		want := sent["packet"]
		if c.Type == ClusterBroadcast {
			want = want.(map[string]any)["data"]
		}
		if got, want := values(t, p), expected(want); !reflect.DeepEqual(got, want) {
			t.Errorf("packet %v, want %v", got, want)
		}
	}
	if id, ok := sent["requestId"]; ok && string(c.ResponseID()) != id {
		t.Errorf("id %s, want %s", c.ResponseID(), id)
	}
}

func TestClusterMessagesThatNodeWouldNotSend(t *testing.T) {
	const head, tail = `{"type":3,"data":`, `,"uid":"0123456789abcdef","nsp":"/"}`
	const opts = `"opts":{"rooms":[],"except":[],"flags":{}}`
	for _, msg := range []string{
		"", "{", "{}", "[]", "null", "\xc0", "\x80", "junk",
		head + `null` + tail,
		head + `{}` + tail,
		head + `{"packet":{"type":2,"data":["ev"]}}` + tail,
		head + `{` + opts + `}` + tail,
		head + `{"packet":{"type":2,"data":[]},` + opts + `}` + tail,
		head + `{"packet":{"type":2,"data":{}},` + opts + `}` + tail,
		head + `{"packet":{"type":0,"data":["ev"]},` + opts + `}` + tail,
		head + `{"packet":{"type":2,"data":["ev",tru]},` + opts + `}` + tail,
		head + `{"packet":{"type":2,"data":["ev"]},"opts":{"rooms":[null],"except":[]}}` + tail,
		head + `{"packet":{"type":2,"data":["ev"]},"opts":{"rooms":"r","except":[]}}` + tail,
		head + `{"packet":{"type":2,"data":["ev"]},` + opts + `},"nsp":"/"}`,
		head + `{"packet":{"type":2,"data":["ev"]},` + opts + `}` + tail + `x`,
		head + `{"packet":{"type":2,"data":["ev",` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `]},` + opts + `}` + tail,
		`{"type":4,"data":{` + opts + `}` + tail,
		`{"type":4,"data":{` + opts + `,"rooms":[]}` + tail,
		`{"type":5,"data":{"rooms":["r"]}` + tail,
		`{"type":6,"data":{"close":true}` + tail,
		`{"type":7,"data":{` + opts + `}` + tail,
		`{"type":8,"data":{"requestId":"x"}` + tail,
		`{"type":8,"data":{"requestId":"x","sockets":[{}]}` + tail,
		`{"type":9,"data":{"packet":[]}` + tail,
		`{"type":10,"data":{"packet":1}` + tail,
		`{"type":11,"data":{"requestId":"x","clientCount":-1}` + tail,
		`{"type":12,"data":{}` + tail,
	} {
		c, err := ParseCluster([]byte(msg))
		if err == nil {
			_, err = reencode(c)
		}
		if err == nil {
			t.Errorf("accepted %.120s", msg)
		}
	}
}

func TestClusterMessagesAreReadLeniently(t *testing.T) {
	// No except, no flags, an unknown key, another order of keys, white space.
	c, err := ParseCluster([]byte(`{ "nsp" : "/" , "uid" : "emitter" , "data" : { "opts" : { "rooms" : [ 42, "a\u0062" ] } , "packet" : { "data" : [ "ev" , {"a" : 1} ] } } , "x" : [{"y":"}\\\""}] , "type" : 3 }`))
	if err != nil {
		t.Fatal(err)
	}
	q, err := c.Request()
	if err != nil || !reflect.DeepEqual(q.Rooms, []string{packet.NumberRoom(42), "ab"}) || string(q.Data.JSON) != `[ "ev" , {"a" : 1} ]` {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestTextThatIsNotUTF8IsMended(t *testing.T) {
	c, err := ParseCluster([]byte("{\"type\":3,\"data\":{\"packet\":{\"type\":2,\"data\":[\"ev\",\"a\xff\"]},\"opts\":{\"rooms\":[]}},\"uid\":\"u\",\"nsp\":\"/\"}"))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := c.Payload(); err != nil || string(p.JSON) != "[\"ev\",\"a\uFFFD\"]" {
		t.Errorf("%s, %v", p.JSON, err)
	}
}

func TestWhatIsNotJSONIsNotSent(t *testing.T) {
	for _, text := range []string{``, `[`, `["ev"`, `["ev",]`, `["ev"]]`} {
		if msg, err := AppendClusterBroadcast(nil, "u", "/", packet.Payload{JSON: []byte(text)}, Options{}); err == nil {
			t.Errorf("%s", msg)
		}
	}
}
