package directory

import "time"

//go:generate go test -run ^TestRedisDoc$ -update

const (
	// recordTTL is the life of a worker's or router's record; beatEvery is how often it is written
	// again.
	recordTTL = 6 * time.Second
	beatEvery = 2 * time.Second

	defaultApp    = "default"
	defaultSIDTTL = 90 * time.Second
)

// keys names everything that one app has in Redis. What carries the hash tag {sidereal:<app>}
// shares one slot of a Redis Cluster, so commands may name several such keys; the sids are spread
// over all slots, so none may name two of them.
type keys struct{ app string }

func (k keys) sid(sid string) string   { return "sidereal:" + k.app + ":sid:" + sid }
func (k keys) tagged(s string) string  { return "{sidereal:" + k.app + "}:" + s }
func (k keys) workers() string         { return k.tagged("workers") }
func (k keys) routers() string         { return k.tagged("routers") }
func (k keys) worker(id string) string { return k.tagged("worker:" + id) }
func (k keys) router(id string) string { return k.tagged("router:" + id) }
func (k keys) beats() string           { return k.tagged("beats") }
func (k keys) opened() string          { return k.tagged("opened") }
func (k keys) events() string          { return k.tagged("events") }
func (k keys) secret() string          { return k.tagged("secret") }
func (k keys) moves() string           { return k.tagged("moves") }
func (k keys) move(id string) string   { return k.tagged("move:" + id) }

// keyDoc describes one key for docs/redis.md.
type keyDoc struct {
	name    string
	kind    string
	content string
	life    string
	writer  string
	reader  string
}

// keyDocs is every key and channel of this package. TestRedisDoc keeps docs/redis.md equal to it.
func keyDocs() []keyDoc {
	k := keys{"<app>"}
	return []keyDoc{
		{
			k.sid("<sid>"), "string", "the owner's worker id",
			"`SIDEREAL_SID_TTL`, or pingInterval + pingTimeout + 30 s if that is longer; each router that uses it renews it, at most once per third",
			"the router that saw the handshake, then every router that the client uses", "routers, on a cache miss; `sidereal trace`",
		},
		{
			k.workers(), "set", "ids of registered workers", "no expiry; routers remove members without a record",
			"workers, at every beat", "routers, every 2 s and at events",
		},
		{
			k.worker("<id>"), "string", "JSON `{v, id, slot, host, pid, addr, handoff, state, clients, started, version, adapter, adapter_key, adapter_mode, path, tags, movable, moving}`",
			"6 s, written every 2 s", "the worker; a router deletes it once the worker is dead", "routers, with its TTL",
		},
		{
			k.routers(), "set", "ids of registered routers", "no expiry; routers remove members without a record",
			"routers, at every beat", "routers, `sidereal cluster`",
		},
		{
			k.router("<id>"), "string", "JSON `{v, id, host, addr, state, sessions, started, version}`",
			"6 s, written every 2 s", "the router", "routers, `sidereal cluster`",
		},
		{
			k.beats(), "hash", "for each worker and router, as `worker:<id>` or `router:<id>`: a digest of the record, the number of its beats, and its load", "no expiry; routers remove fields without a member",
			"workers and routers, at every beat", "routers, every 2 s",
		},
		{
			k.opened(), "string", "the number of sessions that routers opened, ever", "no expiry; INCRBY",
			"routers that open sessions", "routers, with the same command",
		},
		{
			k.events(), "channel", "JSON `{worker, state, dead}`; state is `ready`, `draining` or `gone` (dead: others saw its end), or `silent` or `heard` for a worker that missed its beats", "not stored",
			"workers; routers that find a worker dead; supervisors", "routers",
		},
		{
			k.moves(), "string", "a random text: the lock of `sidereal rebalance` and `SIDEREAL_REBALANCE=auto`", "15 s; SET NX",
			"the process that orders sessions to be moved", "others that would",
		},
		{
			k.move("<id>"), "string", "JSON `{sessions, keep, per_second}`: an order to a worker", "6 s; the worker deletes it",
			"the process that has the lock", "the worker, at every beat",
		},
		{
			k.secret(), "string", "32 random bytes in base64url, which routers show each other as `Sidereal-Key`", "no expiry; SET NX",
			"the first router; any router that finds it missing", "routers, at every look",
		},
	}
}
