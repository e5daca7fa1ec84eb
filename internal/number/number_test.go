package number

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// spellings are numbers as no client of JavaScript spells them, and as that prints them.
var spellings = map[string]string{
	"0": "0", "-0": "0", "0.0": "0", "-0e5": "0", "0e999999999999999999999": "0", "1": "1", "-7": "-7", "1.0": "1", "10.50": "10.5", "1e3": "1000", "1E+3": "1000",
	"1e20": "100000000000000000000", "1e21": "1e+21", "123e19": "1.23e+21", "0.1e1": "1", "0.000001": "0.000001", "0.0000001": "1e-7", "1.50e-7": "1.5e-7",
	"123456789012345": "123456789012345", "123.456e-3": "0.123456", "-0.00012": "-0.00012", "0.99999999999999999999": "1", "1234567890123456.9": "1234567890123457",
	"9007199254740993.0": "9007199254740992", "9007199254740993.00000000000000000000001": "9007199254740994", "5e-324": "5e-324", "3e-324": "5e-324", "2e-324": "0",
	"2.4703282292062327e-324": "0", "2.4703282292062328e-324": "5e-324", "2.2250738585072011e-308": "2.225073858507201e-308", "1e-400": "0", "1e-99999999999": "0",
	"1.7976931348623157e308": "1.7976931348623157e+308", "1.7976931348623159e308": "null", "1e309": "null", "-1e400": "null", "9e308": "null", "1e308": "1e+308",
}

func TestSpellings(t *testing.T) {
	for text, want := range spellings {
		if got := string(AppendText([]byte("x"), []byte(text))); got != "x"+want {
			t.Errorf("%s is printed %s, want %s", text, got[1:], want)
		}
	}
}

func TestAppend(t *testing.T) {
	for want, f := range map[string]float64{
		"0": math.Copysign(0, -1), "1": 1, "-1.5": -1.5, "0.000001": 1e-6, "1e-7": 1e-7, "1.5e-10": 1.5e-10,
		"100000000000000000000": 1e20, "1e+21": 1e21, "1.7976931348623157e+308": math.MaxFloat64, "5e-324": 5e-324,
		"null": math.Inf(-1), "0.1": 0.1, "123456789.125": 123456789.125,
	} {
		if got := string(Append(nil, f, 64)); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
}

// oracle is what the standard library makes of a text.
func oracle(t testing.TB, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		t.Fatal(err)
	}
	return f
}

func check(t testing.TB, text string) {
	t.Helper()
	want := oracle(t, text)
	got := Parse([]byte(text))
	if math.Float64bits(got) != math.Float64bits(want) {
		t.Errorf("%s is %v, want %v", text, got, want)
	}
	if got, want := string(AppendText(nil, []byte(text))), string(Append(nil, want, 64)); got != want {
		t.Errorf("%s is printed %s, want %s", text, got, want)
	}
}

// TestParse takes doubles of all sizes, and the points halfway between them, cut off anywhere.
func TestParse(t *testing.T) {
	rnd := rand.New(rand.NewPCG(10, 0))
	for range 4000 {
		b := rnd.Uint64() &^ (1 << 63)
		switch rnd.IntN(4) {
		case 0:
			b &= 1<<52 - 1 // of those with fewer bits
		case 1:
			b = b&(1<<52-1) | 0x7fe<<52 // of the largest
		case 2:
			b = b&(1<<53-1) | 1<<52 // of the smallest with all bits
		}
		f := math.Float64frombits(b)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		check(t, strconv.FormatFloat(f, 'e', -1, 64))
		check(t, strconv.FormatFloat(f, 'e', rnd.IntN(30), 64))
		half := new(big.Float).SetPrec(64).SetFloat64(f)
		if next := math.Nextafter(f, math.Inf(1)); !math.IsInf(next, 0) {
			half.Add(half, new(big.Float).SetPrec(64).SetFloat64(next)).Quo(half, big.NewFloat(2))
		}
		whole := half.Text('e', 900)
		mantissa, exponent, _ := strings.Cut(whole, "e")
		check(t, whole)
		check(t, mantissa+"1e"+exponent)
		check(t, "-"+mantissa[:2+rnd.IntN(len(mantissa)-2)]+"e"+exponent)
	}
}

func FuzzParse(f *testing.F) {
	for text := range spellings {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		defer testkit.BoundCost(t, len(text))()
		if c := strings.TrimPrefix(text, "-"); c != "" && c[0] >= '0' && c[0] <= '9' && json.Valid([]byte(text)) {
			check(t, text)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, text := range []string{"1.5", "0.12345678901234567", "1e20", "3e-324", "9e308", "1.797693134862315708145274237317043567980705675258e300"} {
		b.Run(fmt.Sprintf("%.12s", text), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse([]byte(text))
			}
		})
	}
}
