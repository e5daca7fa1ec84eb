package directory

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
)

// WorkerKey returns the key that a router shows a worker instead of the secret, because others may
// read the network between them. The key is good for that worker only, and nobody can compute the
// secret from it.
func WorkerKey(secret, workerID string) string {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "sidereal worker, version 1: "+workerID, sha256.Size)
	if err != nil {
		return "" // never: the length is allowed
	}
	return base64.RawURLEncoding.EncodeToString(key)
}
