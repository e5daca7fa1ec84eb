package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Bounds of what questions bring.
const (
	maxOpenNamespaces = 1000
	maxResponses      = 10_000
	maxResponseBytes  = 16 << 20
	maxPage           = 1000
	usualPage         = 100
)

// asker asks the app's servers. It opens namespaces when they are first asked, and closes the one
// that was asked longest ago when there are too many.
type asker struct {
	cluster cluster.Cluster

	mu   sync.Mutex // guards the rest
	open map[string]*asked
}

// asked is an open namespace.
type asked struct {
	adapter cluster.Adapter
	users   int
	last    time.Time
}

// nobody is a namespace without sockets. Its adapter is AskOnly, so it is told nothing.
type nobody string

var _ cluster.Local = nobody("")

func (n nobody) Name() string                                  { return string(n) }
func (nobody) HasRoom([]byte) bool                             { return false }
func (nobody) Deliver(*cluster.Broadcast)                      {}
func (nobody) Apply(cluster.Order)                             {}
func (nobody) Answer(cluster.Question, func(a cluster.Answer)) {}

// use calls f with the adapter of a namespace.
func (a *asker) use(namespace string, f func(cluster.Adapter) (any, *problem)) (any, *problem) {
	o, err := a.acquire(namespace)
	if err != nil {
		return nil, newProblem("internal", err.Error())
	}
	defer a.release(o)
	return f(o.adapter)
}

var errNamespaces = errors.New("too many namespaces are being asked")

func (a *asker) acquire(namespace string) (*asked, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.open[namespace]
	if o == nil {
		if len(a.open) >= maxOpenNamespaces && !a.closeOldestLocked() {
			return nil, errNamespaces
		}
		opened, err := a.cluster.Open(nobody(namespace))
		if err != nil {
			return nil, err
		}
		o = &asked{adapter: opened}
		if a.open == nil {
			a.open = make(map[string]*asked)
		}
		a.open[namespace] = o
	}
	o.users++
	return o, nil
}

func (a *asker) release(o *asked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o.users--
	o.last = time.Now()
}

// closeOldestLocked reports whether there was one to close.
func (a *asker) closeOldestLocked() bool {
	oldest := ""
	for name, o := range a.open {
		if o.users == 0 && (oldest == "" || o.last.Before(a.open[oldest].last)) {
			oldest = name
		}
	}
	if oldest == "" {
		return false
	}
	_ = a.open[oldest].adapter.Close() // it only ends the namespace's subscriptions
	delete(a.open, oldest)
	return true
}

// answers is what clients or servers answered.
type answers struct {
	Status    int              `json:"status"`
	Responses []jsontext.Value `json:"responses"`
	Asked     int              `json:"asked"`
	Missing   int              `json:"missing"`

	bytes int
}

// add keeps the first value of an answer.
func (a *answers) add(p packet.Payload) {
	value, err := firstValue(p)
	if err != nil || len(a.Responses) == maxResponses || a.bytes+len(value) > maxResponseBytes {
		value = jsontext.Value("null")
	}
	a.bytes += len(value)
	a.Responses = append(a.Responses, value)
}

// firstValue is the first value of an answer, with binary as {"$base64": "…"}.
func firstValue(p packet.Payload) (jsontext.Value, error) {
	args, err := p.Args()
	if err != nil || args.Len() == 0 {
		return jsontext.Value("null"), err
	}
	if len(p.Attachments) == 0 {
		return jsontext.Value(args.Raw(0)), nil
	}
	var v any
	if err := args.Decode(0, &v); err != nil {
		return nil, err
	}
	return json.Marshal(v, json.Deterministic(true), json.WithMarshalers(json.MarshalFunc(func(b []byte) ([]byte, error) {
		return json.Marshal(map[string]jsontext.Value{binaryMember: quoted(b)})
	})))
}

func quoted(b []byte) jsontext.Value {
	text, _ := json.Marshal(b) // base64; it can't fail
	return text
}

