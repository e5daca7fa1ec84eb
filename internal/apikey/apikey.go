// Package apikey reads the keys of the HTTP API, and finds the one that a request shows.
package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Shortest is the length of the shortest key, in bytes.
const Shortest = 16

// maxKeys bounds the list: every request is compared with each.
const maxKeys = 100

// Operations are the names of what a key may be limited to.
var Operations = []string{"emit", "join", "leave", "disconnect", "server-event", "sockets", "rooms", "servers"}

var keyName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Key is somebody who may use the API.
type Key struct {
	Name       string
	Operations []string // empty: all
	Namespaces []string // empty: all

	sum [sha256.Size]byte // of its text
}

// Parse reads a list such as
//
//	shop=KEY,jobs:emit+join@/orders=KEY
//
// Commas or line ends separate keys. A name may be followed by a colon and the operations that the
// key is limited to, then by an at sign and its namespaces; plus signs separate these. The errors
// name keys, never their texts.
func Parse(text string) (keys []Key, err error) {
	for one := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		k, err := parseKey(one)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		for _, other := range keys {
			if other.Name == k.Name || other.sum == k.sum {
				return nil, fmt.Errorf("key %d: its name or its text is that of another key", len(keys)+1)
			}
		}
		if keys = append(keys, k); len(keys) > maxKeys {
			return nil, fmt.Errorf("more than %d keys", maxKeys)
		}
	}
	return keys, nil
}

// First returns the text of the first key in a list that Parse accepts.
func First(list string) string {
	one, _, _ := strings.Cut(strings.TrimLeft(list, ", \r\n"), ",")
	one, _, _ = strings.Cut(one, "\n")
	_, secret, _ := strings.Cut(strings.TrimSpace(one), "=")
	return secret
}

func parseKey(text string) (k Key, err error) {
	who, secret, ok := strings.Cut(text, "=")
	if !ok {
		return k, fmt.Errorf("must be NAME=KEY")
	}
	who, namespaces, limited := strings.Cut(who, "@")
	if limited {
		k.Namespaces = strings.Split(namespaces, "+")
	}
	name, operations, limited := strings.Cut(who, ":")
	if limited {
		k.Operations = strings.Split(operations, "+")
	}
	k.Name, k.sum = name, sha256.Sum256([]byte(secret))
	bad := func(r rune) bool { return r <= ' ' || r >= 0x7f }
	switch {
	case !keyName.MatchString(name):
		return k, fmt.Errorf("its name must have 1 to 64 letters, digits, dots, dashes or underscores")
	case len(secret) < Shortest:
		return k, fmt.Errorf("%s has less than %d characters", name, Shortest)
	case len(secret) > 1024 || strings.ContainsFunc(secret, bad):
		return k, fmt.Errorf("%s must have at most 1024 printable characters of ASCII without blanks", name)
	}
	for _, o := range k.Operations {
		if !slices.Contains(Operations, o) {
			return k, fmt.Errorf("%s is limited to an unknown operation; there are %s", name, strings.Join(Operations, ", "))
		}
	}
	for _, n := range k.Namespaces {
		if !strings.HasPrefix(n, "/") {
			return k, fmt.Errorf("%s is limited to a namespace without its leading slash", name)
		}
	}
	return k, nil
}

// MayDo reports whether the key may use an operation at all.
func (k *Key) MayDo(operation string) bool {
	return len(k.Operations) == 0 || slices.Contains(k.Operations, operation)
}

// MayReach reports whether the key may use a namespace.
func (k *Key) MayReach(namespace string) bool {
	return len(k.Namespaces) == 0 || slices.Contains(k.Namespaces, namespace)
}

// Find returns the number of the key that an Authorization header shows. It compares with every key,
// in a time that says nothing about them.
func Find(keys []Key, authorization string) (i int, ok bool) {
	scheme, shown, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return 0, false
	}
	sum := sha256.Sum256([]byte(strings.TrimLeft(shown, " ")))
	for n := range keys {
		if subtle.ConstantTimeCompare(sum[:], keys[n].sum[:]) == 1 {
			i, ok = n, true
		}
	}
	return i, ok
}
