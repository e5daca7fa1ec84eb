//go:build unix

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// occupy keeps every core busy until the function that it returns is called, which waits for the
// loops' end. They are goroutines: nothing is left of them when the program ends by itself, by a
// signal or by a crash.
func occupy(loops int) (release func()) {
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(before + loops) // the loops don't keep the program from reading what the tests print
	var over atomic.Bool
	var all, begun sync.WaitGroup
	begun.Add(loops)
	for range loops {
		all.Go(func() {
			begun.Done()
			for !over.Load() {
			}
		})
	}
	begun.Wait()
	return func() {
		over.Store(true)
		all.Wait()
		runtime.GOMAXPROCS(before)
	}
}
