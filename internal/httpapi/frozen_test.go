package httpapi

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestFrozenRedis: while Redis is stopped, 16 writers hear in time that it doesn't answer, and later
// writers that nothing was sent. When it goes on it takes actions again.
func TestFrozenRedis(t *testing.T) {
	r := testkit.StartRedis(t)
	f := serve(t, r.Addr(), func(c *Config) { c.Timeout = 300 * time.Millisecond })
	if a := f.post(t, "/v1/emit", `{"event":"x"}`); a.Code != http.StatusAccepted {
		t.Fatalf("%d %s", a.Code, a.Text)
	}
	r.Stop()
	lines := strings.Repeat(`{"op":"emit","event":"x"}`+"\n", 1000)
	var writers sync.WaitGroup
	for i := range 16 {
		writers.Go(func() {
			if i%4 == 0 {
				a := f.post(t, "/v1/batch", lines)
				if n := strings.Count(a.Text, `"outcome":`); n != 1000 || strings.Contains(a.Text, "202") {
					t.Errorf("%d of 1000 lines say what became of them: %.300s", n, a.Text)
				}
				return
			}
			if a := f.post(t, "/v1/emit", `{"event":"x"}`); a.Code != http.StatusGatewayTimeout && a.Code != http.StatusServiceUnavailable || a.Outcome == "" {
				t.Errorf("%d %s", a.Code, a.Text)
			}
		})
	}
	writers.Wait() // the requests' own deadlines end it
	r.Cont()
	testkit.Until(t, "Redis to take actions again", func() bool { return f.post(t, "/v1/emit", `{"event":"x"}`).Code == http.StatusAccepted })
}
