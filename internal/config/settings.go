package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Log sets which messages go to the log.
type Log struct {
	// Least important level in the log: `debug` (single sessions, refused requests), `info`, `warn`
	// or `error`.
	Level string `env:"SIDEREAL_LOG_LEVEL" envDefault:"info" oneof:"debug info warn error"`

	// Format of the log: `console` for people, or `json`, one object per line.
	Format string `env:"SIDEREAL_LOG_FORMAT" oneof:"console json" shown:"console on a terminal, else json"`
}

// Redis names the Redis of the directory and of the channels between servers. User name and
// password win over those in the URL.
type Redis struct {
	// Redis that all hosts of an app share: `redis://[user:password@]host:port/db`, or `rediss://`
	// for TLS.
	RedisURL string `env:"SIDEREAL_REDIS_URL" fallback:"REDIS_URL" secret:"file" form:"redis-url" shown:"none; up embeds one, worker runs in memory, router needs it or SIDEREAL_UPSTREAMS"`

	// User name of the Redis ACL.
	RedisUsername string `env:"SIDEREAL_REDIS_USERNAME" needs:"SIDEREAL_REDIS_URL"`

	// Password of Redis.
	RedisPassword string `env:"SIDEREAL_REDIS_PASSWORD" secret:"file" needs:"SIDEREAL_REDIS_URL"`

	// PEM file with the authorities for Redis's certificate; default: the system's.
	RedisCAFile string `env:"SIDEREAL_REDIS_CA_FILE" form:"readable" needs:"SIDEREAL_REDIS_URL"`

	// PEM file with this process's certificate for Redis.
	RedisCertFile string `env:"SIDEREAL_REDIS_CERT_FILE" form:"readable" needs:"SIDEREAL_REDIS_URL"`

	// PEM file with the key of that certificate.
	RedisKeyFile string `env:"SIDEREAL_REDIS_KEY_FILE" form:"readable" needs:"SIDEREAL_REDIS_URL"`
}

// App names the app. All members of one app must agree on its name and path.
type App struct {
	// Name of the app; apps on one Redis never see each other's sessions and workers.
	App string `env:"SIDEREAL_APP" envDefault:"default" form:"name"`

	// Name of this host in tables, logs and the demo.
	HostName string `env:"SIDEREAL_HOST_NAME" form:"hostname" shown:"host name"`

	// Path of Socket.IO, the same as in the clients; all others belong to the app's own HTTP.
	Path string `env:"SIDEREAL_PATH" envDefault:"/socket.io/" form:"path"`
}

// Door is the public address of a host or a lone worker.
type Door struct {
	// Public address; clients reach Node workers that listen at their own ports, too.
	Addr string `env:"SIDEREAL_ADDR" envDefault:":8080" fallback:"PM2_PORT,PORT" form:"addr"`

	// Address at which other hosts reach this one; not a loopback address if Redis is on another
	// host.
	Advertise string `env:"SIDEREAL_ADVERTISE" form:"dialable" shown:"local address of the connection to Redis, and the port of SIDEREAL_ADDR"`
}

// AppDoor is the public address of a daemon's apps.
type AppDoor struct {
	// Public address of an app; clients reach Node workers that listen at their own ports, too.
	Addr string `env:"SIDEREAL_ADDR" fallback:"PM2_PORT" form:"addr" shown:"the app's port or PORT, else :8080"`

	// Address at which other hosts reach this one.
	Advertise string `env:"SIDEREAL_ADVERTISE" form:"dialable" shown:"local address of the connection to Redis, and the port of SIDEREAL_ADDR"`
}

// NodeApps sets what Sidereal adds to Node apps in cluster mode. [node-apps.md](node-apps.md) is
// the guide.
type NodeApps struct {
	// `on` gives each Socket.IO server that chooses no adapter one that reaches the app's other
	// processes, on all hosts; and each process reports how it does, for /metrics.
	Inject string `env:"SIDEREAL_INJECT" envDefault:"on" oneof:"on off"`
}

// Home is the folder of a user's daemon.
type Home struct {
	// Folder of the daemon, for its user only: control socket, logs, saved list.
	Home string `env:"SIDEREAL_HOME" shown:"~/.sidereal; called as pm2 or pm2-runtime: PM2_HOME, if it is set"`
}

