// Package socketiotest tests an app: it runs the app on one or several servers in the test's own
// process and connects clients. Connections don't leave the process, so a test may run in a bubble
// of testing/synctest, where time is fake: a timeout of a minute passes at once, and always the
// same way.
//
//	func TestChat(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, chat)
//			ada := servers[0].Connect("/", map[string]string{"name": "Ada"})
//			bob := servers[1].Connect("/", map[string]string{"name": "Bob"})
//			ada.Call("join", "lobby")
//			bob.Call("join", "lobby")
//			ada.Want("joined", "lobby", "Bob")
//			bob.WantNothing()
//		})
//	}
//
// An app is the function that package worker's Main takes. Servers and clients end with the test. A
// handler that hangs then fails the test, which says where the handler is. So does a wait for an
// event or an answer that takes longer than 30 seconds, or a day of a bubble's time. The messages
// list what happened to the client last, and which handlers run or have failed.
//
// # Events
//
// [Client.Want] takes an event by name and arguments, and [Client.Next] by name, whatever else came
// before. [Client.WantNothing] finds what nobody asked for. [Client.Call] and [Call] wait for the
// answer to an event, and [Client.Fails] for an answer with an error.
//
// # Faults
//
// [Client.Cut], [Client.SetOffline] and [Client.SetDelay] disturb one client's network, and
// [Server.Kill], [Server.Stop], [Server.Restart], [Server.Isolate] and [Server.Rejoin] disturb
// servers. Clients come back like the official one: after 1, 2, 4 and then each 5 seconds, to the
// same server or, while that is down, to the next, with what they emitted meanwhile. With
// socketio.Config.Recovery they then have their old socket: see [Client.WantRecovered].
//
// # Redis
//
// Servers are linked by a [cluster.Hub], on which data has the encoding that it has in Redis.
// [EachLink] also runs a test on a real Redis, in real time.
//
// All methods may be called concurrently, those that end the test from the test's goroutine alone.
// Tests may run in parallel.
package socketiotest
