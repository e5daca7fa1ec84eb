package worker

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// TestAdmitBelievesRoutersOnly holds who may say what about a client.
func TestAdmitBelievesRoutersOnly(t *testing.T) {
	const outside = "198.51.100.9:1"
	claims := http.Header{
		headerClient: {"203.0.113.5:4711"}, headerProto: {"https"}, "Sidereal-Other": {"x"}, "X-Mine": {"stays"},
	}
	for _, c := range []struct {
		name     string
		peer     peer
		extra    http.Header
		admitted bool
		remote   string
		secure   bool
	}{
		{"our own port, no key", peer{}, nil, true, outside, false},
		{"our own port, wrong key", peer{}, http.Header{headerKey: {"guess"}}, true, outside, false},
		{"our own port, the key", peer{}, http.Header{headerKey: {"secret"}}, true, "203.0.113.5:4711", true},
		{"our own port, an empty key", peer{}, http.Header{headerKey: {""}}, true, outside, false},
		{"our own port, the key too late", peer{served: true}, http.Header{headerKey: {"secret"}}, true, outside, false},
		{"our own port, shown before", peer{served: true, router: true}, nil, true, "203.0.113.5:4711", true},
		{"this host's router", peer{kind: handoff.Local, router: true}, nil, true, "203.0.113.5:4711", true},
		{"another host's router", peer{kind: handoff.Peer, router: true}, http.Header{headerWorker: {"aB3_"}}, true, "203.0.113.5:4711", true},
		{"a router that means another worker", peer{kind: handoff.Peer, router: true}, http.Header{headerWorker: {"zzzz"}}, false, "203.0.113.5:4711", true},
		{"a client that means another worker", peer{}, http.Header{headerWorker: {"zzzz"}}, true, outside, false},
		{"a passed client", peer{kind: handoff.Client}, http.Header{headerKey: {"secret"}}, true, outside, false},
		{"a passed client over TLS", peer{kind: handoff.Client, scheme: "https"}, nil, true, outside, true},
		{"a passed client's second request", peer{kind: handoff.Client, served: true}, nil, false, outside, false},
	} {
		w := &worker{accepts: func(_ context.Context, key string) bool { return key == "secret" }}
		id := "aB3_"
		w.id.Store(&id)
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = outside
		for _, h := range []http.Header{claims, c.extra} {
			for name, values := range h {
				r.Header[name] = values
			}
		}
		if got := w.admit(&c.peer, r, takeClaims(r.Header)); got != c.admitted || r.RemoteAddr != c.remote || (r.TLS != nil) != c.secure {
			t.Errorf("%s: admitted %v, from %s, secure %v", c.name, got, r.RemoteAddr, r.TLS != nil)
		}
		if len(r.Header) != 1 || r.Header.Get("X-Mine") != "stays" {
			t.Errorf("%s: the app sees %v", c.name, r.Header)
		}
	}
}

func TestAdmitTakesNoAddressThatIsNone(t *testing.T) {
	w, p := &worker{}, &peer{kind: handoff.Local, router: true}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "pipe"
	r.Header[headerClient] = []string{"not an address"}
	if !w.admit(p, r, takeClaims(r.Header)) || r.RemoteAddr != "pipe" {
		t.Errorf("from %q", r.RemoteAddr)
	}
}

// TestAdmitIsCheap keeps the step that every request takes free of allocations.
func TestAdmitIsCheap(t *testing.T) {
	w := &worker{}
	id := "aB3_"
	w.id.Store(&id)
	p := &peer{kind: handoff.Local, router: true}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept", "*/*")
	worker := []string{id}
	if n := testing.AllocsPerRun(100, func() {
		r.Header[headerWorker] = worker
		w.admit(p, r, takeClaims(r.Header))
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
