package inspect

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	askWithin    = 2 * time.Second // that other hosts may take to answer
	leaseTime    = 15 * time.Second
	renewEvery   = 5 * time.Second
	askedSilence = 15 * time.Second // without a message, after which Redis is asked for a sign of life

	maxQuestion  = 4 << 10  // bytes
	maxPart      = 64 << 10 // bytes of a message with a part of an answer
	maxPartData  = 60 << 10 // of these, the answer's
	maxAnswered  = 1 << 20  // bytes of one answer
	maxParts     = maxAnswered/maxPartData + 1
	maxAnswers   = 1000     // that a question waits for
	maxCollected = 32 << 20 // bytes of all answers to a question
	maxQuestions = 32       // that a process takes each second
	maxAnswering = 4        // that it answers at a time
	maxLeases    = 16       // at a time
)

// me tells this process from others.
var me = rand.Text()

// channels returns the channels of an app's questions, and of the answers to one asker.
func channels(app, asker string) (questions, answers string) {
	questions = "{sidereal:" + app + "}:ask"
	return questions, questions + ":" + asker
}

// question is what an asker publishes.
type question struct {
	ID      string `json:"id"`
	Asker   string `json:"asker"`   // whose channel gets the answers
	Process string `json:"process"` // that asks
	Kind    string `json:"kind"`    // samples, history, namespaces, rooms, clients, ended, decisions, tap, end
	Query   Query  `json:"query"`
	Within  int64  `json:"within,omitempty"` // ms that the answer may take
	Lease   int64  `json:"lease,omitempty"`  // ms that a tap lasts unless the question comes again
}

// answer is the first line of a message with a part of an answer. The part follows.
type answer struct {
	ID      string `json:"id"`      // of the question
	From    string `json:"from"`    // the answerer
	Process string `json:"process"` // which may have several answerers
	Part    int    `json:"part"`    // from 0
	Last    bool   `json:"last,omitempty"`
	None    bool   `json:"none,omitempty"` // another answerer of the process answers
	Error   string `json:"error,omitempty"`
}

// PeersConfig says how processes of an app ask each other.
type PeersConfig struct {
	Conn  *redisconn.Conn // must run
	App   string
	Local Source // answers others; nil: the process only asks
}

// Peers asks the other processes of an app through Redis, and answers them. As a Source it has what
// the others answer, without Local's. Run must run.
type Peers struct {
	cfg       PeersConfig
	process   string // me, but in tests
	self      string // as an asker and an answerer
	questions string // the channel
	answers   string // the channel of answers to us
	sub       *redisconn.Subscription
	allowed   *rate.Limiter

	asked     chan question // that wait for serve
	answering chan struct{} // a token for each that is answered now

	mu      sync.Mutex // guards what follows
	pending map[string]*collection
	taps    map[string]*tapped // of this process, by question
	known   map[string]bool    // who answered lately, for a Redis that doesn't count listeners
}

var _ Source = (*Peers)(nil)

// NewPeers makes Peers. It connects when Run is called.
func NewPeers(cfg PeersConfig) *Peers {
	p := &Peers{
		cfg: cfg, process: me, self: rand.Text(), allowed: rate.NewLimiter(maxQuestions, maxQuestions),
		asked: make(chan question, maxWaiting), answering: make(chan struct{}, maxAnswering),
		pending: map[string]*collection{}, taps: map[string]*tapped{}, known: map[string]bool{},
	}
	p.questions, p.answers = channels(cfg.App, p.self)
	listen := []string{p.answers}
	if cfg.Local != nil {
		listen = append(listen, p.questions)
	}
	p.sub = cfg.Conn.Subscribe(redisconn.SubConfig{
		Name: "inspect", Channels: listen, OnMessage: p.heard, MaxPayload: maxPart, Silence: askedSilence,
	})
	return p
}

