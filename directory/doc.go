// Package directory knows which worker owns a session, and which workers live. A program needs it
// only to put a package router into it; sidereal and package worker use it by themselves.
//
//	dir, err := directory.Open(ctx, directory.Config{Redis: sidereal.Redis{URL: "redis://10.0.0.9:6379"}})
//	if err != nil {
//		return err // a wrong setting, or Redis refuses it
//	}
//	go dir.Run(ctx)
//	r, err := router.New(router.Config{Directory: dir})
//
// Hosts agree through Redis. Each process has a cache and a table of its own, and serves from them
// while Redis is away.
//
//   - [Directory.Owner] finds the worker that owns a sid: in the cache, in Redis, or by the worker
//     id that the sid begins with, in this order.
//   - [Directory.Learn] notes a new session; [Directory.Touch] notes that its client was here
//     again.
//   - [Directory.Workers] returns an immutable [Table] of all workers; [Directory.Changed]
//     announces the next one.
//   - [Directory.WorkerGone] tells everyone that a worker is dead.
//
// A worker calls [Directory.RegisterWorker] and runs the [Registration]. A router registers with
// [Directory.RegisterRouter]. [Static] answers the same questions from memory. All methods may be
// called concurrently.
//
// # Upstreams
//
// [Upstreams] puts servers into the table that know nothing of Sidereal. It resolves their names,
// checks them, and hears from the router how requests to them end. It keeps sids in a Directory,
// which several routers share, or in a Static of its own, which forgets no sid in use. An upstream
// has one of these states:
//
//   - starting, until a check succeeds for the first time;
//   - ready;
//   - sick, when it fails checks, or was ejected because requests got no answer. It gets no new
//     sessions; requests of its sessions still go there;
//   - draining, when its name doesn't resolve to it any more. It is like sick, until its last
//     session ends;
//   - down, when it refuses connections. Its sessions have ended with it, so the table omits it.
//
// # Time
//
// Hosts share no clock but the TTLs in Redis. A record that isn't written for 6 seconds expires,
// and its worker is lost. A lost worker gets no new session. Requests with its sids still go there
// for the TTL of a sid, because its host may only be cut off from Redis. A worker is gone when
// somebody saw its end: a goodbye, a child process that exited, a refused connection.
//
// # When Redis is away
//
// The table and the cache stay as they are. When Redis is back, every registration writes its
// record and every router writes its cached sids again. No worker becomes lost before the records
// had one TTL to come back.
//
// A Redis that answers may still refuse writes, show an old state, or have lost keys. So a missing
// record counts only if the same read shows this process's own record as it was last written. A
// process without a record compares with the newest of all. The directory judges each key by
// itself, and confirms the secret of the routers with each read.
package directory
