package redisserver

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/testkit"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

func TestGlobMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"socket.io#/#*", "socket.io#/#room#", true},
		{"socket.io#/#*", "socket.io#/chat#", false},
		{"a?c", "abc", true},
		{"a[^b]c", "abc", false},
		{"[a-c]*z", "bzzzy", false},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{"*a*b*c*", "xaxbxcx", true},
		{"", "", true},
		{"", "a", false},
		{"**", "", true},
	} {
		if got := globMatch(c.pattern, c.s); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
	if s := strings.Repeat("a", 5000); globMatch(strings.Repeat("a*", 500)+"b", s) { // exponential, done naively
		t.Error("matches")
	}
}

// TestGlobMatchesAsRedisDoes compares with KEYS, over names and patterns of the bytes that mean
// something.
func TestGlobMatchesAsRedisDoes(t *testing.T) {
	client := open(t, redisconn.Config{URL: testkit.StartRedis(t).URL()}).Client()
	random := rand.New(rand.NewPCG(1, 2))
	word := func(letters string, most int) string {
		var b strings.Builder
		for range 1 + random.IntN(most) {
			b.WriteByte(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	var names []string
	for range 300 {
		names = append(names, word(`abc]-^\*`, 5))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	pipe := client.Pipeline()
	for _, name := range names {
		pipe.Set(context.Background(), name, "", 0)
	}
	var (
		patterns []string
		answers  []*redis.StringSliceCmd
	)
	for range 3000 {
		patterns = append(patterns, word(`abc**?[[]]-^\`, 7))
		answers = append(answers, pipe.Keys(context.Background(), patterns[len(patterns)-1]))
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i, pattern := range patterns {
		want := answers[i].Val()
		slices.Sort(want)
		got := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !globMatch(pattern, name) })
		if !slices.Equal(got, want) {
			t.Errorf("%q matches %q, want %q", pattern, got, want)
		}
	}
}
