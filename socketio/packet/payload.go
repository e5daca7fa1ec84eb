package packet

// Payload is the content of an event or an acknowledgement in its wire form: the text of a JSON array, in which
// {"_placeholder":true,"num":i} stands where the i-th attachment goes. It is immutable and shared by all who
// send it; servers pass it on without decoding it.
type Payload struct {
	JSON        []byte
	Attachments [][]byte
}
