package packet

import (
	"bytes"

	"github.com/sidereal-io/sidereal/internal/number"
)

// A received number goes on to other clients without being decoded, where Node would parse and
// print it. Most numbers come printed as JavaScript prints them, since JavaScript did. Others are
// rewritten where that can be noticed: -0 is 0, 1.0 and 1e3 are the integers that clients in typed
// languages expect, what is beyond all doubles is null. Integers of any length stay exact:
// JavaScript cannot tell, and a Go handler may want an int64.
//
// The scanner only notes that there may be such numbers. They are rewritten once somebody wants the
// text: who sends a namespace that nobody joined a message full of them has them read, and no more.

const (
	// longFraction is a length, in characters, up to which a fraction that ends in no zero is
	// printed as it is.
	longFraction = 20
	// maxInteger is the length of the longest integer among the doubles.
	maxInteger = 309
)

// odd reports whether JavaScript may print a number otherwise. It looks at the text alone; whole
// says that it has neither fraction nor exponent.
func odd(text []byte, whole bool) bool {
	if whole {
		return len(text) > longFraction || text[0] == '-' && text[1] == '0'
	}
	dot := bytes.IndexByte(text, '.')
	if dot < 0 || len(text) > longFraction || text[len(text)-1] == '0' || bytes.IndexByte(text, 'e') >= 0 || bytes.IndexByte(text, 'E') >= 0 {
		return true
	}
	// One that begins with six zeros has an exponent; one with many 9 or 0 behind its integer may
	// be the next integer.
	fraction := text[dot+1:]
	run := 1
	for run < len(fraction) && fraction[run] == fraction[0] {
		run++
	}
	return fraction[0] == '0' && run >= 6 && text[dot-1] == '0' || (fraction[0] == '0' || fraction[0] == '9') && dot+run > 15 || dot > 15
}

// appendNumbers appends a text, checked before, with its odd numbers as JavaScript prints them.
func appendNumbers(dst, text []byte) []byte {
	s := scanner{text: text}
	copied := 0
	for s.at < len(text) {
		switch c := text[s.at]; {
		case c == '"':
			if s.string() != nil { // text is valid, or stays as it is
				return append(dst, text[copied:]...)
			}
		case c == '-' || c >= '0' && c <= '9':
			from := s.at
			if s.odd = false; s.number() != nil || !s.odd {
				continue
			}
			text := text[from:s.at]
			integer := len(text) > longFraction && !bytes.ContainsAny(text, ".eE")
			if integer && len(text) <= maxInteger {
				continue
			}
			printed := number.AppendText(append(dst, s.text[copied:from]...), text)
			if integer && !bytes.HasSuffix(printed, []byte("null")) {
				continue
			}
			dst, copied = printed, s.at
		default:
			s.at++
		}
	}
	return append(dst, text[copied:]...)
}
