package wire

import "strings"

// Channels names the channels of one namespace in the classic adapter (docs/adapter-wire.md, 2.1).
// Key is Node's option `key`.
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

// NewChannels returns the channels of a namespace.
func NewChannels(key, namespace string) Channels {
	return Channels{
		Main:     key + "#" + namespace + "#",
		Request:  key + "-request#" + namespace + "#",
		Response: key + "-response#" + namespace + "#",
	}
}

// ResponseTo returns the channel of answers to the server uid.
func (c Channels) ResponseTo(uid string) string { return c.Response + uid + "#" }

// AnswersTo is ResponseTo in the other forms.
func (c Channels) AnswersTo(uid string) string { return c.Main + uid + "#" }

// Room returns the channel of broadcasts to one room. A room that is a number has the channel of
// its digits.
func (c Channels) Room(room string) string { return c.Main + roomText(room) + "#" }

// Pattern matches Main and every Room channel. It escapes wildcards, so that a namespace gets its
// own messages and no other's.
func (c Channels) Pattern() string { return globEscaper.Replace(c.Main) + "*" }

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// RoomOf returns the room of a channel, given its Main channel. Like Node, it cuts exactly one
// last character off, whatever it is. An empty room means Main itself.
func RoomOf(channel, main string) (room string, single bool) {
	if len(channel) <= len(main) {
		return "", false
	}
	return channel[len(main) : len(channel)-1], true
}
