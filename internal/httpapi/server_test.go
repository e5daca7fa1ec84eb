package httpapi

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestActionsReachRedis has each action published where the app's servers listen.
func TestActionsReachRedis(t *testing.T) {
	m := testkit.MiniRedis(t)
	f := serve(t, m.Addr(), nil)
	sub := f.store.client.PSubscribe(t.Context(), "socket.io*")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, body, channel, says string }{
		{"/v1/emit", `{"event":"said","args":["hi",{"$base64":"AAEC"}],"rooms":["a"],"namespace":"/chat"}`, "socket.io#/chat#a#", "said"},
		{"/v1/emit", `{"event":"said","sockets":["id1"],"rooms":["a"],"except":["b"],"volatile":true}`, "socket.io#/#", "id1"},
		{"/v1/join", `{"sockets":["id1"],"join":["a","b"]}`, "socket.io-request#/#", `"rooms":["a","b"]`},
		{"/v1/leave", `{"rooms":["a"],"leave":["b"]}`, "socket.io-request#/#", `"rooms":["b"]`},
		{"/v1/disconnect", `{"rooms":["a"],"close":true}`, "socket.io-request#/#", `"close":true`},
		{"/v1/server-event", `{"event":"refresh","args":[{"n":1}]}`, "socket.io-request#/#", "refresh"},
	} {
		a := f.post(t, c.path, c.body)
		if a.Code != http.StatusAccepted || a.Status != http.StatusAccepted || a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: %d %s", c.path, c.body, a.Code, a.Text)
			continue
		}
		got, err := sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.Channel != c.channel || !strings.Contains(got.Payload, c.says) {
			t.Errorf("%s: %q on %s, want %q on %s", c.path, got.Payload, got.Channel, c.says, c.channel)
		}
	}
	if n := testutil.CollectAndCount(f.metrics, "sidereal_api_actions_total"); n != 5 {
		t.Errorf("%d series of actions", n)
	}
}

// TestWrongRequestsNameTheMember: nothing of them reaches Redis.
func TestWrongRequestsNameTheMember(t *testing.T) {
	f := serve(t, testkit.MiniRedis(t).Addr(), nil)
	f.store.away.Store(true) // an action that gets so far ends with 503
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	many := strings.TrimSuffix(strings.Repeat(`"a",`, 1001), ",")
	for _, c := range []struct{ path, body, kind, member string }{
		{"emit", `{"event":"x","roms":["a"]}`, "unknown-member", "/roms"},
		{"emit", `{"event":"x","Rooms":["a"]}`, "unknown-member", "/Rooms"},
		{"emit", `{"event":"x","op":"emit"}`, "unknown-member", "/op"},
		{"join", `{"event":"x","join":["a"]}`, "unknown-member", "/event"},
		{"emit", `{"event":"x","rooms":"a"}`, "wrong-type", "/rooms"},
		{"emit", `{"event":"x","rooms":null}`, "wrong-type", "/rooms"},
		{"emit", `{"event":"x","rooms":[["a"]]}`, "wrong-type", "/rooms"},
		{"emit", `{"event":7}`, "wrong-type", "/event"},
		{"emit", `{"event":"x","volatile":"yes"}`, "wrong-type", "/volatile"},
		{"emit", `{"event":"x","args":{"a":1}}`, "wrong-type", "/args"},
		{"emit", `{"event":"x","args":null}`, "wrong-type", "/args"},
		{"emit", `{}`, "missing-member", "/event"},
		{"join", `{"rooms":["a"]}`, "missing-member", "/join"},
		{"leave", `{"rooms":["a"],"leave":[]}`, "missing-member", "/leave"},
		{"emit", `{"event":"x","rooms":[]}`, "bad-value", "/rooms"},
		{"disconnect", `{"sockets":[]}`, "bad-value", "/rooms"},
		{"emit", `{"event":"connect"}`, "bad-value", "/event"},
		{"emit", `{"event":"x","namespace":"chat"}`, "bad-value", "/namespace"},
		{"emit", `{"event":"x","event":"y"}`, "bad-value", "/event"},
		{"emit", `{"event":"x","rooms":[` + many + `]}`, "bad-value", "/rooms"},
		{"emit", `{"event":"` + strings.Repeat("x", 1025) + `"}`, "bad-value", "/event"},
		{"emit", `{"event":"x","args":[1e999]}`, "bad-value", "/args/0"},
		{"emit", `{"event":"x","args":[` + strings.Repeat("1", 65) + `]}`, "bad-value", "/args/0"},
		{"emit", `{"event":"x","args":` + deep + `}`, "bad-value", "/args" + strings.Repeat("/0", 63)},
		{"emit", `{"event":"x","args":[{"a":{"$base64":"?"}}]}`, "bad-value", "/args/0/a/$base64"},
		{"emit", `{"event":"x","args":[{"$base64":"AA==","b":1}]}`, "bad-value", "/args/0/$base64"},
		{"emit", `{"event":"x","args":[{"$base64":"AA=="},{"_placeholder":true,"num":0}]}`, "bad-value", "/args"},
		{"emit", `{"event":"x","args":[` + strings.Repeat("1,", 100) + `1]}`, "bad-value", "/args"},
		{"emit", `{"event":"x","timeout":0}`, "bad-value", "/timeout"},
		{"emit", `{"event":"x","timeout":1.5}`, "bad-value", "/timeout"},
		{"emit", `{"event":"x","timeout":"2s"}`, "wrong-type", "/timeout"},
		{"emit", "{\"event\":\"\xff\"}", "malformed", "/event"},
		{"emit", `{"event":"x"`, "malformed", ""},
		{"emit", `{"event":"x"} {}`, "malformed", ""},
		{"emit", `[]`, "malformed", ""},
		{"emit", `null`, "missing-member", "/event"},
	} {
		a := f.post(t, "/v1/"+c.path, c.body)
		if a.Code != http.StatusBadRequest || a.kind() != c.kind || a.Member != c.member {
			t.Errorf("%s %.60s: %d %s", c.path, c.body, a.Code, a.Text)
		}
		if a.Header.Get("Content-Type") != "application/problem+json" || a.Title == "" || a.Request != a.Header.Get("X-Request-Id") {
			t.Errorf("%.60s: %v %s", c.body, a.Header, a.Text)
		}
	}
}

