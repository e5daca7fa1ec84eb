package streams

import (
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

func TestMain(m *testing.M) { linktest.Main(m) }

// start runs a server that ends with the test, and returns once it hears the others.
func start(t testing.TB, url string, cfg Config, locals ...*linktest.Local) (*Form, []cluster.Adapter) {
	t.Helper()
	f, err := New(link.Config{Conn: linktest.Connect(t, url), OwnConn: true, Wrap: forget}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	adapters, _ := linktest.Start(t, f, locals...)
	return f, adapters
}

// forgetful is a form whose messages are overwritten as soon as it says that it keeps nothing of
// them.
type forgetful struct{ link.Form }

func forget(f link.Form) link.Form { return forgetful{f} }

func (f forgetful) Receive(channel string, payload []byte) (kept bool, err error) {
	return linktest.Overwrite(f.Form.Receive, channel, payload)
}
