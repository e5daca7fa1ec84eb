package wire

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TestMalformedSessions: what no server stores restores nobody.
func TestMalformedSessions(t *testing.T) {
	for name, s := range map[string]Snapshot{
		"no sid":             {PID: "pid"},
		"no pid":             {ID: "sid"},
		"a long id":          {ID: strings.Repeat("s", MaxSnapshotID+1), PID: "pid"},
		"a control byte":     {ID: "s\n", PID: "pid"},
		"not UTF-8":          {ID: "s\xff", PID: "pid"},
		"more rooms than it": {ID: "sid", PID: "pid", Rooms: make([]string, MaxSnapshotRooms+1)},
	} {
		s.Data.JSON = []byte("{}")
		text, err := AppendSnapshot(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseSnapshot(string(text)); err == nil {
			t.Errorf("%s: read as %+v", name, got.ID)
		}
	}
}

// FuzzSession reads whatever may stand in Redis. What is accepted is told to clients and stored
// again.
func FuzzSession(f *testing.F) {
	for _, s := range []Snapshot{
		{ID: "sid", PID: "pid", Rooms: []string{"sid", "r"}, Data: packet.Payload{JSON: []byte(`{"a":[1.5,null]}`)}},
		{ID: "sid", PID: "pid", Data: packet.Payload{JSON: []byte(`{"b":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{{1}}},
			Owner: "owner", Epoch: 3, From: "1-2", Namespace: "/admin"},
	} {
		text, err := AppendSnapshot(nil, s)
		if err != nil {
			f.Fatal(err)
		}
		msg, _ := base64.StdEncoding.DecodeString(string(text))
		f.Add(msg)
	}
	for _, v := range streamGolden(f, "SET") {
		msg, _ := base64.StdEncoding.DecodeString(string(v.B64))
		f.Add(msg)
	}
	for _, msg := range []string{"\x80", "\xdf\xff\xff\xff\xff", "\x81\xa5rooms\xdd\xff\xff\xff\xff", "\x81\xa3nsp\xa0"} {
		f.Add([]byte(msg))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		defer testkit.BoundCost(t, len(msg))()
		s, err := ParseSnapshot(base64.StdEncoding.EncodeToString(msg))
		if err != nil {
			return
		}
		if len(s.Rooms) > MaxSnapshotRooms || len(s.Rooms) > len(msg) || len(s.ID) > MaxSnapshotID || len(s.PID) > MaxSnapshotID {
			t.Fatalf("%d rooms and ids of %d and %d bytes from %d bytes", len(s.Rooms), len(s.ID), len(s.PID), len(msg))
		}
		checkPayload(t, s.Data)
		again, err := AppendSnapshot(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := ParseSnapshot(string(again))
		if err != nil || stored.ID != s.ID || stored.PID != s.PID || !slices.Equal(stored.Rooms, s.Rooms) ||
			stored.Namespace != s.Namespace || stored.Owner != s.Owner || stored.From != s.From {
			t.Fatalf("%+v became %+v, %v", s, stored, err)
		}
	})
}
