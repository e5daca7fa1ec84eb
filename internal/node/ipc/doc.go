// Package ipc encodes and decodes the channel between a Node process and its children: frames, and
// the two serializations of child_process. It does no I/O and shares nothing.
//
//   - [Splitter] cuts a stream into frames: lines of JSON, or in mode "advanced" data of V8's
//     structured clone after a length of four bytes, big-endian.
//   - [Decode] and [Encode] convert between frames and values. They write version 13 of V8's format,
//     which every Node since 12 reads, and read versions 13 to 15.
//
// A child may send anything. The package limits every length, depth and number of elements. A frame
// that breaks the rules is an error of its own, and the next frame is read as usual. Only a length
// beyond [Splitter]'s limit ends the stream, because nobody knows where the next frame begins.
//
// A value may contain itself, or contain one value many times that does the same. Decode keeps such
// references. Code that walks over a Value must limit its depth and the size of its result, as
// [Encode] does.
package ipc
