package node

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// impostor is a worker's end of a channel, in the hands of a test.
type impostor struct {
	t    *testing.T
	h    *Host
	id   string
	conn *net.UnixConn
	r    *bufio.Reader
	seq  int
}

// alone is a host without Redis.
func alone(t *testing.T) *Host {
	t.Helper()
	h, err := New(Config{App: "app", RuntimeDir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Report: func(string, any) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, h.Run)
	return h
}

// impostor makes one more worker of the host.
func newImpostor(t *testing.T, h *Host, id int, mode ipc.Mode) *impostor {
	t.Helper()
	ours, theirs, err := lifeline.SocketPair("channel")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.FileConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	i := &impostor{t: t, h: h, id: strconv.Itoa(id), conn: c.(*net.UnixConn), r: bufio.NewReader(c)}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	told, err := json.Marshal(lifeline.ChannelTold{ID: i.id, Name: "impostor", Mode: string(mode), Cluster: true})
	if err != nil {
		t.Fatal(err)
	}
	h.Told(context.Background(), lifeline.Told{Key: lifeline.Channel, Value: string(told), File: ours})
	return i
}

func (i *impostor) say(format string, args ...any) {
	i.t.Helper()
	if _, err := fmt.Fprintf(i.conn, format+"\n", args...); err != nil {
		i.t.Fatal(err)
	}
}

// heard waits until the host has handled all that was said.
func (i *impostor) heard() {
	i.t.Helper()
	i.seq++
	i.say(`{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":"fence %d"}`, i.seq)
	for want := fmt.Sprintf(`"ack":"fence %d"`, i.seq); ; {
		line, err := i.r.ReadString('\n')
		if err != nil {
			i.t.Fatal("the channel has ended: ", err)
		}
		if strings.Contains(line, want) {
			return
		}
	}
}

// end closes the channel, and returns when the host has forgotten the worker.
func (i *impostor) end() {
	i.t.Helper()
	i.conn.Close()
	testkit.Until(i.t, "the worker to be forgotten", func() bool { return i.h.child(i.id) == nil })
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(list)
}

// TestMessagesOutOfOrder: answers to nothing, ends of what never began, and fields of any type cost
// nobody anything, and the next message is heard.
func TestMessagesOutOfOrder(t *testing.T) {
	h := alone(t)
	for n, text := range []string{
		`{"cmd":"NODE_HANDLE_ACK"}`, `{"cmd":"NODE_HANDLE_NACK"}`, `{"cmd":"NODE_HANDLE"}`, `{"cmd":"NODE_HANDLE","msg":"ready"}`,
		`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"cmd":"NODE_CLUSTER","act":"queryServer"}}`,
		`{"cmd":"NODE_CLUSTER"}`, `{"cmd":"NODE_CLUSTER","ack":99,"accepted":true}`, `{"cmd":"NODE_CLUSTER","ack":-1,"accepted":{}}`,
		`{"cmd":"NODE_CLUSTER","act":"listening"}`, `{"cmd":"NODE_CLUSTER","act":"listening","port":80,"addressType":4}`,
		`{"cmd":"NODE_CLUSTER","act":"close","key":"none"}`, `{"cmd":"NODE_CLUSTER","act":"close","key":{}}`, `{"cmd":"NODE_CLUSTER","act":"close"}`,
		`{"cmd":"NODE_CLUSTER","act":"queryServer","port":1e300,"addressType":4}`, `{"cmd":"NODE_CLUSTER","act":"queryServer","port":-1,"addressType":4}`,
		`{"cmd":"NODE_CLUSTER","act":"queryServer","port":"0x10","addressType":"udp9"}`, `{"cmd":"NODE_CLUSTER","act":"queryServer","fd":3}`,
		`{"cmd":"NODE_CLUSTER","act":"queryServer","address":"\u0000","addressType":-1}`, `{"cmd":"NODE_CLUSTER","act":[],"port":[]}`,
		`{"cmd":"NODE_SIDEREAL"}`, `{"cmd":"NODE_SIDEREAL","act":"drained"}`, `{"cmd":"NODE_SIDEREAL","act":"beat","clients":-5}`,
		`{"cmd":"NODE_SIDEREAL","act":"beat","clients":"many"}`, `{"cmd":"NODE_SIDEREAL","act":"beat","clients":1e300}`, `{"cmd":"NODE_SIDEREAL","act":"drained"}`,
		`{"type":"sticky:disconnection"}`, `{"cmd":"disconnect"}`, `{"source":"_sio_adapter"}`, `{"source":"_sio_adapter","uid":{},"type":3}`,
		`{"source":"_sio_adapter","nsp":"/","uid":"u","type":8,"data":{"requestId":"never asked","sockets":[]}}`,
		`{"source":"_sio_adapter","nsp":"/","uid":"u","type":12,"data":{"requestId":"never asked","packet":[]}}`,
		`null`, `[]`, `"ready"`, `1`, ``, `{`, `{"cmd":`, "\x00\xff",
	} {
		i := newImpostor(t, h, n, ipc.JSON)
		for range 3 {
			i.say("%s", text)
		}
		i.heard()
		if load := h.child(i.id).load(); load < 0 || text == `{"type":"sticky:disconnection"}` && load != 0 {
			t.Errorf("%s: load %d", text, load)
		}
		i.end()
	}
}

// TestMessageWithinItself: a descriptor's message that is its own content is handled once.
func TestMessageWithinItself(t *testing.T) {
	h := alone(t)
	i := newImpostor(t, h, 1, ipc.Advanced)
	text := func(s string) string { return "\x22" + string(rune(len(s))) + s }
	body := "\xff\x0fo" + text("cmd") + text("NODE_HANDLE") + text("msg") + "^\x00" + "{\x02" // V8: an object, and a reference to it
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	v, err := ipc.Decode(ipc.Advanced, frame)
	if o, ok := v.(*ipc.Object); err != nil || !ok || o.Get("msg") != v {
		t.Fatalf("%v, %v", v, err)
	}
	i.conn.Write(frame)
	answer := make([]byte, 1<<10)
	n, err := i.conn.Read(answer)
	if !strings.Contains(string(answer[:n]), "NODE_HANDLE_ACK") {
		t.Errorf("%q, %v", answer[:n], err)
	}
	i.end()
}

// TestFloodsOfMessages: what a worker repeats is kept once, and what it varies is kept up to a
// bound.
func TestFloodsOfMessages(t *testing.T) {
	h := alone(t)
	i := newImpostor(t, h, 1, ipc.JSON)
	path := filepath.Join(t.TempDir(), "x")
	const times = 3 * maxPorts
	for n := range times {
		i.say(`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"address":%q,"addressType":-1,"index":0}`, path)
		i.say(`{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"port":8000,"addressType":4,"index":%d}`, n)
		i.say(`{"source":"_sio_adapter","nsp":"/","uid":"uid %d","type":1}`, n)
		i.say(`{"source":"_sio_adapter","nsp":"/dyn-%d","uid":"other %d","type":1}`, n, n)
		i.say(`{"source":"_sio_adapter","nsp":"/dyn-%d","uid":"other %d","type":13}`, n, n)
		if n%64 == 0 {
			i.heard()
		}
	}
	i.heard()
	h.ports.opened("[::]:8000", "") // as the supervisor would
	h.ports.opened(":8000", "")
	i.heard()
	h.ports.mu.Lock()
	for key, a := range h.ports.acceptors {
		if n := len(a.takers); n != 1 {
			t.Errorf("%s: %d times the same process", key, n)
		}
	}
	h.ports.mu.Unlock()
	c := h.child(i.id)
	c.mu.Lock()
	if n := len(c.servers); n == 0 || n > maxPorts {
		t.Errorf("%d servers of one worker", n)
	}
	c.mu.Unlock()
	g := h.group(third, 0)
	g.mu.Lock()
	if n := len(g.owners); n > 2 {
		t.Errorf("%d uids of workers", n)
	}
	g.mu.Unlock()
	i.end()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.owners)+len(g.members) != 0 {
		t.Errorf("%d uids and %d members remain", len(g.owners), len(g.members))
	}
}

