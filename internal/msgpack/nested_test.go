package msgpack

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestLongHeaders has arrays and objects that need one of three or five bytes, in and behind each
// other, before and after members that are left out.
func TestLongHeaders(t *testing.T) {
	list := func(n int, more string) string { return "[" + strings.Repeat("1,", n-1) + more + "]" }
	object := func(n int) string {
		return `{"a":[` + strings.TrimSuffix(strings.Repeat(list(16, "2")+",", 20), ",") + `]` + strings.Repeat(`,"k":3`, n-1) + "}"
	}
	for _, text := range []string{
		list(15, "1"), list(16, "1"), list(65535, "1"), list(65536, "1"), list(70_000, list(16, list(300, "[]"))), object(15), object(16), object(70_000),
		`[` + object(16) + `,` + list(17, object(20)) + `,` + list(70_000, `"x"`) + `]`,
	} {
		for _, proto := range []string{"", `{"__proto__":` + list(20, object(16)) + `,"x":`} {
			in := text
			if proto != "" {
				in = proto + text + `}`
			}
			w := Text{In: []byte(in), Out: []byte("before")}
			if err := w.Value(); err != nil {
				t.Fatalf("%.40s: %v", in, err)
			}
			r := JSON{Reader: Reader{B: bytes.TrimPrefix(w.Out, []byte("before"))}, MaxDepth: 10}
			if err := r.Value(); err != nil || r.I != len(r.B) {
				t.Fatalf("%.40s: %v", in, err)
			}
			want := text
			if proto != "" {
				want = `{"x":` + text + `}`
			}
			if string(r.Out) != want {
				t.Errorf("%.60s became %.60s", want, r.Out)
			}
		}
	}
}

// TestNestedHeadersAreWidenedOnce: what is nested in long arrays was moved for the header of each.
func TestNestedHeadersAreWidenedOnce(t *testing.T) {
	cost := func(depth int) time.Duration {
		text := []byte(strings.Repeat("["+strings.Repeat("1,", 16), depth) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat("]", depth))
		out := make([]byte, 0, 2*len(text))
		return testkit.CPU(func() {
			w := Text{In: text, Out: out}
			if err := w.Value(); err != nil {
				t.Fatal(err)
			}
		})
	}
	shallow, deep := cost(1), cost(500)
	if deep > 8*shallow {
		t.Errorf("1 MB in 500 arrays takes %v, in one %v", deep, shallow)
	}
}

// TestDepth: callers bound it, and without a bound there is none.
func TestDepth(t *testing.T) {
	const deep = 1 << 20
	text, packed := []byte(strings.Repeat("[", deep)+strings.Repeat("]", deep)), append(bytes.Repeat([]byte{0x91}, deep-1), 0x90)
	w := Text{In: text}
	if err := w.Value(); err != nil || !bytes.Equal(w.Out, packed) {
		t.Errorf("without a bound: %v", err)
	}
	if w := (Text{In: text, MaxDepth: deep - 1}); w.Value() == nil {
		t.Error("text deeper than the bound was read")
	}
	r := JSON{Reader: Reader{B: packed}, MaxDepth: deep}
	if err := r.Value(); err != nil || !bytes.Equal(r.Out, text) {
		t.Errorf("up to the bound: %v", err)
	}
	if r := (JSON{Reader: Reader{B: packed}, MaxDepth: deep - 1}); r.Value() == nil {
		t.Error("MessagePack deeper than the bound was read")
	}
	s := Reader{B: packed}
	if err := s.Skip(); err != nil || s.I != len(packed) {
		t.Errorf("passed over: %v", err)
	}
}
