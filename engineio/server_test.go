package engineio

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRefusals(t *testing.T) {
	forbid := Config{AllowRequest: func(r *http.Request) error {
		if r.Header.Get("X-No") != "" {
			return errorOf(r.Header.Get("X-No"))
		}
		return nil
	}}
	f := serve(t, forbid)
	pollOnly := serve(t, Config{Transports: []string{Polling}})
	badSID := serve(t, Config{NewSID: func(*http.Request) (string, error) { return "", errors.New("no ids left") }})
	sid := f.open()
	ws := f.websocket("")
	defer ws.Close()
	f.session()
	wsID := f.session().s.ID()

	for _, c := range []struct {
		name, method, query string
		headers             []string
		status              int
		body, context       string
		f                   *fixture
	}{
		{name: "no transport", query: "EIO=4", body: `{"code":0,"message":"Transport unknown"}`, context: "map[]"},
		{name: "unknown transport", query: "EIO=4&transport=x", body: `{"code":0,"message":"Transport unknown"}`, context: "map[transport:x]"},
		{name: "webtransport", query: "EIO=4&transport=webtransport", body: `{"code":0,"message":"Transport unknown"}`, context: "map[transport:webtransport]"},
		{name: "last transport wins", query: "EIO=4&transport=polling&transport=x", body: `{"code":0,"message":"Transport unknown"}`, context: "map[transport:x]"},
		{name: "disabled transport", f: pollOnly, query: "EIO=4&transport=websocket", body: `{"code":0,"message":"Transport unknown"}`, context: "map[transport:websocket]"},
		{name: "unknown sid", query: "EIO=4&transport=polling&sid=x%20y", body: `{"code":1,"message":"Session ID unknown"}`, context: "map[sid:x y]"},
		{name: "unknown sid, POST", method: "POST", query: "EIO=4&transport=polling&sid=x", body: `{"code":1,"message":"Session ID unknown"}`, context: "map[sid:x]"},
		{name: "last sid wins", query: "EIO=4&transport=polling&sid=" + sid + "&sid=x", body: `{"code":1,"message":"Session ID unknown"}`, context: "map[sid:x]"},
		{name: "POST without sid", method: "POST", query: "EIO=4&transport=polling", body: `{"code":2,"message":"Bad handshake method"}`, context: "map[method:POST]"},
		{name: "OPTIONS without sid", method: "OPTIONS", query: "EIO=4&transport=polling", body: `{"code":2,"message":"Bad handshake method"}`, context: "map[method:OPTIONS]"},
		{name: "HEAD without sid", method: "HEAD", query: "EIO=4&transport=polling", body: "", context: "map[method:HEAD]"},
		{name: "websocket without upgrade", query: "EIO=4&transport=websocket", body: `{"code":3,"message":"Bad request"}`, context: "map[name:TRANSPORT_HANDSHAKE_ERROR]"},
		{name: "other transport", query: "EIO=4&transport=websocket&sid=" + sid, body: `{"code":3,"message":"Bad request"}`, context: "map[name:TRANSPORT_MISMATCH previousTransport:polling transport:websocket]"},
		{name: "polling a websocket", query: "EIO=4&transport=polling&sid=" + wsID, body: `{"code":3,"message":"Bad request"}`, context: "map[name:TRANSPORT_MISMATCH previousTransport:websocket transport:polling]"},
		{name: "other protocol", query: "EIO=3&transport=polling&sid=" + sid, body: `{"code":3,"message":"Bad request"}`, context: "map[name:PROTOCOL_MISMATCH previousProtocol:4 protocol:3]"},
		{name: "no protocol", query: "transport=polling&sid=" + sid, body: `{"code":3,"message":"Bad request"}`, context: "map[name:PROTOCOL_MISMATCH previousProtocol:4 protocol:3]"},
		{name: "no sid to be had", f: badSID, query: "EIO=4&transport=polling", body: `{"code":3,"message":"Bad request"}`, context: "map[error:no ids left name:ID_GENERATION_ERROR]"},
		{name: "forbidden", query: "EIO=4&transport=polling", headers: []string{"X-No", `say "please" <b>`}, status: 403, body: `{"code":4,"message":"say \"please\" <b>"}`, context: `map[message:say "please" <b>]`},
		{name: "forbidden without a reason", query: "EIO=4&transport=polling", headers: []string{"X-No", "-"}, status: 403, body: `{"code":4,"message":"Forbidden"}`, context: "map[message:<nil>]"},
		{name: "forbidden before the protocol is looked at", query: "EIO=3&transport=polling", headers: []string{"X-No", "x"}, status: 403, body: `{"code":4,"message":"x"}`, context: "map[message:x]"},
		{name: "protocol 3", query: "EIO=3&transport=polling", body: `{"code":5,"message":"Unsupported protocol version"}`, context: "map[protocol:3]"},
		{name: "no protocol on a handshake", query: "transport=polling", body: `{"code":5,"message":"Unsupported protocol version"}`, context: "map[protocol:3]"},
		{name: "protocol 04", query: "EIO=04&transport=polling", body: `{"code":5,"message":"Unsupported protocol version"}`, context: "map[protocol:3]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := or(c.f, f)
			a := f.do(or(c.method, "GET"), c.query, "", c.headers...)
			a.want(t, or(c.status, 400), c.body)
			if got := a.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			e := <-f.refused
			if e.Request == nil || c.body != "" && c.body != string(appendErrorBody(nil, e.Code, e.told())) {
				t.Errorf("error %+v", e)
			}
			if got := sprint(e.Context); got != c.context {
				t.Errorf("context %s, want %s", got, c.context)
			}
		})
	}
}

