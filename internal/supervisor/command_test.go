package supervisor

import (
	"errors"
	"os"
	"testing"
)

func TestInputReachesWhoReads(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		{Name: "reads", Command: fake(t, "read"), Input: true},
		{Name: "deaf", Command: fake(t, "serve", "deaf"), Input: true},
		{Name: "none", Command: fake(t, "serve", "none")},
	}})
	h.wait("all ready", allReady)
	if err := h.Input("reads", []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	h.wait("the line read", func(st []Status) bool { return st[0].Attrs["read"] == "hello" })
	if err := h.Input("none", []byte("hello\n")); !errors.Is(err, ErrNoInput) {
		t.Errorf("without an input: %v", err)
	}
	if err := h.Input("deaf", make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nobody reads: %v", err)
	}
	if err := h.Stop("reads"); err != nil {
		t.Fatal(err)
	}
	h.wait("stopped", stateIs("reads", Stopped))
	if err := h.Input("reads", []byte("hello\n")); !errors.Is(err, ErrNoInput) {
		t.Errorf("to nobody: %v", err)
	}
}
