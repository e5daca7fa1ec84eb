package socketiotest

import (
	"context"
	"fmt"
	"sync"

	"github.com/sidereal-io/sidereal/socketio"
)

// mark is the name of an event that goes the way of all others. Where it has arrived, everything
// has that was sent before it.
const mark = "socketiotest.mark"

// marks are the events that servers send to each other for that.
type marks struct {
	mu   sync.Mutex
	last int
	due  map[int]*awaited
}

// awaited is a number of marks that are still to arrive.
type awaited struct {
	left int
	done chan struct{}
}

// came counts a mark that has arrived at a server.
func (m *marks) came(number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.due[number]
	if a == nil {
		return
	}
	if a.left--; a.left == 0 {
		close(a.done)
		delete(m.due, number)
	}
}

// pass sends marks from each server to each other one, in all namespaces that both have, and waits
// for them.
func (m *marks) pass(ctx context.Context, servers []running) error {
	have := make([]map[string]*socketio.Namespace, len(servers))
	for i, s := range servers {
		have[i] = make(map[string]*socketio.Namespace)
		for n := range s.io.Namespaces() {
			have[i][n.Name()] = n
		}
	}
	a := &awaited{done: make(chan struct{})}
	for i := range servers {
		for name := range have[i] {
			for j := range servers {
				if j != i && have[j][name] != nil {
					a.left++
				}
			}
		}
	}
	if a.left == 0 {
		return nil
	}
	m.mu.Lock()
	m.last++
	number := m.last
	if m.due == nil {
		m.due = make(map[int]*awaited)
	}
	m.due[number] = a
	m.mu.Unlock()
	for i := range servers {
		for _, n := range have[i] {
			if err := n.ServerSideEmit(mark, number); err != nil {
				return err
			}
		}
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the servers don't hear each other: %w", context.Cause(ctx))
	}
}
