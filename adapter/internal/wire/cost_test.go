package wire

import (
	"bytes"

	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// bomb is an event with one attachment of size bytes behind n plain objects that look like its
// placeholder. A client can have an app make one that stores what clients send, and emits it beside
// something binary.
func bomb(n, size int) packet.Payload {
	const forged = `{"_placeholder":true,"num":0}`
	return packet.Payload{
		JSON:        []byte(`["history"` + strings.Repeat(","+forged, n) + `]`),
		Attachments: [][]byte{bytes.Repeat([]byte("x"), size)},
	}
}

// TestAttachmentsTravelOnce bounds each form in which a payload is sent to other servers by its
// size.
func TestAttachmentsTravelOnce(t *testing.T) {
	const n, size = 1000, 10_000
	p := bomb(n, size)
	request := Request{UID: "u", ID: []byte(`"r"`), Type: BroadcastWithAck, Namespace: "/", Data: p}
	event := Request{UID: "u", Type: ServerSideEmit, Data: p}
	one := p
	one.JSON = append(append([]byte(`[`), p.JSON...), ']')
	ack := Response{ID: []byte(`"r"`), Type: BroadcastAck, UID: "u", Answer: one}
	answered := ack
	answered.Type = ServerSideEmit
	sockets := Response{ID: []byte(`"r"`), Type: NoType, Sockets: []Socket{{ID: "s", Data: p.JSON, Attachments: p.Attachments}}}
	ours := sockets
	ours.UID = "u"
	for name, encode := range map[string]func() ([]byte, error){
		"broadcast":             func() ([]byte, error) { return AppendBroadcast(nil, "u", "/", p, Options{}) },
		"request":               func() ([]byte, error) { return AppendRequest(nil, request) },
		"server-side event":     func() ([]byte, error) { return AppendRequest(nil, event) },
		"client's answer":       func() ([]byte, error) { return AppendResponse(nil, ack) },
		"server's answer":       func() ([]byte, error) { return AppendResponse(nil, answered) },
		"sockets":               func() ([]byte, error) { return AppendResponse(nil, sockets) },
		"sockets, to us":        func() ([]byte, error) { return AppendResponse(nil, ours) },
		"sharded broadcast":     func() ([]byte, error) { return AppendClusterBroadcast(nil, "u", "/", p, Options{}) },
		"sharded event":         func() ([]byte, error) { return AppendClusterRequest(nil, "/", event) },
		"sharded answer":        func() ([]byte, error) { return AppendClusterResponse(nil, "u", "/", ack) },
		"sharded sockets":       func() ([]byte, error) { return AppendClusterResponse(nil, "u", "/", sockets) },
		"streams' request":      func() ([]byte, error) { return AppendPackedRequest(nil, "/", request) },
		"streams' answer":       func() ([]byte, error) { return AppendPackedResponse(nil, "u", "/", ack) },
		"entry of a stream":     func() ([]byte, error) { return AppendEntryData(nil, request) },
		"session":               func() ([]byte, error) { return AppendSnapshot(nil, Snapshot{ID: "s", PID: "p", Data: p}) },
		"text for JavaScript's": func() ([]byte, error) { return Plain(p).JSON, nil },
	} {
		msg, err := encode()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if most := 2*len(p.JSON) + 4*size + 1000; len(msg) > most {
			t.Errorf("%s: %d bytes of %d of text and an attachment of %d", name, len(msg), len(p.JSON), size)
		}
	}
}
