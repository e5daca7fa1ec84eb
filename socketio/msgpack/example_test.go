package msgpack_test

import (
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/msgpack"
)

func ExampleParser() {
	io, err := socketio.New(socketio.Config{Parser: msgpack.Parser{}})
	if err != nil {
		panic(err)
	}
	io.On("sum", func(a, b float64) float64 { return a + b }) // as without it
}
