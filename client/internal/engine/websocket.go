package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// maxHandshake bounds the head of the answer to a WebSocket handshake, in bytes, with the frames
// that follow it at once.
const maxHandshake = 64 << 10

// openWebSocket begins a session on a WebSocket, which brings the open packet first.
func (c *Conn) openWebSocket(ctx context.Context) error {
	s, err := c.cfg.dialWebSocket(ctx, "")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	p, err := s.readPacket()
	if err == nil && p.Type != packet.Open {
		err = fmt.Errorf("%w: %s packet instead of open", ErrProtocol, p.Type)
	}
	if err == nil {
		c.open, err = packet.ParseOpen(p.Data)
	}
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		s.abort()
		return err
	}
	c.ws = s
	c.alive()
	return nil
}

// serveWebSocket reads until the session ends. It waits with as few frames on the stack as can be,
// so that the collector shrinks the stack of an idle session to 4 KB.
func (c *Conn) serveWebSocket(s *socket, r Receiver) {
	err := s.await()
	for err == nil {
		if err = c.handleNext(s, r); err == nil {
			err = s.await()
		}
	}
	c.fail(reasonOf(err), err)
	s.release()
}

func (c *Conn) handleNext(s *socket, r Receiver) error {
	op, data, err := s.next()
	if err != nil {
		return err
	}
	return c.handleFrame(op, data, r)
}

func (c *Conn) handleFrame(op ws.OpCode, data []byte, r Receiver) error {
	switch op {
	case ws.OpBinary:
		return c.handle(packet.Packet{Type: packet.Message, Binary: true, Data: data}, r)
	case ws.OpText:
		p, err := packet.ParseText(data)
		if err != nil {
			return err
		}
		return c.handle(p, r)
	case ws.OpPing:
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closing && c.queued < c.cfg.MaxQueue {
			before := len(c.out)
			c.out = appendFrame(c.out, ws.OpPong, false, data)
			c.queued += len(c.out) - before
			c.flushLocked()
		}
	case ws.OpClose:
		return errCloseFrame
	}
	return nil
}

// readPacket reads the next packet, before there is a session around the WebSocket.
func (s *socket) readPacket() (packet.Packet, error) {
	for {
		op, data, err := s.next()
		if err != nil {
			return packet.Packet{}, err
		}
		switch op {
		case ws.OpBinary:
			return packet.Packet{Type: packet.Message, Binary: true, Data: data}, nil
		case ws.OpText:
			return packet.ParseText(data)
		case ws.OpPing:
			if _, err := s.conn.Write(appendFrame(nil, ws.OpPong, false, data)); err != nil {
				return packet.Packet{}, err
			}
		case ws.OpClose:
			return packet.Packet{}, errCloseFrame
		}
	}
}

// dialWebSocket connects and does the WebSocket handshake.
func (cfg *Config) dialWebSocket(ctx context.Context, sid string) (*socket, error) {
	u := cfg.request(WebSocket, sid)
	conn, err := cfg.Dial(ctx, "tcp", hostPort(u))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	s, err := cfg.upgradeConn(ctx, conn, u)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return s, nil
}

func (cfg *Config) upgradeConn(ctx context.Context, conn net.Conn, u *url.URL) (*socket, error) {
	if u.Scheme == "https" {
		t := tls.Client(conn, cfg.tlsFor(u))
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = t
	}
	var refusal error
	d := ws.Dialer{
		Header: ws.HandshakeHeaderHTTP(cfg.webSocketHeader(u)),
		Host:   cfg.Header.Get("Host"),
		OnStatusError: func(status int, _ []byte, answer io.Reader) {
			refusal = cfg.Refused(Refusal{Status: status, Code: -1})
			if a, err := http.ReadResponse(bufio.NewReader(answer), nil); err == nil {
				refusal = cfg.refused(status, a.Body)
			}
		},
		ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, // pooled, and given back below
	}
	if cfg.Deflate {
		d.Extensions = []httphead.Option{wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}.Option()}
	}
	br, hs, err := d.Upgrade(bounded{io.LimitReader(conn, maxHandshake), conn}, u)
	if refusal != nil {
		return nil, refusal
	}
	if err != nil {
		return nil, fmt.Errorf("websocket handshake: %w", err)
	}
	s := newSocket(conn, cfg)
	if br != nil {
		early, _ := br.Peek(br.Buffered()) // can't fail for buffered bytes
		s.unread(early)
		ws.PutReader(br)
	}
	return s, s.agree(hs.Extensions)
}

type bounded struct {
	io.Reader
	io.Writer
}

// agree stores the extension that the server accepted. We keep no window from message to message,
// so it mustn't either.
func (s *socket) agree(extensions []httphead.Option) error {
	for _, e := range extensions {
		var p wsflate.Parameters
		if err := p.Parse(e); err != nil {
			return err
		}
		if !p.ServerNoContextTakeover {
			return errors.New("websocket handshake: server keeps a compression window against the offer")
		}
		s.deflate = true
	}
	return nil
}

// webSocketHeader returns the handshake's header, without the protocol's own fields.
func (cfg *Config) webSocketHeader(u *url.URL) http.Header {
	h := cfg.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Del("Host")
	if cfg.HTTP != nil && cfg.HTTP.Jar != nil {
		r := http.Request{Header: h}
		for _, cookie := range cfg.HTTP.Jar.Cookies(u) {
			r.AddCookie(cookie)
		}
	}
	return h
}

func (cfg *Config) tlsFor(u *url.URL) *tls.Config {
	t := cfg.TLS.Clone()
	if t == nil {
		t = &tls.Config{}
	}
	if t.ServerName == "" {
		t.ServerName = u.Hostname()
	}
	t.NextProtos = []string{"http/1.1"}
	return t
}

func hostPort(u *url.URL) string {
	if port := u.Port(); port != "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}
