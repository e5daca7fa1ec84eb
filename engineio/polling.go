package engineio

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// polling is the state of a session's polling transport, under Session.mu: at most one poll and one
// post at a time.
type polling struct {
	poll  *poll
	post  *post
	jsonp *string // the handshake's j: the session speaks JSONP; not changed

	firstT   uint64    // the hash of the handshake's t; not changed
	answered *poll     // the last one that was answered, until the next one comes, if it can be recognised
	received requestID // of the last post that was handed on
	earlier  earlier   // polls and posts before these two

	interrupted bool // a router died with a request, and none has come since

	// why a closing session ends, told at its next poll
	reason string
	err    error
}

// poll is a GET that waits. Once it is answered, the goroutine that writes the answer owns out.
type poll struct {
	id       requestID
	asked    asked
	out      []*Message
	answered chan struct{} // nil: the response can be parked
	parker   parker
	parked   bool

	dismissed bool // its copy was answered in its place; under Session.mu
}

// asked is what a poll's answer depends on, beside what is said.
type asked struct {
	r        *http.Request // nil: nothing wants it
	accepts  []string      // the lines of Accept-Encoding
	explorer bool          // an old Internet Explorer
}

func newPoll(w http.ResponseWriter, r *http.Request, s *Server) *poll {
	p := &poll{asked: asked{accepts: r.Header["Accept-Encoding"], explorer: isExplorer(r)}}
	p.parker, _ = w.(parker)
	if p.parker == nil || s.cfg.Headers != nil {
		p.asked.r = r
	}
	if p.parker == nil {
		p.answered = make(chan struct{})
	}
	return p
}

// post is a POST whose body is being received.
type post struct {
	id      requestID
	control *http.ResponseController
	cut     bool // another came: this one's connection is to be cut
}

// answerLocked answers the pending poll, if there is one and something waits.
func (s *Session) answerLocked() {
	if s.polling == nil || s.polling.poll == nil || len(s.out.items) == 0 {
		return
	}
	p := s.polling.poll
	s.polling.poll = nil
	most := s.server.cfg.MaxPollPackets
	if s.state == stateClosed {
		most = 0 // there is no next poll
	}
	p.out = s.out.take(most)
	if p.id.t != 0 {
		s.polling.answered = p
	}
	s.finishLocked(p)
}

// finishLocked has the answer of p, p.out, written.
func (s *Session) finishLocked(p *poll) {
	switch {
	case p.parked:
		s.answerParkedLocked(p)
	case p.answered != nil:
		close(p.answered)
	}
}

// servePolling serves a request with the sid of a session that polls.
func (s *Session) servePolling(w http.ResponseWriter, r *http.Request, q *query) {
	switch r.Method {
	case http.MethodGet:
		s.servePoll(w, r, s.identify(w, r, q))
	case http.MethodPost:
		s.servePost(w, r, s.identify(w, r, q))
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (s *Session) servePoll(w http.ResponseWriter, r *http.Request, id requestID) {
	p := newPoll(w, r, s.server)
	p.id = id
	if status := s.addPoll(p); status != 0 {
		w.WriteHeader(status)
		return
	}
	s.waitPoll(w, r, p)
}

// addPoll makes p the pending poll, answered already if something waits or if p repeats a poll. A
// second poll that is no copy ends the session: the first is told by a close packet, the second by
// the status that is returned.
func (s *Session) addPoll(p *poll) (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == stateClosed || s.ws != nil: // since the request was verified
		return http.StatusBadRequest
	case s.polling.poll != nil && p.id.overlaps(s.polling.poll.id):
		s.server.metrics.repeatedPolls.Inc()
		s.dismissLocked(s.polling.poll)
	case s.polling.earlier.has(p.id):
		s.server.metrics.repeatedPolls.Inc()
		s.dismissLocked(p)
		return 0
	case s.polling.poll != nil:
		s.endLocked(TransportError, errPollOverlap)
		return http.StatusBadRequest
	case s.polling.answered != nil && p.id.repeats(s.polling.answered.id):
		s.resumeLocked()
		s.repeatPollLocked(p)
		return 0
	}
	if s.polling.answered != nil {
		s.polling.earlier.add(s.polling.answered.id)
	}
	s.polling.poll, s.polling.answered = p, nil
	s.resumeLocked()
	if s.upgrade != nil {
		s.upgrade.polledLocked()
	}
	switch {
	case s.state == stateClosing:
		if len(s.out.items) == 0 {
			s.out.push(noopPacket)
		}
		s.endLocked(s.polling.reason, s.polling.err)
	case s.corks == 0:
		s.answerLocked()
	}
	return 0
}

// waitPoll writes p's answer once it is there, or parks p. A client that leaves before ends its
// session; a router that dies doesn't.
func (s *Session) waitPoll(w http.ResponseWriter, r *http.Request, p *poll) {
	if s.park(p) {
		return
	}
	if p.answered != nil {
		select {
		case <-p.answered:
		case <-r.Context().Done():
			if s.abandon(w, p) {
				return
			}
			<-p.answered
		}
	}
	if err := s.writePoll(w, p); err != nil {
		s.failPoll(w, p, errors.Join(errPollAborted, err))
	}
}

// abandon gives up the poll p, whose connection broke, if it has no answer yet.
func (s *Session) abandon(w http.ResponseWriter, p *poll) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling.poll != p {
		return false
	}
	s.polling.poll = nil
	s.lostLocked(w, true, errPollAborted)
	return true
}

