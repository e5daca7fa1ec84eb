package harness

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Node drives official Socket.IO clients and servers in one Node process (e2e/js/driver.mjs). Safe
// for concurrent use.
type Node struct {
	t       testing.TB
	process *Process
	stdin   io.WriteCloser

	mu    sync.Mutex // guards seq and writes to stdin
	seq   int
	front map[string]int // how far Next has read, by client and event
}

// Event is something that a client or server reported by itself.
type Event struct {
	Event     string            // connect, disconnect, connect_error, reconnect_attempt, upgrade, message, server-side, fence
	Of        string            // the client or server
	Name      string            // of the message
	Args      []json.RawMessage // of the message
	Reason    string
	Message   string
	Data      json.RawMessage
	Socket    string
	Transport string
	Recovered bool
	ID        int               // of a fence
	Heard     []json.RawMessage // by a listener, between two fences
}

// StartNode starts a driver process.
func StartNode(t testing.TB) *Node {
	t.Helper()
	cmd := exec.Command("node", "driver.mjs")
	cmd.Dir = filepath.Join(Root(), "e2e", "js")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{t: t, process: start(t, "node driver", cmd), stdin: stdin, front: map[string]int{}}
	t.Cleanup(func() { stdin.Close() }) // runs before the process's own cleanup: the driver ends at the end of its input
	n.process.Output.Wait(t, 0, "the driver", func(l string) bool { return strings.Contains(l, `"event":"ready"`) })
	return n
}

// Do runs one operation of the driver and decodes its result into `into`, unless that is nil.
func (n *Node) Do(op string, fields map[string]any, into any) error {
	n.t.Helper()
	command := map[string]any{"op": op}
	for k, v := range fields {
		command[k] = v
	}
	n.mu.Lock()
	n.seq++
	id := n.seq
	command["id"] = id
	line, err := json.Marshal(command)
	if err == nil {
		_, err = n.stdin.Write(append(line, '\n'))
	}
	n.mu.Unlock()
	if err != nil {
		n.t.Fatalf("node %s: %v", op, err)
	}
	prefix := fmt.Sprintf(`{"id":%d,`, id)
	reply, _ := n.process.Output.Wait(n.t, 0, "the reply to "+op, func(l string) bool { return strings.HasPrefix(l, prefix) })
	var r struct {
		OK    json.RawMessage
		Error string
	}
	if err := json.Unmarshal([]byte(reply), &r); err != nil {
		n.t.Fatalf("node %s: %v in %s", op, err, reply)
	}
	if r.Error != "" {
		return fmt.Errorf("node %s: %s", op, r.Error)
	}
	if into != nil {
		if err := json.Unmarshal(r.OK, into); err != nil {
			n.t.Fatalf("node %s: %v in %s", op, err, reply)
		}
	}
	return nil
}

// Must is Do for operations that have no reason to fail.
func (n *Node) Must(op string, fields map[string]any, into any) {
	n.t.Helper()
	if err := n.Do(op, fields, into); err != nil {
		n.t.Fatal(err)
	}
}

// Kill ends the process without a word, and its clients and servers with it.
func (n *Node) Kill() {
	n.t.Helper()
	n.process.Kill(n.t)
}

// Next returns the next event of a kind of one client or server, in the order they happened; each
// is returned once.
func (n *Node) Next(of, event string) Event {
	n.t.Helper()
	return n.next(of, event, func(Event) bool { return true })
}

// NextMessage returns the next message of that name which a client received.
func (n *Node) NextMessage(of, name string) Event {
	n.t.Helper()
	return n.next(of, "message "+name, func(e Event) bool { return e.Name == name })
}

func (n *Node) next(of, key string, accept func(Event) bool) (e Event) {
	n.t.Helper()
	kind, _, _ := strings.Cut(key, " ")
	n.mu.Lock()
	from := n.front[of+" "+key]
	n.mu.Unlock()
	_, next := n.process.Output.Wait(n.t, from, fmt.Sprintf("%q of %s", key, of), func(line string) bool {
		if !strings.HasPrefix(line, `{"event":"`+kind+`","of":"`+of+`"`) {
			return false
		}
		e = Event{}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			n.t.Fatalf("node: %v in %s", err, line)
		}
		return accept(e)
	})
	n.mu.Lock()
	n.front[of+" "+key] = next
	n.mu.Unlock()
	return e
}

// Happened reports whether a client or server has reported an event of that kind up to now.
func (n *Node) Happened(of, event string) bool {
	for _, line := range n.process.Output.All() {
		if strings.HasPrefix(line, `{"event":"`+event+`","of":"`+of+`"`) {
			return true
		}
	}
	return false
}

// Seen returns how many messages of that name a client has received up to now.
func (n *Node) Seen(of, name string) (count int) {
	for _, line := range n.process.Output.All() {
		if strings.HasPrefix(line, `{"event":"message","of":"`+of+`","name":"`+name+`"`) {
			count++
		}
	}
	return count
}
