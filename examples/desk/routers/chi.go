package routers

import (
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/sidereal-io/sidereal/socketio"
)

// WithChi uses chi.
func WithChi(server *socketio.Server) http.Handler {
	router := chi.NewRouter()
	router.Use(middleware.Recoverer)
	router.Post("/customers/{name}/messages", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = server.To(chi.URLParam(r, "name")).Emit("said", string(text))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return router
}
