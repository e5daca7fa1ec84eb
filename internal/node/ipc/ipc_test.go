package ipc

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func feed(t *testing.T, s *Splitter, chunks ...[]byte) (frames []Frame, err error) {
	t.Helper()
	for _, c := range chunks {
		if err = s.Feed(c, func(f Frame) error { frames = append(frames, f); return nil }); err != nil {
			return frames, err
		}
	}
	return frames, nil
}

func TestFramesInAnyPieces(t *testing.T) {
	for _, mode := range []Mode{Advanced, JSON} {
		var stream []byte
		var want []Frame
		for _, v := range []Value{"a", nil, (&Object{}).Set("k", strings.Repeat("long ", 100)), 1.0} {
			f, err := Encode(mode, v, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			want, stream = append(want, f), append(stream, f...)
		}
		for size := 1; size <= len(stream); size++ {
			s := &Splitter{Mode: mode, Limit: 1 << 20}
			var pieces [][]byte
			for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				pieces = append(pieces, bytes.Clone(rest[:min(size, len(rest))]))
			}
			got, err := feed(t, s, pieces...)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s in pieces of %d: %d frames, %v", mode, size, len(got), err)
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Fatalf("%s in pieces of %d: %x, want %x", mode, size, got[i], want[i])
				}
			}
		}
	}
}

func TestTooLongIsTheEnd(t *testing.T) {
	s := &Splitter{Mode: Advanced, Limit: 10}
	if _, err := feed(t, s, []byte{0xff, 0xff, 0xff, 0xff}, []byte{1}); !errors.Is(err, ErrTooLong) {
		t.Errorf("four gigabytes: %v", err)
	}
	s = &Splitter{Mode: JSON, Limit: 10}
	if _, err := feed(t, s, []byte(`"01234`), []byte(`56789"`)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a line without an end: %v", err)
	}
}

func TestEmptyFrameIsMalformed(t *testing.T) {
	s := &Splitter{Mode: Advanced, Limit: 10}
	frames, err := feed(t, s, []byte{0, 0, 0, 0})
	if err != nil || len(frames) != 1 {
		t.Fatal(frames, err)
	}
	if _, err := Decode(Advanced, frames[0]); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

// v8 makes a frame of hostile bytes.
func v8(b ...byte) Frame {
	return append([]byte{0, 0, 0, byte(len(b) + 2), headerTag, 15}, b...)
}

func TestHostileFrames(t *testing.T) {
	deep := func(n int, open ...byte) []byte { return bytes.Repeat(open, n) }
	for name, f := range map[string]Frame{
		"nothing":                 {0, 0, 0, 0},
		"no header":               {0, 0, 0, 2, 'o', '{'},
		"a version to come":       {0, 0, 0, 3, headerTag, 16, '_'},
		"an old version":          {0, 0, 0, 3, headerTag, 12, '_'},
		"two values":              v8('_', '_'),
		"no value":                v8(),
		"a length beyond the end": v8('"', 200, 1),
		"a length of 2^64":        v8('"', 255, 255, 255, 255, 255, 255, 255, 255, 255, 127),
		"four billion items":      v8('A', 255, 255, 255, 255, 15),
		"four billion holes":      v8('a', 255, 255, 255, 255, 15),
		"half a character":        v8('c', 1, 'x'),
		"a reference to nothing":  v8('^', 0),
		"a key that is an object": v8('o', 'o', '{', 0, '_', '{', 1),
		"arrays in arrays":        v8(deep(10_000, 'A', 1)...),
		"objects in objects":      v8(deep(10_000, 'o', '"', 1, 'k')...),
		"maps in maps":            v8(deep(10_000, ';')...),
		"errors in errors":        v8(deep(10_000, 'r', 'c')...),
		"hosts in hosts":          v8(deep(10_000, '\\', 1)...),
		"a shared buffer":         v8('u', 0),
		"an object never ended":   v8('o'),
		"another count":           v8('o', '{', 1),
	} {
		if v, err := Decode(Advanced, f); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: read as %v, %v", name, v, err)
		}
	}
	for _, s := range []string{"", "{", "nul", strings.Repeat("[", 100_000), `{"a":1}{}`} {
		if v, err := Decode(JSON, Frame(s)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: read as %v, %v", s, v, err)
		}
	}
}

