package routers

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// TestRouters posts a message to each router on one host; a customer on another host hears it.
func TestRouters(t *testing.T) {
	for name, router := range map[string]func(*socketio.Server) http.Handler{
		"net/http": WithServeMux, "chi": WithChi, "gin": WithGin, "echo": WithEcho,
	} {
		t.Run(name, func(t *testing.T) {
			hosts := socketiotest.ServeCluster(t, 2, socketio.Config{}, func(_ context.Context, io *socketio.Server) error {
				io.OnConnect(func(s *socketio.Socket) { s.Join("ada") })
				io.Handle("/", router(io))
				return nil
			})
			ada := hosts[0].Connect("/", nil)
			for path, want := range map[string]int{"/customers/ada/messages": http.StatusOK, "/nothing": http.StatusNotFound} {
				answer, err := hosts[1].HTTP.Post("http://desk.example"+path, "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Fatal(err)
				}
				if err := answer.Body.Close(); err != nil || answer.StatusCode != want {
					t.Errorf("POST %s: %s, %v", path, answer.Status, err)
				}
			}
			ada.Want("said", "hello")
		})
	}
}