// Admin is the admin port of a host.
type Admin struct {
	// Address of `/healthz`, `/readyz`, `/metrics` of all processes, and the status page. If it is
	// unset and the default port is taken, Sidereal uses and logs the next free port.
	AdminAddr string `env:"SIDEREAL_ADMIN_ADDR" envDefault:"127.0.0.1:9480" form:"addr-or-off"`
}

// Dashboard is the page at the admin port of a host. [dashboard.md](dashboard.md) is the guide.
type Dashboard struct {
	// Key for actions at the dashboard, such as draining a worker; at least 16 characters. Without it
	// the dashboard is read-only.
	AdminKey string `env:"SIDEREAL_ADMIN_KEY" secret:"file" form:"admin-key"`
}

// WorkerAdmin is the admin port of a worker.
type WorkerAdmin struct {
	// Address of `/healthz`, `/readyz`, `/metrics` and the status page of this process.
	AdminAddr string `env:"SIDEREAL_ADMIN_ADDR" envDefault:"off" form:"addr-or-off"`
}

// API is an HTTP API for programs that hold no sockets. [http-api.md](http-api.md) is the guide.
type API struct {
	// Address of the HTTP API; beyond loopback, use `SIDEREAL_API_TLS` or a private network.
	APIAddr string `env:"SIDEREAL_API_ADDR" envDefault:"off" form:"addr-or-off" needs:"SIDEREAL_API_KEYS"`

	// Keys of the HTTP API, as `NAME=KEY`, separated by commas or line ends.
	// `NAME:emit+join@/orders=KEY` limits a key to operations and namespaces. A key has at least 16
	// characters.
	APIKeys string `env:"SIDEREAL_API_KEYS" secret:"file" form:"api-keys"`

	// `on` speaks TLS with the certificates of `SIDEREAL_TLS_CERT`.
	APITLS string `env:"SIDEREAL_API_TLS" oneof:"off on" needs:"SIDEREAL_TLS_CERT" shown:"off"`

	// Actions of a key per second and host, lines of batches too; others get 429; 0 for no limit.
	APIRate int `env:"SIDEREAL_API_RATE" envDefault:"50000" min:"0"`

	// Time a request may take besides the `timeout` that it asks for.
	APITimeout time.Duration `env:"SIDEREAL_API_TIMEOUT" envDefault:"5s" min:"100ms"`

	// Largest body in bytes, and longest line of a batch; larger ones get 413.
	APIMaxBodyBytes int `env:"SIDEREAL_API_MAX_BODY_BYTES" envDefault:"1000000" min:"1024"`
}

// Shares sets how even the hosts of an app are.
type Shares struct {
	// Percent by which a host's sessions per worker may exceed the app's mean. Below it, new
	// sessions stay on the host where they enter; above it, other hosts get some, too. 0 treats all
	// workers alike. `sidereal rebalance` moves sessions of hosts above it.
	BalanceSlack int `env:"SIDEREAL_BALANCE_SLACK" envDefault:"25" min:"0"`
}

// Routing sets how a router treats requests.
type Routing struct {
	Shares

	// How a router chooses the worker of a new session: `least-connection` (of two random workers,
	// the one with fewer clients), `round-robin` or `random`.
	Balance string `env:"SIDEREAL_BALANCE" envDefault:"least-connection" oneof:"least-connection round-robin random"`

	// `auto` moves sessions to hosts that stay far below their share, such as a new one.
	Rebalance string `env:"SIDEREAL_REBALANCE" oneof:"off auto" shown:"off"`

	// Minimum time an unused sid keeps its owner in Redis; at least ping interval + ping timeout +
	// 30 s.
	SIDTTL time.Duration `env:"SIDEREAL_SID_TTL" envDefault:"90s" min:"6s"`

	// Load balancers in front of this host. The router believes only their `X-Forwarded-*` and
	// `X-Real-IP` headers. Apps of `sidereal start` trust 127.0.0.0/8 and ::1 by default; `none`
	// trusts nobody.
	TrustedProxies []netip.Prefix `env:"SIDEREAL_TRUSTED_PROXIES" form:"prefixes" shown:"none"`

	// `on` requires a PROXY header (version 1 or 2) on every connection of
	// `SIDEREAL_TRUSTED_PROXIES`.
	ProxyProtocol string `env:"SIDEREAL_PROXY_PROTOCOL" oneof:"off on" needs:"SIDEREAL_TRUSTED_PROXIES" shown:"off"`
}

