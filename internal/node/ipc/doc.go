// Package ipc is the bytes of the channel between a Node process and its children: framing, and the two serializations
// that child_process knows. It is pure: no I/O, nothing shared.
//
//   - [Splitter] cuts what was read into frames: lines of JSON, or in mode "advanced" data of V8's structured clone
//     behind a length of four bytes, big-endian.
//   - [Decode] and [Append] turn a frame into a [Value] and back. What is written has version 13 of V8's format, which
//     every Node since 12 reads; versions 13 to 15 are read.
//
// A child may send what it likes. Every length, depth and number of elements is bounded, and a frame that breaks the
// rules is an error of its own: the next frame is read as if it had not been there. Only a length beyond [Splitter]'s
// limit ends the stream, for nobody knows where the next frame begins.
//
// A value may refer to itself, or many times to one that refers many times to another. Reading keeps such references as
// they are; what walks over a Value has to bound its depth and the size of what it makes, as [Append] does.
package ipc
