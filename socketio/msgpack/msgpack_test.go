package msgpack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

type golden struct {
	wire []byte
	Type packet.Type
	Nsp  string
	ID   *int64
	Data json.RawMessage
}

// goldens are packets as socket.io-msgpack-parser writes them (testdata/record.mjs).
func goldens(t testing.TB) (list []golden) {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		wire, packet, _ := strings.Cut(strings.TrimSpace(line), " ")
		var g golden
		if g.wire, err = base64.StdEncoding.DecodeString(wire); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(packet), &g); err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
	return list
}

// unbin puts {"$bin":base64} in the place of placeholders.
func unbin(p packet.Payload) string {
	text := string(p.JSON)
	for i, b := range p.Attachments {
		n, _ := json.Marshal(i)
		text = strings.ReplaceAll(text, `{"_placeholder":true,"num":`+string(n)+`}`, `{"$bin":"`+base64.StdEncoding.EncodeToString(b)+`"}`)
	}
	return text
}

func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		p, err := readPacket(g.wire)
		if err != nil {
			t.Errorf("%s: %v", g.Data, err)
			continue
		}
		id := int64(packet.NoID)
		if g.ID != nil {
			id = *g.ID
		}
		if p.Type != g.Type || p.Namespace != g.Nsp || p.ID != id || unbin(p.Payload) != string(g.Data) {
			t.Errorf("read %+v %s, want %+v", p.Header, unbin(p.Payload), g)
		}
		again, err := readPacket(appendPacket(nil, p))
		if err != nil || again.Header != p.Header || unbin(again.Payload) != unbin(p.Payload) {
			t.Errorf("written and read again: %+v %s, %v", again.Header, unbin(again.Payload), err)
		}
		if wire := appendPacket(nil, p); len(wire) != len(g.wire) {
			t.Errorf("%s takes %d bytes, and %d of the reference", g.Data, len(wire), len(g.wire))
		}
	}
}

func TestMalformed(t *testing.T) {
	good := appendPacket(nil, packet.Packet{
		Header: packet.Header{Type: packet.Event, Namespace: "/", ID: 1}, Payload: packet.Payload{JSON: []byte(`["e",{"a":[1.5,null]},"text"]`)},
	})
	for i := range good {
		if _, err := readPacket(good[:i]); err == nil {
			t.Errorf("%d of %d bytes are a packet", i, len(good))
		}
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"no map":          "\x93\x01\x02\x03",
		"no namespace":    "\x81\xa4type\x02",
		"no type":         "\x81\xa3nsp\xa1/",
		"type 5":          "\x82\xa4type\x05\xa3nsp\xa1/",
		"namespace 1":     "\x82\xa4type\x02\xa3nsp\x01",
		"negative id":     "\x83\xa4type\x02\xa3nsp\xa1/\xa2id\xff",
		"a key of 1":      "\x81\x01\x02",
		"something after": "\x82\xa4type\x00\xa3nsp\xa1/\x00",
		"long binary":     "\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xc6\xff\xff\xff\xff",
		"long array":      "\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdd\xff\xff\xff\xff",
		"deep":            "\x83\xa4type\x02\xa3nsp\xa1/\xa4data" + strings.Repeat("\x91", 600) + "\xc0",
	} {
		if p, err := readPacket([]byte(text)); err == nil {
			t.Errorf("%s is a packet: %+v", name, p)
		}
	}
}

