package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Poller is a Socket.IO client over polling that enters at a random router with every single
// request. It shares its http.Client, and so the keep-alive connections, with the other pollers of
// a test. It knows the protocol by itself and uses none of the product's code.
type Poller struct {
	HTTP    *http.Client
	Entries []string // base URLs
	SID     string   // after Open
	ID      string   // the socket id in namespace "/", after Open

	mu   sync.Mutex // one poll at a time
	read []string   // Engine.IO packets of a poll that were not asked for yet
}

// Open makes a session and joins the main namespace.
func (p *Poller) Open(ctx context.Context) error {
	body, err := p.do(ctx, http.MethodGet, "")
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	var open struct{ SID string }
	if !strings.HasPrefix(body, "0") || json.Unmarshal([]byte(body[1:]), &open) != nil || open.SID == "" {
		return fmt.Errorf("handshake: no open packet in %q", body)
	}
	p.SID = open.SID
	if err := p.Post(ctx, "40"); err != nil {
		return err
	}
	answer, err := p.Until(ctx, "40")
	if err != nil {
		return err
	}
	var connect struct{ SID string }
	if err := json.Unmarshal([]byte(answer[2:]), &connect); err != nil {
		return fmt.Errorf("connect: %w in %q", err, answer)
	}
	p.ID = connect.SID
	return nil
}

// Ask emits an event with a JSON array of arguments and returns the JSON array that it is acked
// with.
func (p *Poller) Ask(ctx context.Context, id int, event string, args ...any) (string, error) {
	text, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		return "", err
	}
	if err := p.Post(ctx, "42"+strconv.Itoa(id)+string(text)); err != nil {
		return "", err
	}
	prefix := "43" + strconv.Itoa(id)
	answer, err := p.Until(ctx, prefix+"[")
	return strings.TrimPrefix(answer, prefix), err
}

// Post sends one Engine.IO packet.
func (p *Poller) Post(ctx context.Context, packet string) error {
	body, err := p.do(ctx, http.MethodPost, packet)
	if err == nil && !strings.EqualFold(body, "ok") {
		err = fmt.Errorf("answer %q", body)
	}
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	return nil
}

// Until polls until a packet with that prefix comes and drops those before it, answering pings.
func (p *Poller) Until(ctx context.Context, prefix string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.read) > 0 {
			packet := p.read[0]
			p.read = p.read[1:]
			switch {
			case strings.HasPrefix(packet, prefix):
				return packet, nil
			case packet == "2":
				if err := p.Post(ctx, "3"); err != nil {
					return "", err
				}
			case packet == "1":
				return "", errors.New("the server closed the session")
			}
		}
		body, err := p.do(ctx, http.MethodGet, "")
		if err != nil {
			return "", fmt.Errorf("poll: %w", err)
		}
		p.read = strings.Split(body, "\x1e")
	}
}

// Close ends the session.
func (p *Poller) Close(ctx context.Context) error { return p.Post(ctx, "1") }

func (p *Poller) do(ctx context.Context, method, body string) (string, error) {
	target := p.Entries[rand.IntN(len(p.Entries))] + "/socket.io/?EIO=4&transport=polling"
	if p.SID != "" {
		target += "&sid=" + p.SID
	}
	request, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := p.HTTP.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s: %s", method, target, response.Status, content)
	}
	return string(content), nil
}
