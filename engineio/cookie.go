package engineio

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// header is the Set-Cookie value for a sid, its attributes in the reference's order.
func (c *Cookie) header(sid string) string {
	var b strings.Builder
	b.WriteString(or(c.Name, "io") + "=" + sid)
	if c.MaxAge > 0 {
		b.WriteString("; Max-Age=" + strconv.Itoa(int(c.MaxAge/time.Second)))
	}
	if c.Domain != "" {
		b.WriteString("; Domain=" + c.Domain)
	}
	b.WriteString("; Path=" + or(c.Path, "/"))
	if !c.Readable {
		b.WriteString("; HttpOnly")
	}
	if c.Secure {
		b.WriteString("; Secure")
	}
	switch or(c.SameSite, http.SameSiteLaxMode) {
	case http.SameSiteLaxMode:
		b.WriteString("; SameSite=Lax")
	case http.SameSiteStrictMode:
		b.WriteString("; SameSite=Strict")
	case http.SameSiteNoneMode:
		b.WriteString("; SameSite=None")
	}
	return b.String()
}
