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
)

// Client asks the admin HTTP of a process.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a Client of a TCP address; an empty or unspecified host means this one.
func NewClient(addr string) *Client {
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
			addr = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return &Client{base: "http://" + addr, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// NewSocketClient makes a Client of a child's admin socket.
func NewSocketClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{base: "http://child", http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// answerTimeout is what a process gets to say whether it is ready: less than those who ask a host wait, who ask for its
// router's word.
const answerTimeout = time.Second

// Ready returns nil when the process says that it serves, else why not. One that does not answer in a second is not.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	res, err := c.get(ctx, "/readyz", "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(body)))
	}
	return nil
}

// Status returns what the process tells of itself.
func (c *Client) Status(ctx context.Context) (st Status, err error) {
	res, err := c.get(ctx, "/status", "")
	if err != nil {
		return st, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return st, fmt.Errorf("admin: /status: %s", res.Status)
	}
	return st, json.NewDecoder(res.Body).Decode(&st)
}

// Cluster and Trace return what the pages of these names answer.
func (c *Client) Cluster(ctx context.Context, into any) error { return c.ask(ctx, "/cluster", into) }

func (c *Client) Trace(ctx context.Context, sid string, into any) error {
	return c.ask(ctx, "/trace?sid="+url.QueryEscape(sid), into)
}

func (c *Client) ask(ctx context.Context, path string, into any) error {
	res, err := c.get(ctx, path, "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		return &AnswerError{Code: res.StatusCode, Why: strings.TrimSpace(string(why))}
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// AnswerError is a process' answer that is none.
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
