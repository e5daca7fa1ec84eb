package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Log says what is logged, and how.
type Log struct {
	// The least important level that is logged: `debug`, `info`, `warn` or `error`. At `debug` single sessions and
	// refused requests show.
	Level string `env:"SIDEREAL_LOG_LEVEL" envDefault:"info" oneof:"debug info warn error"`

	// `console` writes lines for people, `json` one object a line for collectors.
	Format string `env:"SIDEREAL_LOG_FORMAT" oneof:"console json" shown:"console on a terminal, else json"`
}

// Redis says where the shared directory is and the channels between servers.
type Redis struct {
	// The Redis that all hosts of an app share: `redis://[user:password@]host:port/db`, `rediss://` for TLS. Without it
	// `up` starts an embedded one, which serves this host only, and a worker on its own runs in memory.
	RedisURL string `env:"SIDEREAL_REDIS_URL" fallback:"REDIS_URL" secret:"file" form:"redis-url" shown:"none: up embeds one, worker runs in memory, router needs it or SIDEREAL_UPSTREAMS"`

	// The user name of the Redis ACL; it wins over the one in the URL.
	RedisUsername string `env:"SIDEREAL_REDIS_USERNAME" needs:"SIDEREAL_REDIS_URL"`

	// The password of Redis; it wins over the one in the URL.
	RedisPassword string `env:"SIDEREAL_REDIS_PASSWORD" secret:"file" needs:"SIDEREAL_REDIS_URL"`

	// A PEM file with the certificates that sign Redis' own; without it the system's are used. Only read for TLS URLs.
	RedisCAFile string `env:"SIDEREAL_REDIS_CA_FILE" form:"readable" needs:"SIDEREAL_REDIS_URL"`

	// A PEM file with the certificate that we show to Redis.
	RedisCertFile string `env:"SIDEREAL_REDIS_CERT_FILE" form:"readable" needs:"SIDEREAL_REDIS_URL"`

	// A PEM file with the key of that certificate.
	RedisKeyFile string `env:"SIDEREAL_REDIS_KEY_FILE" form:"readable" needs:"SIDEREAL_REDIS_URL"`
}

// App says which app a process belongs to, and what all members of one app must agree on.
type App struct {
	// The name of the app. Apps on one Redis never see each other's sessions and workers.
	App string `env:"SIDEREAL_APP" envDefault:"default" form:"name"`

	// The name of this host in tables, logs and the demo.
	HostName string `env:"SIDEREAL_HOST_NAME" form:"hostname" shown:"host name"`

	// The path under which Socket.IO is served; clients must be given the same. Everything else is the app's own HTTP.
	Path string `env:"SIDEREAL_PATH" envDefault:"/socket.io/" form:"path"`
}

// Door is the public side of a host or of a lone worker.
type Door struct {
	// The public address, `host:port` or `:port`.
	Addr string `env:"SIDEREAL_ADDR" envDefault:":8080" fallback:"PM2_PORT,PORT" form:"addr"`

	// How other hosts reach this one, `host:port`. A loopback address with a Redis on another host is refused: nobody
	// else could reach it.
	Advertise string `env:"SIDEREAL_ADVERTISE" form:"dialable" shown:"local address of the connection to Redis, and the port of SIDEREAL_ADDR"`
}

// AppDoor is the public side of the apps that a daemon runs.
type AppDoor struct {
	// The public address of apps whose workers do not listen, and one for all that have none of their own. Unset, workers
	// that listen are reached at their own ports, and those that never do at 8080.
	Addr string `env:"SIDEREAL_ADDR" fallback:"PM2_PORT" form:"addr" shown:"the workers' own ports; :8080 for workers that never listen"`

	// How other hosts reach this one, `host:port`.
	Advertise string `env:"SIDEREAL_ADVERTISE" form:"dialable" shown:"local address of the connection to Redis, and the port of SIDEREAL_ADDR"`
}

