package directory

import (
	"crypto/rand"
	"encoding/base64"
)

const (
	workerIDLen = 4  // 24 random bits
	sidLen      = 20 // as long as Node's: its sharded adapter tells private rooms by this length
)

// NewWorkerID returns 4 random characters of [A-Za-z0-9_-], the first of them not a dash, which a command line would take
// for a flag. RegisterWorker makes sure that nobody else has them.
func NewWorkerID() string {
	for {
		if id := randomText(workerIDLen / 4 * 3); id[0] != '-' {
			return id
		}
	}
}

// MintSID returns a new sid of the worker: its id and 96 random bits, 20 characters of [A-Za-z0-9_-]. The sid is a bearer
// secret, as in Engine.IO: whoever knows it may poll the session.
func MintSID(workerID string) string {
	var (
		random [(sidLen - workerIDLen) / 4 * 3]byte
		sid    [sidLen]byte
	)
	_, _ = rand.Read(random[:]) // never fails: it ends the process instead
	copy(sid[:workerIDLen], workerID)
	base64.RawURLEncoding.Encode(sid[workerIDLen:], random[:])
	return string(sid[:])
}

// WorkerOf returns the worker id that a sid begins with, if it has the form of a minted sid. A sid of Node's has that form
// too, so the answer counts only where the table has a worker of that id which tags its sids, and no entry says otherwise.
func WorkerOf(sid string) (id string, ok bool) {
	if len(sid) != sidLen {
		return "", false
	}
	for i := range len(sid) {
		if !isURLSafe(sid[i]) {
			return "", false
		}
	}
	return sid[:workerIDLen], true
}

func isURLSafe(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func randomText(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
