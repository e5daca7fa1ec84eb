package engineio

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestRequestIsKept(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
	r := httptest.NewRequestWithContext(ctx, "GET", "/engine.io/a%2Fb?EIO=4&x=%zz&y=%20#f", strings.NewReader("body"))
	r.Header = http.Header{"Cookie": {"a=b", "c=d"}, "X-Empty": {""}, "X-Long": {strings.Repeat("x", 300)}, "X-Bytes": {"\xff"}}
	changed := httptest.NewRequest("GET", "/app/engine.io/?a=b", nil)
	changed.URL.Path, changed.RequestURI = "/engine.io/", "/app/engine.io/?a=b"
	c := packRequest(changed)
	if got := c.unpack(); got.URL.String() != "/engine.io/?a=b" || got.RequestURI != changed.RequestURI {
		t.Errorf("URL %v, target %s", got.URL, got.RequestURI)
	}
	r.TLS = &tls.ConnectionState{ServerName: "s"}
	s := newSession(nil, "abc", r)
	cancel()
	got := s.Request()
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"Method", got.Method, r.Method},
		{"URL", got.URL, r.URL},
		{"Proto", got.Proto, r.Proto},
		{"ProtoMajor", got.ProtoMajor, r.ProtoMajor},
		{"ProtoMinor", got.ProtoMinor, r.ProtoMinor},
		{"Header", got.Header, r.Header},
		{"Host", got.Host, r.Host},
		{"RemoteAddr", got.RemoteAddr, r.RemoteAddr},
		{"RequestURI", got.RequestURI, r.RequestURI},
		{"TLS", got.TLS, r.TLS},
		{"Body", got.Body, http.NoBody},
		{"Context", got.Context().Value(key{}), "value"},
		{"Context's error", got.Context().Err(), nil},
		{"a second one's header", s.Request().Header, r.Header},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}
