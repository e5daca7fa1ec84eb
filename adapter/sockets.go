package adapter

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio"
)

// handshakeFields is a handshake as Node writes it: all nine keys, in this order.
type handshakeFields struct {
	Headers json.RawMessage `json:"headers"`
	Time    string          `json:"time"`
	Address string          `json:"address"`
	XDomain bool            `json:"xdomain"`
	Secure  bool            `json:"secure"`
	Issued  float64         `json:"issued"`
	URL     string          `json:"url"`
	Query   map[string]any  `json:"query"`
	Auth    json.RawMessage `json:"auth"`
}

// wireSocket describes a socket of this process to another server.
func wireSocket(s socketio.SocketInfo) wire.Socket {
	w := wire.Socket{ID: s.ID, Handshake: appendHandshake(nil, &s.Handshake), Rooms: s.Rooms, Data: s.Data}
	if len(w.Data) == 0 {
		w.Data = []byte("{}")
	}
	return w
}

func appendHandshake(dst []byte, h *socketio.Handshake) []byte {
	dst = appendHeaders(append(dst, `{"headers":`...), h.Headers)
	dst = wire.AppendString(append(dst, `,"time":`...), h.Time)
	dst = wire.AppendString(append(dst, `,"address":`...), h.Address)
	dst = strconv.AppendBool(append(dst, `,"xdomain":`...), h.XDomain)
	dst = strconv.AppendBool(append(dst, `,"secure":`...), h.Secure)
	dst = strconv.AppendInt(append(dst, `,"issued":`...), h.Issued, 10)
	dst = wire.AppendString(append(dst, `,"url":`...), h.URL)
	dst = append(dst, `,"query":{`...)
	for i, name := range slices.Sorted(maps.Keys(h.Query)) {
		dst = appendField(dst, i, name, h.Query[name])
	}
	dst = append(dst, `},"auth":`...)
	if len(h.Auth) == 0 {
		return append(dst, `{}}`...)
	}
	return append(append(dst, h.Auth...), '}')
}

// appendHeaders writes headers as Node's http module has them: lower-case names, several values of one name joined.
func appendHeaders(dst []byte, headers http.Header) []byte {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(headers)) {
		sep := ", "
		if name == "Cookie" {
			sep = "; "
		}
		dst = appendField(dst, i, strings.ToLower(name), strings.Join(headers[name], sep))
	}
	return append(dst, '}')
}

func appendField(dst []byte, i int, name, value string) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	dst = append(wire.AppendString(dst, name), ':')
	return wire.AppendString(dst, value)
}

// socketInfo reads another server's description of a socket. What is odd about it is left out, so that one socket does not
// cost the others.
func socketInfo(s wire.Socket) socketio.SocketInfo {
	var f handshakeFields
	_ = json.Unmarshal(s.Handshake, &f)
	info := socketio.SocketInfo{ID: s.ID, Rooms: s.Rooms, Data: s.Data, Handshake: socketio.Handshake{
		Headers: readHeaders(f.Headers), Time: f.Time, Address: f.Address, XDomain: f.XDomain, Secure: f.Secure,
		Issued: int64(f.Issued), URL: f.URL, Query: make(map[string]string, len(f.Query)), Auth: f.Auth,
	}}
	for name, value := range f.Query {
		if text, ok := value.(string); ok {
			info.Handshake.Query[name] = text
		}
	}
	if len(info.Data) == 0 || string(info.Data) == "null" {
		info.Data = []byte("{}")
	}
	if len(f.Auth) == 0 || string(f.Auth) == "null" {
		info.Handshake.Auth = json.RawMessage("{}")
	}
	return info
}

// readHeaders reads names and values; Node gives several values of set-cookie, and of what a proxy added, as a list.
func readHeaders(text []byte) http.Header {
	var raw map[string]any
	_ = json.Unmarshal(text, &raw)
	headers := make(http.Header, len(raw))
	for name, value := range raw {
		switch value := value.(type) {
		case string:
			headers.Set(name, value)
		case []any:
			for _, v := range value {
				if text, ok := v.(string); ok {
					headers.Add(name, text)
				}
			}
		}
	}
	return headers
}
