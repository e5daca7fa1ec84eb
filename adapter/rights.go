package adapter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Needs says for what Redis.Check tries rights.
type Needs struct {
	// Namespaces are those whose channels are tried. None: the main one.
	Namespaces []string
	// Recovery says that servers are to have connection state recovery.
	Recovery bool
}

// MissingRight is something that Redis does not let this user do. It is a redisconn.ErrRights.
type MissingRight struct {
	Command string // with its channel or key, if the command alone is not what is forbidden
	Err     error
}

func (m MissingRight) Error() string { return fmt.Sprintf("%s: %v", m.Command, m.Err) }
func (m MissingRight) Unwrap() error { return m.Err }

// Check tries everything that this adapter asks of Redis, on the channels and keys that it will use, and returns what is
// forbidden. Nobody notices: what it publishes is for rooms and servers that do not exist, it is subscribed for so short a time
// that it is never counted, and it writes no key. The error is what kept it from trying: redisconn's ErrUnreachable, ErrAuth
// and ErrNoShards among others. Run need not be running.
func (r *Redis) Check(ctx context.Context, n Needs) (missing []MissingRight, err error) {
	if len(n.Namespaces) == 0 {
		n.Namespaces = []string{"/"}
	}
	tried := map[string]bool{}
	for _, name := range n.Namespaces {
		for _, t := range r.trials(name, n.Recovery) {
			if tried[t.command] {
				continue
			}
			tried[t.command] = true
			err := redisconn.Classify(r.try(ctx, t))
			var answer redis.Error
			switch {
			case errors.Is(err, redisconn.ErrRights):
				missing = append(missing, MissingRight{t.command, err})
			case errors.Is(err, redisconn.ErrNoShards):
				return missing, err
			case err == nil, errors.As(err, &answer) && strings.HasPrefix(answer.Error(), "ERR "):
				// which it may answer only after it has looked at the rights
			default:
				return missing, fmt.Errorf("adapter: %s: %w", t.command, err)
			}
		}
	}
	return missing, nil
}

// trial is one command that a form needs, in a way that changes nothing.
type trial struct {
	command string // and on what
	place   string // key or channel whose node is asked; empty: any
	try     func(ctx context.Context, node *redis.Client) error
}

func (r *Redis) try(ctx context.Context, t trial) error {
	node, err := r.conn.AnyNode(ctx, nil)
	if t.place != "" {
		node, err = r.conn.Node(ctx, t.place)
	}
	if err != nil {
		return err
	}
	return t.try(ctx, node)
}

// trials are what a namespace needs, whatever the form, and what its form needs besides.
func (r *Redis) trials(name string, recovery bool) []trial {
	n := &namespace{r: r, name: name}
	n.uid, n.talk = r.form.talk(n)
	n.own = n.talk.answersTo(n.uid)
	goodbye := fmt.Sprintf(`{"v":%d,"process":"check-%s","gone":true}`, beatVersion, n.uid)
	all := []trial{
		doing("PING", "", "PING"),
		r.publishing(message{channel: r.peers.channel, payload: []byte(goodbye)}, true),
	}
	for _, m := range n.toNobody() {
		if m.entry == nil { // one of a stream would stay there
			all = append(all, r.publishing(m, false))
		}
	}
	all = append(all, r.subscribing("SUBSCRIBE", r.peers.channel)[0]) // which is never left
	all = append(all, r.form.trials(n)...)
	if f, ok := r.form.(*streams); ok && recovery {
		all = append(all, f.recoveryTrials(n)...)
	}
	return all
}

// toNobody are messages of every kind, for rooms that nobody is in and servers that are not there.
func (n *namespace) toNobody() (all []message) {
	one, two := "check-"+newID(12), "check-"+newID(12)
	asked := wire.Request{UID: n.uid, ID: []byte(`"` + newRequestID() + `"`), Type: wire.RemoteFetch, Namespace: n.name}
	found := wire.Response{ID: asked.ID, Type: wire.NoType, Sockets: []wire.Socket{}}
	for _, make := range []func() (message, error){
		func() (message, error) { return n.talk.broadcast(checking(one)) },
		func() (message, error) { return n.talk.broadcast(checking(one, two)) },
		func() (message, error) {
			o := wire.Options{Rooms: []string{one}, Except: []string{}}
			return n.talk.request(wire.Request{UID: n.uid, Type: wire.RemoteJoin, Options: o, JoinLeave: []string{one}, Namespace: n.name})
		},
		func() (message, error) { return n.talk.answer(asked, found, false) },
		func() (message, error) { return n.talk.answer(asked, found, true) },
	} {
		if m, err := make(); err == nil { // it fails with nothing in it but a Parser
			all = append(all, m)
		}
	}
	return all
}

