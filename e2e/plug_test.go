//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// TestPullThePlug has a browser press every button of the demo's page, and the simulated clients
// lose nothing and hear nothing twice.
func TestPullThePlug(t *testing.T) {
	host := harness.StartHost(t, harness.HostConfig{Name: "plug", Workers: 2, Env: []string{"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_RECOVERY=2m"}})
	page := openPage(t, host.Admin+"/plug/", "Ada")
	number := func(id string) string {
		return fmt.Sprintf(`Number(document.querySelector("#%s").textContent.replaceAll(",", ""))`, id)
	}
	calm := number("away") + ` === 0 && ` + number("due") + ` === 0 && ` + number("heard") + ` > 0`
	do(t, page, holds(`document.querySelector("#state").textContent === "live"`), holds(calm))
	for i, button := range []struct{ id, effect string }{
		{"kill-worker", `[...document.querySelectorAll("#log li")].some((l) => l.textContent.includes("Killed worker-"))`},
		{"freeze-worker", `[...document.querySelectorAll("#log li")].some((l) => l.textContent.includes("Froze worker-"))`},
		{"kill-router", `[...document.querySelectorAll("#log li")].some((l) => l.textContent.includes("Killed router"))`},
		{"stop-redis", `[...document.querySelectorAll("#log li")].some((l) => l.textContent.includes("Redis runs again."))`},
		{"add-worker", `document.querySelector('#processes [data-name="worker-3"]')?.dataset.state === "ready"`},
		{"reload", `[...document.querySelectorAll("#log li")].some((l) => l.textContent.includes("Reloading all workers."))`},
	} {
		do(t, page,
			chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.getElementById(%q).click()`, button.id)),
			holds(button.effect),
			// The last word about this fault: how long it took, or that nobody noticed.
			holds(fmt.Sprintf(`[...document.querySelectorAll("#log li")].filter((l) => /served again|No client lost/.test(l.textContent)).length === %d`, i+1)),
			holds(calm),
			holds(`[...document.querySelectorAll("#processes tr")].every((p) => p.dataset.state === "ready")`),
		)
		if i == 0 {
			screenshot(t, page, "plug.png", 1080, 900, chromedp.EmulateScale(2))
			screenshot(t, page, "plug-phone.png", 390, 780)
		}
	}
	counts, err := chromedp.Run(page, chromedp.Evaluate[map[string]float64](fmt.Sprintf(`({lost: %s, doubled: %s, anew: %s})`, number("lost"), number("doubled"), number("anew"))))
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range counts {
		if n != 0 {
			t.Errorf("%s: %v", what, n)
		}
	}
}
