package packet

import (
	"bytes"
	"strconv"
)

// What is received goes on to other clients without being decoded, where Node would parse and print it. Most numbers
// come printed as JavaScript prints them, since JavaScript did. Others are rewritten where that can be noticed: -0 is 0,
// 1.0 and 1e3 are the integers that clients in typed languages expect, what is beyond all doubles is null. Integers of
// any length stay exact: JavaScript cannot tell, and a Go handler may want an int64.

// longFraction is a length, in characters, up to which a fraction that ends in no zero is no whole number.
const longFraction = 20

// foreign reports whether a number that is not just a few digits would be printed otherwise by JavaScript.
func foreign(text []byte) bool {
	last := text[len(text)-1]
	if dot := bytes.IndexByte(text, '.'); dot > 0 && last != '0' && len(text) <= longFraction && bytes.IndexByte(text, 'e')+bytes.IndexByte(text, 'E') == -2 {
		return text[0] == '0' && bytes.HasPrefix(text[dot+1:], []byte("000000"))
	}
	if bytes.ContainsAny(text, ".eE") || string(text) == "-0" {
		var buf [32]byte
		return !bytes.Equal(printed(buf[:0], text), text)
	}
	return len(text) > 309 && string(printed(nil, text)) == "null"
}

// printed appends a number as JavaScript prints it.
func printed(dst, text []byte) []byte {
	f, _ := strconv.ParseFloat(string(text), 64) // its only error here is an overflow, to infinity
	return appendFloat(dst, f, 64)
}

// rewriteNumbers is a text, checked before, in which all foreign numbers are printed as JavaScript does.
func rewriteNumbers(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	s := scanner{text: text}
	copied := 0
	for s.at < len(text) {
		switch c := text[s.at]; {
		case c == '"':
			s.string()
		case c == '-' || c >= '0' && c <= '9':
			from := s.at
			if s.foreign = false; s.number() == nil && s.foreign {
				out = append(out, text[copied:from]...)
				out = printed(out, text[from:s.at])
				copied = s.at
			}
		default:
			s.at++
		}
	}
	return append(out, text[copied:]...)
}
