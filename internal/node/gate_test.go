package node

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

const gateRequest = "GET /ws HTTP/1.1\r\n" + upgradeFields + "\r\n"

// gated is a gate between two pairs of sockets: the client's and the server's other ends.
type gated struct {
	client, server *net.UnixConn
	over           chan struct{}
}

func newGated(t testing.TB) *gated {
	t.Helper()
	g := &gated{over: make(chan struct{})}
	ends := [4]*net.UnixConn{}
	for i := 0; i < 4; i += 2 {
		var err error
		if ends[i], ends[i+1], err = pair(); err != nil {
			t.Fatal(err)
		}
	}
	g.client, g.server = ends[0], ends[3]
	go func() {
		defer close(g.over)
		newGate(ends[1], ends[2]).run(context.Background())
	}()
	for _, c := range []net.Conn{g.client, g.server} {
		c.SetDeadline(time.Now().Add(patience))
	}
	return g
}

// end closes both ends, and waits for the gate.
func (g *gated) end() {
	g.client.Close()
	g.server.Close()
	<-g.over
}

// isAgreed tells whether an answer agrees to the upgrade, and where its head ends: the parser's
// word, as the router has it.
func isAgreed(answer []byte) bool {
	var h http1.Head
	for {
		n, err := h.ParseResponse(answer, 0)
		if err != nil || h.Status >= 200 {
			return false
		}
		if h.Status == 101 {
			return h.Upgrade
		}
		answer = answer[n:]
	}
}

// FuzzGate: whatever a server answers and a client says behind its upgrade, in whatever pieces, no
// byte of the client's reaches the server before a 101 for WebSocket, all do after it, and the
// client gets the server's own answer.
func FuzzGate(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore",
		"HTTP/1.0 404 Not Found\r\n\r\nuntil the end",
		"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
		"nonsense\r\n\r\n", "", "HTTP/1.1 2",
	} {
		f.Add([]byte(answer), []byte(forged), uint16(7), uint16(3))
		f.Add([]byte(answer), []byte{}, uint16(0), uint16(0))
	}
	f.Fuzz(func(t *testing.T, answer, more []byte, cutAnswer, cutMore uint16) {
		if len(answer) > 4<<10 || len(more) > 4<<10 {
			return
		}
		g := newGated(t)
		defer g.end()
		at := int(cutMore) % (len(more) + 1)
		g.client.Write(append([]byte(gateRequest), more[:at]...))
		head := make([]byte, len(gateRequest))
		if _, err := io.ReadFull(g.server, head); err != nil || string(head) != gateRequest {
			t.Fatalf("the server was asked %q, %v", head, err)
		}
		g.client.Write(more[at:])
		agreed := isAgreed(answer)
		at = int(cutAnswer) % (len(answer) + 1)
		g.server.Write(answer[:at])
		g.server.Write(answer[at:])
		g.server.CloseWrite()
		if agreed {
			got := make([]byte, len(more))
			if _, err := io.ReadFull(g.server, got); err != nil || !bytes.Equal(got, more) {
				t.Errorf("the server heard %q, %v, want %q", got, err, more)
			}
			g.client.CloseWrite()
		}
		heard, _ := io.ReadAll(g.client) // reset where the client was not read to its end
		if !agreed {
			g.client.CloseWrite()
		}
		if b, err := io.ReadAll(g.server); len(b) > 0 || os.IsTimeout(err) {
			t.Errorf("the server heard %q, %v", b, err)
		}
		if agreed {
			if !bytes.Equal(heard, answer) {
				t.Errorf("the client heard %q, want %q", heard, answer)
			}
			return
		}
		sameAnswer(t, answer, heard)
	})
}

// sameAnswer checks what a client has heard of a server's answer, against what net/http makes of
// both.
func sameAnswer(t *testing.T, said, heard []byte) {
	t.Helper()
	var h http1.Head
	for rest := said; ; {
		n, err := h.ParseResponse(rest, 0)
		if err != nil || h.Status == 101 {
			return // it has no final answer
		}
		if h.Status >= 200 {
			said = rest
			break
		}
		if rest = rest[n:]; !bytes.HasPrefix(heard, said[:len(said)-len(rest)]) {
			t.Errorf("heard %q, want the interim answers %q", heard, said[:len(said)-len(rest)])
			return
		}
	}
	read := func(b []byte) (*http.Response, string, error) {
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: "GET"})
		if err != nil {
			return nil, "", err
		}
		body, err := io.ReadAll(resp.Body)
		return resp, string(body), err
	}
	want, wantBody, err := read(said)
	if err != nil {
		return // net/http is stricter here, or it was cut
	}
	from := bytes.Index(heard, said[:min(12, len(said))])
	if from < 0 {
		t.Fatalf("heard %q, want %q", heard, said)
	}
	got, body, err := read(heard[from:])
	if err != nil || got.StatusCode != want.StatusCode || body != wantBody || !got.Close {
		t.Errorf("heard %q (%v), want %q", heard, err, said)
	}
}

// endless is a client that never stops talking, or a server that never answers.
type endless struct {
	net.Conn // what is not below is not called
	first    string
	closed   chan struct{}
	talks    bool
	said     int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.first != "" {
		n := copy(p, e.first)
		e.first = e.first[n:]
		return n, nil
	}
	if !e.talks || e.said > 64<<20 {
		<-e.closed
		return 0, net.ErrClosed
	}
	e.said += len(p)
	return len(p), nil
}

func (e *endless) Write(p []byte) (int, error)     { return len(p), nil }
func (e *endless) SetReadDeadline(time.Time) error { return nil }
func (e *endless) CloseWrite() error               { return nil }

func (e *endless) Close() error {
	select {
	case <-e.closed:
	default:
		close(e.closed)
	}
	return nil
}

// TestGateKeepsLittle: a client that talks on before the server has agreed is not read beyond what
// the gate keeps.
func TestGateKeepsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &endless{first: gateRequest, talks: true, closed: make(chan struct{})}
		server := &endless{closed: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		go newGate(client, server).run(ctx)
		synctest.Wait()
		if most := gateHeld + gateRead; client.said > most {
			t.Errorf("%d bytes were read, want at most %d", client.said, most)
		}
		stop()
		synctest.Wait()
	})
}

// piped is one end of a pipe, whose deadlines go by the time of a bubble.
type piped struct{ net.Conn }

func (piped) CloseWrite() error { return nil }

// TestGateOfAServerThatNeverAnswers: the client hears so, and nothing is held.
func TestGateOfAServerThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, front := net.Pipe()
		back, server := net.Pipe()
		over := make(chan struct{})
		go func() {
			defer close(over)
			newGate(piped{front}, piped{back}).run(t.Context())
		}()
		go io.WriteString(client, gateRequest)
		go io.Copy(io.Discard, server)
		begun := time.Now()
		heard, err := io.ReadAll(client)
		if string(heard) != badGateway || err != nil {
			t.Errorf("%q, %v", heard, err)
		}
		<-over
		if took := time.Since(begun); took > gateAnswer+gateTime {
			t.Error("held for ", took)
		}
	})
}

// TestGateEndsWithItsClient: a client that leaves before the answer takes the server's connection
// along.
func TestGateEndsWithItsClient(t *testing.T) {
	g := newGated(t)
	defer g.end()
	io.WriteString(g.client, gateRequest+"early")
	io.ReadFull(g.server, make([]byte, len(gateRequest)))
	g.client.Close()
	if b, err := io.ReadAll(g.server); err != nil || len(b) > 0 {
		t.Errorf("the server heard %q, %v, want the end", b, err)
	}
}
