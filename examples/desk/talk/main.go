// Talk is a client for the shell. It emits an event and prints the answer; without an event it
// prints the events that it hears.
//
//	talk [-url URL] [-n NAMESPACE] TOKEN [EVENT [ARGUMENT]…]
//
// An argument that isn't JSON is text. @FILE is the content of a file.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/client"
)

func main() {
	log.SetFlags(0)
	url := flag.String("url", cmp.Or(os.Getenv("DESK_URL"), "http://localhost:8080"), "the server")
	namespace := flag.String("n", "/", "the namespace")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("usage: talk [-url URL] [-n NAMESPACE] TOKEN [EVENT [ARGUMENT]…]")
	}
	if err := run(*url, *namespace, flag.Arg(0), flag.Args()[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(url, namespace, token string, words []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := client.New(client.Config{
		URL:               url,
		Auth:              map[string]string{"token": token},
		Transports:        []string{client.WebSocket},
		ReconnectionDelay: 100 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if len(words) == 0 {
		return listen(ctx, c.Of(namespace))
	}
	args, err := values(words[1:])
	if err != nil {
		return err
	}
	return ask(ctx, c.Of(namespace), words[0], args)
}

// listen prints events until the server ends the connection, or ctx ends.
func listen(ctx context.Context, s *client.Socket) error {
	over := make(chan struct{}, 1)
	s.OnConnect(func() {
		if s.Recovered() {
			fmt.Println("recovered")
		} else {
			fmt.Println("connected")
		}
	})
	s.OnDisconnect(func(reason string, _ error) {
		fmt.Println("disconnected:", reason)
		if reason == client.ReasonServerDisconnect {
			over <- struct{}{}
		}
	})
	s.OnAny(func(event string, args client.Args) { fmt.Println(event, args) })
	s.On("solved?", func() bool { return true })
	if err := s.Connect(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-over:
	}
	return nil
}

// ask emits an event and prints the answer.
func ask(ctx context.Context, s *client.Socket, event string, args []any) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	received := 0
	s.On("chunk", func(b []byte) error {
		received += len(b)
		return nil // the empty answer asks for the next chunk
	})
	if err := s.Connect(ctx); err != nil {
		return err
	}
	answer, err := s.EmitWithAck(ctx, event, args...)
	if err != nil {
		return err
	}
	if received > 0 {
		fmt.Println("received:", received)
	}
	fmt.Println("answer:", answer)
	return nil
}

// values are the arguments of an event as words of a command line give them.
func values(words []string) (args []any, err error) {
	for _, word := range words {
		var arg any = word
		if name, ok := strings.CutPrefix(word, "@"); ok {
			if arg, err = os.ReadFile(name); err != nil {
				return nil, err
			}
		} else if json.Valid([]byte(word)) {
			arg = json.RawMessage(word)
		}
		args = append(args, arg)
	}
	return args, nil
}
