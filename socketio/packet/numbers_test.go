package packet

import (
	"bytes"
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestNumbersArePrintedAsJavaScriptDoes(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-7": "-7", "1.5": "1.5", "-0.25": "-0.25", "1e-7": "1e-7", "1e+21": "1e+21",
		"-0": "0", "-0.0": "0", "1.0": "1", "-3.0": "-3", "0.10": "0.1", "1e3": "1000", "1E3": "1000", "15e-1": "1.5", "1e21": "1e+21",
		"1.5e300": "1.5e+300", "0.0000001": "1e-7", "0.000001": "0.000001", "1e400": "null", "-1e400": "null",
		"0.99999999999999999999": "1", "0.99999999999999999": "1", "1234567890123456.9": "1234567890123457", "0.00001": "0.00001",
		"12.000000000000001": "12.000000000000002", "999999.9999999999": "999999.9999999999", "-0.99999999999999999": "-1", "10.0000001": "10.0000001", "0.30000000000000004": "0.30000000000000004",
		"9007199254740993": "9007199254740993", "123456789012345678901234": "123456789012345678901234", // JavaScript cannot tell
	} {
		_, args, err := ParseEvent([]byte(`["e",`+in+`,{"-0":"1.0","x":[`+in+` ]},"-0"]`), 0)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if got, want := args.String(), `[`+want+`,{"-0":"1.0","x":[`+want+` ]},"-0"]`; got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	_, args, _ := ParseEvent([]byte(`["e",3.0]`), 0)
	var n int
	if err := args.Decode(0, &n); err != nil || n != 3 {
		t.Errorf("3.0 as an int is %d, %v", n, err)
	}
}

// TestOddNumbersDecode takes numbers that JavaScript prints otherwise into all that a handler may
// ask for.
func TestOddNumbersDecode(t *testing.T) {
	type celsius float64
	type reading struct {
		C celsius            `json:"c"`
		F float32            `json:"f"`
		P *float64           `json:"p"`
		D time.Duration      `json:"d"`
		M map[string]float64 `json:"m"`
		A any                `json:"a"`
		N int                `json:"n"`
		V Value              `json:"v"`
	}
	_, args, err := ParseEvent([]byte(`["e",{"c":3e-324,"f":1.50,"p":2e3,"d":15e2,"m":{"x":1e-400},"a":[3e-324,-0],"n":7.0,"v":[1.0,3e-324]},[1.0,3e-324],1e400]`), 0)
	if err != nil {
		t.Fatal(err)
	}
	var r reading
	if err := args.Decode(0, &r); err != nil {
		t.Fatal(err)
	}
	thousands := 2000.0
	want := reading{5e-324, 1.5, &thousands, 1500 * time.Millisecond, map[string]float64{"x": 0}, []any{5e-324, 0.0}, 7, r.V}
	if !reflect.DeepEqual(r, want) || r.V.String() != "[1,5e-324]" {
		t.Errorf("%+v, want %+v", r, want)
	}
	var list []float64
	if err := args.Decode(1, &list); err != nil || !slices.Equal(list, []float64{1, 5e-324}) {
		t.Errorf("%v, %v", list, err)
	}
	if raw := string(args.Raw(1)); raw != "[1,5e-324]" {
		t.Errorf("raw %s", raw)
	}
	if args, err := ParseArgs([]byte(`[9e39,"1.0"]`), 0); err != nil || args.Decode(0, new(float32)) == nil || args.Decode(1, new(float64)) == nil {
		t.Errorf("what is no float32 is one: %v", err)
	}
}

// TestNumbersCostTheirBytes compares numbers that strconv reads and prints with long arithmetic, 35
// µs each, with usual ones, from the text of a packet to that of another, and into what handlers
// ask for.
func TestNumbersCostTheirBytes(t *testing.T) {
	cost := func(number string) time.Duration {
		text := []byte(`["e",[` + number + strings.Repeat(","+number, 5000) + `]]`)
		return testkit.CPU(func() {
			_, args, err := ParseEvent(text, 0)
			var list []float64
			var some any
			if err := cmp.Or(err, args.Decode(0, &list), args.Decode(0, &some)); err != nil {
				t.Fatal(err)
			}
			args.Payload()
		})
	}
	usual := cost("0.12345678901234567")
	for _, odd := range []string{
		"3e-324", "2.2250738585072011e-308", "9e307", "1e-400", "1.0", "1e20",
		"1.50000000000000011102230246251565404236316680908203125", "4.4501477170144020250819966727949918635852426585926e-308",
		"123456789012345678901234567890123456789012345678901234567890",
	} {
		if ratio := float64(cost(odd)) / float64(usual); ratio > 30 {
			t.Errorf("%s costs %.0f times as much as usual numbers", odd, ratio)
		}
	}
}

// TestUnreadNumbersCostNothing: what nobody decodes or sends on isn't copied, whatever numbers it
// has.
func TestUnreadNumbersCostNothing(t *testing.T) {
	text := []byte(`["e",[3e-324` + strings.Repeat(",3e-324", 5000) + `]]`)
	if n := testing.AllocsPerRun(10, func() { _, _, _ = ParseEvent(text, 0) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func TestUsualNumbersAreNotRewritten(t *testing.T) {
	text := []byte(`["e",[0.12345678901234567,-12.5,1763629200000,17,0.5]]`)
	_, args, err := ParseEvent(text, 0)
	if err != nil || args.odd {
		t.Errorf("%s is to be rewritten, %v", args.text, err)
	}
}

func BenchmarkParseNumbers(b *testing.B) {
	for name, number := range map[string]string{"integers": "1763629200,", "fractions": "0.12345678901234,", "foreign": "1.0,"} {
		b.Run(name, func(b *testing.B) {
			text := append([]byte(`["e"`), bytes.TrimSuffix(append([]byte(","), bytes.Repeat([]byte(number), 100)...), []byte(","))...)
			text = append(text, ']')
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ParseEvent(text, 0)
			}
		})
	}
}
