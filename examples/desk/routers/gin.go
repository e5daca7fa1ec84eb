package routers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/sidereal-io/sidereal/socketio"
)

// WithGin uses gin.
func WithGin(server *socketio.Server) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.Recovery())
	router.POST("/customers/:name/messages", func(c *gin.Context) {
		text, err := c.GetRawData()
		if err == nil {
			err = server.To(c.Param("name")).Emit("said", string(text))
		}
		if err != nil {
			c.String(http.StatusInternalServerError, err.Error())
		}
	})
	return router
}
