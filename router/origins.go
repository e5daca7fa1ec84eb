package router

import (
	"fmt"
	"strings"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

var errOrigin = &http1.Refusal{Status: 403, Why: "origin not allowed"}

// pattern is an allowed origin: scheme://host[:port] in lower case, cut where a star stands for the
// beginning of the host.
type pattern struct {
	before, after string
	star          bool
}

// origins are Config.AllowedOrigins; none: any.
type origins []pattern

func parseOrigins(texts []string) (all origins, err error) {
	for _, text := range texts {
		var p pattern
		lower := strings.ToLower(text)
		p.before, p.after, p.star = strings.Cut(lower, "*")
		scheme, host, ok := strings.Cut(lower, "://")
		rest := strings.TrimPrefix(host, "*.")
		if lower != "null" && (!ok || scheme == "" || rest == "" || strings.ContainsAny(rest, "*/?#@ ,")) {
			return nil, fmt.Errorf("%q: must be null or scheme://host[:port]; *. before the host means all its subdomains", text)
		}
		all = append(all, p)
	}
	return all, nil
}

func (p pattern) matches(origin []byte) bool {
	if !p.star {
		return http1.EqualFold(origin, p.before)
	}
	at := len(origin) - len(p.after)
	return at > len(p.before) && http1.HasPrefixFold(origin, p.before) && http1.EqualFold(origin[at:], p.after)
}

// forbid reports whether a request of a session comes from a page that may not make it. Browsers
// let any page open a WebSocket anywhere, and send the cookies along. A client that sends no Origin
// is not a browser.
func (all origins) forbid(q *request, b []byte) bool {
	if len(all) == 0 || q.kind == kindApp {
		return false
	}
	for i := range q.head.Fields() {
		if f := &q.head.Fields()[i]; f.ID == http1.FieldOrigin && !all.allow(f.Value.Of(b)) {
			return true
		}
	}
	return false
}

func (all origins) allow(origin []byte) bool {
	for _, p := range all {
		if p.matches(origin) {
			return true
		}
	}
	return false
}
