package redisconn

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"
)

var quietOnce sync.Once

// quietLibrary sends what go-redis would write to stderr (one line for every refused dial) to log
// at debug level. The library's logger is global, so the first Conn of a process decides.
func quietLibrary(log *slog.Logger) {
	quietOnce.Do(func() { redis.SetLogger(libraryLog{log}) })
}

type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug(fmt.Sprintf(format, v...), "from", "go-redis")
}
