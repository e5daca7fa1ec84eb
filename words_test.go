package sidereal_test

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// givenUp are words that we replaced, and the words to use; docs/glossary.md has their meanings.
// They may not appear in code, comments, log messages, flags or docs.
var givenUp = map[string]string{
	"atlas":   "cluster map",
	"backend": "worker, or upstream",
	"census":  "peers, or server count",
	"crew":    "the poller's leader and helpers",
	"ebb":     "say what decreases",
	"lineup":  "queue",
	"rawio":   "netio",
	"tenure":  "lease",
}

// vague are words that are fine in a sentence and say nothing as the name of a file or type.
var vague = map[string]bool{
	"act": true, "front": true, "hands": true, "keep": true, "late": true, "lean": true, "look": true,
	"meet": true, "wish": true, "wishes": true,
}

// givenUpStill are places that may use such words.
var givenUpStill = []string{
	"CHANGELOG.md",        // has the words of its time
	"docs/adr/",           // so do decisions
	"docs/glossary.md",    // names them
	"words_test.go",       // likewise
	"docs/performance.md", // nginx has backends
	"e2e/bench/",          // likewise
}

// TestGivenUpWords rejects words that docs/glossary.md replaced.
func TestGivenUpWords(t *testing.T) {
	walk(t, ".", func(file string) {
		if stays(file) || !readable.MatchString(file) {
			return
		}
		for n, line := range strings.Split(read(t, file), "\n") {
			for _, word := range wordsOf(line) {
				if use := givenUp[singular(word)]; use != "" {
					t.Errorf("%s:%d: %q: use another word (%s)", file, n+1, word, use)
				}
			}
		}
	})
	for file, tree := range sources(t) {
		if stays(file) {
			continue
		}
		for _, word := range wordsOf(strings.TrimSuffix(path.Base(file), ".go")) {
			if vague[word] || givenUp[singular(word)] != "" {
				t.Errorf("%s: %q doesn't say what the file contains", file, word)
			}
		}
		ast.Inspect(tree.root, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && vague[strings.ToLower(spec.Name.Name)] {
				t.Errorf("%s: %q doesn't say what the type is", tree.position(n), spec.Name.Name)
			}
			return true
		})
	}
}

// narrow are the folders whose comments end at 100 columns. Add a folder once its comments do.
var narrow = []string{
	"adapter/emitter/", "adapter/internal/linktest/", "adapter/internal/wire/", "client/", "engineio/packet/",
	"examples/", "internal/admin/", "internal/cluster/", "internal/guardian/", "internal/handler/",
	"internal/netio/", "internal/rebalance/", "internal/redisconn/", "internal/redisserver/", "router/",
	"socketio/cluster/", "socketio/msgpack/", "socketio/packet/", "socketio/socketiotest/", "worker/",
}

// TestCommentsAreNarrow wants at most 100 columns in a comment that has a line of its own, with tabs
// of four. Code in a comment may be wider.
func TestCommentsAreNarrow(t *testing.T) {
	text := regexp.MustCompile(`^\t*// ?[^ \t]`)
	walk(t, ".", func(file string) {
		if path.Ext(file) != ".go" || !slices.ContainsFunc(narrow, func(folder string) bool { return strings.HasPrefix(file, folder) }) {
			return
		}
		for n, line := range strings.Split(read(t, file), "\n") {
			columns := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
			if text.MatchString(line) && columns > 100 {
				t.Errorf("%s:%d: a comment of %d columns: wrap it", file, n+1, columns)
			}
		}
	})
}

func stays(file string) bool {
	return slices.ContainsFunc(givenUpStill, func(place string) bool {
		return file == place || strings.HasSuffix(place, "/") && strings.HasPrefix(file, place)
	})
}

var readable = regexp.MustCompile(`(\.(go|md|ya?ml|m?js|sh|html|txtar)|Makefile|Dockerfile)$`)

var letters = regexp.MustCompile(`\p{L}+`)

// wordsOf returns the words of a text in lower case; it takes camelCase and snake_case apart.
func wordsOf(text string) (words []string) {
	for _, run := range letters.FindAllString(text, -1) {
		start, runes := 0, []rune(run)
		for i := 1; i < len(runes); i++ {
			if unicode.IsUpper(runes[i]) && unicode.IsLower(runes[i-1]) {
				words = append(words, strings.ToLower(string(runes[start:i])))
				start = i
			}
		}
		words = append(words, strings.ToLower(string(runes[start:])))
	}
	return words
}

func singular(word string) string {
	if stem, ok := strings.CutSuffix(word, "shes"); ok {
		return stem + "sh"
	}
	return strings.TrimSuffix(word, "s")
}
