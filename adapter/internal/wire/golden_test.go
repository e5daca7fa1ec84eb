package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// vector is one command that a Node server sent to Redis (adapter/testdata/README.md).
type vector struct {
	Name    string
	From    string
	Cmd     string
	Channel string
	Enc     string
	B64     []byte
	Decoded any
	Fields  [][2]string // of an entry of a stream
}

// published returns the vectors that carry a message, of all golden files of the classic adapter.
func published(t testing.TB) []vector {
	t.Helper()
	return recorded(t, []string{"classic", "classic-specific", "redis-emitter"}, "PUBLISH")
}

// recorded returns the vectors of some commands, of several golden files.
func recorded(t testing.TB, files []string, commands ...string) []vector {
	t.Helper()
	var all []vector
	for _, name := range files {
		raw, err := os.ReadFile(filepath.Join("../../testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Vectors []vector }
		if err := json.Unmarshal(raw, &file); err != nil {
			t.Fatal(err)
		}
		for _, v := range file.Vectors {
			if slices.Contains(commands, v.Cmd) {
				v.Name = name + "/" + v.Name
				all = append(all, v)
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("no vectors")
	}
	return all
}

// foreignForm tells the vectors that are not written as an adapter writes: by hand, or by the
// emitter, whose options have another order.
func foreignForm(v vector) bool { return v.From == "INJ" || v.From == "EMIT" }

func TestGoldenBroadcasts(t *testing.T) {
	for _, v := range published(t) {
		if !strings.HasPrefix(v.Channel, "socket.io#") {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			b, err := ParseBroadcast(v.B64)
			if err != nil {
				t.Fatal(err)
			}
			p, err := b.Payload()
			if err != nil {
				t.Fatal(err)
			}
			sent := v.Decoded.([]any)
			body, opts := sent[1].(map[string]any), sent[2].(map[string]any)
			if string(b.UID) != sent[0] {
				t.Errorf("uid %q, want %q", b.UID, sent[0])
			}
			if want := expected(body["data"]); !reflect.DeepEqual(values(t, p), want) {
				t.Errorf("data %s, want %v", p.JSON, want)
			}
			if want := roomsOf(opts["rooms"]); !reflect.DeepEqual(b.Rooms.Strings(), want) {
				t.Errorf("rooms %q, want %q", b.Rooms.Strings(), want)
			}
			if want := roomsOf(opts["except"]); !reflect.DeepEqual(b.Except.Strings(), want) {
				t.Errorf("except %q, want %q", b.Except.Strings(), want)
			}
			again, err := AppendBroadcast(nil, string(b.UID), string(b.Namespace), p,
				Options{Rooms: b.Rooms.Strings(), Except: b.Except.Strings(), Flags: b.Flags()})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case foreignForm(v), strings.Contains(v.Name, "date"), strings.Contains(v.Name, "nested-binary"),
				strings.Contains(v.Name, "floats"):
				// Dates come back as text, NaN and the infinities as the null that clients get.
				sameBroadcast(t, again, v.B64)
			default:
				if !bytes.Equal(again, v.B64) {
					t.Errorf("again %x\nwant  %x", again, v.B64)
				}
			}
		})
	}
}

// sameBroadcast wants two messages to say the same to clients.
func sameBroadcast(t *testing.T, got, want []byte) {
	t.Helper()
	var seen [2]any
	for i, msg := range [][]byte{got, want} {
		b, err := ParseBroadcast(msg)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Payload()
		if err != nil {
			t.Fatal(err)
		}
		seen[i] = []any{string(p.JSON), p.Attachments, b.Rooms.Strings(), b.Except.Strings(), b.Flags()}
	}
	if !reflect.DeepEqual(seen[0], seen[1]) {
		t.Errorf("again %v\nwant  %v", seen[0], seen[1])
	}
}

func TestGoldenRequests(t *testing.T) {
	for _, v := range published(t) {
		if !strings.HasPrefix(v.Channel, "socket.io-request#") {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			q, err := ParseRequest(v.B64)
			if v.Enc == "raw" {
				if err == nil {
					t.Error("garbage accepted")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sent := v.Decoded.(map[string]any)
			if want := sent["type"].(float64); float64(q.Type) != want {
				t.Errorf("type %d, want %v", q.Type, want)
			}
			if want, _ := sent["uid"].(string); q.UID != want {
				t.Errorf("uid %q, want %q", q.UID, want)
			} else if want != "" && !RequestFrom(v.B64, want) {
				t.Error("sender not told from the header")
			}
			if foreignForm(v) && v.From != "EMIT" {
				return
			}
			again, err := AppendRequest(nil, q)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, v.B64) {
				t.Errorf("again %s\nwant  %s", again, v.B64)
			}
			checkOurs(t, q, v.B64)
		})
	}
}

// checkOurs checks that our requests are Node's with one member more, at the end.
func checkOurs(t *testing.T, q Request, nodes []byte) {
	t.Helper()
	if q.Sidereal {
		t.Error("taken for one of ours")
	}
	want := append(bytes.Clone(nodes), "\xa8sidereal\xc3"...)
	if nodes[0] == '{' {
		want = append(bytes.TrimSuffix(nodes, []byte("}")), `,"sidereal":true}`...)
	} else {
		want[0]++ // the number of members
	}
	q.Sidereal = true
	ours, err := AppendRequest(nil, q)
	if err != nil || !bytes.Equal(ours, want) {
		t.Errorf("ours %s, %v\nwant %s", ours, err, want)
	}
	again, err := ParseRequest(ours)
	if err != nil || again.Sidereal != (q.UID != "") || again.Type != q.Type {
		t.Errorf("%s parsed as %+v, %v", ours, again, err)
	}
}

func TestGoldenResponses(t *testing.T) {
	for _, v := range published(t) {
		if !strings.HasPrefix(v.Channel, "socket.io-response#") {
			continue
		}
		sent := v.Decoded.(map[string]any)
		if ids, ok := sent["sockets"].([]any); ok && len(ids) > 0 {
			if _, ok := ids[0].(string); ok {
				continue // answers a type 0, which we never ask
			}
		}
		t.Run(v.Name, func(t *testing.T) {
			if got := string(ResponseID(v.B64)); got != sent["requestId"] {
				t.Errorf("id %q, want %q", got, sent["requestId"])
			}
			a, err := ParseResponse(v.B64)
			if err != nil {
				t.Fatal(err)
			}
			if sent["rooms"] != nil {
				return // answers a type 1, which we never ask
			}
			again, err := AppendResponse(nil, a)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again, v.B64) {
				t.Errorf("again %s\nwant  %s", again, v.B64)
			}
		})
	}
}

// values reads a payload as a JavaScript client would, with its attachments in place.
func values(t *testing.T, p packet.Payload) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(p.JSON, &v); err != nil {
		t.Fatalf("%s: %v", p.JSON, err)
	}
	return fill(v, p.Attachments)
}