func checking(rooms ...string) *cluster.Broadcast {
	return &cluster.Broadcast{Target: cluster.Target{Rooms: rooms}, Data: packet.Payload{JSON: []byte(`["check"]`)}}
}

// publishing sends m as the form does; plain: over ordinary pub/sub in any case.
func (r *Redis) publishing(m message, plain bool) trial {
	verb, place := "PUBLISH", ""
	if !plain && r.form.place(m) != "" {
		verb, place = "SPUBLISH", m.channel
	}
	return doing(verb+" on "+m.channel, place, verb, m.channel, m.payload)
}

// doing is one command; Redis's answer does not count, unless it forbids it.
func doing(command, place string, args ...any) trial {
	return trial{command, place, func(ctx context.Context, node *redis.Client) error {
		err := node.Do(ctx, args...).Err()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}}
}

// subscribing tries a subscription, and to leave it.
func (r *Redis) subscribing(verb, name string) []trial {
	place := ""
	if verb == "SSUBSCRIBE" {
		place = name
	}
	return []trial{
		{verb + " on " + name, place, func(ctx context.Context, node *redis.Client) error {
			err, _ := r.conn.TrySubscribe(ctx, node, verb, name)
			return err
		}},
		{redisconn.Opposite(verb), place, func(ctx context.Context, node *redis.Client) error {
			_, err := r.conn.TrySubscribe(ctx, node, verb, name)
			return err
		}},
	}
}

func (f *pubsub) trials(n *namespace) (all []trial) {
	c := n.talk.(pubsubTalk).channels
	for _, channel := range []string{c.Request, c.Response, n.own} {
		all = append(all, f.r.subscribing("SUBSCRIBE", channel)...)
	}
	all = append(all, f.r.subscribing("PSUBSCRIBE", c.Pattern())...)
	return append(all, doing("PUBSUB NUMSUB", "", "PUBSUB", "NUMSUB", c.Request))
}

func (f *sharded) trials(n *namespace) (all []trial) {
	c := n.talk.(*shardedTalk).channels
	for _, channel := range []string{c.Main, n.own, c.Room("check-" + newID(12))} {
		all = append(all, f.r.subscribing("SSUBSCRIBE", channel)...)
	}
	return append(all, countingShards(c.Main, f.r.peers.channel)...)
}

func (f *streams) trials(n *namespace) (all []trial) {
	verb, counting := "SUBSCRIBE", []trial{doing("PUBSUB NUMSUB", "", "PUBSUB", "NUMSUB", n.talk.counted())}
	if f.cfg.UseShardedPubSub {
		verb, counting = "SSUBSCRIBE", countingShards(n.talk.counted(), f.r.peers.channel)
	}
	all = append(all, f.r.subscribing(verb, n.talk.counted())...)
	all = append(all, f.r.subscribing(verb, n.own)...)
	all = append(all, counting...)
	for _, stream := range f.reader.names {
		all = append(all,
			doing("XADD to "+stream, stream, "XADD", stream, "MAXLEN", "~", f.cfg.MaxLen, "0-0", "check", ""), // a place that no entry may have
			doing("XREAD of "+stream, stream, "XREAD", "COUNT", 1, "STREAMS", stream, "$"),
			doing("XINFO STREAM of "+stream, stream, "XINFO", "STREAM", stream))
	}
	return all
}

func countingShards(channel, peers string) []trial {
	return []trial{
		doing("PUBSUB SHARDNUMSUB", channel, "PUBSUB", "SHARDNUMSUB", channel),
		doing("PUBSUB NUMSUB", "", "PUBSUB", "NUMSUB", peers),
	}
}

// recoveryTrials use a session that nobody has.
func (f *streams) recoveryTrials(n *namespace) []trial {
	stream := n.talk.(*streamTalk).stream
	key := f.cfg.SessionKeyPrefix + "check-" + newID(12)
	return []trial{
		doing("XRANGE of "+stream, stream, "XRANGE", stream, "0-1", "0-1", "COUNT", 1),
		doing("GET of "+key, key, "GET", key),
		doing("SET of "+key, key, "SET", key, "", "XX", "PX", 1),
		doing("DEL of "+key, key, "DEL", key),
		doing("PEXPIRE of "+key, key, "PEXPIRE", key, 1),
		{"EVAL on " + key, key, func(ctx context.Context, node *redis.Client) error {
			return swap.Eval(ctx, node, []string{key}, "", 1, "no value's").Err()
		}},
	}
}
