package admin

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"ago": func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return time.Since(t).Round(time.Second).String()
	},
}).Parse(pageText))

// page shows the status to people.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	shown := struct {
		Status
		Cluster bool // there is such a page
	}{s.current(r.Context()), s.cfg.Cluster != nil}
	if err := pageTemplate.Execute(&b, shown); err != nil {
		text(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Write(b.Bytes())
}
