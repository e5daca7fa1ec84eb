package packet

// Args are the arguments of one event or acknowledgement, kept as the JSON text they came in and decoded
// when asked for. Given as an argument to an encoder they expand to all their values, unchanged.
// An Args value is immutable and may be kept and shared.
type Args struct {
	json        []byte // the text holding the values
	spans       []span // one for each value
	attachments [][]byte
}

// span is where a value lies in the text.
type span struct{ from, to int }

// Len is the number of arguments.
func (a Args) Len() int { return len(a.spans) }