// writePoll writes the answer of p.
func (s *Session) writePoll(w http.ResponseWriter, p *poll) error {
	body := bufpool.Get(p.size())
	for i, m := range p.out {
		if i > 0 {
			body = append(body, packet.Separator)
		}
		body = m.appendText(body)
	}
	defer bufpool.Put(body)
	text := body
	if s.polling.jsonp != nil {
		text = appendJSONP(nil, *s.polling.jsonp, body)
	}
	return s.server.answerPoll(w, &p.asked, text, p.compressible())
}

// size returns the number of bytes of the answer's payload, plus one.
func (p *poll) size() (n int) {
	for _, m := range p.out {
		n += m.textLen() + 1
	}
	return n
}

func (p *poll) compressible() bool {
	return slices.ContainsFunc(p.out, func(m *Message) bool { return !m.plain })
}

// failPost ends the session for a post that was cut off. It does nothing after an upgrade, when the
// client gives its requests up. Nothing of the post was handed on, so any copy of it will do.
func (s *Session) failPost(w http.ResponseWriter, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws == nil {
		slow := errors.Is(err, os.ErrDeadlineExceeded)
		s.lostLocked(w, !slow, errors.Join(errPostAborted, err))
	}
}

// failPoll ends the session for a poll that was cut off in its answer, unless its copy was
// answered or can be.
func (s *Session) failPoll(w http.ResponseWriter, p *poll, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws == nil && !p.dismissed {
		s.lostLocked(w, p == s.polling.answered, err)
	}
}

