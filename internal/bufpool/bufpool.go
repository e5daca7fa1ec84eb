// Package bufpool lends scratch buffers in size classes.
//
// A buffer has one owner from Get to Put. Don't borrow a buffer that outlives the call. Nothing is
// cleared: a borrowed buffer holds old bytes beyond its length. All functions may be called
// concurrently.
package bufpool

import (
	"math/bits"
	"sync"
	"unsafe"
)

// The classes are powers of four from 1 KB to 1 MB. A buffer has at most four times the requested
// size, and there are few enough classes to find buffers again.
const (
	minShift = 10
	step     = 2
	classes  = 6
)

// pools hold *byte rather than *[]byte, so that Put allocates nothing for the interface.
var pools [classes]sync.Pool

// Get lends a buffer of length 0 with room for at least n bytes. Above 1 MB it allocates a new one.
func Get(n int) []byte {
	c := class(n)
	if c >= classes {
		return make([]byte, 0, n)
	}
	size := 1 << (minShift + step*c)
	if p, _ := pools[c].Get().(*byte); p != nil {
		return unsafe.Slice(p, size)[:0]
	}
	return make([]byte, 0, size)
}

// Put takes a buffer back. It leaves a buffer whose capacity isn't the size of a class (grown by
// append, or from elsewhere) to the garbage collector. The caller must not use b afterwards.
func Put(b []byte) {
	c := class(cap(b))
	if c < classes && cap(b) == 1<<(minShift+step*c) {
		pools[c].Put(unsafe.SliceData(b))
	}
}

// Grow gives b room for n more bytes. It returns b, or a larger buffer with b's bytes and puts b
// back. b must be borrowed or nil.
func Grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	g := append(Get(max(len(b)+n, 2*cap(b))), b...) // doubled, so that a long buffer is not copied for each piece
	Put(b)
	return g
}

// class is the smallest class with room for n bytes.
func class(n int) int {
	if n <= 1<<minShift {
		return 0
	}
	return (bits.Len(uint(n-1)) - minShift + step - 1) / step
}
