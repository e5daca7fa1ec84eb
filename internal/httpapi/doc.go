// Package httpapi is the HTTP API by which programs that hold no sockets reach an app's clients: a
// shop in PHP, a job, a shell script. docs/http-api.md is its guide.
//
// A [Server] serves it. Each request becomes an action:
//
//	server.go     a request's way: its name, its key, its limits, the answer
//	keys.go       who may do what, and how often
//	decode.go     the members of a body; args.go the arguments of an event, binary ones included
//	action.go     what a body asks for
//	send.go       actions on their way to Redis, many in one pipeline
//	once.go       requests with an Idempotency-Key
//	ask.go        actions and lists that wait for answers of servers
//	batch.go      many actions in one request
//	problem.go    answers that aren't good ones, by RFC 9457
//	openapi.go    the description
//
// An action that nobody answers is one command to Redis, and the answer to the client says what
// Redis said. Nothing is queued or repeated here, so an answer is never older than its command.
//
// Everything may be used concurrently. No request runs longer than Config.Timeout and the time that
// it asks for itself.
package httpapi
