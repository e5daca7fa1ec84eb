package adapter

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// TestEveryFormOverTLS has servers talk, before and after a failover, where nothing is said in
// plain text.
func TestEveryFormOverTLS(t *testing.T) {
	t.Parallel()
	cert := testkit.NewCertificate(t)
	for where, begin := range map[string]func(*testing.T) (url string, failOver func()){
		"Cluster": func(t *testing.T) (string, func()) {
			c := testkit.StartTLSCluster(t, cert)
			return c.URL(), func() {
				owner := c.Owner("socket.io")
				owner.Kill()
				c.Promote(owner)
			}
		},
		"Sentinel": func(t *testing.T) (string, func()) {
			s := testkit.StartTLSSentinel(t, cert)
			return s.URL(), func() {
				s.First.Kill()
				s.Promoted(s.Second)
			}
		},
	} {
		t.Run(where, func(t *testing.T) {
			url, failOver := begin(t)
			var check []func()
			for _, form := range everyForm {
				key := fmt.Sprint("app", len(check))
				l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s", Rooms: []string{"a", "b"}})
				receiver, _ := startTLS(t, form, key, url, cert, l)
				sender, adapters := startTLS(t, form, key, url, cert, linktest.NewLocal("/"))
				linktest.Meet(t, sender, receiver)
				check = append(check, func() {
					hears(t, adapters[0], l, "a", "b")
					testkit.Until(t, "the socket of the other server to be found", func() bool {
						found, err := linktest.Fetch(linktest.Background(t), adapters[0], cluster.Target{})
						return len(found) == 1 && err == nil
					})
				})
			}
			for _, f := range check {
				f()
			}
			failOver()
			for _, f := range check {
				f()
			}
		})
	}
}

// startTLS runs a server of a form, whose rooms are its own.
func startTLS(t *testing.T, form Form, key, url string, cert testkit.Certificate, l *linktest.Local) (*server, []cluster.Adapter) {
	t.Helper()
	conn, err := sidereal.OpenRedis(sidereal.Redis{URL: url, CAFile: cert.Cert}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	testkit.Run(t, conn.Run)
	return start(t, Config{Conn: conn, Form: form, Key: key}, l)
}
