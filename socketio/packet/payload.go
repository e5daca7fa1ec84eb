package packet

// Payload is the content of an event or an acknowledgement in its wire form: the text of a JSON
// array, in which {"_placeholder":true,"num":i} stands where the i-th attachment goes. It is
// immutable and shared by all who send it; servers pass it on without decoding it.
type Payload struct {
	JSON        []byte
	Attachments [][]byte
	// Dates are where in JSON the texts begin that were a time.Time, in order. Clients don't see
	// the difference; in msgpack, which servers speak with each other, they are a Date of
	// JavaScript's. Nobody has to keep them.
	Dates []int
}

// Event reads p as the payload of an event.
func (p Payload) Event() (name string, args Args, err error) {
	text, args, err := ParseEvent(p.JSON, len(p.Attachments))
	return string(text), args.With(p.Attachments), err
}

// Args reads p as the payload of an acknowledgement.
func (p Payload) Args() (Args, error) {
	args, err := ParseArgs(p.JSON, len(p.Attachments))
	return args.With(p.Attachments), err
}

// EncodeEvent makes the payload of an event. The []byte values among args, and in them, become
// attachments; they and what Args refer to are shared with the payload and must not be changed
// afterwards.
//
// Values encode as JavaScript prints them: time.Time in milliseconds and UTC, time.Duration as a
// number of milliseconds, nil slices as [], NaN and infinities as null, nothing escaped for HTML.
// Fields have the tags of encoding/json, and omitempty leaves out what it does there: 0 and empty
// []byte, too. Args expand to their values.
func EncodeEvent(name string, args ...any) (Payload, error) {
	return EncodeEventOn(nil, name, args...)
}

// EncodeEventOn is EncodeEvent behind a text that the caller has begun, which is part of the
// payload's then.
func EncodeEventOn(text []byte, name string, args ...any) (p Payload, err error) {
	text = appendString(append(text, '['), name)
	p.JSON, p.Attachments, err = appendValues(text, nil, false, args, &p.Dates)
	return p, err
}

// EncodeArgs makes the payload of an acknowledgement, by the rules of EncodeEvent.
func EncodeArgs(args ...any) (p Payload, err error) {
	p.JSON, p.Attachments, err = appendValues([]byte{'['}, nil, true, args, &p.Dates)
	return p, err
}

// Single is the value of an array of one, without its brackets.
func (p Payload) Single() Payload {
	one := Payload{JSON: p.JSON[1 : len(p.JSON)-1], Attachments: p.Attachments}
	for _, at := range p.Dates {
		one.Dates = append(one.Dates, at-1)
	}
	return one
}

// AppendEvent appends what EncodeEvent makes to a text and to a list of attachments.
func AppendEvent(dst []byte, attachments [][]byte, name string, args ...any) ([]byte, [][]byte, error) {
	dst = appendString(append(dst, '['), name)
	return appendValues(dst, attachments, false, args, nil)
}

// AppendArgs appends what EncodeArgs makes to a text and to a list of attachments.
func AppendArgs(dst []byte, attachments [][]byte, args ...any) ([]byte, [][]byte, error) {
	return appendValues(append(dst, '['), attachments, true, args, nil)
}
