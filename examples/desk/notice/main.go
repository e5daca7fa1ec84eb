// Notice tells everybody at the desk something, from a process that serves no clients:
//
//	SIDEREAL_REDIS_URL=redis://127.0.0.1:6379 notice 'We close at six.'
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"time"

	"github.com/sidereal-io/sidereal/adapter/emitter"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: notice TEXT")
	}
	if err := notice(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// notice emits to customers and agents on all hosts.
func notice(text string) error {
	e, err := emitter.FromEnv() // reads the variables that the servers read
	if err != nil {
		return err
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(
		e.Emit(ctx, "notice", text),
		e.Of("/agents").Emit(ctx, "notice", text),
	)
}
