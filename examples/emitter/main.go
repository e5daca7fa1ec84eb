// Emitter sends a message to a room of the chat example, from a process that serves no clients. Run
// it from cron, for example:
//
//	SIDEREAL_REDIS_URL=redis://127.0.0.1:6379 emitter lobby 'Lunch is ready'
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: emitter ROOM TEXT")
	}
	if err := say(context.Background(), os.Getenv("SIDEREAL_REDIS_URL"), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func say(ctx context.Context, url, room, text string) error {
	options, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	options.ContextTimeoutEnabled = true // ctx bounds every call
	client := redis.NewClient(options)
	defer client.Close()
	e, err := emitter.New(emitter.Config{Redis: client})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return e.To("room:"+room).Emit(ctx, "said", map[string]any{"room": room, "from": "cron", "text": text, "at": time.Now()})
}
