package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
)

// ErrNotRunning reports that no daemon serves a home folder.
var ErrNotRunning = errors.New("daemon: not running")

// maxEvent limits one line of an answer. The longest is a listing with the environments of all
// apps.
const maxEvent = 64 << 20

// Client talks to a daemon.
type Client struct {
	http *http.Client
	home Home
}

// Connect finds the daemon of a home folder. It returns ErrNotRunning if there is none, even if a
// dead one left its socket.
func Connect(ctx context.Context, home Home) (*Client, error) {
	c := newClient(home)
	if _, err := c.Ping(ctx); err != nil {
		c.Close()
		if hungUp(err) {
			return nil, fmt.Errorf("%w in %s: it has just ended", ErrNotRunning, home)
		}
		return nil, err
	}
	return c, nil
}

// hungUp reports whether a daemon ended while it was being asked.
func hungUp(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, errCutOff)
}

// errCutOff reports an answer that broke off.
var errCutOff = errors.New("daemon: ended before it finished the command")

func newClient(home Home) *Client {
	var d net.Dialer
	return &Client{home: home, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", home.socket())
		},
		DisableCompression: true,
	}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ping returns the daemon's description.
func (c *Client) Ping(ctx context.Context) (info Info, err error) {
	return info, c.ask(ctx, http.MethodGet, "/", nil, &info)
}

// List returns everything that the daemon runs.
func (c *Client) List(ctx context.Context) (l Listing, err error) {
	return l, c.ask(ctx, http.MethodGet, "/processes", nil, &l)
}

// Start runs apps. It returns when all their processes are online, or with a *Failure. It calls
// happened, if it isn't nil, for each event.
func (c *Client) Start(ctx context.Context, s Start, happened func(Event)) error {
	return c.command(ctx, "/start", s, happened)
}

// Act runs an action. It returns as Start does.
func (c *Client) Act(ctx context.Context, a Action, happened func(Event)) error {
	return c.command(ctx, "/act", a, happened)
}

// Save stores the list of processes for Resurrect. Without force, an empty list doesn't overwrite
// one that isn't empty.
func (c *Client) Save(ctx context.Context, force bool) (s Saved, err error) {
	return s, c.ask(ctx, http.MethodPost, "/save", map[string]bool{"force": force}, &s)
}

// Resurrect starts the saved processes that don't run yet. It returns as Start does.
func (c *Client) Resurrect(ctx context.Context, happened func(Event)) error {
	return c.command(ctx, "/resurrect", struct{}{}, happened)
}

// Kill stops all processes and then the daemon. It returns when the daemon is gone.
func (c *Client) Kill(ctx context.Context, happened func(Event)) error {
	err := c.command(ctx, "/kill", struct{}{}, happened)
	if err == nil || hungUp(err) { // because of another kill
		c.Close()
		err = c.home.awaitFree(ctx)
	}
	return err
}

// Logs calls line for each line of output, past ones first. It returns line's error, or nil when
// there is nothing more, or ctx has ended.
func (c *Client) Logs(ctx context.Context, r LogRequest, line func(LogLine) error) error {
	body, err := c.open(ctx, http.MethodPost, "/logs", r)
	if err != nil {
		return err
	}
	defer body.Close()
	err = eachLine(body, func(raw []byte) error {
		var l LogLine
		if err := json.Unmarshal(raw, &l); err != nil {
			return fmt.Errorf("daemon: logs: %w", err)
		}
		return line(l)
	})
	if ctx.Err() != nil {
		return nil
	}
	if hungUp(err) {
		return &Failure{Code: 1, Text: "the daemon has ended"}
	}
	return err
}

// Bus calls happened for each event of PM2's bus, and ready once none will be missed. It returns
// happened's error, or nil when ctx has ended.
func (c *Client) Bus(ctx context.Context, ready func() error, happened func(BusEvent) error) error {
	body, err := c.open(ctx, http.MethodPost, "/bus", struct{}{})
	if err != nil {
		return err
	}
	defer body.Close()
	if err := ready(); err != nil {
		return err
	}
	err = eachLine(body, func(raw []byte) error {
		var e BusEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("daemon: bus: %w", err)
		}
		return happened(e)
	})
	if ctx.Err() != nil {
		return nil
	}
	if hungUp(err) {
		return &Failure{Code: 1, Text: "the daemon has ended"}
	}
	return err
}

// command sends a request whose answer is a stream of events.
func (c *Client) command(ctx context.Context, path string, request any, happened func(Event)) error {
	body, err := c.open(ctx, http.MethodPost, path, request)
	if err != nil {
		return err
	}
	defer body.Close()
	var done *Done
	err = eachLine(body, func(raw []byte) error {
		var e Event
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("daemon: %s: %w", path, err)
		}
		if e.Done != nil {
			done = e.Done
		} else if happened != nil {
			happened(e)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case done == nil:
		return errCutOff
	case done.Code != 0:
		return &Failure{Code: done.Code, Text: done.Error}
	}
	return nil
}

// ask sends a request whose answer is one value.
func (c *Client) ask(ctx context.Context, method, path string, request, answer any) error {
	body, err := c.open(ctx, method, path, request)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("daemon: %s: %w", path, err)
	}
	return nil
}

func (c *Client) open(ctx context.Context, method, path string, request any) (io.ReadCloser, error) {
	var body io.Reader
	if request != nil {
		raw, err := json.Marshal(request)
		if err != nil {
			return nil, fmt.Errorf("daemon: %s: %w", path, err)
		}
		body = bytes.NewReader(raw)
	}
	url := fmt.Sprintf("http://daemon/v%d%s", protocolVersion, path)
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("daemon: %s: %w", path, err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w in %s", ErrNotRunning, c.home)
		}
		return nil, fmt.Errorf("daemon: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp.Body, nil
}

// refusal returns the error of an answer with an error status.
func refusal(resp *http.Response) error {
	var done Done
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&done); err == nil && done.Code != 0 {
		return &Failure{Code: done.Code, Text: done.Error}
	}
	if resp.StatusCode == http.StatusNotFound {
		return &Failure{Code: 1, Text: "the running daemon is of another version: end it with `sidereal kill`, then start again"}
	}
	return &Failure{Code: 1, Text: "the daemon answers " + resp.Status}
}

// eachLine calls line for each line of a stream, until it ends or line fails.
func eachLine(r io.Reader, line func([]byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if err := line(lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}
