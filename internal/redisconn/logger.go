package redisconn

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

var quietOnce sync.Once

// quietLibrary sends what go-redis would write to stderr (one line for every refused dial) to log at debug level. The
// library's logger is global, so the first Conn of a process decides.
func quietLibrary(log zerolog.Logger) {
	quietOnce.Do(func() { redis.SetLogger(libraryLog{log}) })
}

type libraryLog struct{ log zerolog.Logger }

func (l libraryLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug().Str("from", "go-redis").Msgf(format, v...)
}
