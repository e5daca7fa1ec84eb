package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// facts is a Source with fixed answers.
type facts struct {
	None
	samples    []Sample
	points     []Point
	namespaces []Namespace
	rooms      []Room
	clients    []Client
	ended      []Ended
	events     chan Event // that taps get; nil: none
	err        error
	asked      chan Query // gets the queries; nil: nobody wants them
}

func (f *facts) Samples(context.Context) ([]Sample, error)       { return f.samples, f.err }
func (f *facts) History(context.Context) ([]Point, error)        { return f.points, f.err }
func (f *facts) Namespaces(context.Context) ([]Namespace, error) { return f.namespaces, f.err }

func (f *facts) Rooms(_ context.Context, q Query) (Page[Room], error) {
	f.note(q)
	return RoomPage(q, f.rooms, 0), f.err
}

func (f *facts) Clients(_ context.Context, q Query) (Page[Client], error) {
	f.note(q)
	return ClientPage(q, f.clients, 0), f.err
}

func (f *facts) Ended(_ context.Context, q Query) (Page[Ended], error) {
	f.note(q)
	return Page[Ended]{f.ended, 0}, f.err
}

func (f *facts) note(q Query) {
	if f.asked != nil {
		f.asked <- q
	}
}

func (f *facts) Tap(ctx context.Context, q Query, call func(Event)) error {
	f.note(q)
	for {
		select {
		case e, ok := <-f.events:
			if !ok {
				return f.err
			}
			call(e)
		case <-ctx.Done():
			return nil
		}
	}
}

var errAway = errors.New("worker-2 is away")

// remote serves a source and returns a Remote that asks it.
func remote(t *testing.T, s, host Source) *Remote {
	t.Helper()
	return remoteOf(t, NewHandler(s, host))
}

func remoteOf(t *testing.T, h http.Handler) *Remote {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	r := NewRemote("tcp", strings.TrimPrefix(server.URL, "http://"))
	t.Cleanup(r.Close)
	return r
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
