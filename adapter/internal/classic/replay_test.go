package classic

import (
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
)

// TestReplay has a Go server play B: it is told all that A said, and its clients must hear what B's
// heard, and its answers be B's, byte by byte.
func TestReplay(t *testing.T) {
	for _, name := range []string{"classic.json", "classic-specific.json"} {
		t.Run(name, func(t *testing.T) {
			rec, emitter := linktest.ReadRecording(t, name), linktest.ReadRecording(t, "redis-emitter.json")
			m := miniredis.RunT(t)
			main, chat := linktest.PlayB(t, rec)
			mark := linktest.NewLocal("/mark", &linktest.Socket{ID: "mark", Name: "mark"})
			start(t, linktest.URL(m), Config{SpecificResponses: name != "classic.json"}, main, chat, mark)
			p := &linktest.Replay{Client: linktest.Dial(t, m), Main: main, Chat: chat, Mark: mark}
			p.Responses = p.Client.PSubscribe(t.Context(), "socket.io-response#*")
			defer p.Responses.Close()
			if _, err := p.Responses.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, step := range rec.Steps {
				if step.Name == "close-B" {
					break
				}
				p.Step(t, rec, step)
				if step.Name == "remote-leave" && name == "classic.json" { // the emitter spoke here
					for _, step := range emitter.Steps {
						p.Step(t, emitter, step)
					}
				}
			}
		})
	}
}
