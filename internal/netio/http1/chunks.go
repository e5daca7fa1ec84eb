package http1

// Chunks follows the chunked coding (RFC 9112, section 7.1) byte by byte, in pieces of any size,
// without changing it. Lines end with CR LF, sizes have at most 15 digits, extensions and trailers
// are bounded.
type Chunks struct {
	state  chunkState
	digits uint8
	lines  uint8  // of the trailer
	line   uint16 // bytes of the current extension or trailer line
	left   int64  // of the current chunk
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerLine
	trailerLF
	trailerEndLF
)

const (
	maxChunkLine    = 4096
	maxTrailerLines = 64
)

var ErrChunk = &Refusal{400, "malformed chunked body"}

// Feed follows p. It returns how many bytes belong to the body and whether the body ends there.
func (c *Chunks) Feed(p []byte) (n int, done bool, err error) {
	for n < len(p) && !done && err == nil {
		var k int
		k, _, done, err = c.next(p[n:])
		n += k
	}
	return n, done, err
}

// Decode is Feed that appends the chunks' data to dst.
func (c *Chunks) Decode(dst, p []byte) (out []byte, n int, done bool, err error) {
	for n < len(p) && !done && err == nil {
		var k int
		var data []byte
		k, data, done, err = c.next(p[n:])
		dst = append(dst, data...)
		n += k
	}
	return dst, n, done, err
}

// next follows p up to and including the next piece of data.
func (c *Chunks) next(p []byte) (n int, data []byte, done bool, err error) {
	for n < len(p) {
		b := p[n]
		if c.state == chunkData {
			k := int(min(int64(len(p)-n), c.left))
			if c.left -= int64(k); c.left == 0 {
				c.state = chunkDataCR
			}
			return n + k, p[n : n+k], false, nil
		}
		if !c.step(b) {
			return n, nil, false, ErrChunk
		}
		n++
		if b == '\n' && c.state == trailerEndLF {
			return n, nil, true, nil
		}
	}
	return n, nil, false, nil
}

// step takes one byte that is not data.
func (c *Chunks) step(b byte) bool {
	switch c.state {
	case chunkSize:
		d, ok := HexDigit(b)
		switch {
		case ok:
			if c.digits++; c.digits > 15 {
				return false
			}
			c.left = c.left<<4 | int64(d)
		case c.digits == 0:
			return false
		case b == '\r':
			c.state = chunkSizeLF
		case b == ';':
			c.state, c.line = chunkExtension, 0
		default:
			return false
		}
	case chunkExtension:
		if b == '\r' {
			c.state = chunkSizeLF
			return true
		}
		c.line++
		return isValue[b] && c.line <= maxChunkLine
	case chunkSizeLF:
		c.state, c.digits = chunkData, 0
		if c.left == 0 {
			c.state = trailerStart
		}
		return b == '\n'
	case chunkDataCR:
		c.state = chunkDataLF
		return b == '\r'
	case chunkDataLF:
		c.state = chunkSize
		return b == '\n'
	case trailerStart:
		if b == '\r' {
			c.state = trailerEndLF
			return true
		}
		c.state, c.line = trailerName, 0
		c.lines++
		return isToken[b] && c.lines <= maxTrailerLines
	case trailerName: // a line without a colon may be a request that somebody else reads
		if b == ':' {
			c.state = trailerLine
			return true
		}
		c.line++
		return isToken[b] && c.line <= maxChunkLine
	case trailerLine:
		if b == '\r' {
			c.state = trailerLF
			return true
		}
		c.line++
		return isValue[b] && c.line <= maxChunkLine
	case trailerLF:
		c.state = trailerStart
		return b == '\n'
	case trailerEndLF:
		return b == '\n'
	}
	return true
}

// HexDigit is what a hexadecimal digit stands for.
func HexDigit(b byte) (byte, bool) {
	switch {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10, true
	}
	return 0, false
}