func TestManyElementsAreRefused(t *testing.T) {
	b := []byte{'A', 0x80, 0x80, 0x80, 0x01} // 2^21
	b = append(append(b, bytes.Repeat([]byte{'T'}, 1<<21)...), '$', 0, 0x80, 0x80, 0x80, 0x01)
	f := append([]byte{0, 0, 0, 0, headerTag, 15}, b...)
	if _, err := Decode(Advanced, f); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestCyclesAndManyfoldReferencesAreNotFollowedForEver(t *testing.T) {
	loop := &Object{}
	loop.Set("self", loop)
	doubled := &Array{}
	for range 60 { // 2^60 when written out
		doubled = &Array{Items: []Value{doubled, doubled}}
	}
	for name, v := range map[string]Value{"cycle": loop, "doubled": doubled} {
		if _, err := Encode(Advanced, v, 1<<16); !errors.Is(err, ErrUnencodable) {
			t.Errorf("%s as V8: %v", name, err)
		}
		if _, err := AppendText(nil, v, 1<<16, nil); !errors.Is(err, ErrUnencodable) {
			t.Errorf("%s as text: %v", name, err)
		}
	}
}

func TestTextIsThatOfJSONStringify(t *testing.T) {
	for _, tc := range []struct {
		v    Value
		want string
	}{
		{&Array{Items: []Value{Undefined{}, math.NaN(), math.Inf(1), math.Copysign(0, -1), 1e21, 1e-7}}, `[null,null,null,0,1e+21,1e-7]`},
		{(&Object{}).Set("gone", Undefined{}).Set("a", nil), `{"a":null}`},
		{"<&>\u2028\x01\"\\", "\"<&>\u2028\\u0001\\\"\\\\\""},
		{[]byte{1, 255}, `{"type":"Buffer","data":[1,255]}`},
		{Date(0), `"1970-01-01T00:00:00.000Z"`},
		{Date(253402300800000), `"+010000-01-01T00:00:00.000Z"`},
		{Date(math.NaN()), `null`},
		{Map, `{}`},
	} {
		if got, err := AppendText(nil, tc.v, 1<<16, nil); err != nil || string(got) != tc.want {
			t.Errorf("%v: %s, %v; want %s", tc.v, got, err, tc.want)
		}
	}
	if _, err := AppendText(nil, BigInt, 1<<16, nil); !errors.Is(err, ErrUnencodable) {
		t.Errorf("a BigInt: %v", err)
	}
}

func TestAttachmentsThereAndBack(t *testing.T) {
	v := &Array{Items: []Value{"ev", []byte("one"), (&Object{}).Set("deep", []byte("two"))}}
	var attachments [][]byte
	text, err := AppendText(nil, v, 1<<16, &attachments)
	if want := `["ev",{"_placeholder":true,"num":0},{"deep":{"_placeholder":true,"num":1}}]`; err != nil || string(text) != want {
		t.Fatalf("%s, %v", text, err)
	}
	back, err := FromText(text, attachments)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := Encode(Advanced, v, 1<<16)
	b, _ := Encode(Advanced, back, 1<<16)
	if !bytes.Equal(a, b) {
		t.Errorf("%x, want %x", b, a)
	}
}

// TestAttachmentIsTakenOnce: plain data that looks like a placeholder has no attachment copied
// again.
func TestAttachmentIsTakenOnce(t *testing.T) {
	text := `["ev"` + strings.Repeat(`,{"_placeholder":true,"num":0}`, 1000) + `]`
	v, err := FromText([]byte(text), [][]byte{make([]byte, 10_000)})
	if err != nil {
		t.Fatal(err)
	}
	frame, err := Encode(Advanced, v, 1<<30)
	if err != nil || len(frame) > 200_000 {
		t.Errorf("a frame of %d bytes, %v", len(frame), err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range recordedFrames(f) {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		defer testkit.BoundCost(t, len(b))()
		if len(b) < prefixSize {
			return
		}
		v, err := Decode(Advanced, b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		AppendText(nil, v, 1<<16, nil)
		written, err := Encode(Advanced, v, 1<<16)
		if err != nil {
			return // opaque, cyclic, or too large
		}
		again, err := Decode(Advanced, written)
		if err != nil {
			t.Fatalf("%x cannot be read: %v", written, err)
		}
		twice, err := Encode(Advanced, again, 1<<16)
		if err != nil || !bytes.Equal(twice, written) {
			t.Fatalf("%x is written as %x, %v", written, twice, err)
		}
	})
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("{}\n[1]\n"), 3, false)
	f.Add([]byte{0, 0, 0, 1, '_', 0, 0, 0, 0}, 2, true)
	f.Fuzz(func(t *testing.T, b []byte, size int, advanced bool) {
		defer testkit.BoundCost(t, len(b))()
		mode := JSON
		if advanced {
			mode = Advanced
		}
		cut := func(size int) (stream []byte, err error) {
			s := &Splitter{Mode: mode, Limit: 1 << 12}
			for rest := b; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				err = s.Feed(rest[:min(size, len(rest))], func(f Frame) error { stream = append(stream, f...); return nil })
				if err != nil {
					return stream, err
				}
			}
			return stream, nil
		}
		if size < 1 {
			return
		}
		whole, err := cut(len(b) + 1)
		pieces, err2 := cut(size)
		if !bytes.Equal(whole, pieces) || (err == nil) != (err2 == nil) {
			t.Fatalf("%q whole (%v), %q in pieces of %d (%v)", whole, err, pieces, size, err2)
		}
	})
}
