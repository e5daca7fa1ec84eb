package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Client sends requests to the admin port or socket of a process.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a Client for a TCP address. An empty or unspecified host means this host.
func NewClient(addr string) *Client {
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
			addr = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return &Client{base: "http://" + addr, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// NewSocketClient makes a Client for a child's admin socket.
func NewSocketClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{base: "http://child", http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// answerTimeout bounds the question whether a process is ready. It's less than the time that
// callers of a host's /readyz wait, because the host asks its router.
const answerTimeout = time.Second

// Ready returns nil if the process says that it serves, and otherwise why it doesn't. A process
// that doesn't answer within a second isn't ready.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	res, err := c.get(ctx, "/readyz", "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(reason(res.Body))
	}
	return nil
}

// maxReason bounds the text of a refusal.
const maxReason = 4 << 10

// reason returns the text of a refusal without characters that control a terminal, because
// operators read it there.
func reason(body io.Reader) string {
	raw, err := io.ReadAll(io.LimitReader(body, maxReason))
	if err != nil && len(raw) == 0 {
		return err.Error()
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '.'
	}, string(raw)))
}

// pageTimeout bounds the other pages. A router asks Redis for them, which may be slow.
const pageTimeout = 10 * time.Second

// Status returns the process's description of itself.
func (c *Client) Status(ctx context.Context) (st Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	res, err := c.get(ctx, "/status", "")
	if err != nil {
		return st, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return st, fmt.Errorf("admin: /status: %s", res.Status)
	}
	return st, decode(res.Body, &st)
}

// Cluster decodes the answer of /cluster.
func (c *Client) Cluster(ctx context.Context, into any) error { return c.ask(ctx, "/cluster", into) }

// Trace decodes the answer of /trace for a sid.
func (c *Client) Trace(ctx context.Context, sid string, into any) error {
	return c.ask(ctx, "/trace?sid="+url.QueryEscape(sid), into)
}

func (c *Client) ask(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	res, err := c.get(ctx, path, "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &AnswerError{Code: res.StatusCode, Why: reason(res.Body)}
	}
	return decode(res.Body, into)
}

// maxAnswer bounds an answer: a cluster of 20,000 workers takes 5 MB. The socket that answers may
// belong to an app's user.
const maxAnswer = 16 << 20

// errTooLong reports an answer that isn't read.
var errTooLong = errors.New("admin: the answer is too long")

// decode reads a JSON answer.
func decode(body io.Reader, into any) error {
	raw, err := readAll(body, maxAnswer)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// readAll reads an answer of at most limit bytes.
func readAll(body io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", errTooLong, limit)
	}
	return raw, err
}

// AnswerError is a process's refusal.
type AnswerError struct {
	Code int // HTTP's
	Why  string
}

func (e *AnswerError) Error() string { return fmt.Sprintf("admin: %d: %s", e.Code, e.Why) }

func (c *Client) get(ctx context.Context, path, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	return c.http.Do(req)
}
