package adapter

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// form is one of the families that Node's adapters come in: how messages look, and how they travel. Servers hear only those
// of their own family. A process has one form; everything else here is the same for all.
type form interface {
	// talk makes a namespace's uid, and what it talks through.
	talk(n *namespace) (uid string, t talk)
	// join and leave begin and end the listening of a namespace, under Redis.mu.
	join(n *namespace)
	leave(n *namespace)
	// receive takes a message, on the subscription's goroutine, and tells whether it keeps anything of it. An error is the
	// sender's fault.
	receive(channel string, payload []byte) (kept bool, err error)
	// place names the key or channel whose node a message goes to in a cluster; empty: any node passes it on to all.
	place(m message) string
	// publish adds a message to what is sent to Redis next.
	publish(ctx context.Context, pipe redis.Pipeliner, m message)
	// numSub counts the subscribers of channels that one node has.
	numSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error)
	// interrupted is told that the subscription was lost.
	interrupted()
	// wait returns when the form hears what does not come through the subscription, or with ctx's error.
	wait(ctx context.Context) error
	// farewell sends what the form still has to, when the process ends, until ctx does.
	farewell(ctx context.Context)
	// run does what the form needs besides, until ctx ends.
	run(ctx context.Context) error
	// trials are the commands that a namespace needs beside those that publish.
	trials(n *namespace) []trial
	// adapter is what the server gets for a namespace.
	adapter(n *namespace) cluster.Adapter
}

// plain is what forms have in common that hear all through the subscription.
type plain struct{}

func (plain) farewell(context.Context)             {}
func (plain) interrupted()                         {}
func (plain) wait(context.Context) error           { return nil }
func (plain) run(context.Context) error            { return nil }
func (plain) adapter(n *namespace) cluster.Adapter { return n }

// talk is what one namespace says in a form: the bytes, and the channels that they go to.
type talk interface {
	// counted is the channel for requests, to which every server with the namespace is subscribed exactly once.
	counted() string
	// answersTo is the channel of answers to the server uid, to which it alone is subscribed.
	answersTo(uid string) string
	broadcast(b *cluster.Broadcast) (message, error)
	request(q wire.Request) (message, error)
	// answer answers q, which came from a process of ours or (peer false) from one of Node's.
	answer(q wire.Request, a wire.Response, peer bool) (message, error)
	// asksRooms tells whether there is a question for all rooms.
	asksRooms() bool
	// fetchTimeout is Node's text for a fetch that not everybody answered in time.
	fetchTimeout(t *tally) string
}
