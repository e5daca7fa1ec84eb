package router

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
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
		var scratch sidScratch
		k, sid := classify("/socket.io/", []byte(c.method), []byte(c.target), c.upgrade, &scratch)
		if k != c.kind || sid != c.sid {
			t.Errorf("%s %s: %v %q, want %v %q", c.method, c.target, k, sid, c.kind, c.sid)
		}
	}
}

// FuzzClassify: no panic, and the last sid as net/url reads it.
func FuzzClassify(f *testing.F) {
	f.Add("GET", "/socket.io/?sid=a&transport=polling", false)
	f.Add("GET", "/socket.io/?%73id=%41&sid=b+c", true)
	f.Add("POST", "/socket.io/?sid="+strings.Repeat("%41", 200), false)
	f.Fuzz(func(t *testing.T, method, target string, upgrade bool) {
		var scratch sidScratch
		k, sid := classify("/socket.io/", []byte(method), []byte(target), upgrade, &scratch)
		if (sid != "") != (k == kindPoll || k == kindPost || k == kindUpgrade && sid != "") {
			t.Errorf("%v with sid %q", k, sid)
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
		if len(want) <= maxSID && sid != want {
			t.Errorf("%q: sid %q, net/url %q", target, sid, want)
		}
	})
}

// FuzzRoutersAndServersAgree sends requests through the router's parser and through a server: both
// must read the same session from each.
func FuzzRoutersAndServersAgree(f *testing.F) {
	f.Add("EIO=4&t=Pabcdef&sid=AAAAbbbbccccddddeeee")
	f.Add("%73id=%41&sid=b+c&transport=x")
	f.Add("sid=a&sid&sid==&sid=%4&&;sid=b")
	f.Add("")
	var answer engineio.ConnectionError
	server, err := engineio.New(engineio.Config{
		Path:         "/socket.io/",
		Open:         func(*engineio.Session) engineio.Receiver { return nil },
		AllowRequest: func(*http.Request) error { return engineio.ErrForbidden }, // opens no session
		OnError:      func(e engineio.ConnectionError) { answer = e },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		head := []byte("GET /socket.io/?" + query + "&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n")
		var h http1.Head
		if _, err := h.ParseRequest(head, 0); err != nil {
			return // the router refuses it
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			return
		}
		answer = engineio.ConnectionError{Code: -1}
		server.ServeHTTP(httptest.NewRecorder(), r)
		var scratch sidScratch
		k, got := classify("/socket.io/", h.Method.Of(head), h.Target.Of(head), h.Upgrade, &scratch)
		sid, _ := answer.Context["sid"].(string)
		switch {
		case answer.Code == engineio.CodeForbidden && k == kindHandshake:
		case answer.Code == engineio.CodeUnknownSID && k == kindPoll && (got == sid || len(sid) > maxSID):
		default:
			t.Errorf("%q: the router reads %v %q, the server answers %d %q", query, k, got, answer.Code, sid)
		}
	})
}

func BenchmarkClassifyAndLookUp(b *testing.B) {
	d := directory.NewStatic(directory.Worker{ID: "AAAA", Tags: true})
	d.Learn(context.Background(), "AAAAbbbbccccddddeeee", "AAAA", time.Minute)
	target := []byte("/socket.io/?EIO=4&transport=polling&t=Pabcdef&sid=AAAAbbbbccccddddeeee")
	method := []byte("GET")
	var scratch sidScratch
	sid := ""
	b.ReportAllocs()
	for b.Loop() {
		_, found := classify("/socket.io/", method, target, false, &scratch)
		if found != sid {
			sid = strings.Clone(found)
		}
		if d.Owner(context.Background(), sid).Worker == nil {
			b.Fatal("no owner")
		}
	}
}
