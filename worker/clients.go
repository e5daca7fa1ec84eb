package worker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/socketio"
)

var _ inspect.Source = (*facts)(nil)

// Namespaces, as the other queries, holds no lock for long: a worker may have 100,000 clients.
func (f *facts) Namespaces(context.Context) (list []inspect.Namespace, err error) {
	for n := range f.w.io.Namespaces() {
		stats := n.Stats()
		list = append(list, inspect.Namespace{Name: n.Name(), Sockets: stats.Sockets, Rooms: stats.Rooms})
	}
	slices.SortFunc(list, func(a, b inspect.Namespace) int {
		return cmp.Or(b.Sockets-a.Sockets, cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// namespaces yields the namespaces that q selects.
func (f *facts) namespaces(q *inspect.Query, yield func(*socketio.Namespace) error) error {
	if q.Worker != "" && q.Worker != f.w.ID() {
		return nil
	}
	for n := range f.w.io.Namespaces() {
		if q.Namespace == "" || q.Namespace == n.Name() {
			if err := yield(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *facts) Rooms(ctx context.Context, q inspect.Query) (inspect.Page[inspect.Room], error) {
	var list []inspect.Room
	err := f.namespaces(&q, func(n *socketio.Namespace) error {
		for name, sockets := range n.Rooms() {
			if (q.Room == "" || q.Room == name) && strings.Contains(name, q.Text) {
				list = append(list, inspect.Room{Namespace: n.Name(), Name: name, Sockets: sockets})
			}
			if len(list)%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return nil
	})
	return inspect.RoomPage(q, list, 0), err
}

// found is a client that a query selects, and its place in the order.
type found struct {
	socket *socketio.Socket
	key    int64
}

func (f *facts) Clients(ctx context.Context, q inspect.Query) (inspect.Page[inspect.Client], error) {
	var list []found
	err := f.namespaces(&q, func(n *socketio.Namespace) error {
		return selectClients(ctx, n, &q, func(s *socketio.Socket) {
			key := s.Issued().UnixMilli()
			if q.Sort == "queue" {
				key = int64(s.Session().Buffered())
			}
			list = append(list, found{s, key})
		})
	})
	slices.SortFunc(list, func(a, b found) int { return cmp.Compare(b.key, a.key) })
	n := min(len(list), q.Rows())
	rows := make([]inspect.Client, n)
	for i, p := 0, f.w.process(); i < n; i++ {
		rows[i] = describe(p, list[i].socket)
	}
	return inspect.ClientPage(q, rows, len(list)-n), err
}

// selectClients calls add for each client of a namespace that q selects.
func selectClients(ctx context.Context, n *socketio.Namespace, q *inspect.Query, add func(*socketio.Socket)) error {
	from := n.Operator
	if q.Room != "" {
		from = n.To(q.Room)
	}
	inRooms := socketsIn(n, q.Text)
	looked := 0
	for s := range from.Sockets() {
		if looked++; looked%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		sid, address := s.SID(), s.Session().RemoteAddr()
		if q.MatchesID(s.ID(), sid) && q.MatchesAddress(address) &&
			(q.Text == "" || strings.Contains(sid, q.Text) || strings.Contains(s.ID(), q.Text) || strings.Contains(address, q.Text) || inRooms[s]) {
			add(s)
		}
	}
	return nil
}

// mostRooms limits the rooms that a search by text looks into.
const mostRooms = 1000

// socketsIn returns the sockets in rooms whose name contains text.
func socketsIn(n *socketio.Namespace, text string) map[*socketio.Socket]bool {
	if text == "" {
		return nil
	}
	var rooms []string
	for name := range n.Rooms() {
		if strings.Contains(name, text) {
			if rooms = append(rooms, name); len(rooms) == mostRooms {
				break
			}
		}
	}
	if rooms == nil {
		return nil
	}
	in := make(map[*socketio.Socket]bool)
	for s := range n.To(rooms...).Sockets() {
		in[s] = true
	}
	return in
}

// shownRooms limits the rooms that a row shows of a client.
const shownRooms = 100

func describe(p inspect.Process, s *socketio.Socket) inspect.Client {
	rooms := slices.DeleteFunc(s.Rooms(), func(room string) bool { return room == s.ID() })
	shown := min(len(rooms), shownRooms)
	return inspect.Client{
		Process: p, SID: inspect.ShownSID(s.SID()), Socket: s.ID(), Namespace: s.Namespace().Name(),
		Address: s.Session().RemoteAddr(), Transport: s.Transport(), Connected: s.Issued(),
		Rooms: rooms[:shown], MoreRooms: len(rooms) - shown, Queue: int64(s.Session().Buffered()),
	}
}
