package directory

import (
	"crypto/rand"
	"encoding/base64"
)

const (
	workerIDLen = 4  // 24 random bits
	sidLen      = 20 // as long as Node's: its sharded adapter tells private rooms by this length
)

// NewWorkerID returns 4 random characters of [A-Za-z0-9_-]. The first isn't a dash, which a command
// line would take for a flag. RegisterWorker makes sure that no other worker has the same id.
func NewWorkerID() string {
	for {
		if id := randomText(workerIDLen / 4 * 3); id[0] != '-' {
			return id
		}
	}
}

// MintSID returns a new sid for a worker: its id and 96 random bits, in 20 characters of
// [A-Za-z0-9_-]. The sid is a bearer secret, as in Engine.IO: anyone who knows it may poll the
// session.
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

// workerOf returns the worker id that a sid begins with, if the sid has the form of MintSID's. Sids
// of Node have that form too. So the answer counts only if the table has a worker with that id that
// tags its sids, and the sid has no entry.
func workerOf(sid string) (id string, ok bool) {
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