// Limits bounds what clients may ask of a router. Each router counts on its own. Clients above a
// limit get 503 and Retry-After, if the setting names no other answer.
type Limits struct {
	// Unanswered handshakes of a worker; others go to a worker below its limit.
	HandshakesInFlight int `env:"SIDEREAL_HANDSHAKES_IN_FLIGHT" envDefault:"500" min:"1"`

	// New sessions per worker and second; the default leaves a Go worker half a core for its
	// clients, as 1500 does for a Node worker.
	HandshakeRate int `env:"SIDEREAL_HANDSHAKE_RATE" envDefault:"5000" min:"1"`

	// New sessions per client address (IPv6: per /64) and second; 0 for no limit. Many clients may
	// share an address. `SIDEREAL_TRUSTED_PROXIES` are exempt.
	HandshakesPerAddress int `env:"SIDEREAL_HANDSHAKES_PER_ADDRESS" envDefault:"0" min:"0"`

	// Connections of a router; 0 for as many as file descriptors. WebSockets that the router has
	// passed to a worker don't count; each further concurrent request of an HTTP/2 connection does.
	MaxConnections int `env:"SIDEREAL_MAX_CONNECTIONS" envDefault:"0" min:"0"`

	// Connections that haven't sent a whole request yet; 0 for a quarter of the file descriptors.
	// The router closes the oldest beyond the limit, and first those that sent nothing.
	MaxSilent int `env:"SIDEREAL_MAX_SILENT_CONNECTIONS" envDefault:"0" min:"0"`

	// Unanswered requests of a worker, waiting polls included; 0 for no limit.
	RequestsInFlight int `env:"SIDEREAL_REQUESTS_IN_FLIGHT" envDefault:"0" min:"0"`

	// TLS handshakes of clients per second; the router drops others before they cost much CPU; 0
	// for no limit.
	TLSHandshakeRate int `env:"SIDEREAL_TLS_HANDSHAKE_RATE" envDefault:"0" min:"0"`

	// Origins of pages that may use sessions; `https://*.example.com` allows all names below, and
	// `null` is a value. Requests with another `Origin` get 403, and requests without one pass.
	AllowedOrigins []string `env:"SIDEREAL_ALLOWED_ORIGINS" form:"origins" shown:"all"`

	// Largest head of a request in bytes; larger ones get 431.
	MaxHeadBytes int `env:"SIDEREAL_MAX_HEAD_BYTES" envDefault:"16384" form:"head-bytes"`

	// Largest body of a request in bytes; larger ones get 413; 0 for no limit but that of the
	// Socket.IO servers.
	MaxBodyBytes int64 `env:"SIDEREAL_MAX_BODY_BYTES" envDefault:"0" form:"bytes"`

	// Time a client has to send a head, a PROXY header or its part of a TLS handshake.
	HeadTimeout time.Duration `env:"SIDEREAL_HEAD_TIMEOUT" envDefault:"10s" min:"100ms"`

	// Longest silence within a body; a whole body may take as long, plus a second for each
	// `SIDEREAL_MIN_BODY_RATE` bytes.
	BodyTimeout time.Duration `env:"SIDEREAL_BODY_TIMEOUT" envDefault:"1m" min:"1s"`

	// Least bytes per second of a body that takes longer than `SIDEREAL_BODY_TIMEOUT`; 0 for no
	// limit but the silence. The clock stops while the worker reads nothing, and when it answers.
	MinBodyRate int `env:"SIDEREAL_MIN_BODY_RATE" envDefault:"500" min:"0"`

	// Time a connection may stay without a request; load balancers must close theirs sooner.
	IdleTimeout time.Duration `env:"SIDEREAL_IDLE_TIMEOUT" envDefault:"2m" min:"1s"`
}

// Requests sets what the log and answers tell about single requests.
type Requests struct {
	// Requests with a line in the log: `off`, `errors` (status 400 and above), `all`, or `1/N` for
	// one of N. A final `,sids` writes whole sids. Anybody who knows a sid can read and write its
	// session.
	AccessLog string `env:"SIDEREAL_ACCESS_LOG" envDefault:"off" form:"access-log"`

	// `on`, like `SIDEREAL_LOG_LEVEL=debug`, adds `Sidereal-Debug` to answers: how the router found
	// the worker, its id, and the time taken.
	DebugHeader string `env:"SIDEREAL_DEBUG_HEADER" envDefault:"off" oneof:"off on"`
}

