package routers

import (
	"io"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/sidereal-io/sidereal/socketio"
)

// WithEcho uses echo.
func WithEcho(server *socketio.Server) http.Handler {
	router := echo.New()
	router.Use(middleware.Recover())
	router.POST("/customers/:name/messages", func(c echo.Context) error {
		text, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		if err := server.To(c.Param("name")).Emit("said", string(text)); err != nil {
			return err
		}
		return c.NoContent(http.StatusOK)
	})
	return router
}
