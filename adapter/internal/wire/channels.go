package wire

import "strings"

// Channels names the channels of one namespace in the classic adapter (docs/adapter-wire.md, 2.1). Key is Node's option `key`.
//
//	KEY#NSP#                broadcasts to no room or several       heard through the pattern KEY#NSP#*
//	KEY#NSP#ROOM#           broadcasts to one room                 heard through the same pattern
//	KEY-request#NSP#        questions and orders to all servers
//	KEY-response#NSP#       answers, heard by all
//	KEY-response#NSP#UID#   answers to one server
type Channels struct {
	Main     string
	Request  string
	Response string
}

// NewChannels makes the names for a namespace.
func NewChannels(key, namespace string) Channels {
	return Channels{
		Main:     key + "#" + namespace + "#",
		Request:  key + "-request#" + namespace + "#",
		Response: key + "-response#" + namespace + "#",
	}
}

// ResponseTo is where the server uid hears answers that are for it alone.
func (c Channels) ResponseTo(uid string) string { return c.Response + uid + "#" }

// AnswersTo is where the server uid hears answers in the forms other than the classic one.
func (c Channels) AnswersTo(uid string) string { return c.Main + uid + "#" }

// Room is where a broadcast to this one room goes. A room known by a number has the channel of its digits.
func (c Channels) Room(room string) string { return c.Main + roomText(room) + "#" }

// Pattern matches Main and every Room channel. What a pattern would read as a wildcard is escaped, so that a namespace
// hears neither nothing nor its neighbours.
func (c Channels) Pattern() string { return globEscaper.Replace(c.Main) + "*" }

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// RoomOf returns the room that channel is for, given the Main channel it begins with: exactly one last character is
// taken off, as Node does, whatever it is. Empty means Main itself.
func RoomOf(channel, main string) (room string, single bool) {
	if len(channel) <= len(main) {
		return "", false
	}
	return channel[len(main) : len(channel)-1], true
}
