//go:build e2e

package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/msgpack"
)

// conformances are files of checks, with the app and the heartbeat they are for.
var conformances = []struct {
	checks, app               string
	pingInterval, pingTimeout time.Duration
}{
	{"protocol", "protocol", 25 * time.Second, 20 * time.Second},
	{"heartbeat", "protocol", 300 * time.Millisecond, 5 * time.Second},
	{checks: "client", app: "client"},
	{checks: "edge", app: "edge"},
}

// connectTimeout is the protocol app's: long enough for checks on a busy machine.
const connectTimeout = 3 * time.Second

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// TestConformance runs the checks of e2e/js/conformance-*.mjs against the apps of e2e/conformance.
func TestConformance(t *testing.T) {
	t.Parallel() // the checks wait, mostly
	program := filepath.Join(t.TempDir(), "conformance")
	build := exec.Command("go", "build", "-o", program, "./e2e/conformance")
	build.Dir = harness.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range conformances {
		t.Run(c.checks, func(t *testing.T) {
			t.Parallel()
			addr := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
			server := harness.Start(t, c.app+" app", "", nil, program, "-app", c.app, "-addr", addr,
				"-ping-interval", c.pingInterval.String(), "-ping-timeout", c.pingTimeout.String(), "-connect-timeout", connectTimeout.String())
			server.Output.Wait(t, 0, "the app", func(line string) bool { return line == "ready" })
			conform(t, c.checks, "http://"+addr)
		})
	}
}

// TestConformanceOfTheReference runs them against the same apps on Node's own servers: a check that
// does not hold there is wrong.
func TestConformanceOfTheReference(t *testing.T) {
	t.Parallel()
	for _, c := range conformances {
		t.Run(c.checks, func(t *testing.T) {
			t.Parallel()
			port := strconv.Itoa(testkit.FreePort(t))
			dir := filepath.Join(harness.Root(), "e2e", "js")
			server := harness.Start(t, "reference "+c.app, dir, nil, "node", "conformance-reference.mjs", c.app, port,
				milliseconds(c.pingInterval), milliseconds(c.pingTimeout), milliseconds(connectTimeout))
			server.Output.Wait(t, 0, "the app", func(line string) bool { return line == "ready" })
			conform(t, c.checks, "http://127.0.0.1:"+port)
		})
	}
}

// TestMsgpackParser: the official client with socket.io-msgpack-parser.
func TestMsgpackParser(t *testing.T) {
	io, err := socketio.New(socketio.Config{Parser: msgpack.Parser{}})
	if err != nil {
		t.Fatal(err)
	}
	io.On("echo", func(args ...socketio.Value) []socketio.Value { return args })
	io.On("all", func(s *socketio.Socket, args socketio.Args) { io.To(s.ID()).Emit("all", args) })
	io.On("ask", func(ctx context.Context, s *socketio.Socket, b []byte) (socketio.Value, error) {
		answer, err := s.EmitWithAck(ctx, "question", b)
		return answer.Value(0), err
	})
	io.Of("/auth").Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil {
			return err
		}
		return socketio.NewError("token " + auth.Token)
	})
	conform(t, "msgpack", testkit.Serve(t, io).URL)
}

// conform runs the checks of one app and wants all of them to hold.
func conform(t *testing.T, app, url string) {
	t.Helper()
	cmd := exec.Command("node", "conformance.mjs", app, url)
	cmd.Dir = filepath.Join(harness.Root(), "e2e", "js")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
