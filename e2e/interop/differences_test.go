//go:build e2e

package interop

import (
	"slices"
	"strings"
	"testing"
)

// difference is what is known not to be as among Node's servers, and why. An empty list stands for
// all. The first that covers a cell counts.
type difference struct {
	transports []string // without the mode: in all modes
	operations []string
	except     []string // operations
	payloads   []string
	from, to   []kind
	reason     string
	used       bool
}

// ours are the senders of ours.
var ours = []kind{goServer, goEmitter}

// serverSide are the operations on servers, which the classic adapter writes as JSON.
var serverSide = []string{"serverSideEmit", "serverSideEmit with acks"}

var differences = []*difference{
	{
		transports: []string{"redis"},
		operations: serverSide,
		payloads:   []string{"binary", "nested binary", "a date beside binary", "numbers beside binary", "floats beyond 64 bits beside binary", "1 MB of binary"},
		from:       ours,
		reason:     "Node's classic adapter writes server-side events as JSON with a Buffer as a list of numbers; ours keep it binary, which Node's servers read.",
	},
	{
		transports: []string{"redis"},
		operations: []string{"fetchSockets", "fetchSockets in a room"},
		from:       []kind{goServer},
		to:         []kind{goServer},
		reason:     "The same with a Buffer in the data of sockets; ours answer Node's servers as Node does.",
	},
	{
		transports: []string{"redis-sharded", "redis-streams"},
		operations: []string{"fetchSockets", "fetchSockets in a room"},
		from:       []kind{nodeServer},
		to:         []kind{goServer},
		reason:     "A time in a Go socket's data is its text, which keeps nanoseconds and zone; a Date has neither.",
	},
	{
		transports: []string{"redis", "redis-sharded"},
		payloads:   []string{"floats beyond 64 bits beside binary"},
		from:       ours,
		reason:     "Node's msgpack library writes numbers from 2^64 on as their low 64 bits, so 1e300 arrives as 0; ours arrive unchanged.",
	},
	{
		transports: []string{"redis"},
		except:     serverSide,
		payloads:   []string{"floats beyond 64 bits"},
		from:       ours,
		reason:     "The same, since the classic adapter's broadcasts are always msgpack.",
	},
	{
		transports: []string{"redis-streams"},
		operations: []string{"serverSideEmit"},
		payloads:   []string{"dates"},
		from:       []kind{goEmitter},
		to:         []kind{nodeServer},
		reason:     "Emitters, Node's too, put server-side events into the stream as JSON, where a Date is its text; servers use msgpack, which keeps it.",
	},
	{
		transports: []string{"redis-streams"},
		operations: append([]string{"emit with acks", "emit to a room with acks", "remote socket: emit with ack"}, serverSide...),
		payloads:   []string{"null and undefined"},
		from:       ours,
		reason:     "The msgpack of Node's streams adapter keeps an undefined member as null; Go has no undefined.",
	},
}

// reasonFor is why a cell differs, or nothing.
func reasonFor(c cell) string {
	for _, d := range differences {
		if d.covers(c) {
			d.used = true
			return d.reason
		}
	}
	return ""
}

func (d *difference) covers(c cell) bool {
	form, _, _ := strings.Cut(c.transport, ":")
	return (len(d.transports) == 0 || slices.Contains(d.transports, form)) && !slices.Contains(d.except, c.operation) &&
		(len(d.operations) == 0 || slices.Contains(d.operations, c.operation)) &&
		(len(d.payloads) == 0 || slices.Contains(d.payloads, c.payload)) &&
		(len(d.from) == 0 || slices.Contains(d.from, c.from)) &&
		(len(d.to) == 0 || slices.Contains(d.to, c.to))
}

// unused fails for differences that nothing shows any more.
func unused(t *testing.T) {
	t.Helper()
	for _, d := range differences {
		if !d.used {
			t.Errorf("nothing differs any more because %s", d.reason)
		}
	}
}