// askClients emits an event and waits for the answers of clients.
func askClients(ctx context.Context, a cluster.Adapter, t cluster.Target, event packet.Payload, volatile bool, wait time.Duration) (any, *problem) {
	out := answers{Status: http.StatusOK, Responses: []jsontext.Value{}}
	q := cluster.Question{Kind: cluster.AskClients, Target: t, Event: event, Flags: cluster.Flags{Volatile: volatile}, Timeout: wait}
	err := a.Ask(ctx, q, func(an cluster.Answer) {
		if an.Ack {
			out.add(an.Payload)
		}
		out.Asked += an.Clients
	})
	out.Missing = max(out.Asked-len(out.Responses), 0)
	return &out, askedProblem(err, unknown)
}

// askServers raises an event and waits for the answers of servers.
func askServers(ctx context.Context, a cluster.Adapter, event packet.Payload, wait time.Duration) (any, *problem) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	out := answers{Status: http.StatusOK, Responses: []jsontext.Value{}}
	err := a.Ask(ctx, cluster.Question{Kind: cluster.AskServers, Event: event}, func(an cluster.Answer) { out.add(an.Payload) })
	out.Asked = len(out.Responses)
	var missing *cluster.MissingError
	if errors.As(err, &missing) {
		out.Asked, out.Missing, err = missing.Expected, missing.Expected-missing.Answered, nil
	}
	return &out, askedProblem(err, unknown)
}

// askedProblem says what the error of a question means, and what became of an event in it.
func askedProblem(err error, outcome string) *problem {
	var fault *problem
	switch {
	case err == nil:
		return nil
	case errors.Is(err, adapter.ErrTooLarge):
		return newProblem("too-large", "the message is beyond SIDEREAL_ADAPTER_MAX_MESSAGE_BYTES")
	case errors.Is(err, adapter.ErrAway), errors.Is(err, adapter.ErrClosed):
		fault = newProblem("redis-away", "Redis went away, or doesn't answer")
	case errors.Is(err, context.DeadlineExceeded):
		fault = newProblem("redis-unanswered", "the servers didn't answer in time")
	default:
		fault = newProblem("internal", err.Error())
	}
	fault.Outcome, fault.retry = outcome, retryAway
	return fault
}

// page keeps the smallest items behind a place, so that an answer of any size takes little memory.
type page[T any] struct {
	after string
	limit int
	name  func(T) string
	items []T
}

func (p *page[T]) add(item T) {
	if p.name(item) <= p.after {
		return
	}
	if p.items = append(p.items, item); len(p.items) > 4*(p.limit+1) {
		p.trim()
	}
}

// trim sorts the items, and drops doubles and those behind the page.
func (p *page[T]) trim() {
	slices.SortFunc(p.items, func(x, y T) int { return strings.Compare(p.name(x), p.name(y)) })
	p.items = slices.CompactFunc(p.items, func(x, y T) bool { return p.name(x) == p.name(y) })
	p.items = p.items[:min(len(p.items), p.limit+1)]
}

// done returns the page and where the next one begins; empty if there is none.
func (p *page[T]) done() (items []T, next string) {
	p.trim()
	if len(p.items) <= p.limit {
		return append([]T{}, p.items...), ""
	}
	return p.items[:p.limit], p.name(p.items[p.limit-1])
}

// found is the answer to a question about sockets, rooms or servers.
type found struct {
	Sockets []socket `json:"sockets,omitzero"`
	Rooms   []string `json:"rooms,omitzero"`
	Servers []server `json:"servers,omitzero"`
	Count   int      `json:"count,omitzero"`
	Next    string   `json:"next,omitzero"`
	Missing int      `json:"missing"` // servers that didn't answer
}

type socket struct {
	ID        string         `json:"id"`
	Rooms     []string       `json:"rooms"`
	Handshake jsontext.Value `json:"handshake,omitzero"`
	Data      jsontext.Value `json:"data,omitzero"`
}

type server struct {
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
}

// query is what the parameters of a GET ask for.
type query struct {
	namespace, after string
	rooms, except    []string
	limit            int
}

