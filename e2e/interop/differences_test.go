//go:build e2e

package interop

import (
	"slices"
	"strings"
	"testing"
)

// difference is what is known not to be as among Node's servers, and why. An empty list stands for all. The first that
// covers a cell counts.
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
		reason:     "Node's classic adapter writes server-side events as JSON, in which a Buffer is a list of numbers. Ours keep it binary, and Node's servers read that.",
	},
	{
		transports: []string{"redis"},
		operations: []string{"fetchSockets", "fetchSockets in a room"},
		from:       []kind{goServer},
		to:         []kind{goServer},
		reason:     "The same with the data of sockets, in which there is a Buffer here: ours keep it binary between each other, and answer Node's servers as Node does.",
	},
	{
		transports: []string{"redis", "redis-sharded"},
		payloads:   []string{"floats beyond 64 bits beside binary"},
		from:       ours,
		reason:     "Node's msgpack library writes numbers from 2^64 on as their low 64 bits: 1e300 arrives as 0. Ours arrive as they are.",
	},
	{
		transports: []string{"redis"},
		except:     serverSide,
		payloads:   []string{"floats beyond 64 bits"},
		from:       ours,
		reason:     "The same in the classic adapter, whose broadcasts are always msgpack.",
	},
	{
		transports: []string{"redis-streams"},
		operations: []string{"serverSideEmit"},
		payloads:   []string{"dates"},
		from:       []kind{goEmitter},
		to:         []kind{nodeServer},
		reason:     "Emitters put server-side events into the stream, Node's too, where what has no binary is JSON: a Date is its text. Servers use msgpack, which keeps it.",
	},
	{
		transports: []string{"redis-streams"},
		operations: append([]string{"emit with acks", "emit to a room with acks", "remote socket: emit with ack"}, serverSide...),
		payloads:   []string{"null and undefined"},
		from:       ours,
		reason:     "The msgpack of Node's streams adapter keeps a member that is undefined, as null. Go has no undefined: a member is there or not.",
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
