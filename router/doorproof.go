package router

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"strings"
	"sync"
)

// A router proves in its first message to a door that it knows the secret, so that a storm of
// clients doesn't keep hosts from each other where TLS handshakes have a rate. The proof is an
// application protocol (ALPN) that no door chooses: a random number and its HMAC, in base64. Doors
// of earlier versions take no notice of it, and routers of earlier versions are counted as clients.

const (
	proofPrefix = "sidereal-door-1."
	proofNumber = 16 // bytes of the random number
	proofSize   = 2 * proofNumber
	// maxProofs bounds the numbers that a generation of proofs remembers.
	maxProofs = 1 << 14
)

// dials is the configuration for one connection to a door.
func (k *doorKeys) dials() *tls.Config {
	cfg := k.client.Clone()
	cfg.NextProtos = []string{k.all[0].prove()}
	return cfg
}

func (k *doorKey) prove() string {
	number := make([]byte, proofNumber, proofSize)
	_, _ = rand.Read(number) // never fails
	return proofPrefix + base64.RawURLEncoding.EncodeToString(k.sign(number))
}

// sign appends a number's HMAC to it.
func (k *doorKey) sign(number []byte) []byte {
	mac := hmac.New(sha256.New, k.proof)
	mac.Write(number)
	return append(number, mac.Sum(nil)[:proofSize-proofNumber]...)
}

// proofs remembers the numbers that were used: who listens between two hosts can repeat a proof,
// but it counts once. Two generations bound it. The zero value is ready for use; it is safe for
// concurrent use.
type proofs struct {
	mu          sync.Mutex
	now, before map[[proofNumber]byte]struct{}
}

// proofOf is the proof among a client's protocols, whoever made it.
func proofOf(protocols []string) (text string, ok bool) {
	if len(protocols) != 1 { // ours send nothing else
		return "", false
	}
	text, ok = strings.CutPrefix(protocols[0], proofPrefix)
	return text, ok && len(text) == base64.RawURLEncoding.EncodedLen(proofSize)
}

// prover is the key with which a client's proof was made; nil: none of these. Fresh: it was not
// used before.
func (p *proofs) prover(keys *doorKeys, protocols []string) (by *doorKey, fresh bool) {
	text, ok := proofOf(protocols)
	if !ok {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	for _, k := range keys.all {
		if hmac.Equal(raw, k.sign(append(make([]byte, 0, proofSize), raw[:proofNumber]...))) {
			return k, p.use([proofNumber]byte(raw))
		}
	}
	return nil, false
}

// use notes a number; false: it was used.
func (p *proofs) use(number [proofNumber]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, used := p.now[number]
	if _, old := p.before[number]; used || old {
		return false
	}
	if p.now == nil || len(p.now) == maxProofs {
		p.now, p.before = make(map[[proofNumber]byte]struct{}), p.now
	}
	p.now[number] = struct{}{}
	return true
}
