package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// openPolling does the handshake: the answer to the first poll begins with the open packet.
func (c *Conn) openPolling(ctx context.Context) error {
	body, err := c.do(ctx, http.MethodGet, nil)
	if err != nil {
		return err
	}
	for p, err := range packet.Payload(body) {
		switch {
		case err != nil:
			return err
		case c.open.SID != "":
			c.first = append(c.first, p)
		case p.Type != packet.Open:
			return fmt.Errorf("%w: %s packet instead of open", ErrProtocol, p.Type)
		default:
			if c.open, err = packet.ParseOpen(p.Data); err != nil {
				return err
			}
		}
	}
	// The session outlives the context of its handshake.
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	c.mu.Lock()
	defer c.mu.Unlock() // fail waits until watch is set
	c.watch = time.AfterFunc(c.patience(), func() { c.fail(ReasonPingTimeout, errPingTimeout) })
	return nil
}

// servePolling polls until the session ends or has moved to a WebSocket.
func (c *Conn) servePolling(r Receiver) {
	c.startProbe()
	first := c.first
	c.first = nil
	for _, p := range first {
		if err := c.handle(p, r); err != nil {
			c.fail(reasonOf(err), err)
			return
		}
	}
	for c.ctx.Err() == nil && !c.switched() {
		body, err := c.do(c.ctx, http.MethodGet, nil)
		if err == nil {
			err = c.handlePayload(body, r)
		}
		if err != nil {
			c.fail(reasonOf(err), err)
			return
		}
	}
}

func (c *Conn) handlePayload(body []byte, r Receiver) error {
	for p, err := range packet.Payload(body) {
		if err == nil {
			err = c.handle(p, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// post sends one payload. What is sent while the session is closed outlives its end, until closeBy.
func (c *Conn) post(body []byte, closeBy time.Time) error {
	ctx := c.ctx
	if !closeBy.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(context.WithoutCancel(ctx), closeBy)
		defer cancel()
	}
	_, err := c.do(ctx, http.MethodPost, body)
	return err
}

// do sends a request and returns the body of its 200.
func (c *Conn) do(ctx context.Context, method string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.cfg.request(Polling, c.open.SID).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(r.Header, c.cfg.Header)
	r.Host = r.Header.Get("Host")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	answer, err := c.cfg.HTTP.Do(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = cause
		}
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, c.cfg.refused(answer.StatusCode, answer.Body)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, int64(c.cfg.MaxMessage)+1))
	if err == nil && len(text) > c.cfg.MaxMessage {
		err = ErrTooLarge
	}
	return text, err
}