// TestWhoMayDoWhat: keys, their limits, and the other reasons to refuse a request before its body.
func TestWhoMayDoWhat(t *testing.T) {
	f := serve(t, testkit.MiniRedis(t).Addr(), nil)
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	jobs := with("Authorization", "Bearer "+jobsKey)
	for _, c := range []struct {
		method, path, body string
		change             func(*http.Request)
		code               int
		kind               string
	}{
		{"POST", "/v1/emit", `{"event":"x"}`, with("Authorization", ""), 401, "unauthorized"},
		{"POST", "/v1/emit", `{"event":"x"}`, with("Authorization", "Bearer "+shopKey+"x"), 401, "unauthorized"},
		{"GET", "/v1/nothing", ``, with("Authorization", ""), 401, "unauthorized"},
		{"POST", "/v1/emit", `{"event":"x"}`, jobs, 202, ""},
		{"POST", "/v1/emit", `{"event":"x","namespace":"/orders"}`, jobs, 202, ""},
		{"POST", "/v1/emit", `{"event":"x","namespace":"/staff"}`, jobs, 403, "forbidden"},
		{"POST", "/v1/disconnect", `{"rooms":["a"]}`, jobs, 403, "forbidden"},
		{"POST", "/v1/nothing", `{}`, nil, 404, "not-found"},
		{"GET", "/v1/emit", ``, nil, 405, "wrong-method"},
		{"OPTIONS", "/v1/emit", ``, nil, 405, "wrong-method"},
		{"POST", "/v1/emit", `event=x`, with("Content-Type", "application/x-www-form-urlencoded"), 415, "media-type"},
		{"POST", "/v1/emit", `{"event":"x"}`, func(r *http.Request) { r.Host = "rebound.example" }, 421, "foreign-host"},
		{"POST", "/v1/emit", `{"event":"x"}`, func(r *http.Request) { r.Host = "localhost:9481" }, 202, ""},
	} {
		a := f.do(t, c.method, c.path, c.body, c.change)
		if a.Code != c.code || a.kind() != c.kind {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, a.Code, a.Text, c.code, c.kind)
		}
		if a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("CORS")
		}
	}
	if strings.Contains(f.log.String(), shopKey) || strings.Contains(f.log.String(), jobsKey) {
		t.Error("the log has a key")
	}
	if a := f.do(t, "POST", "/v1/emit", `{"event":"x"}`, with("X-Request-Id", "order-7")); a.Header.Get("X-Request-Id") != "order-7" || !strings.Contains(f.log.String(), "request=order-7") {
		t.Errorf("the request's name is lost: %v", a.Header)
	}
	if a := f.do(t, "POST", "/v1/emit", `{"event":"x"}`, with("X-Request-Id", "a b")); a.Header.Get("X-Request-Id") == "a b" {
		t.Error("a client writes into the log")
	}
}

