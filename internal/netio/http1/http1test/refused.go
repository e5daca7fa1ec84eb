// Package http1test has what readers of HTTP/1 have to refuse, for the tests of all of them.
package http1test

import "strings"

const hostLine = "Host: x\r\n"

// RefusedHeads are requests that two parsers could read differently, and what else is no good HTTP.
var RefusedHeads = map[string]struct {
	Raw    string
	Status int
}{
	"CL.TE":                        {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	"TE.CL":                        {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n", 400},
	"TE.TE":                        {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 400},
	"TE twice":                     {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	"TE list":                      {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
	"TE with a tab":                {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding\t: chunked\r\n\r\n", 400},
	"TE with a space before colon": {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding : chunked\r\n\r\n", 400},
	"TE with a vertical tab":       {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: \vchunked\r\n\r\n", 400},
	"TE in HTTP/1.0":               {"POST / HTTP/1.0\r\n" + hostLine + "Transfer-Encoding: chunked\r\n\r\n", 400},
	"TE folded":                    {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding:\r\n chunked\r\n\r\n", 400},
	"CL twice":                     {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6\r\nContent-Length: 7\r\n\r\n", 400},
	"CL twice, equal":              {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6\r\nContent-Length: 6\r\n\r\n", 400},
	"CL list":                      {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6, 6\r\n\r\n", 400},
	"CL signed":                    {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: +6\r\n\r\n", 400},
	"CL negative":                  {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: -6\r\n\r\n", 400},
	"CL hex":                       {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 0x6\r\n\r\n", 400},
	"CL empty":                     {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length:\r\n\r\n", 400},
	"CL huge":                      {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 99999999999999999999\r\n\r\n", 400},
	"bare LF":                      {"GET / HTTP/1.1\n" + hostLine + "\r\n", 400},
	"bare LF in a field":           {"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400},
	"bare LF at the end":           {"GET / HTTP/1.1\r\nHost: x\n\nGET /\r\n\r\n", 400},
	"bare CR":                      {"GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400},
	"obs-fold":                     {"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400},
	"field begins with a space":    {"GET / HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n", 400},
	"no colon":                     {"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400},
	"empty name":                   {"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
	"NUL in a value":               {"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400},
	"no Host":                      {"GET / HTTP/1.1\r\n\r\n", 400},
	"Host twice":                   {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
	"Host twice in HTTP/1.0":       {"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400},
	"Host with a path":             {"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
	"Host with a user":             {"GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400},
	"two spaces":                   {"GET  / HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"tab in the request line":      {"GET\t/ HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"no target":                    {"GET HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"fragment":                     {"GET /a#b HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"HTTP/2 preface":               {"PRI * HTTP/2.0\r\n\r\n", 505},
	"HTTP/1.2":                     {"GET / HTTP/1.2\r\n" + hostLine + "\r\n", 505},
	"HTTP/0.9":                     {"GET / \r\n" + hostLine + "\r\n", 505},
	"lower case":                   {"GET / http/1.1\r\n" + hostLine + "\r\n", 505},
	"trailing space":               {"GET / HTTP/1.1 \r\n" + hostLine + "\r\n", 505},
	"too many fields":              {"GET / HTTP/1.1\r\n" + hostLine + strings.Repeat("A: b\r\n", 100) + "\r\n", 431},
	"too large":                    {"GET / HTTP/1.1\r\n" + hostLine + "A: " + strings.Repeat("b", 1<<16) + "\r\n\r\n", 431},
}