// Clients sets how Go workers treat their clients. Node's workers have these options in code.
type Clients struct {
	// Time between two heartbeats of a client.
	PingInterval time.Duration `env:"SIDEREAL_PING_INTERVAL" envDefault:"25s" min:"1ms" code:"may"`

	// Time a client may take to answer a heartbeat.
	PingTimeout time.Duration `env:"SIDEREAL_PING_TIMEOUT" envDefault:"20s" min:"1ms" code:"may"`

	// Bytes of one polling request, and of one WebSocket message.
	MaxMessageBytes int `env:"SIDEREAL_MAX_MESSAGE_BYTES" envDefault:"1000000" min:"1" code:"may"`
}

// AdminUI lets the official Admin UI connect to Go workers. [admin-ui.md](admin-ui.md) is the guide.
type AdminUI struct {
	// Who logs in at the Admin UI of Socket.IO, `@socket.io/admin-ui`, as `USER:HASH`. The hash is
	// bcrypt's; `htpasswd -nB USER` prints both.
	AdminUI string `env:"SIDEREAL_ADMIN_UI" secret:"file" form:"admin-ui"`

	// `production` tells admins counts alone: no single sockets, rooms and events.
	AdminUIMode string `env:"SIDEREAL_ADMIN_UI_MODE" oneof:"development production" needs:"SIDEREAL_ADMIN_UI" shown:"development"`

	// `on` refuses admins' actions.
	AdminUIReadOnly string `env:"SIDEREAL_ADMIN_UI_READ_ONLY" oneof:"off on" needs:"SIDEREAL_ADMIN_UI" shown:"off"`
}

// Upstreams lists servers that don't register in Redis, beside the workers or instead of them.
// [upstreams.md](upstreams.md) is the guide.
type Upstreams struct {
	// Servers that don't register in Redis; several routers need the same list and
	// `SIDEREAL_REDIS_URL`.
	List string `env:"SIDEREAL_UPSTREAMS" form:"upstreams"`

	// Path that a healthy server answers with a status below 400, or below 500 for `SIDEREAL_PATH`.
	Check string `env:"SIDEREAL_UPSTREAM_CHECK" form:"request-path" needs:"SIDEREAL_UPSTREAMS" shown:"SIDEREAL_PATH"`

	// Time between two checks of a server, and between two look-ups of its name.
	Interval time.Duration `env:"SIDEREAL_UPSTREAM_INTERVAL" envDefault:"5s" min:"100ms"`

	// PEM file with the authorities for certificates of `https://` servers; default: the system's.
	CAFile string `env:"SIDEREAL_UPSTREAM_CA_FILE" form:"readable" needs:"SIDEREAL_UPSTREAMS"`
}

// TLS has the certificates of the public address.
type TLS struct {
	// PEM files with certificates, each followed by its chain; the public address then speaks only
	// TLS.
	TLSCert string `env:"SIDEREAL_TLS_CERT" form:"readables" needs:"SIDEREAL_TLS_KEY"`

	// PEM files with the keys of these certificates, in the same order.
	TLSKey string `env:"SIDEREAL_TLS_KEY" form:"readables" needs:"SIDEREAL_TLS_CERT"`

	// Whether the router offers HTTP/2 over TLS, `on` or `off`.
	HTTP2 string `env:"SIDEREAL_HTTP2" oneof:"on off" envDefault:"on"`
}

// Redirect sends clients of plain HTTP to HTTPS.
type Redirect struct {
	// Second address, which redirects plain HTTP to HTTPS with 308, for names that a certificate
	// has.
	RedirectAddr string `env:"SIDEREAL_REDIRECT_ADDR" form:"addr" needs:"SIDEREAL_TLS_CERT"`

	// Port in those redirects, if clients use another one than the public address.
	RedirectPort int `env:"SIDEREAL_REDIRECT_PORT" form:"port" needs:"SIDEREAL_TLS_CERT" shown:"the port of SIDEREAL_ADDR"`
}

// Pairs returns the file names of each certificate and its key. Without TLS it returns none.
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

