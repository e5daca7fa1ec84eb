package adapter

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/adaptertest"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// deflated is a Parser that compresses, behind a first byte of its own.
type deflated struct{}

// compressors are kept: one is a megabyte, which was two thirds of what the suite took.
var compressors = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is right
	return w
}}

func (deflated) Encode(msg []byte) ([]byte, error) {
	b := bytes.NewBufferString("z")
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	w.Reset(b)
	_, err := w.Write(msg)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func (deflated) Decode(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != 'z' {
		return nil, errors.New("not ours")
	}
	return io.ReadAll(flate.NewReader(bytes.NewReader(b[1:])))
}

func TestSuiteWithAParser(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
		cfg := on(testkit.StartRedis(t).URL())
		cfg.Form = Classic{Parser: deflated{}}
		return clusters(t, cfg)
	})
}

// TestParsersMustAgree: what one cannot decode costs that message, and a bomb is not let in.
func TestParsersMustAgree(t *testing.T) {
	m := miniredis.RunT(t)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	receiver, _ := start(t, Config{Redis: at(linktest.URL(m)), Form: Classic{Parser: deflated{}}, MaxMessageBytes: 10_000}, l)
	_, plain := start(t, on(linktest.URL(m)), linktest.NewLocal("/"))
	_, same := start(t, Config{Redis: at(linktest.URL(m)), Form: Classic{Parser: deflated{}}}, linktest.NewLocal("/"))
	linktest.Emit(t, plain[0], 1, cluster.Flags{})
	if err := same[0].Broadcast(&cluster.Broadcast{Data: linktest.Text(`"ev"`, `"`+string(bytes.Repeat([]byte("x"), 100_000))+`"`)}); err != nil {
		t.Fatal(err)
	}
	linktest.Emit(t, same[0], 2, cluster.Flags{})
	if g := linktest.Wait(t, l, 1)[0]; string(g.Payload.JSON) != `["ev",2]` {
		t.Errorf("%s came", g.Payload.JSON)
	}
	testkit.Until(t, "the malformed messages to be counted", func() bool { return receiver.dropped(t, "malformed") == 2 })
}
