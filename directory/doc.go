// Package directory knows who owns a session and which workers live. Everything that several hosts must agree on is in
// Redis under the keys of keys.go; what one process may remember is in a cache and a table of this package, and goes on
// serving when Redis does not.
//
// A router makes a [Directory], runs it, and asks:
//
//   - [Directory.Owner]: which worker owns a sid (its cache, the table in Redis, the tag in the sid, in this order);
//   - [Directory.Learn]: this worker just opened that session; [Directory.Touch]: its client was here again;
//   - [Directory.Workers]: an immutable [Table] of all workers, and [Directory.Changed] for the next one;
//   - [Directory.WorkerGone]: a worker is known to be dead, tell everyone.
//
// A worker needs only [Directory.RegisterWorker], and runs the [Registration]; a router has [Directory.RegisterRouter].
// [Static] answers the same questions from memory.
//
// # Backends listed by hand
//
// [Upstreams] puts servers into the table that know nothing of us (SIDEREAL_UPSTREAMS): it looks up their names
// (backends.go), checks them, and hears from the router how requests end there (upstream.go, health.go). A backend is
// starting until its first good check, ready, sick (it fails checks, or was ejected for requests without an answer: nothing
// new, what it has is tried), draining (its name does not stand for it any more: the same, until its last session has
// ended), or down and not in the table (it refuses connections, so its sessions have ended with it). What it is built on
// keeps the sids: a Directory, which all routers share, or a Static of its own, which forgets none that is in use.
//
// # Time
//
// TTLs in Redis are the only clock that hosts share. A record that was not beaten for 6 s expires: its worker is lost,
// which is not gone. Lost workers get no new session, but their sids are still tried for the sid TTL, since the host may
// only be cut off from Redis. Gone is what somebody saw: a goodbye, a dead child, a refused connection.
//
// # When Redis is away, or half alive
//
// Table and cache stay as they are. When it is back, every registration beats and every cached entry is written again at
// once, and nothing is called lost before the records had one full TTL to come back.
//
// A Redis that answers may take no writes, show an old state or lose keys. So a missing record
// counts only in a look that shows this process's own, as it was last written (pulse.go); a process
// without one goes by the newest of all. Each key is judged by itself (read.go), and the secret is
// confirmed at every look (secret.go).
//
// Everything may be called concurrently. [Directory.Run] owns all goroutines; the [redisconn.Conn] must be running.
package directory
