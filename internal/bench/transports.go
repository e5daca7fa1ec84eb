package bench

import "github.com/sidereal-io/sidereal/client"

// Transports maps the names of the ways to connect to the transports of a client.Config.
var Transports = map[string][]string{
	"websocket": {client.WebSocket},
	"polling":   {client.Polling},
	"upgrade":   {client.Polling, client.WebSocket},
}

// upgrades reports whether clients begin with polling and upgrade to WebSocket.
func upgrades(transports []string) bool { return len(transports) > 1 }
