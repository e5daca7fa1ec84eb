package engine

import "time"

// patience is how long a server may be silent: it pings every pingInterval, and gives up on us
// pingTimeout later. Absurd values, which only a hostile server has, are bounded.
func (c *Conn) patience() time.Duration {
	const most = 24 * time.Hour
	clamp := func(d time.Duration) time.Duration {
		if d < 0 || d > most {
			return most
		}
		return d
	}
	return max(clamp(c.open.PingInterval)+clamp(c.open.PingTimeout), time.Millisecond)
}

// alive restarts the watch after a sign of life. A WebSocket's watch is the read deadline of its
// connection, which costs no timer of ours; polling has a timer that ends its requests.
func (c *Conn) alive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason != "" || c.closing {
		return
	}
	if c.ws != nil {
		c.ws.conn.SetReadDeadline(time.Now().Add(c.patience()))
		return
	}
	c.watch.Reset(c.patience())
}
