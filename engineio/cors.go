package engineio

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says which pages of other origins may read polling responses. It hides responses from pages; it refuses no
// request and has no say over WebSockets: Config.AllowRequest has.
type CORS struct {
	// Origin is the origin that is named in every response, whatever the request's. Default "*", if AllowOrigin is not
	// set either.
	Origin string
	// AllowOrigin, if set, decides for each origin; those allowed are named in the response. See Origins.
	AllowOrigin func(origin string) bool
	// Credentials allows cookies and authentication.
	Credentials bool
	// Methods that a preflight allows. Default GET, HEAD, PUT, PATCH, POST, DELETE.
	Methods []string
	// AllowedHeaders that a preflight allows. Default: those that it asks for.
	AllowedHeaders []string
	// ExposedHeaders that pages may read.
	ExposedHeaders []string
	// MaxAge is how long a preflight's answer may be kept, in whole seconds. Default 0: not said.
	MaxAge time.Duration
}

// Origins is an AllowOrigin for a fixed list.
func Origins(list ...string) func(origin string) bool {
	return func(origin string) bool { return slices.Contains(list, origin) }
}

// Apply sets the headers and reports whether r was a preflight, which it has then answered: for what is served beside
// the sessions.
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
