package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// factsOf returns the facts of a worker with a server that has three clients.
func factsOf(t *testing.T) (f *facts, ids []string) {
	var io *socketio.Server
	srv := socketiotest.Serve(t, socketio.Config{}, func(_ context.Context, s *socketio.Server) error {
		io = s
		s.Of("/admins")
		s.On("join", func(s *socketio.Socket, room string) error { s.Join(room); return nil })
		return nil
	})
	f = &facts{w: &worker{io: io, cfg: Config{HostName: "h"}}}
	id := "wrkr"
	f.w.id.Store(&id)
	for i := range 3 {
		c := srv.Connect("/", nil)
		ids = append(ids, c.ID())
		c.Call("join", "lobby")
		c.Call("join", fmt.Sprint("table ", i))
	}
	ids = append(ids, srv.Connect("/admins", nil).ID())
	return f, ids
}

func TestClientsAreSelected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ids := factsOf(t)
		sid := ""
		for s := range f.w.io.Of("/admins").Sockets() {
			sid = s.SID()
		}
		for _, c := range []struct {
			query inspect.Query
			want  []string
			more  int
		}{
			{inspect.Query{}, ids, 0},
			{inspect.Query{Limit: 1, ID: ids[0][:6]}, ids[:1], 0},
			{inspect.Query{ID: ids[0][:3]}, nil, 0},
			{inspect.Query{ID: sid}, ids[3:], 0},
			{inspect.Query{ID: sid[:12]}, ids[3:], 0},
			{inspect.Query{Namespace: "/admins"}, ids[3:], 0},
			{inspect.Query{Namespace: "/none"}, nil, 0},
			{inspect.Query{Room: "lobby"}, ids[:3], 0},
			{inspect.Query{Room: "table 1"}, ids[1:2], 0},
			{inspect.Query{Text: "able 2"}, ids[2:3], 0},
			{inspect.Query{Text: "nothing of the kind"}, nil, 0},
			{inspect.Query{Address: "127.0.0.1"}, ids, 0},
			{inspect.Query{Address: "10.0.0.1"}, nil, 0},
			{inspect.Query{Worker: "wrkr", Namespace: "/"}, ids[:3], 0},
			{inspect.Query{Worker: "other"}, nil, 0},
		} {
			page, err := f.Clients(t.Context(), c.query)
			var got []string
			for _, row := range page.Rows {
				got = append(got, row.Socket)
				if len(row.SID) != 12 || row.Transport != "websocket" || row.Process.Worker != "wrkr" || slices.Contains(row.Rooms, row.Socket) {
					t.Errorf("row %+v", row)
				}
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(c.want))
			if err != nil || !slices.Equal(got, want) || page.More != c.more {
				t.Errorf("%+v: %v and %d more, %v; want %v", c.query, got, page.More, err, want)
			}
		}
		if page, err := f.Clients(t.Context(), inspect.Query{Limit: 1, Sort: "queue"}); len(page.Rows) != 1 || page.More != 3 || err != nil {
			t.Errorf("limited: %+v, %v", page, err)
		}
	})
}

func TestRoomsAndNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := factsOf(t)
		list, err := f.Namespaces(t.Context())
		if got := fmt.Sprintf("%+v", list); err != nil || got != "[{Name:/ Sockets:3 Rooms:4 EventsIn:0 EventsOut:0} {Name:/admins Sockets:1 Rooms:0 EventsIn:0 EventsOut:0}]" {
			t.Errorf("namespaces %s, %v", got, err)
		}
		for _, c := range []struct {
			query inspect.Query
			want  string
		}{
			{inspect.Query{}, "lobby 3, table 0 1, table 1 1, table 2 1, more 0"},
			{inspect.Query{Sort: "name", Limit: 2}, "lobby 3, table 0 1, more 2"},
			{inspect.Query{Text: "2"}, "table 2 1, more 0"},
			{inspect.Query{Room: "lobby"}, "lobby 3, more 0"},
			{inspect.Query{Namespace: "/admins"}, "more 0"},
		} {
			page, err := f.Rooms(t.Context(), c.query)
			var parts []string
			for _, r := range page.Rows {
				parts = append(parts, fmt.Sprint(r.Name, " ", r.Sockets))
			}
			if got := strings.Join(append(parts, fmt.Sprint("more ", page.More)), ", "); err != nil || got != c.want {
				t.Errorf("%+v: %s, %v; want %s", c.query, got, err, c.want)
			}
		}
	})
}
