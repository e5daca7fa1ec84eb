package linktest

import (
	"context"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Fetch describes sockets of the other servers.
func Fetch(ctx context.Context, a cluster.Adapter, t cluster.Target) (found []cluster.SocketInfo, err error) {
	err = a.Ask(ctx, cluster.Question{Kind: cluster.AskSockets, Target: t}, func(a cluster.Answer) {
		found = append(found, a.Sockets...)
	})
	return found, err
}

// Rooms lists the rooms of the other servers' sockets.
func Rooms(ctx context.Context, a cluster.Adapter) (rooms []string, err error) {
	err = a.Ask(ctx, cluster.Question{Kind: cluster.AskRooms}, func(a cluster.Answer) { rooms = append(rooms, a.Rooms...) })
	slices.Sort(rooms)
	return slices.Compact(rooms), err
}

// AskServers raises an event on the other servers and returns their answers.
func AskServers(ctx context.Context, a cluster.Adapter, event packet.Payload) (answers []packet.Payload, err error) {
	err = a.Ask(ctx, cluster.Question{Kind: cluster.AskServers, Event: event}, func(a cluster.Answer) {
		answers = append(answers, a.Payload)
	})
	return answers, err
}

// AskClients sends an event to clients of the other servers. It returns their number and their
// answers.
func AskClients(ctx context.Context, a cluster.Adapter, b *cluster.Broadcast, timeout time.Duration) (clients int, acks []packet.Payload, err error) {
	q := cluster.Question{Kind: cluster.AskClients, Target: b.Target, Event: b.Data, Flags: b.Flags, Timeout: timeout}
	err = a.Ask(ctx, q, func(a cluster.Answer) {
		clients += a.Clients
		if a.Ack {
			acks = append(acks, a.Payload)
		}
	})
	return clients, acks, err
}
