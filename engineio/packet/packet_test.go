package packet_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestTextForm(t *testing.T) {
	for _, c := range []struct {
		text string
		p    packet.Packet
	}{
		{"0{}", packet.Packet{Type: packet.Open, Data: []byte("{}")}},
		{"1", packet.Packet{Type: packet.Close}},
		{"2probe", packet.Packet{Type: packet.Ping, Data: []byte("probe")}},
		{"3", packet.Packet{Type: packet.Pong}},
		{"4h\u20ac", packet.Packet{Type: packet.Message, Data: []byte("h\u20ac")}},
		{"5", packet.Packet{Type: packet.Upgrade}},
		{"6", packet.Packet{Type: packet.Noop}},
		{"bAQIDBA==", packet.Packet{Type: packet.Message, Binary: true, Data: []byte{1, 2, 3, 4}}},
		{"b", packet.Packet{Type: packet.Message, Binary: true}},
	} {
		if got := packet.AppendText(nil, c.p); string(got) != c.text {
			t.Errorf("AppendText(%v) = %q, want %q", c.p, got, c.text)
		}
		got, err := packet.ParseText([]byte(c.text))
		if err != nil || got.Type != c.p.Type || got.Binary != c.p.Binary || !bytes.Equal(got.Data, c.p.Data) {
			t.Errorf("ParseText(%q) = %v, %v", c.text, got, err)
		}
	}
}

func TestInvalidPackets(t *testing.T) {
	for _, text := range []string{"", "7", "a", "B", "\x1e", " 4", "\xff"} {
		if p, err := packet.ParseText([]byte(text)); !errors.Is(err, packet.ErrInvalid) {
			t.Errorf("ParseText(%q) = %v, %v; want ErrInvalid", text, p, err)
		}
	}
}

// The expected bytes are what Buffer.from(text, "base64") gives on Node 20.
func TestBase64IsLenient(t *testing.T) {
	for text, want := range map[string]string{
		"YWJj=YWJj": "abc", "YQ==YQ==": "a", "Y W\nJj": "abc", "YW-_": "ao\xbf", "YWJ": "ab", "Y": "",
		"YWJj\u00e9YWJj": "abcabc", "*YWJj": "abc", "YWJjZ": "abc", "=bad=bad": "",
	} {
		p, err := packet.ParseText([]byte("b" + text))
		if err != nil || string(p.Data) != want {
			t.Errorf("base64 %q: %q, %v; want %q", text, p.Data, err, want)
		}
	}
}

func TestPayload(t *testing.T) {
	ps := []packet.Packet{
		{Type: packet.Message, Data: []byte("hello")},
		{Type: packet.Ping},
		{Type: packet.Message, Binary: true, Data: []byte{0xff, 0}},
	}
	body := packet.AppendPayload(nil, ps...)
	if want := "4hello\x1e2\x1eb/wA="; string(body) != want {
		t.Fatalf("payload %q, want %q", body, want)
	}
	i := 0
	for p, err := range packet.Payload(body) {
		if err != nil || p.Type != ps[i].Type || !bytes.Equal(p.Data, ps[i].Data) {
			t.Errorf("packet %d: %v, %v", i, p, err)
		}
		i++
	}
	if i != len(ps) {
		t.Errorf("%d packets, want %d", i, len(ps))
	}
}

func TestPayloadStopsAtAnError(t *testing.T) {
	for body, valid := range map[string]int{"": 0, "4a\x1e": 1, "4a\x1ex\x1e4b": 1, "\x1e4a": 0, "4a\x1e\x1e4b": 1} {
		got, failed := 0, false
		for _, err := range packet.Payload([]byte(body)) {
			if failed {
				t.Errorf("%q: something after the error", body)
			}
			if err != nil {
				failed = true
				continue
			}
			got++
		}
		if got != valid || !failed {
			t.Errorf("%q: %d packets, failed %t; want %d and an error", body, got, failed, valid)
		}
	}
}

