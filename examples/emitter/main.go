// Emitter sends a message to a room of the chat example, from a process that serves no clients. Run
// it from cron, with the variables of the servers:
//
//	SIDEREAL_REDIS_URL=redis://127.0.0.1:6379 emitter lobby 'Lunch is ready'
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/sidereal-io/sidereal/adapter/emitter"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: emitter ROOM TEXT")
	}
	if err := say(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func say(ctx context.Context, room, text string) error {
	e, err := emitter.FromEnv()
	if err != nil {
		return err
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return e.To("room:"+room).Emit(ctx, "said", map[string]any{"room": room, "from": "cron", "text": text, "at": time.Now()})
}
