package wire

import (
	"encoding/base64"
	"strconv"
)

// Entry is an entry of the streams adapter's stream, with the fields uid, nsp, type and data in
// that order (docs/adapter-wire.md, 5). It has a cluster message.
type Entry struct {
	UID       string
	Namespace string
	Type      string // a ClusterType, in decimal
	Data      string // the message's data: JSON, or msgpack in base64
}

// The names of an entry's fields.
const (
	FieldUID       = "uid"
	FieldNamespace = "nsp"
	FieldType      = "type"
	FieldData      = "data"
)

// AppendEntryData appends the data of q's entry: msgpack in base64 if its packet has attachments,
// otherwise JSON. A BroadcastWithAck without an ID is a broadcast without acks.
func AppendEntryData(dst []byte, q Request) ([]byte, error) {
	w := clusterWriter{out: dst, packed: len(q.Data.Attachments) > 0}
	if w.packed {
		w.out = nil
	}
	w.object()
	w.request(q)
	if w.err != nil {
		return dst, w.err
	}
	w.end()
	if w.packed {
		return base64.StdEncoding.AppendEncode(dst, w.out), nil
	}
	return w.out, nil
}

// EntryType returns the type of q's entry.
func EntryType(q Request) (string, error) {
	t, err := q.ClusterType()
	return strconv.Itoa(int(t)), err
}

// Parse parses the message of an entry. It refuses a message that lacks what its type needs. The
// entry's text must not change while the message is in use.
func (e *Entry) Parse() (c Cluster, err error) {
	t, err := strconv.Atoi(e.Type)
	if err != nil || len(e.Type) > 3 || e.UID == "" || e.Namespace == "" {
		return c, ErrMalformed
	}
	c.Type, c.UID, c.Namespace = ClusterType(t), bytesOf(e.UID), bytesOf(e.Namespace)
	if c.Type < ClusterBroadcast || c.Type > ClusterAck {
		return c, nil
	}
	data := bytesOf(e.Data)
	c.enc = encodingOf(data)
	if c.enc == asPacked {
		if data, err = base64.StdEncoding.AppendDecode(nil, data); err != nil {
			return c, ErrMalformed
		}
	}
	return c, c.fill(data)
}
