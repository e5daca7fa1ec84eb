//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestDashboard shows two hosts in a browser, finds a client of the other one and disconnects it,
// and drains a worker.
func TestDashboard(t *testing.T) {
	redis := testkit.StartRedis(t)
	var hosts [2]*harness.Host
	for i, name := range []string{"host-a", "host-b"} {
		hosts[i] = harness.StartHost(t, harness.HostConfig{Name: name, Workers: 2, RedisURL: redis.URL(), Env: []string{"SIDEREAL_ADMIN_KEY=0123456789abcdef"}})
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 4)
	}
	node := harness.StartNode(t)
	for i := range 3 {
		node.Must("connect", args{"name": fmt.Sprint("client", i), "url": hosts[i%2].URL, "options": args{"transports": []string{"websocket"}}}, nil)
		node.Must("ask", args{"name": fmt.Sprint("client", i), "event": "join", "args": []any{"lobby"}}, nil)
	}
	var far whoami
	node.Must("ask", args{"name": "client1", "event": "whoami"}, &far)
	page := openPage(t, hosts[0].Admin, "")
	do(t, page,
		holds(`document.querySelector("#link").dataset.state === "live"`),
		holds(tile("Hosts", "2")),
		holds(tile("Sessions", "3")),
		holds(tile("Workers", "4")),
		holds(`["good", "warn", "bad"].includes(document.querySelector("#health").dataset.state)`), // a busy machine has a slow Redis
		holds(`document.querySelectorAll(".plot canvas").length === 6`),
		holds(`[...document.querySelectorAll(".plot")].every((p) => /last 15 minutes/.test(p.getAttribute("aria-label")))`),
		holds(`performance.getEntriesByType("resource").every((r) => r.name.startsWith(location.origin))`),
	)
	inBothColors(t, page, "dashboard", 1200, 1000)
	do(t, page,
		chromedp.Click(`nav a[href="#workers"]`),
		holds(`document.querySelectorAll("#workers-table tbody tr").length === 4`),
		holds(`document.querySelectorAll("#workers-table button[aria-label]").length === 0`), // nobody has shown the key
		chromedp.Click(`nav a[href="#actions"]`),
		chromedp.SendKeys("#key", "a wrong key, for sure\r"),
		holds(`document.querySelector("#toast").textContent === "the key is wrong"`),
		chromedp.Evaluate[chromedp.Void](`document.querySelector("#key").value = ""`),
		chromedp.SendKeys("#key", "0123456789abcdef\r"),
		holds(`!document.querySelector("#lock").hidden`),
		chromedp.Click(`nav a[href="#rooms"]`),
		holds(`/lobby\s+\/\s+3/.test(document.querySelector("#rooms-table").innerText)`),
		chromedp.Click(`#rooms-table a`),
		holds(`document.querySelectorAll("#clients-table tbody a").length === 3`),
		chromedp.Click(fmt.Sprintf(`#clients-table a[href="#client/%s"]`, far.ID)),
		holds(`/rooms\s+lobby/.test(document.querySelector("#client-facts").innerText)`),
		holds(`document.querySelector("#client-facts").innerText.includes(" on host-b")`),
		chromedp.WaitVisible("#client-disconnect"),
		chromedp.Click("#client-disconnect"),
		chromedp.WaitVisible("#confirm-yes"),
		chromedp.Click("#confirm-yes"),
		holds(`document.querySelector("#client-facts").innerText.includes("not connected any more")`),
		chromedp.Click(`nav a[href="#workers"]`),
		chromedp.Click(`button[aria-label="Drain worker-2 on host-a"]`),
		chromedp.WaitVisible("#confirm-yes"),
		chromedp.Click("#confirm-yes"),
		holds(`document.querySelector('button[aria-label="Start worker-2 on host-a"]')`),
		chromedp.Click(`nav a[href="#overview"]`),
		holds(`document.querySelector("#problems").textContent.includes("worker-2 on host-a is stopped.")`),
		chromedp.Click(`nav a[href="#workers"]`),
		chromedp.Click(`button[aria-label="Start worker-2 on host-a"]`),
		chromedp.WaitVisible("#confirm-yes"),
		chromedp.Click("#confirm-yes"),
		holds(`document.querySelector('button[aria-label="Drain worker-2 on host-a"]')`),
		chromedp.Click(`nav a[href="#actions"]`),
		holds(`document.querySelector("#records-table").innerText.includes("drain worker-2 host-a")`),
	)
}

// tile is true if a figure at the top has a value.
func tile(name, value string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#tiles > div")].some((d) => d.querySelector("dt").textContent === %q && d.querySelector(".figure span").textContent === %q)`, name, value)
}

// inBothColors takes pictures in light and dark, and of a phone.
func inBothColors(t *testing.T, page context.Context, name string, width, height int64) {
	t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		do(t, page, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return err
		}))
		screenshot(t, page, name+"-"+scheme+".png", width, height)
		screenshot(t, page, name+"-"+scheme+"-phone.png", 390, 844)
	}
	do(t, page, chromedp.EmulateViewport(390, 844), holds(`document.documentElement.scrollWidth <= 390`), chromedp.EmulateViewport(width, height))
}