// TestBatch answers each line in its place.
func TestBatch(t *testing.T) {
	f := serve(t, testkit.MiniRedis(t).Addr(), func(c *Config) { c.MaxBodyBytes = 1024 })
	body := `{"op":"emit","event":"a"}` + "\r\n\n" +
		`{"op":"emit"}` + "\n" +
		`{"op":"emit","event":"` + strings.Repeat("x", 200_000) + `"}` + "\n" +
		`{"op":"fly"}` + "\n" + `not JSON` + "\n" + `{"op":"emit","event":"x","roms":[]}` + "\n" +
		`{"op":"join","rooms":["a"],"join":["b"]}`
	a := f.do(t, "POST", "/v1/batch", body, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-ndjson") })
	var codes []string
	for line := range strings.Lines(a.Text) {
		_, rest, _ := strings.Cut(line, `"status":`)
		codes = append(codes, rest[:3])
	}
	if got := strings.Join(codes, " "); a.Code != http.StatusOK || got != "202 400 413 400 400 400 202" {
		t.Errorf("%d %s\n%s", a.Code, got, a.Text)
	}
	if a := f.do(t, "POST", "/v1/batch", `{"op":"disconnect","rooms":["a"]}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+jobsKey) }); !strings.Contains(a.Text, "forbidden") {
		t.Error(a.Text)
	}
	lines := strings.Repeat(`{"op":"emit","event":"a"}`+"\n", maxLines+1)
	if a := f.post(t, "/v1/batch", lines); strings.Count(a.Text, `"status":202`) != maxLines || !strings.Contains(a.Text, "413") {
		t.Errorf("%d lines were accepted", strings.Count(a.Text, `"status":202`))
	}
}

// TestRate: a key that asks for too much waits, and the others don't.
func TestRate(t *testing.T) {
	now := time.Now()
	f := serve(t, testkit.MiniRedis(t).Addr(), func(c *Config) { c.Rate, c.now = 1, func() time.Time { return now } })
	lines := strings.Repeat(`{"op":"emit","event":"a"}`+"\n", maxLines)
	f.post(t, "/v1/batch", lines)
	if a := f.post(t, "/v1/emit", `{"event":"a"}`); a.Code != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "1" || a.Outcome != notSent {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	if a := f.do(t, "POST", "/v1/emit", `{"event":"a"}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+jobsKey) }); a.Code != http.StatusAccepted {
		t.Errorf("%d %s", a.Code, a.Text)
	}
}

// TestHugeAndSlowRequestsEnd: bodies and heads are bounded in bytes and time.
func TestHugeAndSlowRequestsEnd(t *testing.T) {
	f := serve(t, testkit.MiniRedis(t).Addr(), func(c *Config) { c.MaxBodyBytes, c.BodyTimeout = 4096, 50*time.Millisecond })
	if a := f.post(t, "/v1/emit", `{"event":"`+strings.Repeat("x", 5000)+`"}`); a.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	u, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"emit", "batch"} {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: 4000\r\n\r\n{", path, shopKey); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 500)
		n, _ := res.Body.Read(text)
		if !strings.Contains(string(text[:n]), "too-slow") {
			t.Errorf("%s: %d %s", path, res.StatusCode, text[:n])
		}
		res.Body.Close()
	}
}

// TestConnectionsAreBounded: the one too many is closed, and a place that is free again serves.
func TestConnectionsAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bounded := limited(l, 2)
	accepted := make(chan net.Conn, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := bounded.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	dial()
	one := testkit.Receive(t, "a connection", accepted)
	testkit.Receive(t, "another one", accepted).Close()
	third := dial()
	two := testkit.Receive(t, "one in the place of the closed one", accepted)
	fourth := dial()
	if n, err := fourth.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a third connection was served")
	}
	one.Close()
	one.Close() // leaves its place once
	two.Close()
	third.Close()
	l.Close()
	<-done
}

// TestRedisAway: the answer says that nothing was sent, at once.
func TestRedisAway(t *testing.T) {
	m := testkit.MiniRedis(t)
	f := serve(t, m.Addr(), nil)
	f.store.away.Store(true)
	a := f.post(t, "/v1/emit", `{"event":"x"}`)
	if a.Code != http.StatusServiceUnavailable || a.Outcome != notSent || a.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	f.store.away.Store(false) // nobody has noticed yet
	m.Close()
	if a := f.post(t, "/v1/emit", `{"event":"x"}`); a.Code != http.StatusServiceUnavailable || a.Outcome != notSent {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	if !strings.Contains(f.log.String(), "status="+strconv.Itoa(http.StatusServiceUnavailable)) {
		t.Error("the log is silent")
	}
}
