// Package engine is an Engine.IO v4 client: one session over polling, WebSocket, or polling with an
// upgrade.
//
// Open does the handshake and returns a Conn; Serve reads on the caller's goroutine until the
// session ends and hands every message to a Receiver. A Conn is never opened again: whoever wants
// to reconnect opens another.
//
// Sending never blocks. A WebSocket with nothing queued is written at once, as far as the kernel
// takes it; the rest, and what goes by polling, is queued (bounded in bytes), and a goroutine
// writes until the queue is empty. So an idle WebSocket costs its struct and the goroutine in
// Serve, and no buffer: the reader borrows one when bytes have arrived. Polling costs what net/http
// costs.
//
// An upgrade keeps the order of messages: the probe runs beside polling on a WebSocket of its own;
// when the server has answered it, nothing more is posted, the pending poll and post are waited
// for, and then the same goroutine goes on reading from the WebSocket (Engine.IO v4, "Upgrade").
//
// All methods of Conn may be called concurrently, but Serve only once. The server's heartbeat is
// answered and watched: without a ping for pingInterval + pingTimeout the session ends with "ping
// timeout".
package engine
