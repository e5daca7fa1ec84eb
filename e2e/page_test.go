//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// step is one action on a page that gives nothing back.
type step = chromedp.Action[chromedp.Void]

// TestPage: two browsers on two hosts see who is where, and talk.
func TestPage(t *testing.T) {
	_, hosts := pairOf(t, 1) // each browser is served where it enters: with equal load its own host's worker wins
	ada := openPage(t, hosts[0].URL, "Ada")
	grace := openPage(t, hosts[1].URL, "Grace")
	for _, page := range []context.Context{ada, grace} {
		do(t, page,
			chromedp.WaitVisible(`#status[data-state=connected]`),
			holds(`document.querySelectorAll(".host").length === 2`),
			holds(`document.querySelector("#transport").textContent === "websocket"`),
			holds(`/ms$/.test(document.querySelector("#rtt").textContent)`),
		)
	}
	do(t, ada,
		holds(`document.querySelector('[data-host="host-b"]').textContent.includes("Grace")`),
		holds(`document.querySelector("#where").textContent.startsWith("host-a")`),
		chromedp.SendKeys("#line", "hello over there\r"),
		holds(`document.querySelector(".message.mine p")?.textContent === "hello over there"`),
	)
	do(t, grace,
		holds(`document.querySelector(".message p")?.textContent === "hello over there"`),
		holds(`document.querySelector(".message b").textContent === "Ada"`),
		chromedp.SendKeys("#line", "<b>hi</b> & welcome\r"),
	)
	do(t, ada, holds(`[...document.querySelectorAll(".message p")].at(-1).textContent === "<b>hi</b> & welcome"`))
	screenshot(t, ada, "page-wide.png", 1200, 760)
	screenshot(t, ada, "page-phone.png", 390, 780)
	if err := chromedp.Cancel(grace); err != nil {
		t.Fatal(err)
	}
	do(t, ada,
		holds(`[...document.querySelectorAll(".event")].some((e) => e.textContent === "Grace left")`),
		holds(`document.querySelectorAll(".person").length === 1`),
	)
}

// openPage opens the chat page as somebody, in a browser of its own.
func openPage(t *testing.T, url, name string) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser(t)), chromedp.NoSandbox, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("ignore-certificate-errors", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // starts the browser, which lives as long as this call's context
		t.Fatal(err)
	}
	do(t, ctx,
		chromedp.Navigate(url+"/icon.svg"),
		chromedp.Evaluate[chromedp.Void](`localStorage.setItem("sidereal-name", "`+name+`")`),
		chromedp.Navigate(url),
	)
	return ctx
}

func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return testkit.Need(t, "chromium")
}

// do runs steps; all of them together have the harness's patience.
func do(t *testing.T, page context.Context, steps ...step) {
	t.Helper()
	ctx, cancel := context.WithTimeout(page, harness.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(page, chromedp.Evaluate[string](`document.body.innerText`))
		t.Fatalf("%v; the page says:\n%s", err, strings.TrimSpace(text))
	}
}

// holds waits until a JavaScript condition is true.
func holds(condition string) step {
	return chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingMutation(), chromedp.WithPollingTimeout(harness.Patience))
}

// screenshot writes a picture of the page to the folder in SCREENSHOTS. Without that variable it
// does nothing.
func screenshot(
	t *testing.T, page context.Context, name string, width, height int64, options ...chromedp.EmulateViewportOption,
) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	do(t, page, chromedp.EmulateViewport(width, height, options...))
	picture, err := chromedp.Run(page, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if picture, err = shrink(picture); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

// shrink reduces a PNG to its 256 most frequent colors, which a page of flat areas and text doesn't
// show, and which takes a third of the bytes.
func shrink(picture []byte) ([]byte, error) {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	pixels := map[color.Color]int{}
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			pixels[full.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(pixels), func(a, b color.Color) int { return pixels[b] - pixels[a] })
	small := image.NewPaletted(full.Bounds(), colors[:min(256, len(colors))])
	draw.Draw(small, small.Bounds(), full, image.Point{}, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small)
	return out.Bytes(), err
}
