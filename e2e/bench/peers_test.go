//go:build linux

package main

import (
	"os/exec"
	"strings"
	"testing"
)

// The limit speaks what the clients need: else its figures would be of something else.
func TestLimitAnswersAsTheFloorDoes(t *testing.T) {
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler")
	}
	f := &fleet{dir: t.TempDir()}
	s := &system{key: limit}
	defer s.stop()
	if err := f.limit(s); err != nil {
		t.Fatal(err)
	}
	if err := s.await(t.Context(), s.entries[0], 0); err != nil {
		t.Fatal(err)
	}
	var clients [3]*client
	for i := range clients {
		c, err := dial(t.Context(), s.entries[0], i, false)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		clients[i] = c
	}
	first, second, third := clients[0], clients[1], clients[2]
	expect := func(c *client, what string) {
		t.Helper()
		if err := c.expect(what); err != nil {
			t.Error(err)
		}
	}
	ask := func(c *client, args string) {
		t.Helper()
		if err := c.ask(args); err != nil {
			t.Fatal(err)
		}
	}
	ask(first, `["join","r1"]`)
	expect(first, `430["ok"]`)
	ask(second, `["join","r1"]`)
	expect(second, `430["ok"]`)
	ask(first, say(128, "r1"))
	expect(first, `42["said",{"room":"r1","msg":"xxx`)
	expect(first, `431["ok"]`)
	expect(second, `42["said",{"room":"r1","msg":"xxx`)
	ask(third, say(128, "")) // everybody, and it heard nothing before
	for _, c := range []*client{first, second, third} {
		expect(c, `42["said",{"msg":"xxx`)
	}
	expect(third, `430["ok"]`)
	attachment := strings.Repeat("\x00\x01\xfe\xff", 25<<10)
	if err := first.askBinary(`["echo",{"_placeholder":true,"num":0}]`, attachment); err != nil {
		t.Fatal(err)
	}
	expect(first, `461-2[{"_placeholder":true,"num":0}]`)
	expect(first, attachment)
	ask(second, `["burst",2]`)
	for _, want := range []string{`42["n",0]`, `42["n",1]`, `431["ok"]`} {
		expect(second, want)
	}
}
