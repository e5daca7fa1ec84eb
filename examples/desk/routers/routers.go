// Package routers has the desk's HTTP API as popular routers write it. Each function returns a
// handler for Server.Handle.
package routers

import (
	"io"
	"net/http"

	"github.com/sidereal-io/sidereal/socketio"
)

// WithServeMux uses the router of the standard library.
func WithServeMux(server *socketio.Server) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /customers/{name}/messages", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = server.To(r.PathValue("name")).Emit("said", string(text))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}
