package msgpack

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestStringsAreEscapedWhereverTheyNeedIt(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := []byte(strings.Repeat("x", 20))
			b[at] = byte(c)
			want := string(b)
			if c >= 0x80 {
				want = want[:at] + "\uFFFD" + want[at+1:]
			}
			var got string
			if err := json.Unmarshal(AppendQuoted(nil, b), &got); err != nil || got != want {
				t.Fatalf("byte %#x at %d: %q, %v", c, at, got, err)
			}
		}
	}
}

func BenchmarkAppendQuoted(b *testing.B) {
	s := []byte(strings.Repeat("x", 128))
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendQuoted(dst[:0], s)
	}
}
