//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// The size of the tests below; RELOAD_CLIENTS and RELOAD_EVERY set others.
const (
	reloadClients = 200
	reloadEvery   = time.Second

	// official is the part of them that are official clients.
	official = 10 // %

	// reloadPatience bounds a reload, and is no expectation.
	reloadPatience = 5 * time.Minute
)

// underLoad has clients ask for echoes while reload replaces their workers, and say tell all of
// them numbers.
func underLoad(t *testing.T, url string, reload func(), say func(number string) error) (c *echoes, said int) {
	t.Helper()
	clients, every := harness.Setting(t, "RELOAD_CLIENTS", reloadClients, strconv.Atoi), harness.Setting(t, "RELOAD_EVERY", reloadEvery, time.ParseDuration)
	others := startOfficial(t, url, clients*official/100, every)
	c = startEchoes(t, url, clients-clients*official/100, every)
	c.further(t, 2)
	speaking, stop := context.WithCancel(t.Context())
	defer stop()
	spoken := make(chan struct{})
	go func() {
		defer close(spoken)
		for tick := time.NewTicker(every); speaking.Err() == nil; said++ {
			if err := say(strconv.Itoa(said)); err != nil {
				t.Errorf("nothing said: %v", err)
				return
			}
			select {
			case <-tick.C:
			case <-speaking.Done():
			}
		}
	}()
	begin := time.Now()
	reload()
	t.Logf("reloaded in %v", time.Since(begin).Round(time.Millisecond))
	c.further(t, 2)
	stop()
	<-spoken
	others.judge(t)
	t.Log(c)
	return c, said
}

// officials are official clients in a process of their own, which count what happens to them.
type officials struct {
	n     int
	stdin io.Closer
	out   *bufio.Scanner
}

func startOfficial(t *testing.T, url string, n int, every time.Duration) *officials {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "echoes.mjs", url, strconv.Itoa(n), strconv.FormatInt(every.Milliseconds(), 10))
	cmd.Dir, cmd.Stderr = filepath.Join(harness.Root(), "e2e", "js"), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	o := &officials{n, stdin, bufio.NewScanner(stdout)}
	if !o.out.Scan() || o.out.Text() != "ready" {
		t.Fatalf("the official clients: %q, %v", o.out.Text(), o.out.Err())
	}
	return o
}

// judge ends the clients, and fails the test for what they saw as an error.
func (o *officials) judge(t *testing.T) {
	t.Helper()
	o.stdin.Close()
	var seen struct {
		Answered, Cut, Moved int
		Failures             map[string]int
	}
	if !o.out.Scan() {
		t.Fatalf("the official clients say nothing: %v", o.out.Err())
	}
	if err := json.Unmarshal(o.out.Bytes(), &seen); err != nil {
		t.Fatal(err)
	}
	for what, n := range seen.Failures {
		t.Errorf("official clients: %d × %s", n, what)
	}
	if seen.Moved < o.n || seen.Answered == 0 {
		t.Errorf("%d sessions of %d official clients were moved, %d echoes answered", seen.Moved, o.n, seen.Answered)
	}
	t.Logf("%d official clients, %d echoes answered, %d sessions moved, %d echoes cut off by a move", o.n, seen.Answered, seen.Moved, seen.Cut)
}

// TestReloadOfNodeWorkersUnderLoad: an ordinary client sees no error while the workers of
// @socket.io/pm2's documentation are replaced under it: its session closes, and it comes back with
// another.
func TestReloadOfNodeWorkersUnderLoad(t *testing.T) {
	p := newPM2(t)
	p.env = append(p.env, "SIDEREAL_DRAIN_RATE=50") // takes longer than kill_timeout
	p.do("start", "worker.js", "-i", "2")
	url := fmt.Sprint("http://127.0.0.1:", p.port)
	c, _ := underLoad(t, url, func() {
		if _, err := p.within(reloadPatience, "reload", "worker"); err != nil {
			t.Fatal(err)
		}
	}, func(string) error { return nil }) // without recovery who moves may miss a message, or hear it at both workers
	c.judge(t)
}

// TestReloadOfGoWorkersUnderLoad: over streams with recovery clients are told everything, too, once
// and in order.
func TestReloadOfGoWorkersUnderLoad(t *testing.T) {
	server := testkit.StartRedis(t)
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", RedisURL: server.URL(), Workers: 2,
		Env: []string{"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_RECOVERY=1m", "SIDEREAL_SHUTDOWN_TIMEOUT=35s"}})
	r := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { r.Close() })
	aside, err := emitter.New(emitter.Config{Redis: r, Form: emitter.Streams{}})
	if err != nil {
		t.Fatal(err)
	}
	reload := func() {
		from := len(host.Output.All())
		host.Signal(t, syscall.SIGUSR2)
		testkit.UntilFor(t, reloadPatience, "the reload to be done", func() bool {
			return slices.ContainsFunc(host.Output.All()[from:], harness.Contains("reload done"))
		})
	}
	c, said := underLoad(t, host.URL, reload, func(number string) error { return aside.Emit(t.Context(), "said", number) })
	c.judge(t)
	c.allTold(t, said)
}