// Run answers and hears answers until ctx ends.
func (p *Peers) Run(ctx context.Context) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { p.serve(ctx) })
	return p.sub.Run(ctx)
}

// Wait returns when others can be asked.
func (p *Peers) Wait(ctx context.Context) error { return p.sub.Wait(ctx) }

// heard takes a message. It doesn't wait for anything.
func (p *Peers) heard(channel string, payload []byte) (kept bool) {
	if channel == p.questions {
		if len(payload) <= maxQuestion {
			p.hear(payload)
		}
		return false
	}
	head, data, _ := bytes.Cut(payload, []byte{'\n'})
	var a answer
	if json.Unmarshal(head, &a) != nil || a.From == "" || len(a.From) > maxName || len(a.Process) > maxName || a.Part < 0 {
		return false
	}
	p.answered(a, data)
	return false
}

// maxName is how long the names of processes and questions may be.
const maxName = 64

// publish publishes a message, and returns how many heard it; -1 if nobody knows.
func (p *Peers) publish(ctx context.Context, channel string, payload []byte) (int, error) {
	if !p.cfg.Conn.Up() {
		return 0, fmt.Errorf("inspect: other hosts can't be asked: %w", redisconn.ErrUnreachable)
	}
	n, err := p.cfg.Conn.Client().Publish(ctx, channel, payload).Result()
	if err != nil {
		return 0, fmt.Errorf("inspect: other hosts can't be asked: %w", redisconn.Classify(err))
	}
	if p.cfg.Conn.Cluster() { // a node counts those that listen there
		return -1, nil
	}
	return int(n), nil
}

// ask publishes a question.
func (p *Peers) ask(ctx context.Context, q question) (int, error) {
	q.Asker, q.Process = p.self, p.process
	payload, err := json.Marshal(q)
	if err != nil {
		return 0, err
	}
	if len(payload) > maxQuestion {
		return 0, fmt.Errorf("inspect: a question of more than %d bytes", maxQuestion)
	}
	return p.publish(ctx, p.questions, payload)
}

// collection is the answers to one question.
type collection struct {
	want    int             // answerers; -1: those that are expected
	expect  map[string]bool // who answered before; if nobody did, all time is waited
	parts   map[string]*parts
	bytes   int
	done    chan struct{} // closed once all have answered
	settled bool
}

// parts is one answer.
type parts struct {
	process  string
	data     [][]byte // by part
	got      int
	last     int // -1: not yet known
	none     bool
	problem  string
	complete bool
}

// answered takes a part of an answer to us.
func (p *Peers) answered(a answer, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.taps[a.ID]; t != nil {
		t.take(a, data)
		return
	}
	c := p.pending[a.ID]
	if c == nil || c.settled {
		return // late, or nobody asked
	}
	one := c.parts[a.From]
	if one == nil {
		if len(c.parts) >= maxAnswers {
			return
		}
		one = &parts{process: a.Process, last: -1}
		c.parts[a.From] = one
	}
	if one.complete || a.Part >= maxParts || c.bytes+len(data) > maxCollected {
		return
	}
	for len(one.data) <= a.Part {
		one.data = append(one.data, nil)
	}
	if one.data[a.Part] != nil {
		return // the same part again
	}
	one.data[a.Part] = append([]byte{}, data...)
	one.got++
	c.bytes += len(data)
	if a.Last {
		one.last, one.none, one.problem = a.Part, a.None, printable(a.Error)
	}
	if one.last >= 0 && one.got == one.last+1 && len(one.data) == one.got {
		one.complete = true
		p.known[a.From] = true
		c.check()
	}
}

// check closes done once all wanted have answered.
func (c *collection) check() {
	complete := 0
	for _, one := range c.parts {
		if one.complete {
			complete++
		}
	}
	missing := complete < c.want
	if c.want < 0 {
		missing = len(c.expect) == 0
		for from := range c.expect {
			one := c.parts[from]
			missing = missing || one == nil || !one.complete
		}
	}
	if !missing && !c.settled {
		c.settled = true
		close(c.done)
	}
}

