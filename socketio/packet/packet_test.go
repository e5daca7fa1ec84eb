package packet

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestParse(t *testing.T) {
	cases := []struct {
		in   string
		want Header
		body string
		err  error
	}{
		{in: "0", want: Header{Connect, 0, "/", NoID}},
		{in: "01", want: Header{Connect, 0, "/", 1}}, // an id on CONNECT is accepted
		{in: `0{"a":1}`, want: Header{Connect, 0, "/", NoID}, body: `{"a":1}`},
		{in: "0/chat", want: Header{Connect, 0, "/chat", NoID}},
		{in: "0/chat,", want: Header{Connect, 0, "/chat", NoID}},
		{in: `0/chat?x=1,{}`, want: Header{Connect, 0, "/chat?x=1", NoID}, body: `{}`},
		{in: "1/chat,", want: Header{Disconnect, 0, "/chat", NoID}},
		{in: `2["e",1]`, want: Header{Event, 0, "/", NoID}, body: `["e",1]`},
		{in: `2007["x"]`, want: Header{Event, 0, "/", 7}, body: `["x"]`},
		{in: `2 1["e"]`, want: Header{Event, 0, "/", 1}, body: `["e"]`},
		{in: `2 ["e"]`, want: Header{Event, 0, "/", 0}, body: `["e"]`},
		{in: `2-1["e"]`, want: Header{Event, 0, "/", NoID}, body: `-1["e"]`},
		{in: `21 2["e"]`, err: ErrID},
		{in: `29999999999999999999["e"]`, err: ErrID},
		{in: `2/ns["x"]`, want: Header{Event, 0, `/ns["x"]`, NoID}},
		{in: `2/,["x"]`, want: Header{Event, 0, "/", NoID}, body: `["x"]`},
		{in: `312[]`, want: Header{Ack, 0, "/", 12}, body: `[]`},
		{in: `51-/a,7["b",{"_placeholder":true,"num":0}]`, want: Header{BinaryEvent, 1, "/a", 7}, body: `["b",{"_placeholder":true,"num":0}]`},
		{in: `50-["b"]`, want: Header{BinaryEvent, 0, "/", NoID}, body: `["b"]`},
		{in: `610-2[]`, want: Header{BinaryAck, 10, "/", 2}, body: `[]`},
		{in: `5-["b"]`, err: ErrAttachments},
		{in: `5x-["b"]`, err: ErrAttachments},
		{in: `51["b"]`, err: ErrAttachments},
		{in: `51`, err: ErrAttachments},
		{in: `51111111111-["b"]`, err: ErrAttachments},
		{in: ``, err: ErrType},
		{in: `7`, err: ErrType},
		{in: `x`, err: ErrType},
	}
	for _, c := range cases {
		h, body, err := Parse([]byte(c.in))
		if !errors.Is(err, c.err) || err == nil && (h != c.want || string(body) != c.body) {
			t.Errorf("Parse(%q) = %+v, %q, %v; want %+v, %q, %v", c.in, h, body, err, c.want, c.body, c.err)
		}
	}
}

func TestAppendIsWhatParseReads(t *testing.T) {
	for _, text := range []string{
		"0", `0/chat,{"a":1}`, "1/chat,", `2["e"]`, `2/chat,7["e"]`, `312[]`, `51-/a,7["b"]`, `610-2[]`, `4{"message":"x"}`,
	} {
		h, body, err := Parse([]byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := string(Append(nil, h, body)); got != text {
			t.Errorf("Append(Parse(%q)) = %q", text, got)
		}
	}
}

func TestParseOfTheMainNamespaceDoesNotAllocate(t *testing.T) {
	text := []byte(`217["echo","hello"]`)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = Parse(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRoomNumber(t *testing.T) {
	for _, n := range []int64{0, 42, -7} {
		if got, ok := RoomNumber(NumberRoom(n)); !ok || got != n {
			t.Errorf("RoomNumber(NumberRoom(%d)) = %d, %v", n, got, ok)
		}
	}
	if _, ok := RoomNumber("42"); ok {
		t.Error(`"42" is no number`)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", `0/chat,{"a":1}`, `2["e",1]`, `51-/a,7["b",{"_placeholder":true,"num":0}]`, `2 1["e"]`, "5x-", `29999999999999999999[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		defer testkit.BoundCost(t, len(in))()
		h, body, err := Parse(in)
		if err != nil || len(body) > 0 && !bytes.ContainsRune([]byte(`[{"`), rune(body[0])) {
			return // what follows the header is no body that a packet may have
		}
		text := Append(nil, h, body)
		again, body2, err := Parse(text)
		if err != nil || again != h || !bytes.Equal(body, body2) {
			t.Errorf("Parse(%q) = %+v %q; written as %q it is %+v %q %v", in, h, body, text, again, body2, err)
		}
	})
}
