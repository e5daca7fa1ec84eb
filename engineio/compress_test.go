package engineio

import (
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"
)

func TestHTTPCompression(t *testing.T) {
	long := strings.Repeat("abc", 1000)
	for _, c := range []struct {
		name, accept string
		threshold    int
		message      string
		plain        bool
		encoding     string
	}{
		{"gzip", "gzip, deflate, br", 0, long, false, "gzip"},
		{"deflate", "deflate", 0, long, false, "deflate"},
		{"deflate is liked better", "gzip;q=0.5, deflate;q=0.9", 0, long, false, "deflate"},
		{"deflate is named first", "deflate, gzip", 0, long, false, "deflate"},
		{"anything but gzip", "gzip;q=0, *", 0, long, false, "deflate"},
		{"anything", "*", 0, long, false, "gzip"},
		{"brotli only", "br", 0, long, false, ""},
		{"not wanted", "gzip;q=0, identity", 0, long, false, ""},
		{"nothing accepted", "", 0, long, false, ""},
		{"too short", "gzip", 0, "short", false, ""},
		{"never", "gzip", -1, long, false, ""},
		{"everything", "gzip", 1, "short", false, "gzip"},
		{"message says no", "gzip", 0, long, true, ""},
		{"at the threshold", "gzip", 1024, strings.Repeat("a", 1023), false, "gzip"},
		{"below the threshold", "gzip", 1024, strings.Repeat("a", 1022), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serve(t, Config{HTTPCompressionThreshold: c.threshold})
			sid := f.open()
			f.session().s.Send(NewText([]byte(c.message)).Compress(!c.plain))
			headers := []string{}
			if c.accept != "" {
				headers = []string{"Accept-Encoding", c.accept}
			}
			a := f.do("GET", "EIO=4&transport=polling&sid="+sid, "", headers...)
			if got := a.header.Get("Content-Encoding"); got != c.encoding {
				t.Fatalf("Content-Encoding %q, want %q", got, c.encoding)
			}
			if got := a.header.Get("Content-Length"); got != sprint(len(a.body)) {
				t.Errorf("Content-Length %s, body of %d", got, len(a.body))
			}
			var body io.Reader = strings.NewReader(a.body)
			var err error
			switch c.encoding {
			case "gzip":
				body, err = gzip.NewReader(body)
			case "deflate":
				body, err = zlib.NewReader(body)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(body); string(got) != "4"+c.message {
				t.Errorf("body of %d bytes, want %d", len(got), len(c.message)+1)
			}
		})
	}
}
