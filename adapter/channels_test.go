package adapter

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

//go:generate go test . -run ^TestRedisDoc$ -update

var update = flag.Bool("update", false, "write docs/redis.md anew")

const (
	redisDoc  = "../docs/redis.md"
	docBegins = "<!-- adapter: generated from adapter/internal/wire/channels.go by `make generate` -->\n"
	docEnds   = "<!-- end of adapter -->\n"
)

// TestRedisDoc keeps the part of docs/redis.md between the two marks equal to the names that the code makes. The other
// parts are other packages'.
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
	want := channelTable()
	if part == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what channels.go says: run `make generate`", redisDoc)
	}
	if err := os.WriteFile(redisDoc, []byte(before+docBegins+want+docEnds+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// channelTable is every channel of this package, for any key and namespace.
func channelTable() string {
	c := wire.NewChannels("<key>", "<namespace>")
	peers := newPeers(&Redis{cfg: Config{Key: "<key>"}}).channel
	var b strings.Builder
	b.WriteString("| channel | carries | published by | heard by |\n|---|---|---|---|\n")
	for _, row := range [][4]string{
		{c.Main, "broadcasts to no room or to several, msgpack", "the server that emits; redis-emitter", "every server with the namespace, through the pattern `" + c.Pattern() + "`"},
		{c.Room("<room>"), "broadcasts to that room alone, msgpack", "the server that emits; redis-emitter", "the same pattern; a server without the room drops the message by its channel"},
		{c.Request, "questions (fetch sockets, acks) and orders (join, leave, disconnect, server-side events), JSON, or msgpack where packets or binary are in it", "the server that asks; redis-emitter", "every server with the namespace"},
		{c.Response, "answers to Node's servers", "the servers that were asked", "every server with the namespace"},
		{c.ResponseTo("<uid>"), "answers to that server; 6 characters name it, anew for each process and namespace", "our servers to each other; with SpecificResponses to Node's too", "that server"},
		{peers, "JSON `{v, process, version, caps, nsps, gone}`: the heartbeat of our own processes, every 2 s", "every worker", "every worker; no pattern of Node's matches it"},
	} {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row[0], row[1], row[2], row[3])
	}
	return b.String()
}