// Home says where a user's daemon is.
type Home struct {
	// The folder of the daemon that `sidereal start` starts, for its user only: control socket, logs, saved list. Each
	// folder has a daemon of its own.
	Home string `env:"SIDEREAL_HOME" shown:"~/.sidereal; called as pm2 or pm2-runtime: PM2_HOME, if it is set"`
}

// Admin is the operator's door of a command that always has one.
type Admin struct {
	// Where `/healthz`, `/readyz`, `/metrics` of all processes of the host, and the status page are served; `off` for
	// nowhere. Unset, and with the default port taken, the next free port is used and logged.
	AdminAddr string `env:"SIDEREAL_ADMIN_ADDR" envDefault:"127.0.0.1:9480" form:"addr-or-off"`
}

// WorkerAdmin is the operator's door of a worker, which has none unless it is asked for.
type WorkerAdmin struct {
	// Where `/healthz`, `/readyz`, `/metrics` and the status page of this process are served.
	AdminAddr string `env:"SIDEREAL_ADMIN_ADDR" envDefault:"off" form:"addr-or-off"`
}

// Routing is what a router does with requests.
type Routing struct {
	// How a new session finds its worker: `least-connection` (of two random workers the one with fewer clients),
	// `round-robin` or `random`.
	Balance string `env:"SIDEREAL_BALANCE" envDefault:"least-connection" oneof:"least-connection round-robin random"`

	// How long an unused sid keeps its owner in Redis, at least; routers raise it to ping interval + ping timeout + 30 s.
	// Shorter frees Redis memory sooner.
	SIDTTL time.Duration `env:"SIDEREAL_SID_TTL" envDefault:"90s" min:"6s"`

	// Addresses or networks of the load balancers before this host, separated by commas. Only their `X-Forwarded-*`
	// headers are believed; those of anyone else are replaced.
	TrustedProxies []netip.Prefix `env:"SIDEREAL_TRUSTED_PROXIES" form:"prefixes" shown:"none"`

	// `on` has every connection of `SIDEREAL_TRUSTED_PROXIES` begin with a PROXY header (version 1 or 2), which names the
	// client: for balancers that work on TCP. Those that send none are refused; other hosts' routers need none.
	ProxyProtocol string `env:"SIDEREAL_PROXY_PROTOCOL" oneof:"off on" needs:"SIDEREAL_TRUSTED_PROXIES" shown:"off"`
}

