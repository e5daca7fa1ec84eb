// Package plug is the demo's second page, "Pull the plug": it shows the processes of a host while
// simulated clients talk, and has buttons that kill, freeze and replace these processes. Counters
// say which messages were lost, came twice or came late.
//
// The supervisor serves it on its admin port, since that outlives routers and workers, for the
// built-in demo app and over loopback only. The clients exist while somebody looks at the page.
//
// swarm.go has the clients, ledger.go the counters, actions.go the buttons, and show.go the page.
package plug
