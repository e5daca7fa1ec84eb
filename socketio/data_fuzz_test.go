package socketio

import (
	"bytes"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// FuzzData reads the data of a socket as another server, or Redis, may send it. Data that is accepted
// keeps to the limit, fits its keys, and is the same after another journey.
func FuzzData(f *testing.F) {
	type nested struct {
		Name  string
		Until time.Time
		Big   int64
		Photo []byte
		More  *nested
		Tags  map[string][]any
	}
	const most = 4 << 10
	object, number, text := NewKey[nested]("o"), NewKey[int64]("n"), NewKey[string]("s")
	keys := map[string]AnyKey{"o": object, "n": number, "s": text}
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"n":9007199254740993,"s":"é\u0000","x":[1,{"y":null}]}`,
		`{"o":{"Name":"ada","Until":"2026-11-21T07:00:00.000000001+02:00","Big":-1,"Photo":{"_placeholder":true,"num":0},"More":{"Tags":{"a":[1]}}}}`,
		`{"o":{"_placeholder":true,"num":1},"a":{"_placeholder":true,"num":0}}`, `{"n":1.5}`, `{"s":"\ud800"}`, `{"n":1,"n":2}`, `{"a":`, `{"__proto__":{}}`,
		`{"o":{"Photo":{"type":"Buffer","data":[1,2]}}}`, `{"x":{"_placeholder":true,"num":7}}`, `{"x":{"_placeholder":true,"num":0},"y":{"_placeholder":true,"num":0}}`,
	} {
		f.Add([]byte(seed), []byte{0, 1, 255}, []byte("two"))
	}
	f.Fuzz(func(t *testing.T, object, one, two []byte) {
		d, err := readData(packet.Payload{JSON: object, Attachments: [][]byte{one, two}}, keys, most)
		if err != nil {
			return
		}
		if d.size() > most {
			t.Fatalf("%d bytes are accepted, at most %d are allowed", d.size(), most)
		}
		for _, m := range d {
			if k := keys[m.name]; k != nil {
				if _, err := k.read(m.value); err != nil {
					t.Fatalf("%s was accepted: %v", m.name, err)
				}
			}
		}
		sent := d.payload()
		again, err := readData(sent, keys, most)
		if err != nil {
			t.Fatalf("%s is refused on the next server as %s: %v", object, sent.JSON, err)
		}
		back := again.payload()
		if !bytes.Equal(back.JSON, sent.JSON) || len(back.Attachments) != len(sent.Attachments) {
			t.Fatalf("%s became %s", sent.JSON, back.JSON)
		}
	})
}
