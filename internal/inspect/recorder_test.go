package inspect

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRecorderKeepsWhatItGets(t *testing.T) {
	at := time.UnixMilli(time.Now().UnixMilli())
	e := Ended{
		SID: "abcdefghijklmnopqrst", Sockets: []string{"s1", "s2"}, Namespaces: []string{"/", "/x"}, Address: "10.0.0.1:5", Router: "r",
		Transport: "websocket", Opened: at.Add(-time.Hour), At: at, Reason: "ping timeout", By: "network", Detail: "d", Limit: "MaxRooms",
		PingSent: at.Add(-20 * time.Second), PongSeen: at.Add(-45 * time.Second), LastHeard: at.Add(-46 * time.Second), LastSent: at.Add(-47 * time.Second), Queue: 17,
		Sending: "news", Handler: "say", HandlerRuns: time.Second, CloseCode: 1001, Unacked: 3, Retransmits: 4, Alive: true,
	}
	for f := range reflect.TypeFor[Ended]().Fields() { // a field that nobody packs would be lost in silence
		if f.Name != "Process" && reflect.ValueOf(e).FieldByIndex(f.Index).IsZero() {
			t.Errorf("the test doesn't set %s", f.Name)
		}
	}
	r := NewRecorder()
	r.Add(&e)
	p := Process{Host: "h", Worker: "w"}
	page := r.Page(p, Query{ID: "s2s2"})
	if len(page.Rows) != 0 {
		t.Errorf("another id found %+v", page)
	}
	page = r.Page(p, Query{ID: e.SID})
	raw, err := r.Save(p)
	if err != nil {
		t.Fatal(err)
	}
	if again, whose, err := Restore(raw); err != nil || whose != p || !reflect.DeepEqual(again.Page(whose, Query{}), page) {
		t.Errorf("restored: %v of %+v, %v", again, whose, err)
	}
	e.Process, e.SID = p, e.SID[:12]
	if len(page.Rows) != 1 || !reflect.DeepEqual(page.Rows[0], e) {
		t.Errorf("got  %+v\nwant %+v", page.Rows, e)
	}
}

func TestRecorderIsBounded(t *testing.T) {
	r := NewRecorder()
	add := func(n, size int) {
		for i := range n {
			r.Add(&Ended{SID: fmt.Sprintf("%020d", i), At: time.UnixMilli(int64(i)), Handler: strings.Repeat("ü", size), Detail: strings.Repeat("x", size)})
		}
	}
	size := func() (n, bytes int) {
		for _, one := range r.ended.all() {
			n, bytes = n+1, bytes+len(one)
		}
		if bytes != r.ended.bytes {
			t.Errorf("%d bytes are counted, %d are there", r.ended.bytes, bytes)
		}
		return n, bytes
	}
	add(5000, 10)
	if n, _ := size(); n != mostEnded {
		t.Errorf("%d records, want %d", n, mostEnded)
	}
	add(5000, 1000)
	if n, bytes := size(); n < 500 || bytes > mostEndedBytes || cap(r.ended.list) > 3*mostEnded {
		t.Errorf("%d records of %d bytes in a list for %d", n, bytes, cap(r.ended.list))
	}
	newest := r.Page(Process{}, Query{Limit: 2})
	if len(newest.Rows) != 2 || newest.Rows[0].At != time.UnixMilli(4999) || newest.Rows[1].At != time.UnixMilli(4998) || newest.More == 0 {
		t.Errorf("newest %+v", newest)
	}
	for range 10000 {
		r.Refuse(&Ended{Reason: "refused", Detail: strings.Repeat("y", 300)})
	}
	if n, _ := size(); n < 500 || r.refused.bytes > mostRefusedB {
		t.Errorf("refusals have left %d records, and take %d bytes", n, r.refused.bytes)
	}
}

// TestHostileRecords: a record is read back whatever its texts are.
func TestHostileRecords(t *testing.T) {
	for _, text := range []string{"", "\x00\xff\xfe", "\x1b[2J\u202e", strings.Repeat("\xf0\x9f\x98\x80", 1000)} {
		e := Ended{SID: text, Detail: text, Handler: text, Sockets: []string{text, text, text, text, text, text, text, text, text, text}}
		got := unpackEnded(e.pack())
		if len(got.Detail) > mostDetail || len(got.SID) > mostName || len(got.Sockets) != mostSockets || len(e.Sockets) != 10 {
			t.Errorf("%q: %+v", text, got)
		}
		for n := range len(e.pack()) {
			unpackEnded(e.pack()[:n]) // panics if it believes a length
		}
	}
}
