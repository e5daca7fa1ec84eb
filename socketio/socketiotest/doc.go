// Package socketiotest tests an app: it runs it on one or several servers in the test's own process
// and connects clients, without a network. Connections are pipes, so a test may run in a bubble of
// testing/synctest, where time is fake: a timeout of a minute passes at once, and always the same
// way.
//
//	func TestChat(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, chat)
//			ada := servers[0].Connect("/", map[string]string{"name": "Ada"})
//			bob := servers[1].Connect("/", map[string]string{"name": "Bob"})
//			ada.Call("join", "lobby").Scan(&present)
//			bob.Call("join", "lobby")
//			ada.Want("joined", "lobby", "Bob")
//			synctest.Wait()
//			bob.WantNothing()
//		})
//	}
//
// An app is the function that package worker's Main takes. Servers and clients end with the test.
// Whatever fails ends the test with a message that says what was expected and what came;
// [Server.Dial] and the embedded socket of a [Client] have everything that is beyond expectations.
//
// All methods may be called concurrently, those that end the test from the test's goroutine alone.
package socketiotest
