package adapter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/streams"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

//go:generate go test . -run ^TestRedisDoc$ -update

// TestRedisDoc keeps the adapter's part of docs/redis.md equal to the names that the code makes.
func TestRedisDoc(t *testing.T) {
	testkit.Document(t, "../docs/redis.md", "<!-- adapter: generated from adapter/internal/wire/channels.go by `make generate` -->",
		"<!-- end of adapter -->", channelTable()+"\n"+shardTable()+"\n"+streamTable())
}

// channelTable is every channel of the classic form, for any key and namespace.
func channelTable() string {
	c := wire.NewChannels("<key>", "<namespace>")
	peers := link.PeersChannel("<key>")
	return "### `redis`: pub/sub\n\n" + table([][4]string{
		{c.Main, "broadcasts to no room or to several, msgpack", "the server that emits; redis-emitter", "every server with the namespace, through the pattern `" + c.Pattern() + "`"},
		{c.Room("<room>"), "broadcasts to that room only, msgpack", "the server that emits; redis-emitter", "the same pattern; a server without the room drops the message by its channel"},
		{c.Request, "questions (fetch sockets, acks) and orders (join, leave, disconnect, server-side events); JSON, or msgpack with packets or binary", "the server that asks; redis-emitter", "every server with the namespace"},
		{c.Response, "answers to Node's servers", "the servers asked", "every server with the namespace"},
		{c.ResponseTo("<uid>"), "answers to that server, named by 6 characters per process and namespace", "our servers to each other; with SpecificResponses also to Node's", "that server"},
		{peers, "heartbeat, JSON `{v, process, version, caps, nsps, every, asks, gone}`, every 2 s; less often with more than 100 servers", "every worker", "every worker; no pattern of Node's servers matches it"},
	})
}

// shardTable is every channel of the sharded form.
func shardTable() string {
	c := wire.NewChannels("<key>", "<namespace>")
	peers := link.PeersChannel("<key>")
	return "### `redis-sharded`: sharded pub/sub, except for the heartbeat\n\n" +
		table([][4]string{
			{c.Main, "broadcasts to no room or to several, questions and orders; JSON, or msgpack with binary", "the server that emits or asks", "every server with the namespace"},
			{c.Room("<room>"), "broadcasts to that room only; none in the mode static", "the server that emits", "servers with somebody in the room, until 2 s after the last left"},
			{c.AnswersTo("<uid>"), "answers to that server, named by 16 hexadecimal digits per process and namespace", "the servers asked", "that server"},
			{peers, "heartbeat, as above, over ordinary pub/sub", "every worker", "every worker"},
		})
}

// streamTable is every stream, channel and key of the form over streams.
func streamTable() string {
	c := wire.NewChannels("<key>", "<namespace>")
	stream := wire.Streams{Name: "<key>", Count: 1}.Of("/")
	peers := link.PeersChannel("<key>")
	session := streams.DefaultKeyPrefix + "<pid>"
	return "### `redis-streams`: a stream, channels, and with `SIDEREAL_RECOVERY` a key per client\n\n" +
		table([][4]string{
			{stream, "stream of broadcasts and orders (join, leave, disconnect), with entries `uid`, `nsp`, `type`, `data`; about the last 10,000", "the server that emits; redis-streams-emitter", "every server, each from its own position"},
			{c.Main, "questions, server-side events, broadcasts with acknowledgements; msgpack", "the server that asks", "every server with the namespace"},
			{c.AnswersTo("<uid>"), "answers to that server, named as above; between our servers also the news that a session was taken over", "the servers asked", "that server"},
			{session, "string: a client's session, msgpack in base64; lives for 1.5 × `SIDEREAL_RECOVERY` after its last renewal, and for `SIDEREAL_RECOVERY` once the client has left", "the server that has the client", "the server that the client comes back to"},
			{peers, "heartbeat, as above", "every worker", "every worker"},
		})
}

func table(rows [][4]string) string {
	var b strings.Builder
	b.WriteString("| channel | carries | published by | heard by |\n|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row[0], row[1], row[2], row[3])
	}
	return b.String()
}
