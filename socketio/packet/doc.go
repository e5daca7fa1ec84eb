// Package packet reads and writes the bytes of the Socket.IO protocol, revision 5: a header
// ([Parse], [Append]) and a JSON array, as [Args] or as a [Payload].
//
// It does no I/O, and it decodes nothing that nobody asks for. A received body is scanned once, as
// strictly as JSON.parse and with a bound on its depth; after that its values can be decoded one by
// one into Go values, or be sent on as the bytes they came in. Go values are encoded as JavaScript
// would print them; []byte become attachments and placeholders.
//
// All functions may be called concurrently; Args, Value and Payload are immutable. What is parsed
// refers to the bytes that were given and keeps them alive: they must not be changed.
package packet