// answerPoll writes a poll's response and flushes it, so that a cut connection is noticed here.
func (s *Server) answerPoll(w http.ResponseWriter, a *asked, body []byte, compress bool) error {
	h := w.Header()
	if compress && s.cfg.HTTPCompressionThreshold >= 0 && len(body) >= s.cfg.HTTPCompressionThreshold {
		if encoding := acceptedEncoding(a.accepts); encoding != "" {
			body = compressBody(encoding, body)
			defer bufpool.Put(body)
			h.Set("Content-Encoding", encoding)
		}
	}
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	s.pollingHeaders(h, a.explorer, a.r)
	control := http.NewResponseController(w)
	// A client that hasn't taken it by then has missed a ping. A server without deadlines must see
	// to it itself.
	control.SetWriteDeadline(time.Now().Add(s.cfg.PingInterval + s.cfg.PingTimeout))
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

func (s *Server) pollingHeaders(h http.Header, explorer bool, r *http.Request) {
	h.Set("Cache-Control", "no-store")
	if explorer { // it would take the response for HTML and block it
		h.Set("X-XSS-Protection", "0")
	}
	s.hookHeaders(h, r)
}

func isExplorer(r *http.Request) bool {
	ua := r.Header.Get("User-Agent")
	return strings.Contains(ua, ";MSIE") || strings.Contains(ua, "Trident/")
}

// servePost receives a payload. Its packets are handled before the answer, which is "ok" whatever
// they were.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request, id requestID) {
	p := &post{id: id, control: http.NewResponseController(w)}
	if status := s.addPost(p); status != 0 {
		if status == http.StatusOK || s.server.isLate(r, s.id) { // the session has ended since it was found
			s.server.answerOK(w, r)
		} else {
			w.WriteHeader(status)
		}
		return
	}
	if isOctetStream(r.Header.Get("Content-Type")) {
		s.donePost(p, false)
		s.fail(TransportError, errOctetStream)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	body, whole, err := s.server.readBody(r)
	defer func() { bufpool.Put(body) }()
	switch cut := s.donePost(p, err == nil && whole); {
	case cut:
		panic(http.ErrAbortHandler) // the reference destroys the connection of a post that another overlaps
	case err != nil:
		s.failPost(w, err)
		panic(http.ErrAbortHandler)
	case !whole:
		s.server.exceeded("post refused", limitMessage, s.server.cfg.MaxHTTPBufferSize, s)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	text := body
	if s.polling.jsonp != nil {
		text = jsonpBody(text)
	}
	if !utf8.Valid(text) {
		text = toValidUTF8(text)
	}
	s.receivePayload(text)
	s.server.answerOK(w, r)
}

func (s *Server) answerOK(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", "2")
	s.pollingHeaders(h, isExplorer(r), r)
	_, _ = io.WriteString(w, "ok") // fails if the client has left
}

func isOctetStream(contentType string) bool {
	if strings.HasPrefix(contentType, "text/plain") { // as clients have it
		return false
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	return kind == "application/octet-stream"
}

// addPost makes p the post that is being received. A second one that is no copy ends the session:
// the first one's connection is cut, the second is answered with the status that is returned. So is
// a copy of a post that was handed on already, with 200. A copy of the one that is being received
// takes its place.
func (s *Session) addPost(p *post) (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || s.polling == nil { // the latter named the transport websocket, and is none
		return http.StatusBadRequest
	}
	if p.id.repeats(s.polling.received) || s.polling.earlier.has(p.id) {
		s.server.metrics.repeatedPosts.Inc()
		s.resumeLocked()
		return http.StatusOK
	}
	if first := s.polling.post; first != nil {
		first.cut = true
		first.control.SetReadDeadline(time.Unix(1, 0))
		if !p.id.overlaps(first.id) {
			s.endLocked(TransportError, errPostOverlap)
			return http.StatusBadRequest
		}
		s.server.metrics.repeatedPosts.Inc()
	}
	s.polling.post = p
	s.resumeLocked()
	return 0
}

// donePost makes room for the next post, remembers p if it is handed on, and reports whether p was
// cut, so that it isn't.
func (s *Session) donePost(p *post, whole bool) (cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling.post == p {
		s.polling.post = nil
	}
	if whole && !p.cut {
		s.polling.earlier.add(s.polling.received)
		s.polling.received = p.id
	}
	return p.cut
}

// readBody reads a body into a borrowed buffer. whole is false if the body is larger than
// MaxHTTPBufferSize. It counts the bytes as they arrive, whatever Content-Length says.
func (s *Server) readBody(r *http.Request) (body []byte, whole bool, err error) {
	limit := s.cfg.MaxHTTPBufferSize
	body = bufpool.Get(int(min(max(r.ContentLength+1, 512), limit+1, 64<<10)))
	for {
		body = bufpool.Grow(body, 1)
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return body, false, nil
		case err == io.EOF:
			return body, true, nil
		case err != nil:
			return body, false, err
		}
	}
}

// receivePayload handles the packets of a posted payload. An invalid one ends the session and the
// payload.
func (s *Session) receivePayload(body []byte) {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	s.reader = nil
	s.Cork()
	defer s.Uncork()
	handed := false
	for p, err := range packet.Payload(body) {
		if err != nil {
			s.fail(ParseError, err)
			break
		}
		handed = s.receivePacket(p) || handed
	}
	if handed {
		s.idle()
	}
}

// toValidUTF8 returns a copy of b with each invalid byte replaced by U+FFFD.
func toValidUTF8(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		out = utf8.AppendRune(out, c)
		b = b[n:]
	}
	return out
}