// Limits is what clients may ask of a router at most.
type Limits struct {
	// How many handshakes a worker may have unanswered at a time, at each router. The rest is answered with 503 and
	// Retry-After, or goes to a worker that has room.
	HandshakesInFlight int `env:"SIDEREAL_HANDSHAKES_IN_FLIGHT" envDefault:"500" min:"1"`

	// How many new sessions a worker gets each second, from each router; the rest as before. A Go worker answers a
	// handshake in 28 to 46 µs of CPU, and the connect that follows costs as much again: 5,000 leave half a core to those
	// who are connected. Node workers take some 250 µs: there 1500 leave as much.
	HandshakeRate int `env:"SIDEREAL_HANDSHAKE_RATE" envDefault:"5000" min:"1"`

	// How many new sessions one client address (IPv6: one /64) may begin each second, at each router; 0 for no limit. Many
	// clients may share an address. `SIDEREAL_TRUSTED_PROXIES` are never limited.
	HandshakesPerAddress int `env:"SIDEREAL_HANDSHAKES_PER_ADDRESS" envDefault:"0" min:"0"`

	// How many connections a router holds; one more is answered with 503. WebSockets of this host's
	// workers are not among them; a further request at the same time over HTTP/2 counts as a
	// connection. 0 for as many as there are file descriptors.
	MaxConnections int `env:"SIDEREAL_MAX_CONNECTIONS" envDefault:"0" min:"0"`

	// How many connections to a router may be open that have not sent a whole request yet. For one
	// more the oldest is closed, one that has sent nothing before one that has sent something. 0
	// for a quarter of the file descriptors.
	MaxSilent int `env:"SIDEREAL_MAX_SILENT_CONNECTIONS" envDefault:"0" min:"0"`

	// How many requests a worker may have unanswered at a time, polls that wait included, at each router; one more is answered
	// with 503 and Retry-After. 0 for no limit.
	RequestsInFlight int `env:"SIDEREAL_REQUESTS_IN_FLIGHT" envDefault:"0" min:"0"`

	// How many TLS handshakes of clients a router takes up each second; further ones are broken off before they cost a
	// signature. 0 for no limit.
	TLSHandshakeRate int `env:"SIDEREAL_TLS_HANDSHAKE_RATE" envDefault:"0" min:"0"`

	// The pages that may open and use sessions: origins such as `https://chat.example`, `https://*.example.com` for all below
	// a name, or `null`, separated by commas. Requests of sessions with another `Origin` get 403; those without one pass.
	AllowedOrigins []string `env:"SIDEREAL_ALLOWED_ORIGINS" form:"origins" shown:"all"`

	// The largest head of a request, in bytes; larger ones get 431.
	MaxHeadBytes int `env:"SIDEREAL_MAX_HEAD_BYTES" envDefault:"16384" form:"head-bytes"`

	// The largest body of a request, in bytes; larger ones get 413. 0 for no limit: bodies are streamed, and Socket.IO servers
	// have a limit of their own.
	MaxBodyBytes int64 `env:"SIDEREAL_MAX_BODY_BYTES" envDefault:"0" form:"bytes"`

	// How long a client may take to send a head, a PROXY header or its part of a TLS handshake once it began.
	HeadTimeout time.Duration `env:"SIDEREAL_HEAD_TIMEOUT" envDefault:"10s" min:"100ms"`

	// How long a client may send nothing in the middle of a body, and how long a router waits for
	// the whole body beyond what `SIDEREAL_MIN_BODY_RATE` allows.
	BodyTimeout time.Duration `env:"SIDEREAL_BODY_TIMEOUT" envDefault:"1m" min:"1s"`

	// How many bytes of a body allow it another second. Time in which the worker reads nothing
	// doesn't count, nor does the time after it began to answer. 0 for no limit but
	// `SIDEREAL_BODY_TIMEOUT` between two bytes.
	MinBodyRate int `env:"SIDEREAL_MIN_BODY_RATE" envDefault:"500" min:"0"`

	// How long a connection may stay without a request. Longer than the balancers before this host keep theirs.
	IdleTimeout time.Duration `env:"SIDEREAL_IDLE_TIMEOUT" envDefault:"2m" min:"1s"`
}

// Requests says what is told about single requests.
type Requests struct {
	// Which requests get a line in the log: `off`, `errors` (answers from 400 on), `all`, or `1/N` for one of N. With `,sids`
	// behind it sids are written in full; who knows one may read and write its session.
	AccessLog string `env:"SIDEREAL_ACCESS_LOG" envDefault:"off" form:"access-log"`

	// `on` adds `Sidereal-Debug` to answers: how the worker was found, which one it is, the time until the answer. So does
	// SIDEREAL_LOG_LEVEL=debug.
	DebugHeader string `env:"SIDEREAL_DEBUG_HEADER" envDefault:"off" oneof:"off on"`
}

// Upstreams are servers that a router is given by hand, instead of workers that register in Redis, or beside them.
type Upstreams struct {
	// Servers that know nothing of Sidereal (Socket.IO in Node, anything that speaks Engine.IO): `http://` or `https://` with
	// host and port, separated by commas. A name stands for all its addresses, which are looked up again and again. Without
	// Redis the router alone knows whose a session is: with more than one router set SIDEREAL_REDIS_URL, and the same list at all.
	List string `env:"SIDEREAL_UPSTREAMS" form:"upstreams"`

	// A path that these servers answer with a status below 400 while they are well. Unset, they are asked for SIDEREAL_PATH,
	// where Engine.IO answers 400 without opening a session, and every status below 500 is good.
	Check string `env:"SIDEREAL_UPSTREAM_CHECK" form:"request-path" needs:"SIDEREAL_UPSTREAMS" shown:"SIDEREAL_PATH"`

	// How often these servers are checked and their names looked up. One that failed is checked sooner.
	Interval time.Duration `env:"SIDEREAL_UPSTREAM_INTERVAL" envDefault:"5s" min:"100ms"`

	// A PEM file with the certificates that sign those of `https://` servers; without it the system's are used.
	CAFile string `env:"SIDEREAL_UPSTREAM_CA_FILE" form:"readable" needs:"SIDEREAL_UPSTREAMS"`
}

