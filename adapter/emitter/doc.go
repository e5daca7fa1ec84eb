// Package emitter lets processes that serve no clients send events to the clients of those that do:
// a job, a webhook, another service. It sends the messages of @socket.io/redis-emitter
// (docs/adapter-wire.md, 7), so Node's servers understand it as well as ours.
//
//	e, err := emitter.New(emitter.Config{Redis: client})
//	...
//	err = e.To("room").Emit(ctx, "said", message)
//
// An emitter receives nothing, so it has no acknowledgements and can't fetch anything. It queues
// nothing, repeats nothing and starts no goroutine. Each call is one command to Redis and returns
// Redis's answer: nil means that Redis took the message, not that somebody received it. Through one
// Redis server, messages arrive in the order of the calls.
//
// Everything here is immutable and may be used concurrently. The caller owns the Redis client and
// closes it.
//
// A form (form.go) is what one family of adapters listens to: classic pub/sub (pubsub.go, [New]),
// sharded pub/sub (sharded.go, [NewSharded]), or streams (streams.go, [NewStreams]). A form sends
// two kinds of message: broadcasts, and orders that servers carry out.
package emitter
