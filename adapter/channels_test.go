package adapter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

//go:generate go test . -run ^TestRedisDoc$ -update

// TestRedisDoc keeps the adapter's part of docs/redis.md equal to the names that the code makes.
func TestRedisDoc(t *testing.T) {
	testkit.Document(t, "../docs/redis.md", "<!-- adapter: generated from adapter/internal/wire/channels.go by `make generate` -->",
		"<!-- end of adapter -->", channelTable())
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
