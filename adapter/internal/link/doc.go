// Package link connects one process with the other servers of a cluster over Redis. It does
// everything that is the same whichever of Node's adapters the servers speak like; a [Form] adds
// the bytes and the channels of one family.
//
// A [Link] owns the connection, the goroutines and the open namespaces. A [Namespace] implements
// socketio's Adapter with the messages that its [Protocol] encodes. A message's way through the
// files:
//
//	namespace.go        an operation becomes a message
//	publisher.go        one goroutine sends the waiting messages, in order and in batches; callers never wait
//	backlog.go          the messages that wait, within bounds
//	watchdog.go         gives up a connection to Redis that is certainly dead
//	pipelines.go        sends a batch, to several nodes where Redis is a Cluster
//	receive.go          one goroutine reads the subscription and hands each message to the form
//	clustermessages.go  delivers a message that two of the forms share
//	answer.go           carries out what another server asks, and answers
//	ask.go              asks other servers; request.go collects their answers
//	toone.go            sends events to a single server
//	responders.go       decides who has to answer: our own peers by name, Node's servers by their number
//	peers.go            the heartbeat of our own processes: beat.go is one beat, presence.go says who is there
//	outage.go           Redis goes away and comes back
//	rights.go           tries each command that Redis has to allow
//
// Every goroutine is started in [Link.Run], which returns once all of them have ended.
package link
