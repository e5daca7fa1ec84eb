// Package emitter lets processes that are no server speak to the clients of those that are: a job, a webhook, another
// service. It says what @socket.io/redis-emitter says, in its bytes (docs/adapter-wire.md, 7), so Node's servers hear it
// as well as ours.
//
//	e, err := emitter.New(emitter.Config{Redis: client})
//	...
//	err = e.To("room").Emit(ctx, "said", message)
//
// An emitter has no clients of its own and hears nothing. There are no acknowledgements, nothing can be fetched, and
// nothing is queued, repeated or started in the background: each call is one command to Redis, and returns what Redis
// said. Nil means that Redis took the message, not that somebody heard it. What is called one after the other arrives in that
// order, through one Redis server.
//
// Everything here is immutable and may be used concurrently. The Redis client is the caller's, to close too.
//
// A form (form.go) is what a family of adapters listens to. pubsub.go has the classic one, of [New]; sharded.go that of sharded
// pub/sub, of [NewSharded], for which Node has no emitter; streams.go that of [NewStreams], which says what
// @socket.io/redis-streams-emitter says. A form sends two kinds of message: broadcasts, and orders, which servers carry out.
package emitter
