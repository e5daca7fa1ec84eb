package link

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

// Denial is a command that Redis doesn't allow.
type Denial struct {
	Command string // with its channel or key, if the command alone isn't forbidden
	Err     error
}

// Check tries every command that the form needs for some namespaces and returns those that Redis
// denies. Package adapter documents it.
func (l *Link) Check(ctx context.Context, namespaces []string, recovery bool) (denied []Denial, err error) {
	tried := map[string]bool{}
	for _, name := range namespaces {
		for _, t := range l.form.Trials(name, recovery) {
			if tried[t.Command] {
				continue
			}
			tried[t.Command] = true
			err := redisconn.Classify(l.try(ctx, t))
			var answer redis.Error
			switch {
			case errors.Is(err, redisconn.ErrRights):
				denied = append(denied, Denial{t.Command, err})
			case errors.Is(err, redisconn.ErrNoShards):
				return denied, err
			case err == nil, errors.As(err, &answer) && strings.HasPrefix(answer.Error(), "ERR "):
				// Redis may answer this only after it has checked the rights.
			default:
				return denied, fmt.Errorf("adapter: %s: %w", t.Command, err)
			}
		}
	}
	return denied, nil
}

// Trial is one command that a form needs, in a way that changes nothing.
type Trial struct {
	Command string // and its channel or key
	NodeKey string // the key or channel whose node is asked; empty: any node
	Try     func(ctx context.Context, node *redis.Client) error
}

func (l *Link) try(ctx context.Context, t Trial) error {
	node, err := l.Conn.AnyNode(ctx, nil)
	if t.NodeKey != "" {
		node, err = l.Conn.Node(ctx, t.NodeKey)
	}
	if err != nil {
		return err
	}
	return t.Try(ctx, node)
}

// CommonTrials are the commands that a namespace needs in every form.
func (l *Link) CommonTrials(n *Namespace) []Trial {
	goodbye := fmt.Sprintf(`{"v":%d,"process":"check-%s","gone":true}`, beatVersion, n.UID)
	all := []Trial{
		TryCommand("PING", "", "PING"),
		TryCommand("PUBLISH on "+l.peers.channel, "", "PUBLISH", l.peers.channel, goodbye),
	}
	for _, m := range n.toNobody() {
		if m.Kind != 0 {
			continue // an entry would stay in the stream
		}
		verb, key := "PUBLISH", l.form.NodeKey(m)
		if key != "" {
			verb = "SPUBLISH"
		}
		all = append(all, TryCommand(verb+" on "+m.Channel, key, verb, m.Channel, m.Payload))
	}
	return append(all, l.TrySubscribing("SUBSCRIBE", l.peers.channel)[0]) // nobody ever unsubscribes from it
}

// toNobody makes messages of every kind, for rooms without sockets and servers that don't exist.
func (n *Namespace) toNobody() (all []Message) {
	one, two := "check-"+NewID(12), "check-"+NewID(12)
	asked := wire.Request{UID: n.UID, ID: []byte(`"` + newRequestID() + `"`), Type: wire.RemoteFetch, Namespace: n.Name}
	ours := asked
	ours.Sidereal = true
	found := wire.Response{ID: asked.ID, Type: wire.NoType, Sockets: []wire.Socket{}}
	for _, encode := range []func() (Message, error){
		func() (Message, error) { return n.protocol.EncodeBroadcast(checking(one)) },
		func() (Message, error) { return n.protocol.EncodeBroadcast(checking(one, two)) },
		func() (Message, error) {
			o := wire.Options{Rooms: []string{one}, Except: []string{}}
			return n.protocol.EncodeRequest(wire.Request{UID: n.UID, Type: wire.RemoteJoin, Options: o, JoinLeave: []string{one}, Namespace: n.Name})
		},
		func() (Message, error) { return n.protocol.EncodeAnswer(asked, found) },
		func() (Message, error) { return n.protocol.EncodeAnswer(ours, found) },
	} {
		if m, err := encode(); err == nil { // only a Parser can fail here
			all = append(all, m)
		}
	}
	return all
}

func checking(rooms ...string) *cluster.Broadcast {
	return &cluster.Broadcast{Target: cluster.Target{Rooms: rooms}, Data: packet.Payload{JSON: []byte(`["check"]`)}}
}

// TryCommand tries one command. Only a denial counts, not another answer of Redis.
func TryCommand(command, nodeKey string, args ...any) Trial {
	return Trial{command, nodeKey, func(ctx context.Context, node *redis.Client) error {
		err := node.Do(ctx, args...).Err()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}}
}

// TrySubscribing tries to subscribe to a channel, and to unsubscribe.
func (l *Link) TrySubscribing(verb, channel string) []Trial {
	nodeKey := ""
	if verb == "SSUBSCRIBE" {
		nodeKey = channel
	}
	return []Trial{
		{verb + " on " + channel, nodeKey, func(ctx context.Context, node *redis.Client) error {
			err, _ := l.Conn.TrySubscribe(ctx, node, verb, channel)
			return err
		}},
		{redisconn.Opposite(verb), nodeKey, func(ctx context.Context, node *redis.Client) error {
			_, err := l.Conn.TrySubscribe(ctx, node, verb, channel)
			return err
		}},
	}
}

// TryCountingShards tries to count the subscribers of a channel of sharded pub/sub.
func (l *Link) TryCountingShards(channel string) []Trial {
	return []Trial{
		TryCommand("PUBSUB SHARDNUMSUB", channel, "PUBSUB", "SHARDNUMSUB", channel),
		TryCommand("PUBSUB NUMSUB", "", "PUBSUB", "NUMSUB", l.peers.channel),
	}
}
