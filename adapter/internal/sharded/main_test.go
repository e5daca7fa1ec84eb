package sharded

import (
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

func TestMain(m *testing.M) { linktest.Main(m) }

// start runs a server that ends with the test, and returns once it hears the others and its rooms.
func start(t testing.TB, url string, cfg Config, locals ...*linktest.Local) (*Form, []cluster.Adapter, func()) {
	t.Helper()
	return startWith(t, link.Config{Conn: linktest.Connect(t, url)}, cfg, locals...)
}

func startWith(t testing.TB, common link.Config, cfg Config, locals ...*linktest.Local) (*Form, []cluster.Adapter, func()) {
	t.Helper()
	common.OwnConn, common.Wrap = true, forget
	f, err := New(common, cfg)
	if err != nil {
		t.Fatal(err)
	}
	adapters, end := linktest.Start(t, f, locals...)
	testkit.Until(t, "the server to hear its rooms", f.Sub.Settled)
	return f, adapters, end
}

// forgetful is a form whose messages are overwritten as soon as it says that it keeps nothing of
// them.
type forgetful struct{ link.Form }

func forget(f link.Form) link.Form { return forgetful{f} }

func (f forgetful) Receive(channel string, payload []byte) (kept bool, err error) {
	return linktest.Overwrite(f.Form.Receive, channel, payload)
}
