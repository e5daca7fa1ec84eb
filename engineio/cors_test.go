package engineio

import (
	"net/http"
	"testing"
	"time"
)

func TestCORS(t *testing.T) {
	list := &CORS{AllowOrigin: Origins("http://a", "http://b"), Credentials: true, ExposedHeaders: []string{"X-A", "X-B"}}
	for _, c := range []struct {
		name, origin string
		cors         *CORS
		allow, vary  string
	}{
		{"off", "http://a", nil, "", ""},
		{"any", "http://a", &CORS{}, "*", ""},
		{"any, no origin", "", &CORS{Origin: "*"}, "*", ""},
		{"fixed, whatever asks", "http://b", &CORS{Origin: "http://a"}, "http://a", "Origin"},
		{"listed", "http://b", list, "http://b", "Origin"},
		{"not listed is still served", "http://c", list, "", "Origin"},
		{"no origin", "", list, "", "Origin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := serve(t, Config{CORS: c.cors})
			headers := []string{}
			if c.origin != "" {
				headers = []string{"Origin", c.origin}
			}
			check := func(h http.Header, status, want int) {
				t.Helper()
				if status != want {
					t.Errorf("status %d, want %d", status, want)
				}
				if h.Get("Access-Control-Allow-Origin") != c.allow || h.Get("Vary") != c.vary {
					t.Errorf("headers %v", h)
				}
				if c.cors == list && (h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Access-Control-Expose-Headers") != "X-A,X-B") {
					t.Errorf("headers %v", h)
				}
			}
			a := f.do("GET", "EIO=4&transport=polling", "", headers...)
			check(a.header, a.status, 200)
			sid := f.session().s.ID()
			a = f.do("GET", "EIO=4&transport=x", "", headers...)
			check(a.header, a.status, 400)
			a = f.do("PUT", "EIO=4&transport=polling&sid="+sid, "", headers...)
			check(a.header, a.status, 500)
			origin := ""
			if c.origin != "" {
				origin = "Origin: " + c.origin + "\r\n"
			}
			_, resp := f.upgrade("EIO=4&transport=websocket", origin)
			check(resp.Header, resp.StatusCode, 101)
		})
	}
}

func TestPreflight(t *testing.T) {
	f := serve(t, Config{CORS: &CORS{Origin: "http://a"}})
	a := f.do("OPTIONS", "whatever", "", "Origin", "http://a", "Access-Control-Request-Headers", "x-a,x-b")
	a.want(t, 204, "")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "http://a", "Access-Control-Allow-Methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
		"Access-Control-Allow-Headers": "x-a,x-b", "Vary": "Origin, Access-Control-Request-Headers", "Access-Control-Max-Age": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f = serve(t, Config{CORS: &CORS{Methods: []string{"GET"}, AllowedHeaders: []string{"x-a", "x-c"}, MaxAge: time.Minute}})
	a = f.do("OPTIONS", "", "", "Access-Control-Request-Headers", "x-b")
	for name, want := range map[string]string{
		"Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Headers": "x-a,x-c", "Vary": "", "Access-Control-Max-Age": "60",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
