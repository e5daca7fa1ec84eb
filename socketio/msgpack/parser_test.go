package msgpack_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
	"github.com/sidereal-io/sidereal/socketio/msgpack"
)

// TestServer talks to a server in MessagePack: connect, events and answers with binary, broadcasts,
// and what closes.
func TestServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := peer.Serve(t, socketio.Config{Parser: msgpack.Parser{}}, func(io *socketio.Server) {
			io.On("sum", func(numbers []float64, raw []byte) (float64, []byte) {
				sum := 0.0
				for _, n := range numbers {
					sum += n
				}
				return sum, raw
			})
			io.On("all", func(args socketio.Args) { io.Emit("all", args) })
		})
		defer h.Stop()
		p := h.Dial("")
		p.SendBinary("\x82\xa4type\x00\xa3nsp\xa1/")
		if got := p.Next(); !strings.HasPrefix(got, "b:\x83\xa4type\x00\xa4data\x81\xa3sid\xb4") {
			t.Fatalf("CONNECT was answered %q", got)
		}
		p.SendBinary("\x84\xa4type\x02\xa4data\x93\xa3sum\x93\x01\x02\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00\xc4\x02ab\xa3nsp\xa1/\xa2id\x07")
		p.Want("b:\x84\xa4type\x03\xa4data\x92\xcb\x40\x0c\x00\x00\x00\x00\x00\x00\xc4\x02ab\xa3nsp\xa1/\xa2id\x07")
		p.SendBinary("\x83\xa4type\x02\xa4data\x92\xa3all\x81\xa1x\xc4\x01z\xa3nsp\xa1/")
		p.Want("b:\x83\xa4type\x02\xa4data\x92\xa3all\x81\xa1x\xc4\x01z\xa3nsp\xa1/")
		p.SendBinary("\x82\xa4type\x00\xa3nsp\xa2/x")
		p.Want("b:\x83\xa4type\x04\xa4data\x81\xa7message\xb1Invalid namespace\xa3nsp\xa2/x")
		p.SendBinary("\x82\xa4type\x09\xa3nsp\xa1/")
		p.Want("closed")

		q := h.Dial("")
		q.Send("0") // the protocol's own form
		q.Want("closed")
	})
}
