package directory

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// awaitSecret waits until the directories know that secret as the present one.
func awaitSecret(t *testing.T, want string, all ...*Directory) {
	t.Helper()
	for _, d := range all {
		testkit.Until(t, "the secret", func() bool {
			got, err := d.Secret(t.Context())
			return err == nil && got == want
		})
	}
}

func secretOf(t *testing.T, d *Directory) string {
	t.Helper()
	secret, err := d.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// TestSecretIsConfirmedAtEveryLook: whatever becomes of the key, routers that live go on with the
// secret that they have, and the next router gets it.
func TestSecretIsConfirmedAtEveryLook(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a, b := node(t, r.URL()), node(t, r.URL())
	secret := secretOf(t, a)
	if secretOf(t, b) != secret {
		t.Fatal("two secrets")
	}
	for what, spoil := range map[string]func(){
		"deleted":      func() { r.Do("DEL", a.keys.secret()) },
		"flushed":      func() { r.Do("FLUSHALL") },
		"empty":        func() { r.Do("SET", a.keys.secret(), "") },
		"a list":       func() { r.Do("LPUSH", "a list", "x"); r.Do("RENAME", "a list", a.keys.secret()) },
		"huge":         func() { r.Do("SET", a.keys.secret(), strings.Repeat("x", 1<<20)) },
		"no such text": func() { r.Do("SET", a.keys.secret(), "x\r\nSidereal-Worker: y") },
	} {
		spoil()
		testkit.Until(t, what+": the secret to be back", func() bool {
			return a.client.Get(t.Context(), a.keys.secret()).Val() == secret
		})
		if got := secretOf(t, node(t, r.URL())); got != secret {
			t.Errorf("%s: the next router has another", what)
		}
	}
	awaitSecret(t, secret, a, b)
}

// TestSecretsConverge: a router that finds no secret makes one, though others live. During the
// change nobody is refused.
func TestSecretsConverge(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a, b := node(t, r.URL()), node(t, r.URL())
	first := secretOf(t, a)
	awaitSecret(t, first, b)
	second := "made by a router that came between two looks"
	second = strings.ReplaceAll(second, " ", "-")
	r.Do("SET", a.keys.secret(), second)
	c := node(t, r.URL())
	if got := secretOf(t, c); got != second {
		t.Fatalf("the newcomer shows %q", got)
	}
	for _, d := range []*Directory{a, b} { // whether they have looked or not
		if !d.Accepts(t.Context(), second) || !d.Accepts(t.Context(), first) {
			t.Error("a router refuses another")
		}
		if all := d.Secrets(); len(all) != 2 || all[0] != second || all[1] != first {
			t.Errorf("secrets %q", all)
		}
	}
	awaitSecret(t, second, a, b, c)
	if a.Accepts(t.Context(), "nobodys") || a.Accepts(t.Context(), "") || c.Accepts(t.Context(), first) {
		t.Error("a stranger is let in")
	}
	r.Do("FLUSHALL")
	awaitKey(t, r.URL(), a.keys.secret(), second)
}

// TestStrangersKeysCostLittle: who shows wrong keys makes a router ask Redis a few times a second,
// however many do.
func TestStrangersKeysCostLittle(t *testing.T) {
	m, url := mini(t)
	d := node(t, url)
	secretOf(t, d)
	var mu sync.Mutex
	asked := 0
	m.Server().SetPreHook(func(_ *server.Peer, command string, args ...string) bool {
		if strings.EqualFold(command, "GET") && args[0] == d.keys.secret() {
			mu.Lock()
			defer mu.Unlock()
			asked++
		}
		return false
	})
	var strangers sync.WaitGroup
	for range 500 {
		strangers.Go(func() {
			if d.Accepts(context.Background(), randomText(secretBytes)) {
				t.Error("let in")
			}
		})
	}
	strangers.Wait()
	mu.Lock()
	defer mu.Unlock()
	if asked > 50 { // those of the looks included
		t.Errorf("Redis was asked %d times", asked)
	}
}

// TestWorkerKeyIsForOneWorker: a worker takes the secret or the key that is made of it for this
// worker; a door takes the secret only.
func TestWorkerKeyIsForOneWorker(t *testing.T) {
	t.Parallel()
	d := node(t, testkit.StartRedis(t).URL())
	secret := secretOf(t, d)
	for _, c := range []struct {
		name, workerID, shown string
		accepted              bool
	}{
		{"the secret", "aB3_", secret, true},
		{"its own key", "aB3_", WorkerKey(secret, "aB3_"), true},
		{"another worker's key", "aB3_", WorkerKey(secret, "zzzz"), false},
		{"a worker's key at a door", "", WorkerKey(secret, "aB3_"), false},
		{"the key of no worker at a door", "", WorkerKey(secret, ""), false},
		{"nothing", "aB3_", "", false},
	} {
		if got := d.AcceptsAt(t.Context(), c.workerID, c.shown); got != c.accepted {
			t.Errorf("%s: accepted %v", c.name, got)
		}
	}
}
