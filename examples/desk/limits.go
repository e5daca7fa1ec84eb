package main

import "github.com/sidereal-io/sidereal/socketio"

// limits are the bounds that the desk sets other than the defaults.
func limits() socketio.Config {
	return socketio.Config{
		MaxHTTPBufferSize:  6 << 20, // an upload of 4 MB in base64, for clients on polling
		MaxQueueBytes:      1 << 20, // a client that is slower than this is closed
		MaxEventsPerSecond: 50,      // nobody types that fast
	}
}