func fill(v any, attachments [][]byte) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = fill(v[i], attachments)
		}
	case map[string]any:
		if v["_placeholder"] == true {
			return string(attachments[int(v["num"].(float64))])
		}
		for k := range v {
			v[k] = fill(v[k], attachments)
		}
	}
	return v
}

// expected turns the tags of the golden files into what a client gets.
func expected(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = expected(v[i])
		}
		return out
	case map[string]any:
		if s, ok := v["$bin"].(string); ok {
			raw, _ := base64.StdEncoding.DecodeString(s)
			return string(raw)
		}
		if s, ok := v["$int"].(string); ok {
			f, _ := strconv.ParseFloat(s, 64)
			return f
		}
		if s, ok := v["$float"].(string); ok {
			if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f
			}
			return nil
		}
		if ext, ok := v["$ext"].([]any); ok {
			raw, _ := base64.StdEncoding.DecodeString(ext[1].(string))
			var s string
			text, _, _ := DecodeValue(nil, nil, append([]byte{0xc7, byte(len(raw)), 0xff}, raw...))
			_ = json.Unmarshal(text, &s)
			return s
		}
		out := map[string]any{}
		for k := range v {
			out[k] = expected(v[k])
		}
		return out
	}
	return v
}

func roomsOf(v any) (rooms []string) {
	list, _ := v.([]any)
	for _, r := range list {
		switch r := r.(type) {
		case string:
			rooms = append(rooms, r)
		case float64:
			rooms = append(rooms, packet.NumberRoom(int64(r)))
		}
	}
	return rooms
}
