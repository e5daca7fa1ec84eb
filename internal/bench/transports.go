package bench

import "github.com/sidereal-io/sidereal/client"

// Transports are the ways to connect, by their names: what a client.Config has for each.
var Transports = map[string][]string{
	"websocket": {client.WebSocket},
	"polling":   {client.Polling},
	"upgrade":   {client.Polling, client.WebSocket},
}

// upgrades reports whether clients begin with polling and end with WebSocket.
func upgrades(transports []string) bool { return len(transports) > 1 }