// TLS is what the public door shows to clients.
type TLS struct {
	// PEM files with the certificates of the public door, each followed by its chain; several are separated by commas. A
	// client gets the first that has the name it asks for, or the first of all. With it the door speaks TLS only, to
	// clients and to other hosts. The files are read again when they change, and at SIGHUP.
	TLSCert string `env:"SIDEREAL_TLS_CERT" form:"readables" needs:"SIDEREAL_TLS_KEY"`

	// PEM files with the keys of these certificates, in the same order.
	TLSKey string `env:"SIDEREAL_TLS_KEY" form:"readables" needs:"SIDEREAL_TLS_CERT"`

	// Whether clients are offered HTTP/2 over TLS, `on` or `off`. Polling then shares one connection with everything else of
	// a page; WebSockets come over HTTP/1.1 in any case.
	HTTP2 string `env:"SIDEREAL_HTTP2" oneof:"on off" envDefault:"on"`
}

// Redirect sends clients of plain HTTP to HTTPS.
type Redirect struct {
	// A second address, such as `:80`, where plain HTTP is answered with 308 and where the same is over HTTPS. Only names
	// that a certificate has are sent on.
	RedirectAddr string `env:"SIDEREAL_REDIRECT_ADDR" form:"addr" needs:"SIDEREAL_TLS_CERT"`

	// The port of those addresses, where clients reach the public door by another than it listens on.
	RedirectPort int `env:"SIDEREAL_REDIRECT_PORT" form:"port" needs:"SIDEREAL_TLS_CERT" shown:"the port of SIDEREAL_ADDR"`
}

// Pairs are the names of the files, two by two; none where there is no TLS.
func (t TLS) Pairs() (pairs [][2]string, err error) {
	if t.TLSCert == "" {
		return nil, nil
	}
	certs, keys := strings.Split(t.TLSCert, ","), strings.Split(t.TLSKey, ",")
	if len(certs) != len(keys) {
		return nil, &ValueError{Variable: "SIDEREAL_TLS_KEY", Value: t.TLSKey, Rule: "must name as many files as SIDEREAL_TLS_CERT"}
	}
	for i := range certs {
		pairs = append(pairs, [2]string{certs[i], keys[i]})
	}
	return pairs, nil
}

// Cluster is how a worker takes part in the cluster.
type Cluster struct {
	// How servers reach each other's clients: `redis` (the wire of @socket.io/redis-adapter), `redis-sharded` (that of its
	// createShardedAdapter, for Redis 7 or later, one or a Cluster; not with the embedded one), `redis-streams` (that of
	// @socket.io/redis-streams-adapter) or `memory` (this process alone).
	Adapter string `env:"SIDEREAL_ADAPTER" form:"adapter" shown:"redis; memory without a Redis"`

	// Which rooms have a channel of their own with `redis-sharded`, as Node's option subscriptionMode says: `static` none,
	// `dynamic` all but those of single sockets, `dynamic-private` all. The same at all servers, Node's included.
	AdapterMode string `env:"SIDEREAL_ADAPTER_MODE" envDefault:"dynamic" form:"adapter-mode"`

	// The prefix of the adapter's channels. Servers share rooms with all servers of the same key, Node's included.
	AdapterKey string `env:"SIDEREAL_ADAPTER_KEY" envDefault:"socket.io" form:"key"`

	// How long a client that lost its connection may be away and still be the socket it was, with its rooms, its data and what
	// it missed: with `redis-streams` at any worker, also when its worker was killed; in memory at the same worker; with the
	// other adapters not at all. 0: off.
	Recovery time.Duration `env:"SIDEREAL_RECOVERY" envDefault:"0s" min:"0s"`

	// How long a request to other servers (fetch sockets, server-side acks) waits for their answers.
	RequestsTimeout time.Duration `env:"SIDEREAL_REQUESTS_TIMEOUT" envDefault:"5s" min:"1ms"`

	Transport
	Streams
}

