package testkit

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// ManyWait lets four times as many parallel tests run at once, unless -parallel says how many: they
// wait for time to pass or for other processes, so the processors aren't the limit. A package's
// TestMain calls it before Main.
func ManyWait() {
	flag.Parse()
	said := flag.Lookup("test.fuzz").Value.String() != "" // -parallel is the number of fuzzing processes
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0))) // it takes any number
	}
}

// Main is the TestMain of a package: it runs the tests, and fails if they leave goroutines behind.
// Those that are about to end have as long for it as a busy machine needs.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 && leaks() != nil {
		code = 1
	}
	os.Exit(code)
}

func leaks() (err error) {
	// go-redis dials a dead Redis once a second, and notices only then that its client is closed.
	dialing := goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
	for end := time.Now().Add(patience / 4); ; {
		if err = goleak.Find(dialing); err == nil {
			return nil
		}
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goroutines are left behind: %v\n", err)
			return err
		}
	}
}
