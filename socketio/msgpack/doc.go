// Package msgpack is a packet.Parser whose packets are one MessagePack map each, in one binary
// message, binary parts included. It is compatible with the npm package socket.io-msgpack-parser,
// which the clients of such a server use (the bundle socket.io.msgpack.min.js has it built in):
//
//	io, err := socketio.New(socketio.Config{Parser: msgpack.Parser{}})
//	c, err := client.New(client.Config{URL: url, Parser: msgpack.Parser{}})
//
// Messages with many numbers or much binary become smaller; text does not. What an app sees is the
// same as without it, so handlers need not know. A server passes on what it receives as JSON (to
// other servers, too), and so a Date that a client sends arrives as its text.
//
// Everything may be called concurrently.
package msgpack
