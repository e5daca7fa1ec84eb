package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// OpenData is what a server tells a client when a session begins.
type OpenData struct {
	SID          string
	Upgrades     []string // transports that the client may upgrade to
	PingInterval time.Duration
	PingTimeout  time.Duration
	MaxPayload   int64 // bytes in one POST body or WebSocket message; 0 where the server did not say (protocol 3)
}

// AppendOpen appends o as JSON, keys in the reference's order, times in whole milliseconds. It is
// the data of an Open packet, without the type digit. SID and Upgrades are written as they are:
// they must need no JSON escapes.
func AppendOpen(dst []byte, o OpenData) []byte {
	dst = append(append(dst, `{"sid":"`...), o.SID...)
	dst = append(dst, `","upgrades":[`...)
	for i, u := range o.Upgrades {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), u...), '"')
	}
	dst = append(dst, `],"pingInterval":`...)
	dst = strconv.AppendInt(dst, o.PingInterval.Milliseconds(), 10)
	dst = append(dst, `,"pingTimeout":`...)
	dst = strconv.AppendInt(dst, o.PingTimeout.Milliseconds(), 10)
	dst = append(dst, `,"maxPayload":`...)
	dst = strconv.AppendInt(dst, o.MaxPayload, 10)
	return append(dst, '}')
}

// ParseOpen reads the data of an Open packet. A missing sid is an error; the server is at fault.
func ParseOpen(data []byte) (OpenData, error) {
	var v struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval float64  `json:"pingInterval"`
		PingTimeout  float64  `json:"pingTimeout"`
		MaxPayload   int64    `json:"maxPayload"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return OpenData{}, fmt.Errorf("packet: open data: %w", err)
	}
	if v.SID == "" {
		return OpenData{}, errors.New("packet: open data without a sid")
	}
	return OpenData{
		SID:          v.SID,
		Upgrades:     v.Upgrades,
		PingInterval: time.Duration(v.PingInterval * float64(time.Millisecond)),
		PingTimeout:  time.Duration(v.PingTimeout * float64(time.Millisecond)),
		MaxPayload:   v.MaxPayload,
	}, nil
}

// FindOpen finds the open packet that begins the body of a handshake response, whatever Engine.IO
// server wrote it: the v4 payload `0{...}`, the v3 text payload `97:0{...}`, the v3 binary payload
// (0x00, length digits as bytes, 0xff), and any of the text forms inside JSONP's
// `___eio[n]("...");`. The body must be whole and uncompressed.
func FindOpen(body []byte) (OpenData, bool) {
	if rest, ok := bytes.CutPrefix(body, []byte("___eio[")); ok {
		start, end := bytes.IndexByte(rest, '"'), bytes.LastIndexByte(rest, '"')
		var text string
		if start < 0 || end <= start || json.Unmarshal(rest[start:end+1], &text) != nil {
			return OpenData{}, false
		}
		body = []byte(text)
	}
	switch {
	case len(body) == 0:
		return OpenData{}, false
	case body[0] <= 1: // protocol 3, binary framing: text is 0x00, binary 0x01
		end := bytes.IndexByte(body, 0xff)
		if end < 1 {
			return OpenData{}, false
		}
		n := 0
		for _, d := range body[1:end] {
			if d > 9 || n > len(body) {
				return OpenData{}, false
			}
			n = n*10 + int(d)
		}
		if body = body[end+1:]; n > len(body) {
			return OpenData{}, false
		}
		body = body[:n]
	case !bytes.HasPrefix(body, []byte("0{")): // protocol 3, text framing; counted in UTF-16 units, all ASCII here
		head, rest, ok := bytes.Cut(body, []byte{':'})
		n, err := strconv.Atoi(string(head))
		if !ok || err != nil || n < 0 || n > len(rest) {
			return OpenData{}, false
		}
		body = rest[:n]
	default:
		if end := bytes.IndexByte(body, Separator); end >= 0 {
			body = body[:end]
		}
	}
	if len(body) == 0 || body[0] != '0' {
		return OpenData{}, false
	}
	o, err := ParseOpen(body[1:])
	return o, err == nil
}
