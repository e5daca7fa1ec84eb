//go:build e2e

package outage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// The environment of a server, which is this test's own program started again.
const (
	formEnv      = "OUTAGE_FORM" // a name in forms
	redisEnv     = "OUTAGE_REDIS"
	bufferEnv    = "OUTAGE_BUFFER"  // messages kept while Redis is away; default: the adapter's
	bytesEnv     = "OUTAGE_BYTES"   // and bytes of them
	ageEnv       = "OUTAGE_AGE"     // and how old they get, in ms
	messageEnv   = "OUTAGE_MESSAGE" // bytes of the longest message; default: the adapter's
	streamLength = 10_000           // entries that a stream keeps
	requestTime  = time.Hour        // of a request: who waits for a dead server fails the test
)

// passing is a namespace that a server has while it has clients there.
const passing = "/passing"

// recovering is the form over streams with connection state recovery.
const recovering = "redis-streams-recovering"

// streamBytes is the bound of streams. What one test sends to fill a stream fits into a server's
// buffer of 64 MiB.
const streamBytes = 32 << 20

// forms are what is tested.
var forms = map[string]adapter.Form{
	"redis":         adapter.Classic{},
	"redis-sharded": adapter.Sharded{},
	"redis-streams": adapter.Streams{MaxBytes: streamBytes},
	recovering:      adapter.Streams{MaxBytes: streamBytes},
}

func TestMain(m *testing.M) {
	if form := os.Getenv(formEnv); form != "" {
		if err := serve(form); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testkit.ManyWait()
	os.Exit(m.Run())
}

// program is the server.
type program struct {
	io      *socketio.Server
	adapter *adapter.Adapter
	metrics *prometheus.Registry
}

func serve(form string) error {
	p := &program{metrics: prometheus.NewRegistry()}
	cfg := adapter.Config{
		Redis: sidereal.Redis{URL: os.Getenv(redisEnv)}, Form: forms[form], RequestsTimeout: requestTime, Metrics: p.metrics,
		BufferMessages: number(bufferEnv), BufferBytes: number(bytesEnv), BufferAge: time.Duration(number(ageEnv)) * time.Millisecond,
		MaxMessageBytes: number(messageEnv),
		Log:             slog.New(loghandler.New(os.Stdout, slog.LevelDebug)),
	}
	var err error
	if p.adapter, err = adapter.New(cfg); err != nil {
		return err
	}
	var recovery *socketio.Recovery
	if form == recovering {
		recovery = &socketio.Recovery{}
	}
	if p.io, err = socketio.New(socketio.Config{Adapter: p.adapter, Recovery: recovery, CleanupEmptyChildNamespaces: true}); err != nil {
		return err
	}
	p.answerEvents()
	p.io.OfRegexp(regexp.MustCompile("^" + passing + "$"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	web := &http.Server{Handler: p.io}
	go web.Serve(l)
	defer web.Close()
	fmt.Println("serving http://" + l.Addr().String())
	return p.io.Run(ctx)
}

func number(variable string) int {
	n, _ := strconv.Atoi(os.Getenv(variable)) // of the tests' own making
	return n
}

// found is what a server can say of the whole cluster.
type found struct {
	Sockets int
	Away    bool // the error is ErrAway
	Error   string
}

func (p *program) answerEvents() {
	p.io.On("echo", func(n int) int { return n })
	p.io.On("leave", func(s *socketio.Socket, room string) bool { s.Leave(room); return true })
	p.io.On("join", func(s *socketio.Socket, room string) bool { s.Join(room); return true })
	// burst tells everybody the numbers from, ..., to-1.
	p.io.On("burst", func(from, to int) (bool, error) {
		for i := from; i < to; i++ {
			if err := p.io.Emit("said", i); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	p.io.On("volatile", func(n int) (bool, error) { return true, p.io.Volatile().Emit("said", n) })
	// flood sends a room n events of that size.
	p.io.On("flood", func(room string, n, size int) (bool, error) {
		for range n {
			if err := p.io.To(room).Emit("flood", strings.Repeat("x", size)); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	p.io.On("count", func(ctx context.Context) found {
		sockets, err := p.io.FetchSockets(ctx)
		f := found{Sockets: len(sockets), Away: errors.Is(err, adapter.ErrAway)}
		if err != nil {
			f.Error = err.Error()
		}
		return f
	})
	p.io.On("up", func() bool { return p.adapter.Up() })
	p.io.On("counters", p.counters)
}

// counters are the adapter's, by name and label.
func (p *program) counters() (map[string]float64, error) {
	families, err := p.metrics.Gather()
	counters := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := strings.TrimPrefix(f.GetName(), "sidereal_adapter_")
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			counters[name] = m.GetCounter().GetValue()
		}
	}
	return counters, err
}
