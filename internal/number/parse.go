package number

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"sync"
)

// Parse returns the double nearest to a number, or an infinity beyond all doubles. The text must be
// well-formed JSON.
func Parse(text []byte) float64 { return scan(text).float(text) }

// decimal is the value of a number's text: 0.ddd times 10 to the power of point, where ddd neither
// begins nor ends with a zero.
type decimal struct {
	negative bool
	digits   int    // how many d there are; 0 is zero
	mantissa uint64 // the first maxMantissa of them
	point    int
}

const (
	// maxMantissa digits fit an uint64.
	maxMantissa = 19
	// With a point above the one and below the other a number is none of the doubles that have
	// fewer bits than others, and within all doubles.
	minNormal, maxNormal = -307, 309
	// maxExponent is beyond any exponent that makes a difference, but to a text with as many zeros.
	maxExponent = math.MaxInt32
)

// scan reads a well-formed number.
func scan(text []byte) (d decimal) {
	i := 0
	if len(text) > 0 && text[0] == '-' {
		d.negative = true
		i++
	}
	n, fraction := 0, false // digits without the zeros in front
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			fraction = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if c == '0' && n == 0 {
			if fraction {
				d.point--
			}
			continue
		}
		n++
		if !fraction {
			d.point++
		}
		if n <= maxMantissa {
			d.mantissa = d.mantissa*10 + uint64(c-'0')
		}
		if c != '0' {
			d.digits = n
		}
	}
	for n = min(n, maxMantissa); n > d.digits && d.digits > 0; n-- {
		d.mantissa /= 10
	}
	if i < len(text) {
		d.point += exponent(text[i+1:])
	}
	return d
}

func exponent(text []byte) int {
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	n := 0
	for _, c := range text {
		n = min(n*10+int(c-'0'), maxExponent)
	}
	if negative {
		return -n
	}
	return n
}

// float returns the double of the text that d was read from.
func (d decimal) float(text []byte) (f float64) {
	switch {
	case d.digits == 0 || d.point < -323: // less than half of the smallest
	case d.point > maxNormal:
		f = math.Inf(1)
	case d.point == maxNormal || d.point <= minNormal:
		f = d.exact(text)
	case d.digits <= maxMantissa && d.mantissa < 1<<53 && d.digits-d.point >= 0 && d.digits-d.point < len(powers):
		f = float64(d.mantissa) / powers[d.digits-d.point]
	case d.digits <= maxMantissa:
		f, _ = strconv.ParseFloat(string(text), 64) // well-formed, and within the doubles
		return f
	default:
		// The digits that were cut off lie between two neighbours, which mostly are the same
		// double.
		if f = d.times(d.mantissa); f != d.times(d.mantissa+1) {
			f = d.exact(text)
		}
	}
	if d.negative {
		return -f
	}
	return f
}

// times is a mantissa of maxMantissa digits with d's exponent, which strconv does without long
// arithmetic.
func (d decimal) times(mantissa uint64) float64 {
	var buf [32]byte
	text := strconv.AppendUint(buf[:0], mantissa, 10)
	text = strconv.AppendInt(append(text, 'e'), int64(d.point-maxMantissa), 10)
	f, _ := strconv.ParseFloat(string(text), 64) // well-formed, and within the doubles
	return f
}

// powers are those of ten that doubles hold.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// maxDigits is the number of digits that can distinguish two doubles. Of further digits it matters
// only whether there are any.
const maxDigits = 768

// bigPowers are the powers of ten that a number of maxDigits needs, a few hundred kilobytes. They
// are made for the first number that needs long arithmetic, which ordinary messages don't have.
var bigPowers = sync.OnceValue(func() []big.Int {
	list := make([]big.Int, -(-323-maxDigits-1)+1)
	list[0].SetUint64(1)
	ten := big.NewInt(10)
	for i := range list[1:] {
		list[i+1].Mul(&list[i], ten)
	}
	return list
})

// longhand holds the memory of one division.
type longhand struct {
	digits         []byte
	above, shifted big.Int
	quotient, rest big.Int
}

var longhands = sync.Pool{New: func() any { return new(longhand) }}

// exact divides d's digits by a power of ten, or multiplies them, and rounds once.
func (d decimal) exact(text []byte) float64 {
	l := longhands.Get().(*longhand)
	defer longhands.Put(l)
	digits := d.digits
	if digits <= maxMantissa {
		l.above.SetUint64(d.mantissa)
	} else {
		digits = l.read(text, digits)
	}
	below := &bigPowers()[0]
	if exponent := d.point - digits; exponent < 0 {
		below = &bigPowers()[-exponent]
	} else if exponent > 0 {
		l.above.Mul(&l.above, &bigPowers()[exponent])
	}
	// The quotient shall have 54 bits or 55, but none below half of the smallest double.
	shift := min(54-(l.above.BitLen()-below.BitLen()), 1075)
	if shift >= 0 {
		l.shifted.Lsh(&l.above, uint(shift))
		l.quotient.QuoRem(&l.shifted, below, &l.rest)
	} else {
		l.shifted.Lsh(below, uint(-shift))
		l.quotient.QuoRem(&l.above, &l.shifted, &l.rest)
	}
	m := l.quotient.Uint64() << 1
	if l.rest.Sign() != 0 {
		m |= 1
	}
	unit := max(bits.Len64(m)-53-(shift+1), -1074) // the exponent of the double's last bit
	drop := unit + shift + 1
	half := uint64(1) << drop >> 1
	kept := m >> drop
	if over := m & (1<<drop - 1); over > half || over == half && kept&1 == 1 {
		kept++
	}
	return math.Ldexp(float64(kept), unit)
}

// read has above be the digits of a text, of which there are n, and returns how many that is. A 1
// stands for those beyond maxDigits.
func (l *longhand) read(text []byte, n int) int {
	l.digits = l.digits[:0]
	for _, c := range text {
		if c == 'e' || c == 'E' || len(l.digits) == min(n, maxDigits) {
			break
		}
		if c >= '1' && c <= '9' || c == '0' && len(l.digits) > 0 {
			l.digits = append(l.digits, c)
		}
	}
	if n > maxDigits {
		l.digits = append(l.digits, '1')
	}
	l.above.SetString(string(l.digits), 10)
	return len(l.digits)
}