// parseQuery refuses parameters that it doesn't know.
func parseQuery(r *http.Request, known ...string) (q query, fault *problem) {
	q.namespace, q.limit = "/", usualPage
	if len(r.URL.RawQuery) > 8<<10 {
		return q, newProblem("too-large", "the query may have 8192 bytes")
	}
	for name, values := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return q, newProblem("unknown-member", nameOf(name)+" isn't a parameter of this request").at("/" + name)
		}
		v := values[0]
		switch name {
		case "room":
			q.rooms = values
			continue
		case "except":
			q.except = values
			continue
		case "namespace":
			if q.namespace = v; !strings.HasPrefix(v, "/") {
				return q, newProblem("bad-value", "namespace must begin with a slash").at("/namespace")
			}
		case "after":
			q.after = v
		case "limit":
			if _, err := fmt.Sscanf(v+"\n", "%d\n", &q.limit); err != nil || q.limit < 1 || q.limit > maxPage {
				return q, newProblem("bad-value", fmt.Sprintf("limit must be a number from 1 to %d", maxPage)).at("/limit")
			}
		}
		if len(values) > 1 {
			return q, newProblem("bad-value", nameOf(name)+" appears twice").at("/" + name)
		}
	}
	return q, nil
}

// reads are the questions about the app, by name.
var reads = map[string]struct {
	parameters []string
	ask        func(ctx context.Context, a cluster.Adapter, q query) (*found, error)
}{
	"sockets": {[]string{"namespace", "room", "except", "after", "limit"}, askSockets},
	"rooms":   {[]string{"namespace", "after", "limit"}, askRooms},
	"servers": {[]string{"namespace", "after", "limit"}, askPeers},
}

func askSockets(ctx context.Context, a cluster.Adapter, q query) (*found, error) {
	p := page[cluster.SocketInfo]{after: q.after, limit: q.limit, name: func(s cluster.SocketInfo) string { return s.ID }}
	err := a.Ask(ctx, cluster.Question{Kind: cluster.AskSockets, Target: cluster.Target{Rooms: q.rooms, Except: q.except}}, func(an cluster.Answer) {
		for _, s := range an.Sockets {
			p.add(s)
		}
	})
	infos, next := p.done()
	out := &found{Sockets: []socket{}, Next: next}
	for _, s := range infos {
		one := socket{ID: s.ID, Rooms: s.Rooms, Handshake: s.Handshake}
		if len(s.Data.JSON) > 0 {
			if data, err := firstValue(packet.Payload{JSON: slices.Concat([]byte{'['}, s.Data.JSON, []byte{']'}), Attachments: s.Data.Attachments}); err == nil {
				one.Data = data
			}
		}
		if !one.Handshake.IsValid() {
			one.Handshake = nil
		}
		out.Sockets = append(out.Sockets, one)
	}
	return out, err
}

func askRooms(ctx context.Context, a cluster.Adapter, q query) (*found, error) {
	p := page[string]{after: q.after, limit: q.limit, name: func(room string) string { return room }}
	err := a.Ask(ctx, cluster.Question{Kind: cluster.AskRooms}, func(an cluster.Answer) {
		for _, room := range an.Rooms {
			p.add(room)
		}
	})
	out := new(found)
	out.Rooms, out.Next = p.done()
	return out, err
}

func askPeers(ctx context.Context, a cluster.Adapter, q query) (*found, error) {
	p := page[server]{after: q.after, limit: q.limit, name: func(s server) string { return s.ID }}
	n, err := a.ServerCount(ctx)
	for _, peer := range a.Peers() {
		p.add(server(peer))
	}
	out := &found{Count: n}
	out.Servers, out.Next = p.done()
	return out, err
}

// read serves a question about the app.
func (s *Server) read(c *call) (any, *problem) {
	of := reads[c.route.operation]
	q, fault := parseQuery(c.r, of.parameters...)
	if fault == nil {
		fault = c.caller.may(&action{operation: c.route.operation, namespace: q.namespace})
	}
	if fault == nil {
		fault = c.caller.take()
	}
	if fault != nil {
		return nil, fault
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), s.cfg.Timeout)
	defer cancel()
	return s.asker.use(q.namespace, func(a cluster.Adapter) (any, *problem) {
		out, err := of.ask(ctx, a, q)
		var missing *cluster.MissingError
		if errors.As(err, &missing) {
			out.Missing, err = missing.Expected-missing.Answered, nil
		}
		return out, askedProblem(err, "")
	})
}