// Cluster sets how a worker talks to the other servers of the app. [adapters.md](adapters.md) is
// the guide.
type Cluster struct {
	// How servers reach each other's clients: `redis`, `redis-sharded` (from Redis 7 on, not the
	// embedded one), `redis-streams`, or `memory` for a single process.
	Adapter string `env:"SIDEREAL_ADAPTER" form:"adapter" shown:"redis; memory without a Redis"`

	// Rooms with a channel of their own under `redis-sharded`: `static` none, `dynamic` all but
	// those of single sockets, `dynamic-private` all; Node's subscriptionMode must be the same.
	AdapterMode string `env:"SIDEREAL_ADAPTER_MODE" envDefault:"dynamic" form:"adapter-mode"`

	// Prefix of the adapter's channels. Servers with the same key share rooms. For Node apps that
	// choose no adapter, the default is `socket.io@` and the app's name.
	AdapterKey string `env:"SIDEREAL_ADAPTER_KEY" form:"key" shown:"socket.io"`

	// Time within which a client may reconnect and keep its id, rooms, data and missed events; 0
	// turns it off. With `redis-streams` a client may return to any worker, with `memory` to its
	// own; other adapters don't support recovery.
	Recovery time.Duration `env:"SIDEREAL_RECOVERY" envDefault:"0s" min:"0s" code:"may"`

	// Time that `fetchSockets` and other questions to servers wait for answers.
	RequestsTimeout time.Duration `env:"SIDEREAL_REQUESTS_TIMEOUT" envDefault:"5s" min:"1ms"`

	Transport
	Streams
}

// Suits returns an error if the adapter can't serve that number of workers. Without a URL the
// host's Redis is embedded.
func (c Cluster) Suits(workers int, redis Redis) error {
	switch {
	case c.Adapter == "memory" && workers > 1:
		return &ValueError{Variable: "SIDEREAL_ADAPTER", Value: c.Adapter, Rule: fmt.Sprintf("works with one process, not with %d: use redis", workers)}
	case c.Adapter == "redis-sharded" && redis.RedisURL == "":
		return &ValueError{Variable: "SIDEREAL_ADAPTER", Value: c.Adapter, Rule: "needs SIDEREAL_REDIS_URL: the embedded Redis has no sharded pub/sub"}
	}
	return nil
}

// Transport bounds the messages between servers. While Redis is away or slow, a server keeps
// messages within the first three limits. Beyond them it drops the oldest, and counts and logs
// that.
type Transport struct {
	// Messages kept.
	BufferMessages int `env:"SIDEREAL_ADAPTER_BUFFER_MESSAGES" envDefault:"100000" min:"1"`

	// Bytes kept.
	BufferBytes int `env:"SIDEREAL_ADAPTER_BUFFER_BYTES" envDefault:"67108864" min:"1"`

	// Age of the oldest message kept.
	BufferAge time.Duration `env:"SIDEREAL_ADAPTER_BUFFER_AGE" envDefault:"30s" min:"1ms"`

	// Longest message in bytes, in both directions; longer ones are refused and counted.
	MaxMessageBytes int `env:"SIDEREAL_ADAPTER_MAX_MESSAGE_BYTES" envDefault:"67108864" min:"1"`

	// `on` answers other servers on a channel of their own, with the adapter `redis`, as Node's
	// publishOnSpecificResponseChannel does; Node adapters before version 7 don't hear it.
	SpecificResponses string `env:"SIDEREAL_ADAPTER_SPECIFIC_RESPONSES" oneof:"off on" envDefault:"off"`

	// Time a server stays subscribed to a room after its last client left, with `redis-sharded`.
	Linger time.Duration `env:"SIDEREAL_ADAPTER_LINGER" envDefault:"2s" min:"0s"`
}

