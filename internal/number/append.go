package number

import (
	"math"
	"strconv"
)

// Append appends a number of 64 or 32 bits as JavaScript prints it: 1e+21, 1e-7, 0 for -0, and null
// for NaN and infinities, as in JSON.stringify.
func Append(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0')
	}
	format, abs := byte('f'), math.Abs(f)
	if abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	from := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if n := len(dst); format == 'e' && n-from >= 4 && dst[n-2] == '0' && dst[n-4] == 'e' {
		dst[n-2] = dst[n-1] // e-07: JavaScript writes no zero there
		dst = dst[:n-1]
	}
	return dst
}

// AppendText appends a number, given as a JSON text, as JavaScript prints it.
func AppendText(dst, text []byte) []byte {
	d := scan(text)
	switch {
	case d.digits == 0:
		return append(dst, '0')
	case d.digits <= sureDigits && d.point > minNormal && d.point < maxNormal:
		return d.append(dst)
	}
	return Append(dst, d.float(text), 64)
}

// Any two decimals of so many digits are two doubles, if these are not so small that they have
// fewer bits: the shortest text of the double is the decimal itself, so that JavaScript's text is
// found without making the double.
const sureDigits = 15

// append appends a number of no more than sureDigits digits (ECMA-262, Number::toString).
func (d decimal) append(dst []byte) []byte {
	var buf [20]byte
	digits := strconv.AppendUint(buf[:0], d.mantissa, 10)
	k, n := len(digits), d.point
	if d.negative {
		dst = append(dst, '-')
	}
	switch {
	case k <= n && n <= 21:
		dst = append(dst, digits...)
		return append(dst, "000000000000000000000"[:n-k]...)
	case 0 < n && n <= 21:
		dst = append(append(dst, digits[:n]...), '.')
		return append(dst, digits[n:]...)
	case -6 < n && n <= 0:
		dst = append(append(dst, "0."...), "000000"[:-n]...)
		return append(dst, digits...)
	}
	dst = append(dst, digits[0])
	if k > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	dst = append(dst, 'e')
	if n > 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, int64(n-1), 10)
}
