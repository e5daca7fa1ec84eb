package wire

import (
	"strings"
	"testing"
)

// TestSocketsInJSONKeepTheirBytes: what one server writes for Node's servers, another one of ours
// reads as it was.
func TestSocketsInJSONKeepTheirBytes(t *testing.T) {
	data := `{"a":{"_placeholder":true,"num":0},"list":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}],"n":9007199254740993}`
	want := Socket{ID: "x", Data: []byte(data), Attachments: [][]byte{{0, 1, 255}, nil, []byte("text")}}
	msg, err := AppendResponse(nil, Response{ID: []byte(`"1"`), Type: NoType, Sockets: []Socket{want}})
	if err != nil || msg[0] != '{' || !strings.Contains(string(msg), `{"type":"Buffer","data":[0,1,255]}`) {
		t.Fatalf("%s, %v", msg, err)
	}
	a, err := ParseResponse(msg)
	if err != nil || len(a.Sockets) != 1 {
		t.Fatal(a, err)
	}
	got := a.Sockets[0]
	if string(got.Data) != data || len(got.Attachments) != 3 {
		t.Fatalf("%s with %d attachments", got.Data, len(got.Attachments))
	}
	for i := range want.Attachments {
		if string(got.Attachments[i]) != string(want.Attachments[i]) {
			t.Errorf("attachment %d: %v", i, got.Attachments[i])
		}
	}
}

// TestLookalikesOfBuffersStay: members of an app that only look like a Buffer are left as they are.
func TestLookalikesOfBuffersStay(t *testing.T) {
	for _, data := range []string{
		`{"a":{"type":"Buffer","data":[256]}}`, `{"a":{"type":"Buffer","data":[1,]}}`, `{"a":{"type":"Buffer","data":[-1]}}`,
		`{"a":{"type":"Buffer","data":["x"]}}`, `{"a":{"type":"Buffer","data":[1],"more":2}}`, `{"a":{"type":"Buffer","data":[1000]}}`,
		`{"a":"{\"type\":\"Buffer\",\"data\":[1]}"}`, `{"a":{"type":"Buffer","data":[1]},"b":{"_placeholder":true,"num":0}}`,
		`{"a":{"type":"Buffer","data":[`, `{"a":{"type":"Buffer","data":[{"type":"Buffer","data":[1`,
	} {
		s := Socket{Data: []byte(data)}
		s.liftBuffers()
		if string(s.Data) != data || s.Attachments != nil {
			t.Errorf("%s became %s with %v", data, s.Data, s.Attachments)
		}
	}
}
