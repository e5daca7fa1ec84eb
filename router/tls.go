package router

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
	"github.com/sidereal-io/sidereal/internal/netio/relay"
)

const (
	// recordHandshake is the first byte of a TLS connection (RFC 8446, section 5.1). No HTTP
	// request begins with it, so one port serves both.
	recordHandshake = 22
	// doorName is the server name by which routers ask for the door's own certificate.
	doorName = "door.sidereal.internal"
)

var (
	errPlain   = &http1.Refusal{Status: 400, Why: "this port speaks TLS"}
	errNoKey   = &http1.Refusal{Status: 400, Why: "this name is for routers"}
	errHellos  = errors.New("router: too many TLS handshakes")
	errNoCerts = errors.New("router: no certificate is set")
	// errWrongDoor reports a door whose certificate is not made of our key.
	errWrongDoor = errors.New("router: the door doesn't know our key")
)

// beginsTLS reports whether what came first is a TLS record.
func (c *conn) beginsTLS() bool {
	b := c.Bytes()
	return len(b) > 0 && b[0] == recordHandshake && c.served == 0 && c.tcp != nil && !c.redirects
}

// secure makes the handshake of a connection that began with a TLS record. It returns false if that
// failed.
func (c *conn) secure() bool {
	c.Take()
	c.tcp.SetDeadline(time.Now().Add(c.r.cfg.HeadTimeout))
	tc := tls.Server(relay.NewUnder(c.tcp, bytes.Clone(c.Bytes())), c.r.tls)
	c.Drop()
	if err := tc.Handshake(); err != nil {
		c.r.metrics.tlsErrors.Inc()
		return false
	}
	c.tcp.SetDeadline(time.Time{})
	c.tcp = nil // what the worker would need is not in the descriptor
	c.Init(tc, writeTimeout)
	c.peer.fromDoor = tc.ConnectionState().ServerName == doorName
	c.peer.https = c.peer.https || !c.peer.fromDoor
	if mux := c.r.mux; mux != nil && tc.ConnectionState().NegotiatedProtocol == mux.protocol() {
		c.muxed = tc
	}
	return true
}

// misplaced refuses what is not for clients: requests without a key in plain text, where TLS is
// spoken, under the name that routers use, and from proxies that do not say for whom.
func (c *conn) misplaced() *http1.Refusal {
	switch {
	case c.peer.unproxied:
		c.r.proxyIsSilent(c.peer.addr.Addr())
		return errProxyMissing
	case c.peer.fromDoor:
		return errNoKey
	case c.r.cfg.Certificates != nil && c.tcp != nil:
		return errPlain
	}
	return nil
}

// tlsFor chooses what a TLS client is shown. The rate holds for all but routers that prove to be
// ours: a name is anybody's to ask for, and the door's certificate costs a signature, too.
func (r *Router) tlsFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	var (
		doors *doorKeys
		door  *doorKey // by which the client goes
		fresh bool
		err   error
	)
	if hello.ServerName == doorName {
		if doors, err = r.keyring.keys(hello.Context()); err != nil {
			return nil, err
		}
		door, fresh = r.keyring.proofs.prover(doors, hello.SupportedProtos)
	} else if r.cfg.Certificates == nil {
		return nil, errNoCerts
	}
	if rate := r.cfg.TLSHandshakeRate; rate > 0 && !fresh && !r.hellos.take(rate, time.Now().UnixNano()) {
		r.metrics.limited[byTLS].Inc()
		return nil, errHellos
	}
	switch {
	case door != nil:
		return door.server, nil
	case doors != nil:
		return r.keyring.serverFor(hello, doors)
	case r.mux == nil:
		return r.cfg.Certificates.current.Load().single, nil
	}
	return r.cfg.Certificates.current.Load().multiplexed, nil
}

// toDoor makes c, a connection to b's door, one over TLS where our own door speaks it: who encrypts
// what clients say does not say it in plain text between hosts. A worker without a router before it
// speaks plain HTTP; one whose record has gone meanwhile may have had a door.
func (w *worker) toDoor(ctx context.Context, c net.Conn) (net.Conn, error) {
	record := w.r.cfg.Directory.Workers().Get(w.id)
	if w.r.cfg.Certificates == nil || record != nil && record.Handoff == "" {
		return c, nil
	}
	k, err := w.r.keyring.keys(ctx)
	if err != nil {
		w.r.metrics.upstreamError("key")
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	c.SetDeadline(time.Now().Add(dialTimeout))
	tc := tls.Client(relay.NewUnder(c, nil), k.dials())
	if err := tc.Handshake(); err != nil {
		if errors.Is(err, errWrongDoor) {
			w.r.workers.keyRefused(w)
		} else {
			w.r.metrics.upstreamError("dial")
		}
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	c.SetDeadline(time.Time{})
	return tc, nil
}
