package engineio

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says which pages of other origins may read polling responses. It only hides responses from
// pages. To refuse requests, WebSockets included, use Config.AllowRequest.
type CORS struct {
	// Origin is the origin that each response allows, whatever the request's. Zero means "*" if
	// AllowOrigin is nil.
	Origin string
	// AllowOrigin decides about each origin. A response names the origin if it is allowed. See
	// Origins.
	AllowOrigin func(origin string) bool
	// Credentials allows cookies and authentication.
	Credentials bool
	// Methods that a preflight allows. Nil means GET, HEAD, PUT, PATCH, POST and DELETE.
	Methods []string
	// AllowedHeaders that a preflight allows. Nil means those that it asks for.
	AllowedHeaders []string
	// ExposedHeaders are those that pages may read.
	ExposedHeaders []string
	// MaxAge limits how long a page may keep the answer to a preflight, in whole seconds. Zero says
	// nothing about it.
	MaxAge time.Duration
}

// Origins returns an AllowOrigin for a fixed list.
func Origins(list ...string) func(origin string) bool {
	return func(origin string) bool { return slices.Contains(list, origin) }
}

// Apply sets the headers of a response. If r is a preflight, it answers r and returns true. It is
// for handlers beside a Server.
func (c *CORS) Apply(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	switch origin := r.Header.Get("Origin"); {
	case c.AllowOrigin != nil:
		if origin != "" && c.AllowOrigin(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
		}
		addVary(h, "Origin")
	case c.Origin == "" || c.Origin == "*":
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Set("Access-Control-Allow-Origin", c.Origin)
		addVary(h, "Origin")
	}
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(c.ExposedHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposedHeaders, ","))
	}
	if r.Method != http.MethodOptions {
		return false
	}
	methods := "GET,HEAD,PUT,PATCH,POST,DELETE"
	if len(c.Methods) > 0 {
		methods = strings.Join(c.Methods, ",")
	}
	h.Set("Access-Control-Allow-Methods", methods)
	if len(c.AllowedHeaders) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(c.AllowedHeaders, ","))
	} else {
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Set("Access-Control-Allow-Headers", asked)
		}
		addVary(h, "Access-Control-Request-Headers")
	}
	if c.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge/time.Second)))
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
	return true
}

func addVary(h http.Header, field string) {
	if v := h.Get("Vary"); v != "" {
		field = v + ", " + field
	}
	h.Set("Vary", field)
}
