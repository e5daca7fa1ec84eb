package router

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
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
	c.fromDoor = tc.ConnectionState().ServerName == doorName
	c.peer.https = c.peer.https || !c.fromDoor
	if mux := c.r.mux; mux != nil && tc.ConnectionState().NegotiatedProtocol == mux.protocol() {
		c.muxed = tc
	}
	return true
}

// misplaced refuses what is not for clients: requests without a key in plain text, where TLS is
// spoken, under the name that routers use, and from proxies that do not say for whom.
func (c *conn) misplaced() *http1.Refusal {
	switch {
	case c.unproxied:
		c.r.proxyIsSilent(c.peer.addr.Addr())
		return errProxyMissing
	case c.fromDoor:
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
		if doors, err = r.doorKeys(hello.Context()); err != nil {
			return nil, err
		}
		door, fresh = r.proofs.prover(doors, hello.SupportedProtos)
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
		return r.doorFor(hello, doors)
	case r.mux == nil:
		return r.cfg.Certificates.current.Load().single, nil
	}
	return r.cfg.Certificates.current.Load().multiplexed, nil
}

// doorFor is what a router is shown that proves none of the secrets that are known here. It may go
// by a new one: then the directory is asked. Routers before this version prove nothing, and see the
// present one.
func (r *Router) doorFor(hello *tls.ClientHelloInfo, doors *doorKeys) (*tls.Config, error) {
	if proto, ok := proofOf(hello.SupportedProtos); ok {
		r.cfg.Directory.Accepts(hello.Context(), proto) // no secret is like that, so it looks for a new one
		var err error
		if doors, err = r.doorKeys(hello.Context()); err != nil {
			return nil, err
		}
		if door, _ := r.proofs.prover(doors, hello.SupportedProtos); door != nil {
			return door.server, nil
		}
	}
	return doors.all[0].server, nil
}

// doorKey is how routers of one app know each other over TLS: all make one and the same Ed25519 key
// of the secret that they share, so a door that can use it is one of theirs, without an authority
// and whatever its name. The secret itself is shown only inside.
type doorKey struct {
	secret string
	proof  []byte // the key of proofs
	public ed25519.PublicKey
	server *tls.Config
}

// doorKeys are those of the secret and of the ones before that other routers may still go by. They
// never change.
type doorKeys struct {
	all    []*doorKey
	client *tls.Config
}

func (r *Router) doorKeys(ctx context.Context) (*doorKeys, error) {
	if _, err := r.cfg.Directory.Secret(ctx); err != nil {
		return nil, err
	}
	secrets, old := r.cfg.Directory.Secrets(), r.door.Load()
	if old != nil && slices.EqualFunc(old.all, secrets, func(k *doorKey, secret string) bool { return k.secret == secret }) {
		return old, nil
	}
	var keys []*doorKey
	for _, secret := range secrets {
		k, err := newDoorKey(secret)
		if err != nil {
			return nil, fmt.Errorf("router: door's certificate: %w", err)
		}
		keys = append(keys, k)
	}
	all := &doorKeys{all: keys}
	all.client = &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: doorName,
		InsecureSkipVerify: true, // of names and authorities; this is verified instead:
		VerifyConnection: func(s tls.ConnectionState) error {
			shown, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok || !slices.ContainsFunc(keys, func(k *doorKey) bool { return shown.Equal(k.public) }) {
				return errWrongDoor
			}
			return nil
		},
	}
	r.door.Store(all)
	return all, nil
}

func newDoorKey(secret string) (*doorKey, error) {
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, "sidereal door, version 1", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	proof, err := hkdf.Key(sha256.New, []byte(secret), nil, "sidereal door's proof, version 1", sha256.Size)
	if err != nil {
		return nil, err
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := private.Public().(ed25519.PublicKey)
	// Nobody looks at its dates: hosts' clocks are never compared.
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<37, 0), DNSNames: []string{doorName}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, public, private)
	if err != nil {
		return nil, err
	}
	return &doorKey{
		secret: secret, proof: proof, public: public,
		server: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
			SessionTicketsDisabled: true, // nothing may come on a connection that is kept: see upstream.alive
		},
	}, nil
}

// toDoor makes c, a connection to b's door, one over TLS where our own door speaks it: who encrypts
// what clients say does not say it in plain text between hosts. A worker without a router before it
// speaks plain HTTP; one whose record has gone meanwhile may have had a door.
func (w *worker) toDoor(ctx context.Context, c net.Conn) (net.Conn, error) {
	record := w.r.cfg.Directory.Workers().Get(w.id)
	if w.r.cfg.Certificates == nil || record != nil && record.Handoff == "" {
		return c, nil
	}
	k, err := w.r.doorKeys(ctx)
	if err != nil {
		w.r.metrics.upstreamError("key")
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	c.SetDeadline(time.Now().Add(dialTimeout))
	tc := tls.Client(relay.NewUnder(c, nil), k.dials())
	if err := tc.Handshake(); err != nil {
		if errors.Is(err, errWrongDoor) {
			w.r.keyRefused(w)
		} else {
			w.r.metrics.upstreamError("dial")
		}
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	c.SetDeadline(time.Time{})
	return tc, nil
}

// keyRefused says, at most every 10 s, that another host's door did not accept our key.
func (r *Router) keyRefused(w *worker) {
	r.metrics.upstreamError("key")
	if seldom(&r.keyWarned) {
		r.log.Error("another host's router refused our key; both hosts must use the same Redis and the same app name", "worker", w.id, "addr", w.addr)
	}
}