const openJSON = `{"sid":"lv_VI97HAXpY6yYWAAAB","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

var openData = packet.OpenData{
	SID: "lv_VI97HAXpY6yYWAAAB", Upgrades: []string{"websocket"},
	PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second, MaxPayload: 1000000,
}

func TestOpen(t *testing.T) {
	if got := packet.AppendOpen(nil, openData); string(got) != openJSON {
		t.Errorf("open data %s", got)
	}
	noUpgrades := openData
	noUpgrades.Upgrades = nil
	if got := packet.AppendOpen(nil, noUpgrades); !bytes.Contains(got, []byte(`"upgrades":[],`)) {
		t.Errorf("open data %s", got)
	}
	for _, bad := range []string{"", "{}", `{"sid":1}`, `{"sid":""}`, "null"} {
		if o, err := packet.ParseOpen([]byte(bad)); err == nil {
			t.Errorf("ParseOpen(%s) = %v, want an error", bad, o)
		}
	}
}

func TestFindOpen(t *testing.T) {
	eio3 := `{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}`
	for name, c := range map[string]struct{ body, sid string }{
		"v4":                  {"0" + openJSON, openData.SID},
		"v4 with more":        {"0" + openJSON + "\x1e40{}", openData.SID},
		"v3 text":             {"79:0" + eio3, "abc"},
		"v3 text with more":   {"79:0" + eio3 + "2:40", "abc"},
		"v3 binary":           {"\x00\x07\x09\xff0" + eio3 + "\x00\x02\xff40", "abc"},
		"jsonp v4":            {`___eio[12]("0{\"sid\":\"abc\",\"upgrades\":[],\"pingInterval\":1,\"pingTimeout\":1}");`, "abc"},
		"jsonp v3":            {`___eio[0]("15:0{\"sid\":\"abcd\"}");`, "abcd"},
		"error":               {`{"code":1,"message":"Session ID unknown"}`, ""},
		"empty":               {"", ""},
		"message":             {`4{"sid":"x"}`, ""},
		"v3 text cut":         {"79:0{", ""},
		"v3 binary cut":       {"\x00\x07\x09\xff0{", ""},
		"v3 binary no length": {"\x00", ""},
		"jsonp cut":           {`___eio[0]("`, ""},
		"v3 empty":            {"0:", ""},
		"ok":                  {"ok", ""},
	} {
		o, ok := packet.FindOpen([]byte(c.body))
		if ok != (c.sid != "") || o.SID != c.sid {
			t.Errorf("%s: %q, %t; want %q", name, o.SID, ok, c.sid)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	body := []byte("4hello\x1e42[\"a\"]\x1e3")
	dst := make([]byte, 0, 256)
	n := testing.AllocsPerRun(100, func() {
		for p, err := range packet.Payload(body) {
			if err != nil {
				t.Fatal(err)
			}
			dst = packet.AppendText(dst[:0], p)
		}
		dst = packet.AppendOpen(dst[:0], openData)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzDecodePayload(f *testing.F) {
	for _, s := range []string{"", "4a\x1e4b", "bAQID", "0" + openJSON, "2probe\x1e5", "4\x1e", "b=\x1eb*", "79:0{}", "\x00\x01\xff0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		defer testkit.BoundCost(t, len(body))()
		packet.FindOpen(body)
		var ps []packet.Packet
		for p, err := range packet.Payload(body) {
			if err == nil {
				ps = append(ps, p)
			}
		}
		again := packet.AppendPayload(nil, ps...)
		i := 0
		for p, err := range packet.Payload(again) {
			if len(ps) == 0 {
				break
			}
			if err != nil || p.Type != ps[i].Type || p.Binary != ps[i].Binary || !bytes.Equal(p.Data, ps[i].Data) {
				t.Fatalf("re-encoded %q: packet %d is %v, %v", again, i, p, err)
			}
			i++
		}
		if i != len(ps) {
			t.Fatalf("re-encoded %q: %d packets, had %d", again, i, len(ps))
		}
	})
}