// Suits refuses an adapter that cannot serve a host of so many workers, whose Redis is embedded where no URL is set.
func (c Cluster) Suits(workers int, redis Redis) error {
	switch {
	case c.Adapter == "memory" && workers > 1:
		return &ValueError{Variable: "SIDEREAL_ADAPTER", Value: c.Adapter, Rule: fmt.Sprintf("is for one process, not for %d: use redis", workers)}
	case c.Adapter == "redis-sharded" && redis.RedisURL == "":
		return &ValueError{Variable: "SIDEREAL_ADAPTER", Value: c.Adapter, Rule: "needs SIDEREAL_REDIS_URL: the embedded Redis has no sharded pub/sub"}
	}
	return nil
}

// Transport is how messages between servers travel, and what is kept of them while Redis is away.
type Transport struct {
	// How many messages to other servers are kept while Redis is away or slow. What exceeds this or one of the next two is
	// dropped, the oldest first, counted and logged.
	BufferMessages int `env:"SIDEREAL_ADAPTER_BUFFER_MESSAGES" envDefault:"100000" min:"1"`

	// How many bytes of them.
	BufferBytes int `env:"SIDEREAL_ADAPTER_BUFFER_BYTES" envDefault:"67108864" min:"1"`

	// How old they may get.
	BufferAge time.Duration `env:"SIDEREAL_ADAPTER_BUFFER_AGE" envDefault:"30s" min:"1ms"`

	// The longest message between servers, both ways, in bytes; longer ones are refused and counted.
	MaxMessageBytes int `env:"SIDEREAL_ADAPTER_MAX_MESSAGE_BYTES" envDefault:"67108864" min:"1"`

	// `on` sends answers to Node's servers to the one that asked alone, as Node's option publishOnSpecificResponseChannel does:
	// less traffic, but Node servers with an adapter older than version 7 don't hear them. Only with `redis`; in the other forms,
	// and between our own servers, answers always go that way.
	SpecificResponses string `env:"SIDEREAL_ADAPTER_SPECIFIC_RESPONSES" oneof:"off on" envDefault:"off"`

	// How long the channel of a room stays subscribed after its last client here has left. Only with `redis-sharded`.
	Linger time.Duration `env:"SIDEREAL_ADAPTER_LINGER" envDefault:"2s" min:"0s"`
}

// Streams is how the streams of `redis-streams` are used. Node's servers beside it must have the same, as options streamName,
// streamCount, maxLen, sessionKeyPrefix and useShardedPubSub.
type Streams struct {
	// The stream, or what the names of several begin with. Node's default is `socket.io`, whatever its channels are called.
	StreamName string `env:"SIDEREAL_STREAM_NAME" form:"key" shown:"SIDEREAL_ADAPTER_KEY"`

	// Over how many streams the namespaces are spread; with more than one they are called `<name>-0` and so on.
	StreamCount int `env:"SIDEREAL_STREAM_COUNT" envDefault:"1" min:"1"`

	// About how many entries a stream keeps. A server that falls behind by more misses messages, and a client that was away for
	// more is not recovered.
	StreamMaxLen int `env:"SIDEREAL_STREAM_MAX_LEN" envDefault:"10000" min:"1"`

	// How many entries are read at once.
	StreamReadCount int `env:"SIDEREAL_STREAM_READ_COUNT" envDefault:"100" min:"1"`

	// How long Redis may hold a read while there is nothing new.
	StreamBlock time.Duration `env:"SIDEREAL_STREAM_BLOCK" envDefault:"5s" min:"10ms"`

	// What the keys begin with under which the sessions of clients are kept that may come back (`SIDEREAL_RECOVERY`).
	SessionKeyPrefix string `env:"SIDEREAL_SESSION_KEY_PREFIX" envDefault:"sio:session:" form:"key"`

	// `on` has questions and answers, which go past the streams, use the sharded pub/sub of Redis 7 or later.
	StreamShardedPubSub string `env:"SIDEREAL_STREAM_SHARDED_PUBSUB" oneof:"off on" envDefault:"off"`
}

