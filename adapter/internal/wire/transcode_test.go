package wire

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

func TestDecodeValue(t *testing.T) {
	tests := []struct{ name, msg, want string }{
		{"nil", "c0", `null`},
		{"float32", "ca3fc00000", `1.5`},
		{"NaN", "cb7ff8000000000000", `null`},
		{"minus zero", "cb8000000000000000", `0`},
		{"huge", "cb7e37e43c8800759c", `1e+300`},
		{"small", "cb3e7ad7f29abcaf48", `1e-7`},
		{"2^63, which a Go server may have sent", "cf8000000000000000", `9223372036854775808`},
		{"2^53+1, which no double holds", "cf0020000000000001", `9007199254740993`},
		{"int64 min", "d38000000000000000", `-9223372036854775808`},
		{"int8", "d0df", `-33`},
		{"text", "a6226e0a015c7f", `"\"n\n\u0001\\` + "\x7f" + `"`},
		{"not UTF-8", "a3c341ff", `"` + "\uFFFDA\uFFFD" + `"`},
		{"binary", "92c40101c400", `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`},
		{"keys of every kind", "86a161010102c303c004d1ff7f05cb3ff800000000000006", `{"a":1,"1":2,"true":3,"null":4,"-129":5,"1.5":6}`},
		{"__proto__ first", "82a95f5f70726f746f5f5f81a161010203", `{"2":3}`},
		{"__proto__ last", "820203a95f5f70726f746f5f5f81a16101", `{"2":3}`},
		{"date in whole seconds", "d6ff6553f100", `"2023-11-14T22:13:20.000Z"`},
		{"date with nanoseconds", "d7ff1d5353006553f100", `"2023-11-14T22:13:20.123Z"`},
		{"date before 1970", "c70cff1dcd6500fffffffffffffffe", `"1969-12-31T23:59:58.500Z"`},
		{"date beyond year 9999", "c70cff000000000000003afff44180", `"+010000-01-01T00:00:00.000Z"`},
		{"date before year 0", "c70cff00000000fffffff1868b8400", `"0000-01-01T00:00:00.000Z"`},
		{"date no Date can hold", "c70cff000000007fffffffffffffff", `null`},
		{"old undefined", "92d4000001", `[null,1]`},
		{"old undefined in a map", "82a161d40000a16201", `{"b":1}`},
		{"old date", "d7000000018bcfe5687b", `"2023-11-14T22:13:20.123Z"`},
		{"old ArrayBuffer", "c7020001ff", `{"_placeholder":true,"num":0}`},
		{"unknown extension", "d40701", `[7,{"_placeholder":true,"num":0}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := DecodeValue([]byte("kept"), nil, unhex(t, tt.msg))
			if err != nil || string(got) != "kept"+tt.want {
				t.Errorf("%s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestDecodeValueRefuses(t *testing.T) {
	tests := map[string][]byte{
		"nothing":                  {},
		"trailing bytes":           {0xc0, 0xc0},
		"the byte without meaning": {0xc1},
		"a count beyond the end":   {0xdd, 0xff, 0xff, 0xff, 0xff, 0x01},
		"a length beyond the end":  {0xdb, 0x7f, 0xff, 0xff, 0xff, 'a'},
		"a map for a key":          {0x81, 0x80, 0x01},
		"too deep":                 append(bytes.Repeat([]byte{0x91}, maxDepth+1), 0xc0),
		"too many attachments":     append([]byte{0xdd, 0, 1, 0, 1}, bytes.Repeat([]byte{0xc4, 0}, maxAttachments+1)...),
	}
	for name, msg := range tests {
		if got, _, err := DecodeValue(nil, nil, msg); err == nil {
			t.Errorf("%s: became %.40s", name, got)
		}
	}
}

func TestAppendPayload(t *testing.T) {
	atts := [][]byte{{1, 2}, {3}}
	tests := []struct{ name, text, want string }{
		{"spaces", " [ 1 , true,\n{ } ] ", "9301c380"},
		{"integers however spelled", `[1.0,1e2,-0,-0.0,12e-1]`, "9501640000cb3ff3333333333333"},
		{"sizes", `[127,128,65536,4294967296,-32,-33,-129,-32769,-2147483649]`,
			"997fcc80ce00010000cf0000000100000000e0d0dfd1ff7fd2ffff7fffd3ffffffff7fffffff"},
		{"as JavaScript prints 2^63", `9223372036854776000`, "cf8000000000000000"},
		{"exact beyond doubles", `[9007199254740993,-9007199254740993,18446744073709551615]`,
			"93cf0020000000000001d3ffdfffffffffffffcfffffffffffffffff"},
		{"beyond 64 bits", `[18446744073709552000,1e400]`, "92cb43f0000000000000cb7ff0000000000000"},
		{"escapes", `"\u0041\ud83d\ude00\/\n\ud800"`, "aa41f09f98802f0aefbfbd"},
		{"placeholders", `[{"_placeholder":true,"num":1},{"num":0,"_placeholder":true}]`, "92c40103c4020102"},
		{"no placeholders", `[{"_placeholder":true,"num":2},{"_placeholder":false,"num":0},{"_placeholder":true,"num":0,"x":1}]`,
			"9382ac5f706c616365686f6c646572c3a36e756d0282ac5f706c616365686f6c646572c2a36e756d0083ac5f706c616365686f6c646572c3a36e756d00a17801"},
		{"__proto__", `[{"__proto__":{"a":1},"b":2},{"b":2,"\u005f_proto__":[]},{"__proto__":1}]`, "9381a1620281a1620280"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendPayload(nil, packet.Payload{JSON: []byte(tt.text), Attachments: atts})
			if err != nil || hex.EncodeToString(got) != tt.want {
				t.Errorf("%x, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// TestDatesAreThoseOfMsgpack: what was a time.Time, in the bytes that Node has for a Date. Texts
// that look like one stay texts.
func TestDatesAreThoseOfMsgpack(t *testing.T) {
	text := "2023-11-14T22:13:20.123Z"
	at := time.UnixMilli(1_700_000_000_123)
	p, err := packet.EncodeEventOn([]byte(`[0,`), "at", text, at, struct {
		B time.Time `json:"b"`
		A []any     `json:"a"`
	}{at.Truncate(time.Second), []any{text, []byte{1}, time.UnixMilli(-1500), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}})
	if err != nil {
		t.Fatal(err)
	}
	p.JSON = append(p.JSON, ']')
	got, err := AppendPayload(nil, p)
	str := "b8" + hex.EncodeToString([]byte(text))
	want := "920094a26174" + str + "d7ff1d5353006553f10082a162d6ff6553f100a16194" + str + "c40101c70cff1dcd6500fffffffffffffffe" +
		"b9" + hex.EncodeToString([]byte("10000-01-01T00:00:00.000Z"))
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("%x, %v\nwant %s", got, err, want)
	}
	if one, err := firstOf(packet.Payload{JSON: []byte(`[ "` + text + `",1]`), Dates: []int{2}}); err != nil || len(one.Dates) != 1 || one.Dates[0] != 0 {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestAppendPayloadRefuses(t *testing.T) {
	for _, text := range []string{
		``, `nul`, `[1,]`, `[,1]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `01`, `1.`, `.5`, `1e`, `-`, `+1`, `NaN`,
		`"a`, `"\x"`, `"\u12"`, "\"\n\"", `"\`, `[1]]`, `1 1`, strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	} {
		if got, err := AppendPayload(nil, packet.Payload{JSON: []byte(text)}); err == nil {
			t.Errorf("%.30s became %x", text, got)
		}
	}
}

// TestSizes takes strings, binaries and containers over each boundary of msgpack's headers and
// back.
func TestSizes(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		str := `["` + strings.Repeat("a", n) + `","` + strings.Repeat(`\n`, n) + `"]`
		arr := "[" + strings.TrimSuffix(strings.Repeat("0,", n), ",") + "]"
		bin := packet.Payload{JSON: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{make([]byte, n)}}
		for _, p := range []packet.Payload{{JSON: []byte(str)}, {JSON: []byte(arr)}, bin} {
			msg, err := AppendPayload(nil, p)
			if err != nil {
				t.Fatal(err)
			}
			text, atts, err := DecodeValue(nil, nil, msg)
			if err != nil || !bytes.Equal(text, p.JSON) || !reflect.DeepEqual(atts, p.Attachments) {
				t.Errorf("%d: %.40s came back as %.40s, %v", n, p.JSON, text, err)
			}
		}
	}
}

func TestBroadcastIsSkippedWithoutAllocating(t *testing.T) {
	o := Options{Rooms: []string{"r1", packet.NumberRoom(42)}, Except: []string{"x"}}
	msg, err := AppendBroadcast(nil, "abcdef", "/chat", packet.Payload{JSON: []byte(`["ev",{"a":[1,2,3]}]`)}, o)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	has := func([]byte) bool { asked++; return false }
	scratch := make([]byte, 0, 32)
	if n := testing.AllocsPerRun(100, func() {
		if string(Sender(msg)) != "abcdef" {
			t.Error("sender not told")
		}
		b, err := ParseBroadcast(msg)
		if err != nil || string(b.Namespace) != "/chat" || b.Rooms.Any(scratch, has) {
			t.Error("not skipped", err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if asked == 0 {
		t.Error("rooms not asked for")
	}
}

func TestParseBroadcastRefuses(t *testing.T) {
	good := "93" + "a178" + "82" + "a474797065" + "02" + "a464617461" + "91a2657680"[:8] + "80"
	if _, err := ParseBroadcast(unhex(t, good)); err != nil {
		t.Fatalf("the model itself: %v", err)
	}
	for name, msg := range map[string]string{
		"no options":         "92" + good[2:len(good)-2],
		"packet type 1":      strings.Replace(good, "a47479706502", "a47479706501", 1),
		"data is a map":      strings.Replace(good, "91a26576", "81a2657601", 1),
		"no event name":      strings.Replace(good, "91a26576", "90", 1),
		"event name is null": strings.Replace(good, "91a26576", "91c0", 1),
		"no data":            "93a17881a4747970650280",
		"packet is nil":      "93a178c080",
		"uid is a number":    strings.Replace(good, "93a178", "9301", 1),
		"room is nil":        good[:len(good)-2] + "81a5726f6f6d7391c0",
		"room is a list":     good[:len(good)-2] + "81a5726f6f6d739190",
		"cut":                good[:len(good)-2],
	} {
		if _, err := ParseBroadcast(unhex(t, msg)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for _, msg := range []string{
		``, `{`, `[]`, `{}`, `{"type":"2"}`, `{"uid":1,"type":1}`, `{"type":5,"requestId":"a"}`, `{"type":6}`, `{"type":6,"data":[]}`,
		`{"type":6,"data":[{}]}`, `{"type":6,"data":"ev"}`, `{"type":7,"requestId":"a","opts":{}}`, `{"type":2,"opts":{"rooms":[]}}`,
		`{"type":7,"requestId":"a","packet":{"type":1,"data":["ev"]},"opts":{}}`, `{"type":7,"packet":{"type":2,"data":["ev"]},"opts":{}}`,
		`{"type":2,"opts":{"rooms":[{}]},"rooms":["a"]}`, `{"type":2,"sid":"x"}`, `{"type":2,"opts":{"rooms":"r"},"rooms":["a"]}`,
		`{"type":4}`, `{"type":4,"opts":{"rooms":[null]}}`, "\xc0",
	} {
		if q, err := ParseRequest([]byte(msg)); err == nil {
			t.Errorf("%s: accepted as %+v", msg, q)
		}
	}
}

func TestServerSideEventKeepsBinary(t *testing.T) {
	p := packet.Payload{JSON: []byte(`["ev",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2}}}
	msg, err := AppendRequest(nil, Request{UID: "abcdef", ID: []byte(`"r1"`), Type: ServerSideEmit, Data: p})
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseRequest(msg)
	if err != nil || !reflect.DeepEqual(q.Data, p) {
		t.Errorf("%+v, %v", q, err)
	}
	answer, err := AppendResponse(nil, Response{ID: q.ID, Type: ServerSideEmit, UID: "ghijkl", Answer: packet.Payload{
		JSON: []byte(`[{"_placeholder":true,"num":0},2]`), Attachments: p.Attachments}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseResponse(answer)
	if err != nil || string(a.Answer.JSON) != `[{"_placeholder":true,"num":0}]` || a.UID != "ghijkl" || string(ResponseID(answer)) != "r1" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestPatternEscapesWildcards(t *testing.T) {
	c := NewChannels("socket.io", `/a[b]?*\`)
	if got, want := c.Pattern(), `socket.io#/a\[b\]\?\*\\#*`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
