package testkit

// Smuggled are bytes that a client might send so that two HTTP parsers read different requests in
// them, by name, and some odd forms that all must read alike. Where a request for /smuggled is
// hidden, nobody behind a router may see it as one. What a server itself makes of these bytes says
// whether a router has read them as it would.
func Smuggled() map[string]string {
	const (
		post = "POST /a HTTP/1.1\r\nHost: x\r\n"
		get  = "GET /a HTTP/1.1\r\nHost: x\r\n"
		te   = "Transfer-Encoding: chunked\r\n"
		last = "0\r\n\r\n"
		in   = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n" // 35 bytes, 23 in hexadecimal
		ws   = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	)
	return map[string]string{
		"CL.TE":                        post + "Content-Length: 40\r\n" + te + "\r\n" + last + in,
		"TE.CL":                        post + te + "Content-Length: 4\r\n\r\n23\r\n" + in + "\r\n" + last,
		"CL.TE, coding in capitals":    post + "Content-Length: 40\r\nTransfer-Encoding: CHUNKED\r\n\r\n" + last + in,
		"TE.TE, the second unknown":    post + te + "Transfer-Encoding: cow\r\n\r\n" + last + in,
		"TE.TE, the first unknown":     post + "Transfer-Encoding: cow\r\n" + te + "\r\n" + last + in,
		"TE.TE, identity":              post + te + "Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n23\r\n" + in + "\r\n" + last,
		"TE, an unknown coding":        post + "Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n23\r\n" + in + "\r\n" + last,
		"TE, chunked twice":            post + "Transfer-Encoding: chunked, chunked\r\n\r\n" + last + in,
		"TE, gzip and chunked":         post + "Transfer-Encoding: gzip, chunked\r\n\r\n" + last + in,
		"TE, a blank before colon":     post + "Content-Length: 40\r\nTransfer-Encoding : chunked\r\n\r\n" + last + in,
		"TE, a tab before colon":       post + "Content-Length: 40\r\nTransfer-Encoding\t: chunked\r\n\r\n" + last + in,
		"TE, a vertical tab":           post + "Content-Length: 40\r\nTransfer-Encoding: \x0bchunked\r\n\r\n" + last + in,
		"TE, quoted":                   post + "Content-Length: 40\r\nTransfer-Encoding: \"chunked\"\r\n\r\n" + last + in,
		"TE, folded":                   post + "Content-Length: 40\r\nTransfer-Encoding:\r\n chunked\r\n\r\n" + last + in,
		"TE behind a bare LF":          post + "Content-Length: 40\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n" + last + in,
		"TE behind a bare CR":          post + "Content-Length: 40\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n" + last + in,
		"TE behind a NUL":              post + "Content-Length: 40\r\nX: y\x00\r\nTransfer-Encoding: chunked\r\n\r\n" + last + in,
		"TE in HTTP/1.0":               "POST /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n" + te + "\r\n" + last + in,
		"TE named by Connection":       post + "Connection: Transfer-Encoding\r\n" + te + "\r\n5\r\nhello\r\n" + last,
		"CL twice":                     post + "Content-Length: 5\r\nContent-Length: 0\r\n\r\n" + in,
		"CL twice, equal":              post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"CL, a list":                   post + "Content-Length: 0, 35\r\n\r\n" + in,
		"CL, signed":                   post + "Content-Length: +35\r\n\r\n" + in,
		"CL, negative":                 post + "Content-Length: -1\r\n\r\n" + in,
		"CL, hexadecimal":              post + "Content-Length: 0x23\r\n\r\n" + in,
		"CL, octal looks":              post + "Content-Length: 0035\r\n\r\n" + in,
		"CL, with a blank inside":      post + "Content-Length: 3 5\r\n\r\n" + in,
		"CL, beyond 64 bits":           post + "Content-Length: 18446744073709551651\r\n\r\n" + in,
		"CL, empty":                    post + "Content-Length: \r\n\r\n" + in,
		"CL, a blank before colon":     post + "Content-Length : 35\r\n\r\n" + in,
		"CL folded":                    post + "Content-Length:\r\n\t35\r\n\r\n" + in,
		"CL named by Connection":       post + "Connection: Content-Length\r\nContent-Length: 35\r\n\r\n" + in,
		"CL of a GET":                  get + "Content-Length: 35\r\n\r\n" + in,
		"CL of a HEAD":                 "HEAD /a HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n" + in,
		"bare LF":                      "GET /a HTTP/1.1\nHost: x\n\n" + in,
		"bare LF at the end":           "GET /a HTTP/1.1\r\nHost: x\n\r\n" + in,
		"obs-fold":                     "GET /a HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
		"obs-fold as the first field":  "GET /a HTTP/1.1\r\n Host: y\r\nHost: x\r\n\r\n",
		"Host twice":                   "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"Host missing":                 "GET /a HTTP/1.1\r\n\r\n" + in,
		"Host of two words":            "GET /a HTTP/1.1\r\nHost: x y\r\n\r\n",
		"chunk size, hexadecimal sign": post + te + "\r\n0x5\r\nhello\r\n" + last,
		"chunk size, signed":           post + te + "\r\n+5\r\nhello\r\n" + last,
		"chunk size, blank before":     post + te + "\r\n 5\r\nhello\r\n" + last,
		"chunk size, blank after":      post + te + "\r\n5 \r\nhello\r\n" + last,
		"chunk size, empty":            post + te + "\r\n\r\nhello\r\n" + last,
		"chunk size, beyond 64 bits":   post + te + "\r\n10000000000000005\r\nhello\r\n" + last,
		"chunk size, bare LF":          post + te + "\r\n5\nhello\r\n" + last + in,
		"chunk extension":              post + te + "\r\n5;a=b\r\nhello\r\n" + last,
		"chunk extension, bare LF":     post + te + "\r\n5;a\nhello\r\n" + last + in,
		"chunk longer than said":       post + te + "\r\n5\r\nhello!\r\n" + last + in,
		"chunk ended by LF":            post + te + "\r\n5\r\nhello\n" + last + in,
		"last chunk without end":       post + te + "\r\n0\r\n" + in,
		"trailer that frames":          post + te + "\r\n5\r\nhello\r\n0\r\nContent-Length: 35\r\n\r\n",
		"trailer, bare LF":             post + te + "\r\n5\r\nhello\r\n0\r\nX: y\n\r\n" + in,
		"escaped CR LF in the target":  "GET /a%0d%0aX:%20y HTTP/1.1\r\nHost: x\r\n\r\n",
		"two versions":                 "GET /a HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"version 1.2":                  "GET /a HTTP/1.2\r\nHost: x\r\n\r\n",
		"version 0.9":                  "GET /a\r\n\r\n" + in,
		"tab in the request line":      "GET\t/a\tHTTP/1.1\r\nHost: x\r\n\r\n",
		"field name with a blank":      get + "Content Length: 35\r\n\r\n" + in,
		"field without a name":         get + ": y\r\n\r\n",
		"field without a colon":        get + "Transfer-Encoding\r\n\r\n",
		"upgrade with a body":          get + ws + "Content-Length: 35\r\n\r\n" + in,
		"upgrade to h2c":               get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
		"HTTP/2 preface":               "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + in,
		"pipelined":                    get + "\r\n" + post + "Content-Length: 5\r\n\r\nhello" + get + "\r\n",
		"an empty line between":        post + "Content-Length: 5\r\n\r\nhello\r\n" + get + "\r\n",
		"Expect and a body":            post + "Expect: 100-continue\r\nContent-Length: 35\r\n\r\n" + in,
	}
}
