package link

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Form is one family of Node's adapters: how its messages travel through Redis. Servers hear only
// servers of their own form. A process has one form for all its namespaces.
type Form interface {
	// Receive handles one message of the subscription, on the subscription's goroutine. It reports
	// whether it keeps any part of channel or payload. An error blames the sender.
	Receive(channel string, payload []byte) (kept bool, err error)
	// NodeKey returns the key or channel whose node in a Redis Cluster takes m. If it is empty, any
	// node does.
	NodeKey(m Message) string
	// Publish adds the command for m to pipe.
	Publish(ctx context.Context, pipe redis.Pipeliner, m Message)
	// NumSub counts the subscribers of channels on one node.
	NumSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error)
	// Trials lists the commands that a namespace needs Redis to allow.
	Trials(namespace string, recovery bool) []Trial
}

// Hooks are the parts of a form that don't go through the subscription. Each may be nil.
type Hooks struct {
	// Run works beside the link until ctx ends.
	Run func(ctx context.Context) error
	// Ready returns once the form hears everything that others send from now on, or with ctx's
	// error.
	Ready func(ctx context.Context) error
	// Interrupted is called when the subscription is lost. It must not block.
	Interrupted func()
	// Drain sends, until ctx ends, what the form still has to send when the process ends.
	Drain func(ctx context.Context)
}

// Protocol is what one namespace says in its form: the bytes of its messages and the channels they
// go to.
type Protocol interface {
	// Listen begins to hear the other servers and Unlisten ends that. The link's lock is held
	// meanwhile.
	Listen()
	Unlisten()
	// RequestChannel is the channel of requests. Every server with the namespace subscribes to it
	// exactly once.
	RequestChannel() string
	// AnswerChannel is the channel of answers to the server uid. No other server subscribes to it.
	AnswerChannel(uid string) string
	EncodeBroadcast(b *cluster.Broadcast) (Message, error)
	EncodeRequest(q wire.Request) (Message, error)
	// EncodeAnswer encodes the answer to q. The form of the answer depends on q alone, so that a
	// server that has just started gets what it gets later.
	EncodeAnswer(q wire.Request, a wire.Response) (Message, error)
	// AsksRooms reports whether the form has a question for all rooms.
	AsksRooms() bool
	// TimeoutText is Node's error text for a request of a type that only got of expected servers
	// answered in time.
	TimeoutText(t wire.RequestType, got, expected int) string
}

// Message is one message on its way to Redis.
type Message struct {
	Channel string // or the stream
	Payload []byte
	// Kind is the type of a stream's entry, which stands beside the payload. Zero means a message
	// of pub/sub.
	Kind wire.ClusterType
	From *Namespace // the sender of an entry

	queued time.Duration // since the publisher was made
}

// EventTimeout is Node's text for a request that not every server answered in time, in most cases.
func EventTimeout(got, expected int) string {
	return fmt.Sprintf("timeout reached: only %d responses received out of %d", got, expected)
}
