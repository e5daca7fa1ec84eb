package processview

import (
	"bytes"
	"testing"
)

func TestDrawReplacesThePageAndKeepsToTheScreen(t *testing.T) {
	for _, c := range []struct {
		height     int
		page, want string
	}{
		{0, "one\ntwo\n", "\x1b[Hone\x1b[K\ntwo\x1b[K\x1b[J"},
		{2, "one\ntwo\n", "\x1b[Hone\x1b[K\ntwo\x1b[K\x1b[J"},
		{2, "one\ntwo\nthree\n", "\x1b[Hone\x1b[K\n… 2 more lines\x1b[K\x1b[J"},
	} {
		var b bytes.Buffer
		if err := (Screen{Writer: &b, Height: c.height}).Draw([]byte(c.page)); err != nil || b.String() != c.want {
			t.Errorf("%d lines: got %q, want %q (%v)", c.height, b.String(), c.want, err)
		}
	}
}
