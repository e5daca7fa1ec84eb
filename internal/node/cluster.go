package node

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// cluster answers one message of Node's cluster module, as the primary does.
func (c *child) cluster(o *ipc.Object) {
	switch o.Text("act") {
	case "":
		if seq, ok := o.Int("ack"); ok { // of a connection that was given
			accepted, _ := o.Get("accepted").(bool)
			c.answered(int64(seq), accepted)
		}
	case "queryServer":
		c.queryServer(o)
	case "listening":
		if q := queryOf(o); c.isBalanced(q.key()) { // of port 0 the message has the real one
			c.openEndpoint(portKey(q.port), q.port, byListening, q.key(), func(from string) (ipc.Frame, error) { return c.serverFrame(q.key(), from) })
		} else {
			c.becameReady(byListening)
		}
	case "close":
		c.closeServer(o.Text("key"))
	case "exitedAfterDisconnect":
		_ = c.reply(o, &ipc.Object{})
	}
}

// reply answers an internal message with fields of its own.
func (c *child) reply(to *ipc.Object, answer *ipc.Object) error {
	m := (&ipc.Object{}).Set("cmd", "NODE_CLUSTER").Set("seq", float64(c.seq.Add(1)-1)).Set("ack", to.Get("seq"))
	m.Keys, m.Values = append(m.Keys, answer.Keys...), append(m.Values, answer.Values...)
	return c.ch.sendValue(m)
}

// query is an address at which a worker asks to listen.
type query struct {
	address string // empty: all
	port    int
	kind    string // 4, 6, -1 (a path), "udp4", "udp6"
	fd      int
	index   int
	raw     bool // our script says that the server speaks no HTTP, or its own TLS
}

func queryOf(o *ipc.Object) query {
	q := query{address: o.Text("address"), fd: -1}
	switch port := o.Get("port").(type) {
	case float64:
		q.port = int(port)
	case string:
		q.port, _ = strconv.Atoi(port)
	}
	switch kind := o.Get("addressType").(type) {
	case float64:
		q.kind = strconv.Itoa(int(kind))
	case string:
		q.kind = kind
	}
	if fd, ok := o.Int("fd"); ok {
		q.fd = fd
	}
	q.index, _ = o.Int("index")
	q.raw = o.Text("sidereal") == "raw"
	return q
}

// key identifies a server. It is the same for all workers of an app, which share the server.
func (q query) key() string {
	return fmt.Sprintf("%s:%d:%s:%d:%d", q.address, q.port, q.kind, q.fd, q.index)
}

// shareable reports whether the workers share the descriptor, because the socket has no
// connections.
func (q query) shareable() bool { return strings.HasPrefix(q.kind, "udp") }

// routable reports whether the supervisor's router can serve the address.
func (q query) routable() bool {
	return !q.raw && (q.kind == "4" || q.kind == "6") && q.port > 0 && q.port <= 65535
}

// queryServer answers a worker that wants to listen.
func (c *child) queryServer(o *ipc.Object) {
	q := queryOf(o)
	switch {
	case q.fd >= 0:
		c.refuse(o, "EBADF") // an inherited descriptor: the process has none
	case q.shareable():
		c.share(o, q)
	case !q.routable():
		c.listenHere(o, q)
	default:
		c.wants(q.port)
		c.h.ports.open(c.told.ID, q, func(errno string) {
			if errno != "" {
				c.wantsNot(q.port)
				c.refuse(o, errno)
				return
			}
			c.wants(q.port)
			c.accept(o, q)
		})
	}
}

// wants records the main port of the process: the first one that it asks for and gets.
func (c *child) wants(port int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mainPort == 0 {
		c.mainPort = port
	}
}

func (c *child) wantsNot(port int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mainPort == port {
		c.mainPort = 0
	}
}

// isBalanced reports whether the worker's server gets its connections from us.
func (c *child) isBalanced(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.servers[key]
	return ok
}

// accept makes a worker listen for connections that we give it.
func (c *child) accept(o *ipc.Object, q query) {
	c.mu.Lock()
	full := len(c.servers) >= maxPorts
	if !full {
		c.servers[q.key()] = struct{}{}
	}
	c.mu.Unlock()
	if full {
		c.refuse(o, "EMFILE")
		return
	}
	c.listensAt(o, q, o.Get("data"), &net.TCPAddr{Port: q.port})
}

// listensAt tells a worker that it listens, and where.
func (c *child) listensAt(o *ipc.Object, q query, data ipc.Value, at net.Addr) {
	answer := (&ipc.Object{}).Set("errno", nil).Set("key", q.key()).Set("data", data)
	if tcp, ok := at.(*net.TCPAddr); ok {
		family, address := "IPv6", q.address
		if q.kind == "4" {
			family = "IPv4"
		}
		if address == "" {
			address = "::"
		}
		answer.Set("sockname", (&ipc.Object{}).Set("address", address).Set("family", family).Set("port", float64(tcp.Port)))
	}
	_ = c.reply(o, answer)
}

// errnos are Linux's numbers, which libuv negates. Any other error is an invalid argument.
var errnos = map[string]float64{"EACCES": 13, "EADDRINUSE": 98, "EADDRNOTAVAIL": 99, "EBADF": 9, "EMFILE": 24}

func (c *child) refuse(o *ipc.Object, errno string) {
	n := errnos[errno]
	if n == 0 {
		n = 22
	}
	_ = c.reply(o, (&ipc.Object{}).Set("errno", -n).Set("key", queryOf(o).key()).Set("data", nil))
}

// closeServer removes a server that the worker has closed from the directory or from its acceptor.
func (c *child) closeServer(key string) {
	c.h.ports.leave(c, key)
	c.mu.Lock()
	delete(c.servers, key)
	var found string
	for name, d := range c.endpoints {
		if d.server == key {
			found = name
		}
	}
	c.mu.Unlock()
	if found != "" {
		c.closeEndpoint(found)
	}
}
