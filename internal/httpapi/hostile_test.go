package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// raw opens a connection to the API.
func (f *fixture) raw(t *testing.T) *net.TCPConn {
	t.Helper()
	u, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// read reads an answer.
func read(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestHalfClosedClientsAreAnswered: a client that has sent its request may close its side, as nc
// does, and hears what became of it.
func TestHalfClosedClientsAreAnswered(t *testing.T) {
	f := serve(t, testkit.StartRedis(t).Addr(), nil)
	for path, body := range map[string]string{"emit": `{"event":"a"}`, "batch": strings.Repeat(`{"op":"emit","event":"a"}`+"\n", 300)} {
		for range 20 {
			c := f.raw(t)
			if _, err := fmt.Fprintf(c, "POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", path, shopKey, len(body), body); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if code, text := read(t, c); strings.Contains(text, "outcome") {
				t.Fatalf("%s: %d %.300s", path, code, text)
			}
		}
	}
}

// TestEndlessLine: a line without an end is answered once the body is as long as a batch may be,
// and is kept nowhere.
func TestEndlessLine(t *testing.T) {
	f := serve(t, testkit.MiniRedis(t).Addr(), func(c *Config) { c.MaxBodyBytes, c.MaxBatchBytes = 1000, 50_000_000 })
	c := f.raw(t)
	if _, err := fmt.Fprintf(c, "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n", shopKey); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", 1<<16, strings.Repeat("x", 1<<16))
	for range 1000 { // 65 MB; the API may stop to read earlier
		if _, err := c.Write(chunk); err != nil {
			break
		}
	}
	code, text := read(t, c)
	runtime.ReadMemStats(&after)
	if !strings.Contains(text, "too-large") || strings.Count(text, "\n") > 2 {
		t.Errorf("%d %.300s", code, text)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 20_000_000 {
		t.Errorf("it allocated %d bytes", grown)
	}
}

// TestDeepAndWideBodies: nesting and members are bounded, and answered.
func TestDeepAndWideBodies(t *testing.T) {
	f := serve(t, testkit.MiniRedis(t).Addr(), nil)
	var wide strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&wide, `,"k%d":0`, i)
	}
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"deep args":         {`{"event":"a","args":` + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + `}`, 400},
		"deep objects":      {`{"event":"a","args":[` + strings.Repeat(`{"a":`, 5000) + "0" + strings.Repeat("}", 5000) + `]}`, 400},
		"deep rooms":        {`{"event":"a","rooms":` + strings.Repeat("[", 400_000), 400},
		"an unclosed array": {strings.Repeat("[", 900_000), 400},
		"many members":      {`{"event":"a"` + wide.String() + `}`, 400},
		"wide arguments":    {`{"event":"a","args":[{"x":0` + wide.String() + `}]}`, 202},
		"a long number":     {`{"event":"a","args":[` + strings.Repeat("9", 900_000) + `]}`, 400},
		"no UTF-8":          {`{"event":"` + "\xff\xfe" + `"}`, 400},
		"a lone surrogate":  {`{"event":"\ud800"}`, 400},
		"a zero byte":       {"{\"event\":\"a\"}\x00", 400},
		"two bodies":        {`{"event":"a"}{"event":"b"}`, 400},
		"a byte order mark": {"\ufeff" + `{"event":"a"}`, 400},
	} {
		a := f.post(t, "/v1/emit", c.body)
		if a.Code != c.code || len(a.Text) > 2000 {
			t.Errorf("%s: %d %.300s", name, a.Code, a.Text)
		}
		line := f.post(t, "/v1/batch", strings.Replace(c.body, `{"event"`, `{"op":"emit","event"`, 1)+"\n")
		if len(line.Text) > 4000 || strings.Contains(line.Text, `"status":202`) != (c.code == 202) {
			t.Errorf("%s in a batch: %.300s", name, line.Text)
		}
	}
}
