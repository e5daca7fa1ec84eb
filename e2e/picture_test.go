//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// conversation is what people on two hosts say; an empty name is the browser's user.
var conversation = []struct{ name, says string }{
	{"Grace", "Good morning! Can everyone read this?"},
	{"", "Loud and clear, and there's no sticky balancer anywhere."},
	{"Edsger", "I came in over long polling. Same room."},
	{"Barbara", "Four workers on two hosts, and everyone is here."},
	{"", "Then reload the app, and let's keep talking."},
}

// TestPageAmongOfficialClients shows one browser what official clients on four workers of two hosts
// say. `make picture` keeps the page as the picture in the README.
func TestPageAmongOfficialClients(t *testing.T) {
	_, hosts := pair(t)
	node := harness.StartNode(t)
	join := func(name string, host int, transport string) {
		node.Must("connect", args{"name": name, "url": hosts[host].URL, "options": args{"transports": []string{transport}}}, nil)
		node.Must("ask", args{"name": name, "event": "hello", "args": []any{args{"name": name}}}, nil)
	}
	join("Grace", 1, "websocket")
	join("Edsger", 0, "polling")
	join("Barbara", 1, "websocket")
	join("Alan", 0, "websocket")
	join("Margaret", 1, "polling")
	page := openPage(t, hosts[0].URL, "Ada")
	do(t, page,
		chromedp.WaitVisible(`#status[data-state=connected]`),
		holds(`document.querySelector("#transport").textContent === "websocket"`),
		holds(`document.querySelectorAll(".person").length === 6`),
		holds(`document.querySelectorAll(".worker").length === 4`),
	)
	for i, line := range conversation {
		if line.name == "" {
			do(t, page, chromedp.SendKeys("#line", line.says+"\r"))
		} else {
			node.Must("ask", args{"name": line.name, "event": "say", "args": []any{args{"msg": line.says, "name": line.name}}}, nil)
		}
		do(t, page, holds(fmt.Sprintf(`document.querySelectorAll(".message p")[%d]?.textContent === %q`, i, line.says)))
	}
	do(t, page,
		holds(`/ms$/.test(document.querySelector("#rtt").textContent)`),
		chromedp.Evaluate[chromedp.Void](`window.first = document.querySelector("#rtt").textContent`),
		holds(`document.querySelector("#rtt").textContent !== first`), // the first one waited for the upgrade
	)
	screenshot(t, page, "demo.png", 1000, 600, chromedp.EmulateScale(2))
}
