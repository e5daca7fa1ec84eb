package directory

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/redis.md anew")

const (
	redisDoc  = "../docs/redis.md"
	docBegins = "<!-- directory: generated from directory/keys.go by `make generate` -->\n"
	docEnds   = "<!-- end of directory -->\n"
)

// TestRedisDoc keeps the part of docs/redis.md between the two marks equal to keyDocs. The other parts are other packages'.
func TestRedisDoc(t *testing.T) {
	old, err := os.ReadFile(redisDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(old), docBegins)
	part, after, ends := strings.Cut(rest, docEnds)
	if !begins || !ends {
		t.Fatalf("%s has no part between %q and %q", redisDoc, docBegins, docEnds)
	}
	want := keyTable()
	if part == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what keys.go says: run `make generate`", redisDoc)
	}
	if err := os.WriteFile(redisDoc, []byte(before+docBegins+want+docEnds+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func keyTable() string {
	var b strings.Builder
	b.WriteString("| key | type | content | life | written by | read by |\n|---|---|---|---|---|---|\n")
	for _, k := range keyDocs() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", k.name, k.kind, k.content, k.life, k.writer, k.reader)
	}
	return b.String()
}

func TestKeysOfOneAppShareASlotButForSids(t *testing.T) {
	k := keys{"shop"}
	for _, key := range []string{k.workers(), k.routers(), k.worker("abcd"), k.router("abcd"), k.events(), k.secret()} {
		if !strings.HasPrefix(key, "{sidereal:shop}:") {
			t.Errorf("%s has not the app's hash tag", key)
		}
	}
	if key := k.sid("abcd"); key != "sidereal:shop:sid:abcd" {
		t.Errorf("sids would share a slot: %s", key)
	}
}
