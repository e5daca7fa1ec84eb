//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// idleLimit is how long a kept connection may rest before it is replaced: Node closes its own after
// 5 s.
const idleLimit = 2 * time.Second

// httpConn is one kept connection.
type httpConn struct {
	conn net.Conn
	r    *bufio.Reader
	addr string
	i    int // whose it is
	used time.Time
}

func dialHTTP(ctx context.Context, addr string, i int) (*httpConn, error) {
	conn, err := dialer(i).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &httpConn{conn, bufio.NewReaderSize(conn, 2048), addr, i, time.Now()}, nil
}

// send writes a request: a POST when there is a body.
func (c *httpConn) send(sid, body string) error {
	if sid != "" {
		sid = "&sid=" + sid
	}
	var head string
	if body == "" {
		head = fmt.Sprintf("GET /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n\r\n", sid, c.addr)
	} else {
		head = fmt.Sprintf("POST /socket.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s",
			sid, c.addr, len(body), body)
	}
	_, err := io.WriteString(c.conn, head)
	return err
}

// receive reads a response.
func (c *httpConn) receive() (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(lossPatience)); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return string(body), err
}

func (c *httpConn) do(sid, body string) (string, error) {
	if time.Since(c.used) > idleLimit {
		fresh, err := dialHTTP(context.Background(), c.addr, c.i)
		if err != nil {
			return "", err
		}
		c.conn.Close()
		*c = *fresh
	}
	if err := c.send(sid, body); err != nil {
		return "", err
	}
	answer, err := c.receive()
	c.used = time.Now()
	return answer, err
}

// pollOpen begins a session and joins the main namespace: a handshake, a post and a poll, on the
// connections in turn.
func pollOpen(conns ...*httpConn) (sid string, err error) {
	res, err := conns[0].do("", "")
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(res, `"sid":"`)
	sid, _, found := strings.Cut(rest, `"`)
	if !found {
		return "", fmt.Errorf("handshake: %q", res)
	}
	if _, err := conns[1%len(conns)].do(sid, "40"); err != nil {
		return "", err
	}
	if res, err = conns[0].do(sid, ""); err == nil && !strings.HasPrefix(res, "40{") {
		err = fmt.Errorf("join: %q", res)
	}
	return sid, err
}

// pollSessions is clients on kept connections that each open and close one session after another.
type pollSessions struct {
	conns [][]*httpConn // of one client: one to each entry
	n     int
}

func preparePollSessions(ctx context.Context, s *system, o options) (load, error) {
	l := &pollSessions{n: pick(o.quick, 300, 1000)}
	for i := range connectors {
		conns, err := dialEach(ctx, s, i)
		if err != nil {
			return nil, err
		}
		l.conns = append(l.conns, conns)
	}
	return l, nil
}

func dialEach(ctx context.Context, s *system, i int) (conns []*httpConn, err error) {
	for _, entry := range s.entries {
		c, err := dialHTTP(ctx, entry, i)
		if err != nil {
			return nil, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func (l *pollSessions) round(ctx context.Context) (units, lost int, err error) {
	var g errgroup.Group
	for _, conns := range l.conns {
		g.Go(func() error {
			for i := 0; i < l.n/len(l.conns) && ctx.Err() == nil; i++ {
				sid, err := pollOpen(conns...)
				if err != nil {
					return err
				}
				if _, err := conns[i%len(conns)].do(sid, "1"); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	err = g.Wait()
	return l.n / len(l.conns) * len(l.conns), 0, err
}

func (l *pollSessions) close() {
	for _, conns := range l.conns {
		closeAll(conns)
	}
}

func closeAll(conns []*httpConn) {
	for _, c := range conns {
		c.conn.Close()
	}
}

const (
	pollConnections = 16 // each used by several sessions
	pollSessionsPer = 8
)

// pollRequests is sessions that share connections: the next request on a connection is another
// session's.
type pollRequests struct {
	conns [][]*httpConn
	sids  [][]string
	n     int // echoes per connection and round
	ids   int
}

func preparePollRequests(ctx context.Context, s *system, o options) (load, error) {
	l := &pollRequests{n: pick(o.quick, 60, 240)}
	for i := range pollConnections {
		conns, err := dialEach(ctx, s, i)
		if err != nil {
			return nil, err
		}
		var sids []string
		for range pollSessionsPer {
			sid, err := pollOpen(conns...)
			if err != nil {
				return nil, err
			}
			sids = append(sids, sid)
		}
		l.conns, l.sids = append(l.conns, conns), append(l.sids, sids)
	}
	return l, nil
}

func (l *pollRequests) round(ctx context.Context) (units, lost int, err error) {
	var requests atomic.Int64
	var g errgroup.Group
	for i, conns := range l.conns {
		g.Go(func() error {
			for j := 0; j < l.n && ctx.Err() == nil; j++ {
				made, err := pollEcho(conns, l.sids[i][j%len(l.sids[i])], l.ids+j)
				if err != nil {
					return err
				}
				requests.Add(int64(made))
			}
			return ctx.Err()
		})
	}
	err = g.Wait()
	l.ids += l.n
	return int(requests.Load()), 0, err
}

// pollEcho posts an echo and polls until its ack is there. Where there are two entries, the poll
// enters at another one than the post. It returns how many requests that took: more than two when a
// ping came in between.
func pollEcho(conns []*httpConn, sid string, id int) (requests int, err error) {
	post, poll := conns[id%len(conns)], conns[(id+1)%len(conns)]
	if _, err := post.do(sid, "42"+strconv.Itoa(id)+echoArgs); err != nil {
		return 0, err
	}
	for requests = 2; ; requests++ {
		body, err := poll.do(sid, "")
		if err != nil {
			return 0, err
		}
		for packet := range strings.SplitSeq(body, "\x1e") {
			switch {
			case packet == "2":
				if _, err := post.do(sid, "3"); err != nil {
					return 0, err
				}
				requests++
			case strings.HasPrefix(packet, "43"+strconv.Itoa(id)+"["):
				return requests, nil
			}
		}
	}
}

func (l *pollRequests) close() {
	for i, conns := range l.conns {
		for _, sid := range l.sids[i] {
			_, _ = conns[0].do(sid, "1") // or it times out later
		}
		closeAll(conns)
	}
}
