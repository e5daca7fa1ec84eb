package bench

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// interrupted is how long an interrupted run waits for the last acknowledgements.
const interrupted = time.Second

// Config describes a load.
type Config struct {
	// Client configures each client and names the server. Its Timeout bounds connecting, and the
	// wait for the last acknowledgements. The clients don't reconnect.
	Client      client.Config
	Namespace   string
	Clients     int           // how many; at least 1
	ConnectRate float64       // how many of them begin to connect in a second; above 0
	Duration    time.Duration // of the load, once all have connected or failed
	Event       string        // what they emit; empty: they only stay connected
	Size        int           // of an event's one argument, in bytes
	Binary      bool          // the argument is binary, not a text
	Rate        float64       // events a second of all clients; 0: a closed loop
	// Progress gets a line each second. Nil: no progress.
	Progress io.Writer
}

// run is one run of a Config.
type run struct {
	Config
	tally
	payload  any
	encoded  int // bytes of the payload in an event
	sessions []*session
	pending  sync.WaitGroup // events without their acknowledgements
	closing  atomic.Bool    // connections that end from now on were closed by us
}

// Run connects the clients, makes them emit for the duration and returns the result. By then all of
// its goroutines have ended. The end of ctx ends the load early without an error. Run returns an
// error for a Config that can't work.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg.Client.NoReconnection = true
	if err := cfg.Client.Validate(); err != nil {
		return nil, err
	}
	r := &run{Config: cfg}
	if err := r.makePayload(); err != nil {
		return nil, err
	}
	raiseFileLimit(uint64(cfg.Clients) * descriptorsEach(cfg.Client.Transports))
	stopTelling := r.tellProgress()
	began := time.Now()
	r.connect(ctx)
	connecting := time.Since(began)
	began = time.Now()
	r.load(ctx)
	loaded, acknowledged := time.Since(began), r.acknowledged.Load()
	r.finish(ctx)
	stopTelling()
	return r.report(connecting, loaded, acknowledged), nil
}

// makePayload makes the argument of all events. It's random, so that compression doesn't shrink it.
func (r *run) makePayload() error {
	raw := make([]byte, r.Size)
	_, _ = rand.Read(raw) // never fails
	r.payload = raw
	if !r.Binary {
		r.payload = base64.RawURLEncoding.EncodeToString(raw)[:r.Size]
	}
	encoded, err := packet.EncodeArgs(r.payload)
	r.encoded = sizeOf(encoded)
	return err
}

// finish waits for events under way, at most as long as for connecting, and closes all clients.
func (r *run) finish(ctx context.Context) {
	done := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() {
		r.pending.Wait()
		close(done)
	})
	defer waiter.Wait()
	defer r.close() // fails the events that are still under way
	timeout := time.NewTimer(r.Client.Timeout)
	defer timeout.Stop()
	select {
	case <-done:
		return
	case <-timeout.C:
		return
	case <-ctx.Done():
	}
	timeout.Reset(min(interrupted, r.Client.Timeout))
	select {
	case <-done:
	case <-timeout.C:
	}
}

// close disconnects all clients, and returns once their goroutines have ended.
func (r *run) close() {
	r.closing.Store(true)
	var wg sync.WaitGroup
	for _, s := range r.sessions {
		wg.Go(func() { s.client.Close() })
	}
	wg.Wait()
}

// tellProgress writes a line each second until the caller calls the returned function.
func (r *run) tellProgress() (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		every := pace{start: time.Now(), perSecond: 1}
		before := int64(0)
		for second := 1; every.wait(ctx, second); second++ {
			acknowledged := r.acknowledged.Load()
			fmt.Fprintf(r.Progress, "%4ds  %d connected, %d failed, %d lost; %d events/s acknowledged, p99 %s\n", second,
				r.connected.Load(), r.refused.total(), r.lost.total(), acknowledged-before, shown(r.latency.quantile(0.99)))
			before = acknowledged
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
