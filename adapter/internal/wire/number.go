package wire

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/number"
)

// maxSafe is 2^53: up to here every integer is a double, and JavaScript prints it digit by digit.
const maxSafe = 1 << 53

// appendUint appends an integer. Beyond 2^53 JavaScript has only some of them, and prints those by their shortest digits;
// the others came from a Go server and are kept exact.
func appendUint(dst []byte, u uint64) []byte {
	if u > maxSafe && exactUint(u) {
		return number.Append(dst, float64(u), 64)
	}
	return strconv.AppendUint(dst, u, 10)
}

func appendInt(dst []byte, n int64) []byte {
	if n < -maxSafe && exactInt(n) {
		return number.Append(dst, float64(n), 64)
	}
	return strconv.AppendInt(dst, n, 10)
}

// exactUint tells whether a double holds u.
func exactUint(u uint64) bool {
	f := float64(u)
	return f < 1<<64 && uint64(f) == u
}

func exactInt(n int64) bool {
	f := float64(n)
	return f >= -1<<63 && f < 1<<63 && int64(f) == n
}

// number writes the number at the cursor: as an integer when it is one, however it was spelled.
func (w *msgpackWriter) number() error {
	from := w.i
	integral := scanNumber(w.text, &w.i)
	text := w.text[from:w.i]
	if len(text) == 0 {
		return ErrMalformed
	}
	if integral && len(text) <= 15 {
		n, _ := strconv.ParseInt(string(text), 10, 64)
		w.out = appendIntValue(w.out, n)
		return nil
	}
	f := number.Parse(text)
	if integral && string(number.Append(make([]byte, 0, 32), f, 64)) != string(text) {
		// Not how JavaScript would print any double: an integer of a Go server, exact.
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			w.out = appendIntValue(w.out, n)
			return nil
		}
		if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
			w.out = appendUintValue(w.out, n)
			return nil
		}
	}
	w.out = appendFloatValue(w.out, f)
	return nil
}

// scanNumber moves *i past the JSON number there (not at all, if it is none) and tells whether it has neither fraction
// nor exponent.
func scanNumber(text []byte, i *int) (integral bool) {
	at := func(j int) byte {
		if j < len(text) {
			return text[j]
		}
		return 0
	}
	digits := func(j int) int {
		for at(j) >= '0' && at(j) <= '9' {
			j++
		}
		return j
	}
	j := *i
	if at(j) == '-' {
		j++
	}
	start := j
	j = digits(j)
	if j == start || at(start) == '0' && j > start+1 {
		return false
	}
	integral = true
	if at(j) == '.' {
		k := digits(j + 1)
		if k == j+1 {
			return false
		}
		j, integral = k, false
	}
	if at(j) == 'e' || at(j) == 'E' {
		k := j + 1
		if at(k) == '+' || at(k) == '-' {
			k++
		}
		end := digits(k)
		if end == k {
			return false
		}
		j, integral = end, false
	}
	*i = j
	return integral
}

// appendFloatValue writes an integral number as an integer where 64 bits hold it, as notepack does.
func appendFloatValue(dst []byte, f float64) []byte {
	switch {
	case f != math.Trunc(f):
	case f >= 0 && f < 1<<64:
		return appendUintValue(dst, uint64(f))
	case f < 0 && f >= -1<<63:
		return appendIntValue(dst, int64(f))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

func appendUintValue(dst []byte, u uint64) []byte {
	switch {
	case u < 1<<7:
		return append(dst, byte(u))
	case u <= math.MaxUint8:
		return append(dst, 0xcc, byte(u))
	case u <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(u))
	case u <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(u))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), u)
}

func appendIntValue(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUintValue(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, 0xd0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
}
