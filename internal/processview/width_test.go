package processview

import "testing"

func TestColumns(t *testing.T) {
	for text, want := range map[string]int{"": 0, "api": 3, "über": 4, "日本": 4, "🚀x": 3, "e\u0301": 1, "↺": 1} {
		if got := columns(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{{"api", 3, "api"}, {"apis", 3, "ap…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}} {
		if got := shorten(c.text, c.width); got != c.want || columns(got) > c.width {
			t.Errorf("%s in %d: %q", c.text, c.width, got)
		}
	}
}
