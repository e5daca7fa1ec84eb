package wire

import (
	"unsafe"

	"github.com/sidereal-io/sidereal/internal/msgpack"
)

// AppendString appends s as JSON.stringify writes it.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte { return msgpack.AppendQuoted(dst, s) }

// bytesOf returns the bytes of s, which nobody may change.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
