//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestHTTP2: Node's client and a browser poll over HTTP/2, and the browser's WebSocket comes over
// HTTP/1.1 beside it.
func TestHTTP2(t *testing.T) {
	serves := testkit.NewCertificate(t)
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2, Env: []string{"SIDEREAL_TLS_CERT=" + serves.Cert, "SIDEREAL_TLS_KEY=" + serves.Key}})
	url := "https://" + host.Addr

	out, err := exec.Command("node", filepath.Join("js", "http2.mjs"), url).CombinedOutput()
	const want = `{"posts":["ok","ok"],"connected":true,"ack":"430[\"over http2\"]","unknown":400,"websockets":false}`
	if got := strings.TrimSpace(string(out)); got != want || err != nil {
		t.Errorf("Node's client: %s, %v", got, err)
	}
	do(t, openPage(t, url, "Ada"),
		chromedp.WaitVisible(`#status[data-state=connected]`),
		holds(`document.querySelector("#transport").textContent === "websocket"`),
		holds(`performance.getEntriesByType("resource").some((e) => e.name.includes("transport=polling") && e.nextHopProtocol === "h2")`),
	)
}
