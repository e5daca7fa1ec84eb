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
		"<!-- end of adapter -->", channelTable()+"\n"+shardTable()+"\n"+streamTable())
}

// channelTable is every channel of the classic form, for any key and namespace.
func channelTable() string {
	c := wire.NewChannels("<key>", "<namespace>")
	peers := newPeers(&Redis{cfg: Config{Key: "<key>"}}).channel
	return table([][4]string{
		{c.Main, "broadcasts to no room or to several, msgpack", "the server that emits; redis-emitter", "every server with the namespace, through the pattern `" + c.Pattern() + "`"},
		{c.Room("<room>"), "broadcasts to that room alone, msgpack", "the server that emits; redis-emitter", "the same pattern; a server without the room drops the message by its channel"},
		{c.Request, "questions (fetch sockets, acks) and orders (join, leave, disconnect, server-side events), JSON, or msgpack where packets or binary are in it", "the server that asks; redis-emitter", "every server with the namespace"},
		{c.Response, "answers to Node's servers", "the servers that were asked", "every server with the namespace"},
		{c.ResponseTo("<uid>"), "answers to that server; 6 characters name it, anew for each process and namespace", "our servers to each other; with SpecificResponses to Node's too", "that server"},
		{peers, "JSON `{v, process, version, caps, nsps, every, asks, gone}`: the heartbeat of our own processes, every 2 s, of more than 100 more seldom", "every worker", "every worker; no pattern of Node's matches it"},
	})
}

// shardTable is every channel of the sharded form.
func shardTable() string {
	t := shardedTalk{channels: wire.NewChannels("<key>", "<namespace>")}
	peers := newPeers(&Redis{cfg: Config{Key: "<key>"}}).channel
	return "With `SIDEREAL_ADAPTER=redis-sharded` these are channels of sharded pub/sub (but for the last), which have names of their own:\n\n" +
		table([][4]string{
			{t.counted(), "broadcasts to no room or to several, questions and orders; JSON, or msgpack where binary is in it", "the server that speaks", "every server with the namespace"},
			{t.channels.Room("<room>"), "broadcasts to that room alone", "the server that emits", "servers with somebody in the room, and for 2 s after the last has left; in the mode static none has such channels"},
			{t.answersTo("<uid>"), "answers to that server; 16 hexadecimal digits name it, anew for each process and namespace", "the servers that were asked", "that server"},
			{peers, "the heartbeat, as above, over ordinary pub/sub", "every worker", "every worker"},
		})
}

// streamTable is every stream, channel and key of the form over streams.
func streamTable() string {
	cfg := StreamsConfig{StreamName: "<key>", StreamCount: 1}
	t := streamTalk{channels: wire.NewChannels("<key>", "<namespace>"), stream: cfg.streams().Of("/")}
	peers := newPeers(&Redis{cfg: Config{Key: "<key>"}}).channel
	session := StreamsConfig{}.withDefaults().SessionKeyPrefix + "<pid>"
	return "With `SIDEREAL_ADAPTER=redis-streams` these are a stream, channels, and with `SIDEREAL_RECOVERY` a key for each client:\n\n" +
		table([][4]string{
			{t.stream, "a stream: broadcasts and orders (join, leave, disconnect); entries `uid`, `nsp`, `type`, `data`, about the last 10,000", "the server that speaks; redis-streams-emitter", "every server, each from a place of its own"},
			{t.counted(), "questions, server-side events, broadcasts that are to be acknowledged; msgpack", "the server that asks", "every server with the namespace"},
			{t.answersTo("<uid>"), "answers to that server; 16 hexadecimal digits name it, anew for each process and namespace. Between our servers also that a session was taken over", "the servers that were asked", "that server"},
			{session, "a string: the session of a client that may come back, msgpack in base64. It lives for 1.5 times SIDEREAL_RECOVERY from its last renewal, and for SIDEREAL_RECOVERY once the client is gone", "the server that has the client", "the server that it comes back to"},
			{peers, "the heartbeat, as above", "every worker", "every worker"},
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
