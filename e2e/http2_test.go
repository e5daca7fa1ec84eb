//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// TestHTTP2: Node's client and a browser poll over HTTP/2, and the browser's WebSocket comes over HTTP/1.1 beside it.
func TestHTTP2(t *testing.T) {
	cert, key := certificate(t)
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2, Env: []string{"SIDEREAL_TLS_CERT=" + cert, "SIDEREAL_TLS_KEY=" + key}})
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

// certificate makes a certificate for this machine and its key, in files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
