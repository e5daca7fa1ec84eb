//go:build e2e && linux

package pm2compare

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestLocalProxy compares whom an Express app takes for the client behind a proxy of its own host, and
// behind two.
func TestLocalProxy(t *testing.T) {
	var said [2]map[string]string
	for i, m := range []*manager{startPM2(t), startSidereal(t)} {
		dir := t.TempDir()
		if err := copyInto(dir, "testdata/proxied"); err != nil {
			t.Fatal(err)
		}
		addr := harness.Loopback(t)
		env := []string{"APP_ADDR=" + addr, "EXPRESS=" + filepath.Join(harness.Root(), "e2e", "node_modules", "express")}
		if out, code := m.run(t, dir, env, "start", "app.js", "-i", "1"); code != 0 {
			t.Fatalf("%s: %s", m.name, out)
		}
		said[i] = map[string]string{}
		for _, trust := range []string{"1", "2", "loopback", "true"} {
			for _, through := range []string{"203.0.113.9", "203.0.113.9, 198.51.100.7"} {
				said[i][fmt.Sprintf("trust proxy %s, X-Forwarded-For: %s", trust, through)] = askedThrough(t, "http://"+addr+"/"+trust, through)
			}
		}
		m.remove(t, m.list(t))
	}
	for of, want := range said[0] {
		if got := said[1][of]; got != want {
			t.Errorf("%s: %s with PM2, %s with Sidereal", of, want, got)
		}
	}
}

// askedThrough asks as a proxy does that has TLS.
func askedThrough(t *testing.T, url, through string) (answer string) {
	t.Helper()
	testkit.Until(t, "an answer of "+url, func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"X-Forwarded-For": {through}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"example.org"}, "X-Real-Ip": {"203.0.113.9"}}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		answer = string(raw)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return answer
}
