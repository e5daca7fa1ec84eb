package streams

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// position says which events a client has seen: all up to an offset, and those of one server that it
// got before the stream showed them. It's what clients are given, and send back when they return.
//
// Without a mark it is an offset, as of Node's. With a mark it is
// <ms>-<seq>-<uid>-<digest>-<number>.
type position struct {
	offset
	mark mark
}

// mark names the last broadcast that a server delivered before the stream showed it. The stream has
// the broadcasts of one server in their order, so a client with a mark has seen all of them up to
// this one.
type mark struct {
	uid    string // the server's; empty: there is no mark
	digest uint64 // of the entry's data
	number int    // which of the entries with the same data, from 1
}

func digestOf[T string | []byte](data T) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(data)) // never fails
	return h.Sum64()
}

// maxPosition bounds the positions that clients send.
const maxPosition = 128

// parsePosition reads a position as String writes it.
func parsePosition(s string) (p position, ok bool) {
	if len(s) > maxPosition {
		return p, false
	}
	parts := strings.Split(s, "-")
	if len(parts) == 2 {
		p.offset, ok = parseOffset(s)
		return p, ok
	}
	if len(parts) != 5 || parts[2] == "" {
		return p, false
	}
	if p.offset, ok = parseOffset(parts[0] + "-" + parts[1]); !ok {
		return p, false
	}
	digest, err := strconv.ParseUint(parts[3], 16, 64)
	if err != nil {
		return p, false
	}
	number, err := strconv.Atoi(parts[4])
	if err != nil || number < 1 {
		return p, false
	}
	p.mark = mark{parts[2], digest, number}
	return p, true
}

func (p position) String() string {
	if p.mark.uid == "" {
		return p.offset.String()
	}
	text := append([]byte(p.offset.String()), '-')
	text = append(append(text, p.mark.uid...), '-')
	text = append(strconv.AppendUint(text, p.mark.digest, 16), '-')
	return string(strconv.AppendInt(text, int64(p.mark.number), 10))
}

// replay collects what a client missed since a position.
type replay struct {
	mark   mark
	equal  int // entries with the mark's digest so far
	marked int // the length of list when the mark was met; 0: not yet, or nothing was before it
	list   []missedEvent
}

// missedEvent is an event of a replay.
type missedEvent struct {
	event packet.Payload
	early bool // of the mark's server
}

// add notes the next entry of the stream. Event is what it means for the client; wanted: anything.
func (r *replay) add(e *wire.Entry, event packet.Payload, wanted bool) {
	early := r.mark.uid != "" && e.UID == r.mark.uid
	if wanted {
		r.list = append(r.list, missedEvent{event, early})
	}
	if early && r.equal < r.mark.number && digestOf(e.Data) == r.mark.digest {
		if r.equal++; r.equal == r.mark.number {
			r.marked = len(r.list)
		}
	}
}

// events returns what the client hasn't seen.
func (r *replay) events() (events []packet.Payload) {
	for i, m := range r.list {
		if i >= r.marked || !m.early {
			events = append(events, m.event)
		}
	}
	return events
}
