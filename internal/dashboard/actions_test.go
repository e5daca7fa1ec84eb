package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// request is an action of the page itself, which tests change.
func request(body string) *http.Request {
	r := httptest.NewRequest("POST", "http://localhost:9480/dashboard/act", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Origin", "http://localhost:9480")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

const reload = `{"do":"reload","host":"host-a","process":"worker-1","by":"Ada"}`

func TestHostileActions(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
	}{
		"the page's own":              {reload, func(*http.Request) {}, 200},
		"a script's":                  {reload, func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") }, 200},
		"a try of the key":            {`{}`, func(*http.Request) {}, 200},
		"GET":                         {reload, func(r *http.Request) { r.Method = "GET" }, 404},
		"another origin":              {reload, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"another port":                {reload, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		"an old browser, other":       {reload, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "http://evil.example") }, 403},
		"no origin at all":            {reload, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") }, 403},
		"a form":                      {reload, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
		"text":                        {reload, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"no key":                      {reload, func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"a wrong key":                 {reload, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key+"x") }, 401},
		"an empty key":                {reload, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401},
		"the key in another scheme":   {reload, func(r *http.Request) { r.Header.Set("Authorization", "Basic "+key) }, 401},
		"a cookie":                    {reload, func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("Cookie", "key="+key) }, 401},
		"a huge body":                 {`{"do":"` + strings.Repeat("x", 1<<20) + `"}`, func(*http.Request) {}, 413},
		"an endless body":             {"", func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"do":"`), endless{})) }, 413},
		"no JSON":                     {`reload`, func(*http.Request) {}, 400},
		"an unknown member":           {`{"do":"reload","shell":"rm"}`, func(*http.Request) {}, 400},
		"an unknown verb":             {`{"do":"format"}`, func(*http.Request) {}, 400},
		"a verb the actor lacks":      {`{"do":"rebalance"}`, func(*http.Request) {}, 400},
		"no host":                     {`{"do":"drain"}`, func(*http.Request) {}, 400},
		"no socket":                   {`{"do":"disconnect"}`, func(*http.Request) {}, 400},
		"no event":                    {`{"do":"emit"}`, func(*http.Request) {}, 400},
		"arguments that aren't":       {`{"do":"emit","event":"x","args":{"a":1}}`, func(*http.Request) {}, 400},
		"a name with a line end":      {`{"do":"drain","host":"a","by":"Ada\nlevel=INFO"}`, func(*http.Request) {}, 400},
		"a name that is too long":     {`{"do":"drain","host":"` + strings.Repeat("x", 300) + `"}`, func(*http.Request) {}, 400},
		"a disconnect that does work": {`{"do":"disconnect","socket":"abcd"}`, func(*http.Request) {}, 200},
		"an emit that does work":      {`{"do":"emit","event":"x","room":"r","args":["hi",1]}`, func(*http.Request) {}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			a := new(recorder)
			d, _ := start(t, &fakeCluster{}, a, key)
			w, r := httptest.NewRecorder(), request(c.body)
			c.change(r)
			d.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.status)
			}
			if did := len(a.actions()) > 0; did != (c.status == 200 && c.body != `{}`) {
				t.Errorf("did %v", a.actions())
			}
			if strings.Contains(a.lines(), key) {
				t.Error("the log has the key")
			}
		})
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestEachActionIsLogged(t *testing.T) {
	a := new(recorder)
	d, _ := start(t, &fakeCluster{}, a, key)
	d.ServeHTTP(httptest.NewRecorder(), request(reload))
	a.err = errors.New("it is stuck")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, request(`{"do":"emit","event":"x","namespace":"/n"}`))
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "it is stuck") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, line := range []string{
		`level=INFO msg="dashboard: action begins" action=reload from=192.0.2.1:1234 by=Ada on=host-a process=worker-1` + "\n",
		`level=INFO msg="dashboard: action done" action=reload from=192.0.2.1:1234 by=Ada on=host-a process=worker-1 result="did reload"` + "\n",
		`level=WARN msg="dashboard: action failed" action=emit from=192.0.2.1:1234 event=x namespace=/n error="it is stuck"` + "\n",
	} {
		if !strings.Contains(a.lines(), line) {
			t.Errorf("no line %s in\n%s", line, a.lines())
		}
	}
	got := d.lastRecords()
	if len(got) != 2 || got[0].State != "done" || got[0].What != "reload worker-1 host-a" || got[1].State != "failed" || got[1].Result != "it is stuck" {
		t.Errorf("%+v", got)
	}
}

func TestWithoutAKeyNobodyActs(t *testing.T) {
	a := new(recorder)
	d, _ := start(t, &fakeCluster{}, a, "")
	for _, shown := range []string{"Bearer " + key, "Bearer ", ""} {
		w, r := httptest.NewRecorder(), request(reload)
		r.Header.Set("Authorization", shown)
		d.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || len(a.actions()) > 0 {
			t.Errorf("%q: %d %s", shown, w.Code, w.Body)
		}
	}
	if _, err := New(Config{Key: "too short"}); err == nil {
		t.Error("a short key is taken")
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, stop := start(t, &fakeCluster{}, new(recorder), key)
		try := func(from, shown string) int {
			w, r := httptest.NewRecorder(), request(`{}`)
			r.RemoteAddr = from
			r.Header.Set("Authorization", "Bearer "+shown)
			d.ServeHTTP(w, r)
			return w.Code
		}
		for range maxTries {
			if got := try("192.0.2.9:1", "wrong"); got != http.StatusUnauthorized {
				t.Fatal(got)
			}
		}
		for from, want := range map[string]int{"192.0.2.9:2": 429, "192.0.2.10:1": 200, "[2001:db8::1]:1": 200} {
			if got := try(from, key); got != want {
				t.Errorf("the right key from %s: %d, want %d", from, got, want)
			}
		}
		for i := range maxTries {
			try("[2001:db8::"+string(rune('a'+i%6))+"]:1", "wrong")
		}
		if got := try("[2001:db8::ffff]:1", key); got != http.StatusTooManyRequests {
			t.Errorf("another address of a network with wrong keys: %d", got)
		}
		time.Sleep(tryWindow)
		if got := try("192.0.2.9:3", key); got != 200 {
			t.Errorf("after a minute: %d", got)
		}
		for i := range 3 * maxAddresses {
			try("10.0."+strconv.Itoa(i/250)+"."+strconv.Itoa(i%250)+":1", "wrong")
		}
		if n := len(d.guard.tries); n > maxAddresses {
			t.Errorf("remembers %d addresses", n)
		}
		stop()
	})
}

func TestALongActionGoesOnBehindItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &recorder{hold: make(chan struct{})}
		d, stop := start(t, &fakeCluster{}, a, key)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, request(reload))
		if w.Code != http.StatusAccepted || d.lastRecords()[0].State != "running" {
			t.Errorf("%d %s, %+v", w.Code, w.Body, d.lastRecords())
		}
		ctx, leave := context.WithCancel(context.Background())
		for range maxRunning {
			go d.ServeHTTP(httptest.NewRecorder(), request(reload).WithContext(ctx))
		}
		synctest.Wait()
		w = httptest.NewRecorder()
		d.ServeHTTP(w, request(reload))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("one more: %d", w.Code)
		}
		leave()
		synctest.Wait()
		close(a.hold)
		synctest.Wait()
		if n := len(a.actions()); n != maxRunning {
			t.Errorf("%d actions were done", n)
		}
		stop()
	})
}
