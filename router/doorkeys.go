package router

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"sync/atomic"
	"time"
)

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

// keyring makes the keys of the directory's secrets. It is safe for concurrent use.
type keyring struct {
	directory Directory
	latest    atomic.Pointer[doorKeys]
	proofs    proofs
}

// keys returns those of the present secrets.
func (k *keyring) keys(ctx context.Context) (*doorKeys, error) {
	if _, err := k.directory.Secret(ctx); err != nil {
		return nil, err
	}
	secrets, old := k.directory.Secrets(), k.latest.Load()
	if old != nil && slices.EqualFunc(old.all, secrets, func(k *doorKey, secret string) bool { return k.secret == secret }) {
		return old, nil
	}
	var keys []*doorKey
	for _, secret := range secrets {
		key, err := newDoorKey(secret)
		if err != nil {
			return nil, fmt.Errorf("router: door's certificate: %w", err)
		}
		keys = append(keys, key)
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
	k.latest.Store(all)
	return all, nil
}

// serverFor is what a router is shown that proves none of the secrets that are known here. It may
// go by a new one: then the directory is asked. Routers before this version prove nothing, and see
// the present one.
func (k *keyring) serverFor(hello *tls.ClientHelloInfo, doors *doorKeys) (*tls.Config, error) {
	if proto, ok := proofOf(hello.SupportedProtos); ok {
		k.directory.Accepts(hello.Context(), proto) // no secret is like that, so it looks for a new one
		var err error
		if doors, err = k.keys(hello.Context()); err != nil {
			return nil, err
		}
		if door, _ := k.proofs.prover(doors, hello.SupportedProtos); door != nil {
			return door.server, nil
		}
	}
	return doors.all[0].server, nil
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