func TestUpgradeRefusals(t *testing.T) {
	f := serve(t, Config{
		CORS:         &CORS{Origin: "http://a"},
		AllowRequest: func(r *http.Request) error { return errorOf(r.Header.Get("X-No")) },
	})
	sid := f.open()
	const good = "EIO=4&transport=websocket"
	key := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, c := range []struct {
		name, method, query, headers string
		status                       int
		body                         string
	}{
		{"unknown sid", "GET", good + "&sid=x", "Upgrade: websocket\r\n", 400, "Session ID unknown"},
		{"unknown transport", "GET", "EIO=4&transport=x", "Upgrade: websocket\r\n", 400, "Transport unknown"},
		{"forbidden is 400 here", "GET", good, "Upgrade: websocket\r\nX-No: go away\r\n", 400, "go away"},
		{"protocol", "GET", "EIO=3&transport=websocket", "Upgrade: websocket\r\n" + key + "Sec-WebSocket-Version: 13\r\n", 400, "Unsupported protocol version"},
		{"other protocol of a session", "GET", "EIO=3&transport=websocket&sid=" + sid, "Upgrade: websocket\r\n", 400, "Bad request"},
		{"not GET", "POST", good, "Upgrade: websocket\r\n", 400, "Bad handshake method"},
		{"not GET, with a sid", "PUT", good + "&sid=" + sid, "Upgrade: websocket\r\n", 405, "Invalid HTTP method"},
		{"h2c", "GET", good, "Upgrade: h2c\r\n", 400, "Invalid Upgrade header"},
		{"h2c while polling", "GET", "EIO=4&transport=polling", "Upgrade: h2c\r\n", 400, "Invalid Upgrade header"},
		{"no key", "GET", good, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", 400, "Missing or invalid Sec-WebSocket-Key header"},
		{"short key", "GET", good, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n", 400, "Missing or invalid Sec-WebSocket-Key header"},
		{"no version", "GET", good, "Upgrade: websocket\r\n" + key, 400, "Missing or invalid Sec-WebSocket-Version header"},
		{"version 7", "GET", good, "Upgrade: websocket\r\n" + key + "Sec-WebSocket-Version: 7\r\n", 400, "Missing or invalid Sec-WebSocket-Version header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := f.dial()
			defer conn.Close()
			io.WriteString(conn, c.method+" /engine.io/?"+c.query+" HTTP/1.1\r\nHost: test\r\nOrigin: http://a\r\nConnection: keep-alive, Upgrade\r\n"+c.headers+"\r\n")
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != c.status || string(body) != c.body {
				t.Errorf("answer %d %q, want %d %q", resp.StatusCode, body, c.status, c.body)
			}
			if !resp.Close || resp.Header.Get("Content-Type") != "text/html" || resp.ContentLength != int64(len(c.body)) {
				t.Errorf("headers %v", resp.Header)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" || resp.Header.Get("Vary") != "" {
				t.Errorf("CORS headers %v", resp.Header)
			}
			wantVersion := ""
			if strings.Contains(c.body, "Version header") {
				wantVersion = "13, 8"
			}
			if got := resp.Header.Get("Sec-WebSocket-Version"); got != wantVersion {
				t.Errorf("Sec-WebSocket-Version %q", got)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("after the answer: %v, want the end", err)
			}
		})
	}
}

func errorOf(text string) error {
	switch text {
	case "":
		return nil
	case "-":
		return ErrForbidden
	}
	return errors.New(text)
}

func TestPathIsAPrefixOfTheRawTarget(t *testing.T) {
	for _, c := range []struct {
		path    string
		noSlash bool
		target  string
		served  bool
	}{
		{"", false, "/engine.io/?EIO=4&transport=polling", true},
		{"", false, "/engine.io/more/path?EIO=4&transport=polling", true},
		{"", false, "/engine.io/../engine.io/?EIO=4&transport=polling", true},
		{"", false, "/engine.io?EIO=4&transport=polling", false},
		{"", false, "/engine%2Eio/?EIO=4&transport=polling", false},
		{"", false, "//engine.io/?EIO=4&transport=polling", false},
		{"", false, "http://test/engine.io/?EIO=4&transport=polling", false},
		{"/socket.io/", false, "/socket.io/?EIO=4&transport=polling", true},
		{"/socket.io", true, "/socket.iofoo?EIO=4&transport=polling", true},
	} {
		f := serve(t, Config{Path: c.path, NoTrailingSlash: c.noSlash})
		conn := f.dial()
		io.WriteString(conn, "GET "+c.target+" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		want := 404
		if c.served {
			want = 200
		}
		if resp.StatusCode != want {
			t.Errorf("path %q, target %s: status %d, want %d", c.path, c.target, resp.StatusCode, want)
		}
		conn.Close()
		f.stop()
	}
}

func TestConfigIsChecked(t *testing.T) {
	open := func(*Session) Receiver { return nil }
	for name, cfg := range map[string]Config{
		"Open":         {},
		"Path":         {Open: open, Path: "x"},
		"PingInterval": {Open: open, PingInterval: -1},
		"negative":     {Open: open, MaxQueueBytes: -1},
		"Transports":   {Open: open, Transports: []string{"carrier pigeon"}},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
