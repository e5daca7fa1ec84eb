package directory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestRedisDoc keeps the directory's part of docs/redis.md equal to keyDocs.
func TestRedisDoc(t *testing.T) {
	testkit.Document(t, "../docs/redis.md", "<!-- directory: generated from directory/keys.go by `make generate` -->",
		"<!-- end of directory -->", keyTable())
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
