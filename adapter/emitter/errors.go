package emitter

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

var (
	// ErrReserved reports an event name that servers or clients keep for themselves, such as
	// "connect". Nothing was sent.
	ErrReserved = errors.New("reserved event name")
	// ErrAck reports a function as the last argument: an emitter hears no answers. Nothing was
	// sent.
	ErrAck = errors.New("emitter: acknowledgements are not supported")
	// ErrTooLarge reports a message beyond Config.MaxMessageBytes. It was not sent.
	ErrTooLarge = errors.New("emitter: message too large")
)

// checkEvent refuses what clients must not be sent.
func checkEvent(event string, args []any) error {
	if packet.Reserved(event) {
		return reserved(event)
	}
	return checkArgs(args)
}

// checkServerEvent refuses what servers must not be sent either: they raise these on the namespace
// themselves, and handlers would take an emitter's for theirs.
func checkServerEvent(event string, args []any) error {
	if packet.Reserved(event) || event == "connection" || event == "new_namespace" {
		return reserved(event)
	}
	return checkArgs(args)
}

// reserved has the text of Node's error.
func reserved(event string) error { return fmt.Errorf("%q is a %w", event, ErrReserved) }

func checkArgs(args []any) error {
	if n := len(args); n > 0 && reflect.ValueOf(args[n-1]).Kind() == reflect.Func {
		return ErrAck
	}
	return nil
}
