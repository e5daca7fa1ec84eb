package router

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		method, target string
		upgrade        bool
		kind           kind
		sid            string
	}{
		{"GET", "/", false, kindApp, ""},
		{"GET", "/socket.io", false, kindApp, ""},
		{"GET", "/socket.io?EIO=4&transport=polling", false, kindApp, ""},
		{"GET", "/socket.io/?EIO=4&transport=polling", false, kindHandshake, ""},
		{"GET", "/socket.io/anything?EIO=4&transport=polling", false, kindHandshake, ""},
		{"GET", "/socket.io/../socket.io/?transport=polling", false, kindHandshake, ""},
		{"GET", "//socket.io/?transport=polling", false, kindApp, ""},
		{"GET", "/socket%2Eio/?transport=polling", false, kindApp, ""},
		{"GET", "http://x/socket.io/?transport=polling", false, kindApp, ""},
		{"GET", "/socket.io/socket.io.js", false, kindApp, ""},
		{"GET", "/socket.io/?EIO=4", false, kindApp, ""},
		{"OPTIONS", "/socket.io/?transport=polling", false, kindApp, ""},
		{"POST", "/socket.io/?transport=polling", false, kindApp, ""},
		{"HEAD", "/socket.io/?transport=polling", false, kindApp, ""},
		{"GET", "/socket.io/?transport=websocket", true, kindUpgrade, ""},
		{"GET", "/socket.io/?transport=websocket&sid=a", true, kindUpgrade, "a"},
		{"GET", "/socket.io/", true, kindApp, ""},
		{"GET", "/chat", true, kindApp, ""},
		{"GET", "/socket.io/?sid=a", false, kindPoll, "a"},
		{"GET", "/socket.io/?sid=a&transport=polling", false, kindPoll, "a"},
		{"GET", "/socket.io/?transport=polling&sid=a", false, kindPoll, "a"},
		{"GET", "/socket.io/?transport=polling&xsid=b&sid=a&sidx=c", false, kindPoll, "a"},
		{"GET", "/socket.io/?sid=a&sid=b", false, kindPoll, "b"},
		{"GET", "/socket.io/?sid=a&transport=polling&sid=", false, kindHandshake, ""},
		{"GET", "/socket.io/?sid=&transport=polling", false, kindHandshake, ""},
		{"GET", "/socket.io/?sid&transport=polling", false, kindHandshake, ""},
		{"GET", "/socket.io/?%73id=a", false, kindPoll, "a"},
		{"GET", "/socket.io/?%73%69%64=%61%2Db", false, kindPoll, "a-b"},
		{"GET", "/socket.io/?sid=a+b", false, kindPoll, "a b"},
		{"GET", "/socket.io/?sid=%zz", false, kindPoll, "%zz"},
		{"GET", "/socket.io/?sid=a%", false, kindPoll, "a%"},
		{"GET", "/socket.io/?SID=a&transport=x", false, kindHandshake, ""},
		{"GET", "/socket.io/?&&sid=a&&", false, kindPoll, "a"},
		{"GET", "/socket.io/?a?sid=b&sid=c=d", false, kindPoll, "c=d"},
		{"POST", "/socket.io/?sid=a", false, kindPost, "a"},
		{"HEAD", "/socket.io/?sid=a", false, kindPost, "a"},
		{"OPTIONS", "/socket.io/?sid=a", false, kindPost, "a"},
		{"get", "/socket.io/?sid=a", false, kindPost, "a"},
	} {
		var scratch [maxSID]byte
		got := classify("/socket.io/", []byte(c.method), []byte(c.target), c.upgrade, &scratch)
		if got.kind != c.kind || string(got.sid) != c.sid || (got.sid != nil) != (c.sid != "") {
			t.Errorf("%s %s: %v %q, want %v %q", c.method, c.target, got.kind, got.sid, c.kind, c.sid)
		}
	}
}

// FuzzClassify: no panic, and the last sid as net/url reads it.
func FuzzClassify(f *testing.F) {
	f.Add("GET", "/socket.io/?sid=a&transport=polling", false)
	f.Add("GET", "/socket.io/?%73id=%41&sid=b+c", true)
	f.Add("POST", "/socket.io/?sid="+strings.Repeat("%41", 200), false)
	f.Fuzz(func(t *testing.T, method, target string, upgrade bool) {
		var scratch [maxSID]byte
		got := classify("/socket.io/", []byte(method), []byte(target), upgrade, &scratch)
		if (got.sid != nil) != (got.kind == kindPoll || got.kind == kindPost || got.kind == kindUpgrade && got.sid != nil) {
			t.Errorf("%v with sid %q", got.kind, got.sid)
		}
		_, query, _ := strings.Cut(target, "?")
		if !strings.HasPrefix(target, "/socket.io/") || strings.Contains(query, ";") {
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil || len(values["sid"]) == 0 {
			return
		}
		want := values["sid"][len(values["sid"])-1]
		if len(want) <= maxSID && string(got.sid) != want {
			t.Errorf("%q: sid %q, net/url %q", target, got.sid, want)
		}
	})
}

func BenchmarkClassifyAndLookUp(b *testing.B) {
	d := directory.NewStatic(directory.Worker{ID: "AAAA", Tags: true})
	d.Learn(context.Background(), "AAAAbbbbccccddddeeee", "AAAA", time.Minute)
	target := []byte("/socket.io/?EIO=4&transport=polling&t=Pabcdef&sid=AAAAbbbbccccddddeeee")
	method := []byte("GET")
	var scratch [maxSID]byte
	sid := ""
	b.ReportAllocs()
	for b.Loop() {
		rt := classify("/socket.io/", method, target, false, &scratch)
		if string(rt.sid) != sid {
			sid = string(rt.sid)
		}
		if d.Owner(context.Background(), sid).Worker == nil {
			b.Fatal("no owner")
		}
	}
}
