package sharded

import (
	"cmp"
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Config is what this form adds to a link's configuration. Package adapter documents the fields.
type Config struct {
	Mode        wire.Mode
	RoomChannel func(namespace, room string) bool
	Linger      time.Duration
}

// Form is one process in this form.
type Form struct {
	*link.Link
	cfg     Config
	rooms   *roomChannels
	scratch wire.Scratch // of Receive
}

var _ link.Form = (*Form)(nil)

// New makes the form. It dials nothing.
func New(common link.Config, cfg Config) (*Form, error) {
	cfg.Mode = cmp.Or(cfg.Mode, wire.Dynamic)
	cfg.Linger = cmp.Or(cfg.Linger, 2*time.Second)
	f := &Form{cfg: cfg}
	f.rooms = newRoomChannels(func() roomSubscriber { return f.Sub }, cfg.Linger)
	var err error
	f.Link, err = link.New(common, f, link.Hooks{Run: f.rooms.run})
	return f, err
}

// Open makes the adapter of one namespace.
func (f *Form) Open(local cluster.Local) (cluster.Adapter, error) {
	n := f.newNamespace(local.Name())
	if err := f.Add(n.Namespace, local); err != nil {
		return nil, err
	}
	return n, nil
}

// Receive implements link.Form. It skips echoes by their last bytes.
func (f *Form) Receive(channel string, payload []byte) (kept bool, err error) {
	if f.IsEcho(wire.ClusterSender(payload)) {
		f.Skip()
		return false, nil
	}
	c, err := wire.ParseCluster(payload)
	if err != nil {
		return false, err
	}
	n := f.Find(c.Namespace)
	if n == nil { // not here, or no longer
		f.Skip()
		return false, nil
	}
	return n.TakeCluster(channel, &c, &f.scratch)
}

// NodeKey implements link.Form.
func (f *Form) NodeKey(m link.Message) string { return m.Channel }

// Publish implements link.Form.
func (f *Form) Publish(ctx context.Context, pipe redis.Pipeliner, m link.Message) {
	pipe.SPublish(ctx, m.Channel, m.Payload)
}

// NumSub implements link.Form.
func (f *Form) NumSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	return f.NumShardSub(ctx, node, channels)
}

// Trials implements link.Form.
func (f *Form) Trials(name string, _ bool) []link.Trial {
	n := f.newNamespace(name)
	all := f.CommonTrials(n.Namespace)
	for _, channel := range []string{n.channels.Main, n.Own, n.channels.Room("check-" + link.NewID(12))} {
		all = append(all, f.TrySubscribing("SSUBSCRIBE", channel)...)
	}
	return append(all, f.TryCountingShards(n.channels.Main)...)
}
