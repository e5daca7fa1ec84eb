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
// [Static] answers the same questions from memory, for backends listed by hand and for tests.
//
// # Time
//
// TTLs in Redis are the only clock that hosts share. A record that was not beaten for 6 s expires: its worker is lost,
// which is not gone. Lost workers get no new session, but their sids are still tried for the sid TTL, since the host may
// only be cut off from Redis. Gone is what somebody saw: a goodbye, a dead child, a refused connection.
//
// # When Redis is away
//
// Table and cache stay as they are. When it is back, every registration beats and every cached entry is written again at
// once, and nothing is called lost before the records had one full TTL to come back.
//
// Everything may be called concurrently. [Directory.Run] owns all goroutines; the [redisconn.Conn] must be running.
package directory
