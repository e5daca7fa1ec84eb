package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// seed adds every golden message on channels that begin with prefix.
func seed(f *testing.F, prefix string) {
	for _, v := range published(f) {
		if strings.HasPrefix(v.Channel, prefix) {
			f.Add(v.B64)
		}
	}
}

// checkPayload wants what was decoded to be JSON, and to come back unchanged once it went through
// msgpack.
func checkPayload(t *testing.T, p packet.Payload) {
	t.Helper()
	if !jsontext.Value(p.JSON).IsValid(jsontext.AllowDuplicateNames(true)) {
		t.Fatalf("not JSON: %q", p.JSON)
	}
	msg, err := AppendPayload(nil, p)
	if err != nil {
		t.Fatalf("%q: %v", p.JSON, err)
	}
	text, attachments, err := DecodeValue(nil, nil, msg)
	if err != nil {
		t.Fatalf("%q: %v", p.JSON, err)
	}
	again, err := AppendPayload(nil, packet.Payload{JSON: text, Attachments: attachments})
	if err != nil || !bytes.Equal(again, msg) {
		t.Fatalf("%q became %q, %v", p.JSON, text, err)
	}
}

func FuzzBroadcast(f *testing.F) {
	seed(f, "socket.io#")
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer testkit.BoundCost(t, len(msg))()
		Sender(msg)
		b, err := ParseBroadcast(msg)
		if err != nil {
			return
		}
		b.Rooms.Any(nil, func([]byte) bool { return false })
		o := Options{Rooms: b.Rooms.Strings(), Except: b.Except.Strings(), Flags: b.Flags()}
		p, err := b.Payload()
		if err != nil {
			return
		}
		checkPayload(t, p)
		again, err := AppendBroadcast(nil, string(b.UID), string(b.Namespace), p, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseBroadcast(again); err != nil {
			t.Fatalf("%x: %v", again, err)
		}
	})
}

func FuzzRequest(f *testing.F) {
	seed(f, "socket.io-request#")
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer testkit.BoundCost(t, len(msg))()
		RequestFrom(msg, "4eFhDU")
		q, err := ParseRequest(msg)
		if err != nil || q.Type < Sockets || q.Type > BroadcastWithAck {
			return
		}
		again, err := AppendRequest(nil, q)
		if err != nil {
			return // deeper than what is relayed may be
		}
		if _, err := ParseRequest(again); err != nil {
			t.Fatalf("%q: %v", again, err)
		}
	})
}

func FuzzResponse(f *testing.F) {
	seed(f, "socket.io-response#")
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer testkit.BoundCost(t, len(msg))()
		ResponseID(msg)
		a, err := ParseResponse(msg)
		if err != nil {
			return
		}
		if a.Type < NoType || a.Type > BroadcastAck {
			return
		}
		again, err := AppendResponse(nil, a)
		if err != nil {
			return
		}
		if _, err := ParseResponse(again); err != nil && a.Sockets == nil {
			t.Fatalf("%q: %v", again, err)
		}
	})
}

// FuzzText takes any JSON text through msgpack.
func FuzzText(f *testing.F) {
	for _, s := range []string{`["ev",1.5e3,"\u00e9\ud83d\ude00",{"a":[null,true]},{"_placeholder":true,"num":0}]`, `-0`, `[[[]],{}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer testkit.BoundCost(t, len(text))()
		msg, err := AppendPayload(nil, packet.Payload{JSON: text, Attachments: [][]byte{{1}}})
		valid := jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			if valid && bytes.Count(text, []byte{'['})+bytes.Count(text, []byte{'{'}) < maxDepth {
				t.Fatalf("refused %q", text)
			}
			return
		}
		if !valid {
			t.Fatalf("accepted %q", text)
		}
		decoded, attachments, err := DecodeValue(nil, nil, msg)
		if err != nil {
			t.Fatal(err)
		}
		checkPayload(t, packet.Payload{JSON: decoded, Attachments: attachments})
	})
}

func FuzzCluster(f *testing.F) {
	for _, v := range shardPublished(f) {
		f.Add(v.B64)
	}
	var scratch Scratch
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer testkit.BoundCost(t, len(msg))()
		c, err := ParseCluster(msg)
		if err != nil || c.Type < ClusterBroadcast || c.Type > ClusterAck {
			return
		}
		_, _ = c.Concerns(&scratch, func([]byte) bool { return false })
		c.ResponseID()
		if c.Type == ClusterBroadcast || c.Type == ClusterServerSideEmit {
			if p, err := c.Payload(); err == nil && !jsontext.Value(p.JSON).IsValid(lenient) {
				t.Fatalf("not JSON: %q", p.JSON)
			}
		}
		again, err := reencode(c)
		if err != nil {
			return
		}
		c2, err := ParseCluster(again)
		if err != nil {
			t.Fatalf("%q: %v", again, err)
		}
		once, err := reencode(c2)
		if err != nil || !bytes.Equal(once, again) {
			t.Fatalf("%q became %q, %v", again, once, err)
		}
	})
}
