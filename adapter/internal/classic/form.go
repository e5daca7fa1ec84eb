package classic

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Config is what this form adds to a link's configuration. Package adapter documents the fields.
type Config struct {
	SpecificResponses bool
	Parser            wire.Parser
}

// Form is one process in this form.
type Form struct {
	*link.Link
	cfg   Config
	spare []byte // scratch of Receive

	mu       sync.RWMutex          // guards the rest
	byName   map[string]*namespace // open
	requests map[string]*namespace // by channel
	answers  map[string]*namespace // by channel
	patterns map[string]bool       // subscribed
	longest  int                   // bytes of the longest name ever opened
}

var _ link.Form = (*Form)(nil)

// New makes the form. It dials nothing.
func New(common link.Config, cfg Config) (*Form, error) {
	f := &Form{
		cfg:      cfg,
		spare:    make([]byte, 0, 256),
		byName:   make(map[string]*namespace),
		requests: make(map[string]*namespace),
		answers:  make(map[string]*namespace),
		patterns: make(map[string]bool),
	}
	var err error
	f.Link, err = link.New(common, f, link.Hooks{})
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

// listenLocked subscribes to the patterns of all namespaces except those that another pattern
// covers: the pattern of "/" matches the channels of a namespace "/#chat" too, and with both
// patterns each message would come twice.
func (f *Form) listenLocked() {
	want := make(map[string]bool, len(f.byName))
	for _, n := range f.byName {
		if !f.coveredLocked(n) {
			want[n.channels.Pattern()] = true
		}
	}
	for p := range want {
		if !f.patterns[p] {
			f.Sub.AddPatterns(p)
		}
	}
	for p := range f.patterns {
		if !want[p] {
			f.Sub.RemovePatterns(p)
		}
	}
	f.patterns = want
}

func (f *Form) coveredLocked(n *namespace) bool {
	for i := range len(n.Name) {
		if n.Name[i] == '#' && f.byName[n.Name[:i]] != nil {
			return true
		}
	}
	return false
}

// NodeKey implements link.Form: in a Redis Cluster any node passes a message on to all.
func (f *Form) NodeKey(link.Message) string { return "" }

// Publish implements link.Form.
func (f *Form) Publish(ctx context.Context, pipe redis.Pipeliner, m link.Message) {
	pipe.Publish(ctx, m.Channel, m.Payload)
}

// NumSub implements link.Form.
func (f *Form) NumSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	return node.PubSubNumSub(ctx, channels...).Result()
}

// Trials implements link.Form.
func (f *Form) Trials(name string, _ bool) []link.Trial {
	n := f.newNamespace(name)
	all := f.CommonTrials(n.Namespace)
	for _, channel := range []string{n.channels.Request, n.channels.Response, n.Own} {
		all = append(all, f.TrySubscribing("SUBSCRIBE", channel)...)
	}
	all = append(all, f.TrySubscribing("PSUBSCRIBE", n.channels.Pattern())...)
	return append(all, link.TryCommand("PUBSUB NUMSUB", "", "PUBSUB", "NUMSUB", n.channels.Request))
}