func TestDatesAndUndefined(t *testing.T) {
	for wire, want := range map[string]string{
		"\xd6\xff\x00\x00\x00\x01":                                     `"1970-01-01T00:00:01.000Z"`,
		"\xd7\xff\x1d\xcd\x65\x00\x00\x00\x00\x01":                     `"1970-01-01T00:00:01.125Z"`,
		"\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff": `"1969-12-31T23:59:59.000Z"`,
		"\xd4\x00\x00": `null`,
		"\xd7\x00\x00\x00\x00\x00\x00\x00\x03\xe9": `"1970-01-01T00:00:01.001Z"`,
		"\xc7\x02\x00\x01\x02":                     `{"_placeholder":true,"num":0}`,
	} {
		p, err := readPacket([]byte("\x83\xa4type\x02\xa3nsp\xa1/\xa4data" + wire))
		if err != nil || string(p.Payload.JSON) != want {
			t.Errorf("%x: %s, %v; want %s", wire, p.Payload.JSON, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g.wire)
	}
	const unknown = "\x85\xa1x" // a member that no packet has, and its value
	for _, costly := range []string{strings.Repeat("\x91", 50_000), strings.Repeat("\x81\xa0", 50_000), "\xdd\xff\xff\xff\xff", "\xdf\x00\xff\xff\xff" + strings.Repeat("\xa0\xc0", 20_000)} {
		f.Add([]byte(unknown + costly))
		f.Add([]byte("\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e" + costly))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		defer testkit.BoundCost(t, len(wire))()
		p, err := readPacket(wire)
		if err != nil {
			return
		}
		if p.Payload.JSON != nil && !json.Valid(p.Payload.JSON) {
			t.Fatalf("%q is no JSON", p.Payload.JSON)
		}
		if bytes.Contains(p.Payload.JSON, []byte("_placeholder\":true")) && len(p.Payload.Attachments) == 0 {
			return // plain data that looks like one
		}
		again, err := readPacket(appendPacket(nil, p))
		if err != nil || again.Header != p.Header {
			t.Fatalf("written and read again: %+v, %v; was %+v", again.Header, err, p.Header)
		}
		if third, err := readPacket(appendPacket(nil, again)); err != nil || !bytes.Equal(third.Payload.JSON, again.Payload.JSON) {
			t.Fatalf("%s became %s, %v", again.Payload.JSON, third.Payload.JSON, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	wire := appendPacket(nil, packet.Packet{
		Header: packet.Header{Type: packet.Event, Namespace: "/", ID: 7}, Payload: packet.Payload{JSON: []byte(`["say",{"room":"lobby","text":"hello","at":1763629200000}]`)},
	})
	b.ReportAllocs()
	for b.Loop() {
		readPacket(wire)
	}
}

func BenchmarkEncode(b *testing.B) {
	p := packet.Packet{
		Header: packet.Header{Type: packet.Event, Namespace: "/", ID: 7}, Payload: packet.Payload{JSON: []byte(`["say",{"room":"lobby","text":"hello","at":1763629200000}]`)},
	}
	b.ReportAllocs()
	for b.Loop() {
		appendPacket(make([]byte, 0, 128), p)
	}
}

// TestUnknownMembersCostTheirBytes: members that mean nothing here are passed over without
// recursion, however deep they nest. The stack of a goroutine that reads ended the process at 9 MB
// of them.
func TestUnknownMembersCostTheirBytes(t *testing.T) {
	for name, deep := range map[string]string{
		"arrays": strings.Repeat("\x91", 20<<20) + "\xc0",
		"maps":   strings.Repeat("\x81\xa0", 10<<20) + "\xc0",
		"cut":    strings.Repeat("\x91", 1<<20),
	} {
		p, err := readPacket([]byte("\x83\xa4type\x02\xa1x" + deep + "\xa3nsp\xa1/"))
		if (err == nil) != (name != "cut") || err == nil && p.Namespace != "/" {
			t.Errorf("%s: %+v, %v", name, p.Header, err)
		}
	}
}

// TestTheLastMemberCounts: one that comes twice is what it is last, as in JavaScript.
func TestTheLastMemberCounts(t *testing.T) {
	p, err := readPacket([]byte("\x84\xa4data\x91\xc4\x01x\xa4type\x02\xa4data\x92\xa1e\xc4\x01y\xa3nsp\xa1/"))
	if err != nil || string(p.Payload.JSON) != `["e",{"_placeholder":true,"num":0}]` || len(p.Payload.Attachments) != 1 || string(p.Payload.Attachments[0]) != "y" {
		t.Errorf("%s %q, %v", p.Payload.JSON, p.Payload.Attachments, err)
	}
}