// collect asks all others and returns their answers.
func collect[T any](ctx context.Context, p *Peers, kind string, q Query) (all []T, err error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c := &collection{want: maxAnswers + 1, parts: map[string]*parts{}, done: make(chan struct{})}
	id := rand.Text()
	p.mu.Lock()
	p.pending[id] = c
	c.expect = maps.Clone(p.known)
	p.mu.Unlock()
	listeners, err := p.ask(ctx, question{ID: id, Kind: kind, Query: q, Within: askWithin.Milliseconds()})
	p.mu.Lock()
	if c.want = listeners; listeners > 0 && p.cfg.Local != nil && p.sub.Up() {
		c.want-- // we hear our own question
	}
	if err == nil {
		c.check()
	}
	p.mu.Unlock()
	if err == nil {
		select {
		case <-c.done:
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	delete(p.pending, id)
	c.settled = true
	if listeners < 0 {
		for from := range p.known {
			if one := c.parts[from]; one == nil || !one.complete {
				delete(p.known, from) // gone
			}
		}
	} else {
		clear(p.known)
	}
	answers := c.parts
	p.mu.Unlock()
	return decode[T](answers, c.want, err)
}

// decode reads answers, one of each process.
func decode[T any](answers map[string]*parts, want int, failed error) (all []T, err error) {
	errs := []error{failed}
	complete := 0
	processes := map[string]bool{}
	for _, one := range answers {
		if !one.complete {
			continue
		}
		complete++
		if one.none || processes[one.process] {
			continue
		}
		processes[one.process] = true
		if one.problem != "" {
			errs = append(errs, errors.New(one.problem))
		}
		var v T
		if err := json.Unmarshal(bytes.Join(one.data, nil), &v); err != nil {
			errs = append(errs, fmt.Errorf("inspect: an answer can't be read: %w", err))
			continue
		}
		all = append(all, v)
	}
	if failed == nil && want > complete {
		errs = append(errs, fmt.Errorf("inspect: %d of %d other processes didn't answer", want-complete, want))
	}
	return all, errors.Join(errs...)
}

func (p *Peers) Samples(ctx context.Context) ([]Sample, error) {
	all, err := collect[[]Sample](ctx, p, "samples", Query{})
	return slices.Concat(all...), err
}

func (p *Peers) History(ctx context.Context) ([]Point, error) {
	all, err := collect[[]Point](ctx, p, "history", Query{})
	return addPoints(all), err
}

func (p *Peers) Namespaces(ctx context.Context) ([]Namespace, error) {
	all, err := collect[[]Namespace](ctx, p, "namespaces", Query{})
	return addNamespaces(all), err
}

func (p *Peers) Rooms(ctx context.Context, q Query) (Page[Room], error) {
	all, err := collectPages[Room](ctx, p, "rooms", q)
	return addRooms(q, all), err
}

func (p *Peers) Clients(ctx context.Context, q Query) (Page[Client], error) {
	all, err := collectPages[Client](ctx, p, "clients", q)
	return ClientPage(q, all.Rows, all.More), err
}

func (p *Peers) Ended(ctx context.Context, q Query) (Page[Ended], error) {
	all, err := collectPages[Ended](ctx, p, "ended", q)
	return newestFirst(q, all, func(e Ended) time.Time { return e.At }), err
}

func (p *Peers) Decisions(ctx context.Context, q Query) (Page[Decision], error) {
	all, err := collectPages[Decision](ctx, p, "decisions", q)
	return newestFirst(q, all, func(d Decision) time.Time { return d.At }), err
}

func collectPages[T any](ctx context.Context, p *Peers, kind string, q Query) (Page[T], error) {
	q.Limit = MaxRows
	pages, err := collect[Page[T]](ctx, p, kind, q)
	return concat(pages), err
}