// Stopping is how long the end of a process may take.
type Stopping struct {
	// How long a stopping router is unready and still serves, so that load balancers notice first.
	DrainDelay time.Duration `env:"SIDEREAL_DRAIN_DELAY" envDefault:"0s" min:"0s"`

	// How many sessions a draining worker closes each second; a stopping router, how many WebSockets that it relays to
	// other hosts. Higher ends a reload sooner, and makes the clients' reconnects come in a steeper wave.
	DrainRate int `env:"SIDEREAL_DRAIN_RATE" envDefault:"100" min:"1"`

	// The longest that stopping may take after the drain delay; what is left then is cut off.
	ShutdownTimeout time.Duration `env:"SIDEREAL_SHUTDOWN_TIMEOUT" min:"10ms" shown:"35s; 3s on a terminal"`
}

// Liveness is how a supervisor finds out that processes are ready, and that they hang.
type Liveness struct {
	// How long a process may give no sign of life before it is killed and replaced: one that is stopped, or whose event loop
	// does not turn. Processes that never gave one are left alone. `0s`: never.
	AliveTimeout time.Duration `env:"SIDEREAL_ALIVE_TIMEOUT" envDefault:"15s" min:"0s"`

	// How long a Go worker, router or nodehost that is frozen may give no sign of life before it is
	// killed and replaced: it is stopped, or stuck, and doesn't merely wait for a processor or a
	// debugger (Linux). `0s`, or SIDEREAL_ALIVE_TIMEOUT at `0s`: never.
	FreezeTimeout time.Duration `env:"SIDEREAL_FREEZE_TIMEOUT" envDefault:"3s" min:"0s"`

	// A URL that answers with a status below 400 once a process is ready, for programs of a daemon that say nothing by
	// themselves; `{port}` in it is the process' own, as in `http://127.0.0.1:{port}/healthz`.
	ReadyURL string `env:"SIDEREAL_READY_URL"`
}

// LogFiles is how the log files of a daemon's processes are kept from growing for ever.
type LogFiles struct {
	// The size, in MiB, from which on a log file is put aside and a new one begun; 0 for any size.
	LogMaxMB int `env:"SIDEREAL_LOG_MAX_MB" envDefault:"50" min:"0"`

	// How many log files that were put aside are kept of each: `<file>.1` is the youngest.
	LogKeep int `env:"SIDEREAL_LOG_KEEP" envDefault:"5" min:"0"`

	// The age from which on a log file is put aside, and one that was is removed; `0s` for any age.
	LogMaxAge time.Duration `env:"SIDEREAL_LOG_MAX_AGE" envDefault:"0s" min:"0s"`
}

// Child is what the supervisor tells a process that it started. Operators do not set it.
type Child struct {
	// The number of a worker's place on its host, from 1. It survives restarts.
	Slot int `env:"SIDEREAL_WORKER_ID" envDefault:"1" min:"1"`

	// The private folder of the host's unix sockets. Its presence makes a process part of a supervised host.
	RuntimeDir string `env:"SIDEREAL_RUNTIME_DIR" shown:"none"`

	// The descriptor of the line to the supervisor; its end of file means that the supervisor is gone.
	SupervisorFD int `env:"SIDEREAL_SUPERVISOR_FD" envDefault:"-1" min:"-1"`

	// Which of the inherited sockets sends clients on to HTTPS, counted from 1; 0: none.
	ListenRedirect int `env:"SIDEREAL_LISTEN_REDIRECT" envDefault:"0" min:"0"`

	// The descriptors of inherited listening sockets, separated by commas.
	ListenFDs []int `env:"SIDEREAL_LISTEN_FDS" form:"descriptors" shown:"none"`
}
