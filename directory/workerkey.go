package directory

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
)

// WorkerKey is what a router shows a worker in the place of the secret, where others may read the
// network between them: it is good for that worker alone, and the secret cannot be made of it.
func WorkerKey(secret, workerID string) string {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "sidereal worker, version 1: "+workerID, sha256.Size)
	if err != nil {
		return "" // never: the length is allowed
	}
	return base64.RawURLEncoding.EncodeToString(key)
}
