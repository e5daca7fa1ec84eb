// Package emitter lets processes that serve no clients send events to the clients of those that do:
// a job, a webhook, another service. It sends the messages of @socket.io/redis-emitter
// (docs/adapter-wire.md, 7), so Node's servers understand it as well as ours.
//
//	e, err := emitter.FromEnv() // SIDEREAL_REDIS_URL and the other variables of the servers
//	if err != nil {
//		return err
//	}
//	defer e.Close()
//	err = e.To("room").Emit(ctx, "said", message)
//
// [New] makes an Emitter of the program's own Redis client and settings. [Config.Form] is the
// servers' form: [Classic], [Sharded] or [Streams].
//
// An emitter receives nothing, so it has no acknowledgements and can't fetch anything. It queues
// nothing, repeats nothing and starts no goroutine. Each call is one command to Redis and returns
// Redis's answer: nil means that Redis took the message, not that somebody received it. Through one
// Redis server, messages arrive in the order of the calls.
//
// At most once a minute, the emitter looks whether a server is there, and logs a warning if none
// is. Usually the emitter then has another Redis, adapter or key than the servers.
//
// Everything here is immutable and may be used concurrently. Close closes a connection that FromEnv
// made; the caller closes a client of its own.
package emitter
