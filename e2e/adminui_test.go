//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/crypto/bcrypt"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/adminui"
	"github.com/sidereal-io/sidereal/worker"
)

// startWithAdminUI starts a worker for the Admin UI's user "ada" with the password "secret".
func startWithAdminUI(t *testing.T, redis, hash string) (url string) {
	t.Helper()
	addr := harness.Loopback(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	cfg := worker.Config{
		Addr: addr, Adapter: adapter.Config{Form: adapter.Classic{}}, Redis: sidereal.Redis{URL: redis},
		AdminUI: &adminui.Config{User: "ada", PasswordHash: hash},
	}
	cfg.SocketIO.CORS = &engineio.CORS{AllowOrigin: func(string) bool { return true }, Credentials: true} // the page's origin is another one
	go func() {
		ended <- worker.Run(ctx, cfg, func(_ context.Context, io *socketio.Server) error {
			io.On("echo", func(args socketio.Args) socketio.Args { return args })
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	url = "http://" + addr
	testkit.Until(t, "the worker to serve", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
	return url
}

// hashOf returns the hash of "secret", at the lowest cost.
func hashOf(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// TestAdminUIBesideNode has a server of Node's and a Go worker watched by an admin at each. Whatever
// happens to a client, both admins hear the same, wherever the client is, and whoever acts.
func TestAdminUIBesideNode(t *testing.T) {
	redis, hash := testkit.StartRedis(t), hashOf(t)
	cmd := exec.CommandContext(t.Context(), testkit.Need(t, "node"), filepath.Join(harness.Root(), "e2e", "js", "adminui.mjs"))
	cmd.Env = append(os.Environ(), "GO_URL="+startWithAdminUI(t, redis.URL(), hash), "REDIS_URL="+redis.URL(), "ADMIN_HASH="+hash)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &problems)
	}
	var result struct {
		Config, Stats map[string][]string
		Lives         map[string][]any
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for name, pair := range map[string]map[string][]string{"config": result.Config, "server_stats": result.Stats} {
		if !reflect.DeepEqual(pair["node"], pair["go"]) || len(pair["go"]) == 0 {
			t.Errorf("%s: %v of Node's, %v of ours", name, pair["node"], pair["go"])
		}
	}
	const reference = "node by node, seen at node"
	want := result.Lives[reference]
	if len(result.Lives) != 8 || len(want) < 8 {
		t.Fatalf("%d lives, one with %d messages: %s", len(result.Lives), len(want), text)
	}
	for life, messages := range result.Lives {
		if !reflect.DeepEqual(messages, want) {
			t.Errorf("%s:\n%s\n%s:\n%s", life, lines(t, messages), reference, lines(t, want))
		}
	}
}

// lines prints each value on a line of its own.
func lines(t *testing.T, values []any) string {
	t.Helper()
	var out bytes.Buffer
	for _, v := range values {
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// TestAdminUIInABrowser logs in at the official page and acts on a client.
func TestAdminUIInABrowser(t *testing.T) {
	redis := testkit.StartRedis(t)
	url := startWithAdminUI(t, redis.URL(), hashOf(t))
	files := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(harness.Root(), "e2e", "node_modules", "@socket.io", "admin-ui", "ui", "dist"))))
	t.Cleanup(files.Close)
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	news := make(chan string, 1)
	socket := c.Of("/")
	socket.On("news", func(text string) { news <- text })
	if err := socket.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	page := openPage(t, files.URL, "")
	const field = "form .v-input:nth-of-type(%d) input"
	do(t, page,
		chromedp.WaitVisible("form"),
		chromedp.SendKeys(fmt.Sprintf(field, 1), url),
		chromedp.SendKeys(fmt.Sprintf(field, 2), "ada"),
		chromedp.SendKeys(fmt.Sprintf(field, 3), "wrong\r"),
		holds(`document.body.innerText.includes("Invalid credentials")`),
		chromedp.SendKeys(fmt.Sprintf(field, 3), strings.Repeat(kb.Backspace, 5)+"secret\r"),
		holds(`[...document.querySelectorAll(".v-chip__content")].some((e) => e.textContent === "connected")`),
		chromedp.Navigate(files.URL+"/#/sockets/"),
		holds(`document.querySelector("main table")?.innerText.includes("`+socket.ID()+`")`),
	)
	screenshot(t, page, "admin-ui.png", 1200, 760)
}