// Streams configures the adapter `redis-streams`. Node's servers need the same values, as
// streamName, streamCount, maxLen, sessionKeyPrefix and useShardedPubSub.
type Streams struct {
	// Name of the stream, or prefix of several; Node's default is `socket.io`.
	StreamName string `env:"SIDEREAL_STREAM_NAME" form:"key" shown:"SIDEREAL_ADAPTER_KEY"`

	// Number of streams that share the namespaces; several are called `<name>-0`, `<name>-1` and so
	// on.
	StreamCount int `env:"SIDEREAL_STREAM_COUNT" envDefault:"1" min:"1"`

	// Approximate number of entries in a stream. A server that falls behind by more loses messages,
	// and a client that missed more isn't recovered.
	StreamMaxLen int `env:"SIDEREAL_STREAM_MAX_LEN" envDefault:"10000" min:"1"`

	// Approximate number of bytes in a stream; 0 for no limit. Sidereal's servers trim messages
	// that they have read, except the last two. Clients that come back don't get a message above
	// seven eighths of it.
	StreamMaxBytes int `env:"SIDEREAL_STREAM_MAX_BYTES" envDefault:"67108864" min:"0"`

	// Entries per read.
	StreamReadCount int `env:"SIDEREAL_STREAM_READ_COUNT" envDefault:"100" min:"1"`

	// Time a read waits for new entries.
	StreamBlock time.Duration `env:"SIDEREAL_STREAM_BLOCK" envDefault:"5s" min:"10ms"`

	// Prefix of the keys of `SIDEREAL_RECOVERY`.
	SessionKeyPrefix string `env:"SIDEREAL_SESSION_KEY_PREFIX" envDefault:"sio:session:" form:"key"`

	// `on` sends questions and answers over the sharded pub/sub of Redis 7 or later.
	StreamShardedPubSub string `env:"SIDEREAL_STREAM_SHARDED_PUBSUB" oneof:"off on" envDefault:"off"`
}

// Stopping bounds the end of a process.
type Stopping struct {
	// Time a stopping router still serves while it reports unready to load balancers.
	DrainDelay time.Duration `env:"SIDEREAL_DRAIN_DELAY" envDefault:"0s" min:"0s"`

	// Sessions that a draining worker closes per second, and relayed WebSockets that a stopping
	// router closes.
	DrainRate int `env:"SIDEREAL_DRAIN_RATE" envDefault:"100" min:"1"`

	// Longest stop after the drain delay; the process then cuts off the remaining sessions.
	ShutdownTimeout time.Duration `env:"SIDEREAL_SHUTDOWN_TIMEOUT" min:"10ms" shown:"35s; 3s on a terminal"`
}

// Liveness sets how a supervisor finds out that a process is ready, or hangs.
type Liveness struct {
	// Time without a sign of life after which the supervisor kills and replaces a process; `0s` for
	// never. A stopped process or a blocked event loop gives no sign. A process that never gave one
	// is left alone.
	AliveTimeout time.Duration `env:"SIDEREAL_ALIVE_TIMEOUT" envDefault:"15s" min:"0s"`

	// The same for a frozen Go worker, router or node host. On Linux, a process that waits for a
	// processor or a debugger isn't frozen. `SIDEREAL_ALIVE_TIMEOUT=0s` turns this off, too.
	FreezeTimeout time.Duration `env:"SIDEREAL_FREEZE_TIMEOUT" envDefault:"3s" min:"0s"`

	// URL that answers below 400 once a process is ready, such as
	// `http://127.0.0.1:{port}/healthz`, for programs that don't tell the daemon.
	ReadyURL string `env:"SIDEREAL_READY_URL"`
}

// LogFiles bounds the log files of a daemon's processes.
type LogFiles struct {
	// Size in MiB at which a log file is rotated; 0 for any size.
	LogMaxMB int `env:"SIDEREAL_LOG_MAX_MB" envDefault:"50" min:"0"`

	// Rotated files kept of each log file; `<file>.1` is the youngest.
	LogKeep int `env:"SIDEREAL_LOG_KEEP" envDefault:"5" min:"0"`

	// Age at which a log file is rotated, and at which a rotated file is removed; `0s` for any age.
	LogMaxAge time.Duration `env:"SIDEREAL_LOG_MAX_AGE" envDefault:"0s" min:"0s"`
}

// Child is set by the supervisor for its processes. Don't set it yourself.
type Child struct {
	// Number of a worker on its host, from 1; the same after a restart.
	Slot int `env:"SIDEREAL_WORKER_ID" envDefault:"1" min:"1"`

	// Private folder of the host's unix sockets.
	RuntimeDir string `env:"SIDEREAL_RUNTIME_DIR" shown:"none"`

	// Descriptor of the connection to the supervisor.
	SupervisorFD int `env:"SIDEREAL_SUPERVISOR_FD" envDefault:"-1" min:"-1"`

	// Which inherited listener redirects to HTTPS, from 1; 0 for none.
	ListenRedirect int `env:"SIDEREAL_LISTEN_REDIRECT" envDefault:"0" min:"0"`

	// Descriptors of inherited listeners.
	ListenFDs []int `env:"SIDEREAL_LISTEN_FDS" form:"descriptors" shown:"none"`
}
