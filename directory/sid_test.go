package directory

import (
	"strings"
	"testing"
)

func TestMintedSidsNameTheirWorker(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := NewWorkerID()
		sid := MintSID(id)
		if len(id) != 4 || len(sid) != 20 {
			t.Fatalf("worker %q, sid %q", id, sid)
		}
		if got, ok := workerOf(sid); !ok || got != id {
			t.Fatalf("workerOf(%q) = %q, %v", sid, got, ok)
		}
		if seen[sid] {
			t.Fatalf("%q twice", sid)
		}
		seen[sid] = true
	}
}

func TestOtherSidsNameNobody(t *testing.T) {
	for _, sid := range []string{
		"", "abcd", strings.Repeat("a", 19), strings.Repeat("a", 21), "aaaa aaaaaaaaaaaaaaa",
		"aaaa+aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaa/", "\x00\x00\x00\x00aaaaaaaaaaaaaaaa", "äääaaaaaaaaaaaaaaa",
	} {
		if id, ok := workerOf(sid); ok {
			t.Errorf("workerOf(%q) = %q", sid, id)
		}
	}
}

func BenchmarkMintSID(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		MintSID("aB-_")
	}
}

func TestAWorkerIDIsNoFlag(t *testing.T) {
	for range 1000 {
		if id := NewWorkerID(); len(id) != workerIDLen || id[0] == '-' {
			t.Fatalf("minted %q", id)
		}
	}
}