// TestAWorkerThatAsksAndNeverReads loses its channel when too many answers wait.
func TestAWorkerThatAsksAndNeverReads(t *testing.T) {
	h := alone(t)
	h.cfg.MaxUnread = 1 << 20
	i := newImpostor(t, h, 1, ipc.JSON)
	ask := []byte(strings.Repeat(`{"cmd":"NODE_HANDLE","msg":{}}`+"\n", 1000))
	for err := error(nil); err == nil; {
		_, err = i.conn.Write(ask)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the host keeps it all")
		}
	}
	testkit.Until(t, "the worker to be forgotten", func() bool { return h.child(i.id) == nil })
}

// TestDescriptorsOfWorkers: the host keeps none that a worker sends, with a message or without, and
// takes a message for a descriptor that isn't there as it takes others.
func TestDescriptorsOfWorkers(t *testing.T) {
	h := alone(t)
	i := newImpostor(t, h, 1, ipc.JSON)
	i.heard()
	before := descriptors(t)
	one := int(os.Stdin.Fd())
	many := make([]int, 250) // the kernel passes at most 253
	for n := range many {
		many[n] = one
	}
	for range 20 {
		for _, fds := range [][]int{{one}, many[:16], many[:17], many} {
			for _, text := range []string{"\n", "{", "}\n", `{"cmd":"NODE_HANDLE",` + "\n", `{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{}}` + "\n"} {
				if _, _, err := i.conn.WriteMsgUnix([]byte(text), syscall.UnixRights(fds...), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		i.say(`{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{}}`)
		i.heard()
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

// TestAWorkerThatDiesInAHandOff: wherever a connection is on its way when the process ends, its
// client learns of the end, and the host has no descriptor left.
func TestAWorkerThatDiesInAHandOff(t *testing.T) {
	h := alone(t)
	path := filepath.Join(t.TempDir(), "wrkA.sock")
	l, err := handoff.ListenUntouched(path, "wrkA")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := handoff.Dial(t.Context(), path, "wrkA")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	before := descriptors(t)
	for n, ends := range []struct {
		name    string
		clients int
		die     func(t *testing.T, i *impostor)
	}{
		{"before it reads", 8, func(*testing.T, *impostor) {}},
		{"with a queue", maxInFlight + maxWaiting + 8, func(*testing.T, *impostor) {}},
		{"behind the message", 8, func(t *testing.T, i *impostor) { closeDescriptors(take(t, i)) }},
		{"behind the answer", 8, func(t *testing.T, i *impostor) {
			oob := take(t, i)
			i.say(`{"cmd":"NODE_HANDLE_ACK"}`)
			i.heard()
			closeDescriptors(oob)
		}},
	} {
		t.Run(ends.name, func(t *testing.T) {
			i := newImpostor(t, h, n, ipc.JSON)
			i.say(`{"cmd":"NODE_SIDEREAL","act":"hello"}`)
			i.heard()
			c := h.child(i.id)
			var clients []net.Conn
			var giving sync.WaitGroup
			for range ends.clients {
				client, err := net.Dial("tcp", door.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				client.SetDeadline(time.Now().Add(patience))
				clients = append(clients, client)
				io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				server, err := door.Accept()
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Pass(server.(*net.TCPConn), handoff.Meta{Kind: handoff.Client, ClientAddr: "203.0.113.9:80", Scheme: "http"}); err != nil {
					t.Fatal(err)
				}
				server.Close()
				passed, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				giving.Go(func() { // as endpoint.accept does
					if err := c.connect(passed.(*handoff.Conn), func(from string) (ipc.Frame, error) { return c.serverFrame("key", from) }); err != nil {
						passed.Close()
					}
				})
			}
			if ends.clients <= maxInFlight+maxWaiting {
				giving.Wait()
			}
			ends.die(t, i)
			i.end()
			giving.Wait()
			for _, client := range clients {
				if b, err := io.ReadAll(client); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%q, %v", b, err)
				}
				client.Close()
			}
			testkit.Until(t, "no descriptor to be left", func() bool { return descriptors(t) == before })
		})
	}
}

// take reads a message with a descriptor.
func take(t *testing.T, i *impostor) (oob []byte) {
	t.Helper()
	oob = make([]byte, 64)
	_, n, _, _, err := i.conn.ReadMsgUnix(make([]byte, 1<<16), oob)
	if err != nil || n == 0 {
		t.Fatalf("no descriptor: %v", err)
	}
	return oob[:n]
}

// FuzzMessages: no frame of a worker stops the host, or costs it much.
func FuzzMessages(f *testing.F) {
	v8 := func(v ipc.Value) []byte {
		frame, err := ipc.Encode(ipc.Advanced, v, 1<<20)
		if err != nil {
			f.Fatal(err)
		}
		return frame[4:]
	}
	for _, text := range []string{
		`{"cmd":"NODE_HANDLE","msg":{"cmd":"NODE_CLUSTER","act":"close","key":"k"}}`, `{"cmd":"NODE_CLUSTER","act":"listening","port":80}`,
		`{"source":"_sio_adapter","nsp":"/","uid":"u","type":3,"data":{"packet":{"data":["x",{"a":[1]}]},"opts":{"rooms":["r"],"except":[],"flags":{}}}}`,
		`{"source":"_sio_adapter","nsp":"/","uid":"u","type":7,"data":{"requestId":"a","opts":{"rooms":[],"except":[]}}}`,
		`{"source":"_sio_adapter","nsp":"/","uid":"u","type":8,"data":{"requestId":"a","sockets":[{"id":"x","rooms":[]}]}}`,
		`{"cmd":"NODE_SIDEREAL","act":"beat","clients":3}`,
	} {
		f.Add(false, []byte(text))
		v, err := ipc.FromText([]byte(text), nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(true, v8(v))
	}
	f.Add(true, []byte("\xff\x0fo\"\x03cmd\"\x0bNODE_HANDLE\"\x03msg^\x00{\x02"))
	f.Add(true, []byte("\xff\x0fo\"\x06source\"\x0c_sio_adapter\"\x03nsp\"\x01/\"\x03uid\"\x01u\"\x04typeI\x10\"\x04datao\"\x09requestId\"\x01a\"\x07socketsA\x01^\x00$\x00\x01{\x02{\x05"))
	f.Fuzz(func(t *testing.T, advanced bool, b []byte) {
		if strings.Contains(string(b), "queryServer") {
			t.Skip("would listen somewhere")
		}
		h, err := New(Config{App: "app", RuntimeDir: "none", Report: func(string, any) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		c := newChild(t.Context(), h, 1, lifeline.ChannelTold{}, &channel{mode: ipc.JSON, limit: 1 << 20, closed: true})
		defer testkit.BoundCost(t, len(b))()
		frame := append(append([]byte(nil), b...), '\n')
		if advanced {
			c.ch.mode = ipc.Advanced
			frame = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
		}
		if err := c.frame(frame); err != nil {
			t.Fatal(err)
		}
		c.bridge.close()
	})
}
