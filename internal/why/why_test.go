package why

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

var end = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ago(d time.Duration) time.Time { return end.Add(-d) }

// TestDiagnose gives records, and wants the cause and a part of the text.
func TestDiagnose(t *testing.T) {
	second := time.Second
	for name, c := range map[string]struct {
		e     inspect.Ended
		cause Cause
		says  string
	}{
		"page closed":        {inspect.Ended{Reason: "transport close", By: "client", CloseCode: 1001}, ClientLeft, "page was closed"},
		"client closed":      {inspect.Ended{Reason: "transport close", By: "client", CloseCode: 1005}, ClientLeft, "orderly"},
		"client gave up":     {inspect.Ended{Reason: "transport close", By: "client", CloseCode: 1005, Handler: "pay", HandlerRuns: 9 * second}, BlockedHandler, `"pay" had run for 9s`},
		"disconnect()":       {inspect.Ended{Reason: "client namespace disconnect", By: "client", Alive: true}, ClientLeft, "disconnect()"},
		"app":                {inspect.Ended{Reason: "server namespace disconnect", By: "app", Handler: "kick"}, AppDisconnect, `"kick"`},
		"app closed":         {inspect.Ended{Reason: "forced close", By: "app"}, AppDisconnect, "Session.Close"},
		"idle proxy":         {inspect.Ended{Reason: "transport close", By: "network", LastHeard: ago(60 * second), LastSent: ago(70 * second)}, ProxyTimeout, "after 1m0s"},
		"busy connection":    {inspect.Ended{Reason: "transport close", By: "network", LastHeard: ago(60 * second), LastSent: ago(2 * second)}, ConnectionLost, "without a goodbye"},
		"odd time":           {inspect.Ended{Reason: "transport close", By: "network", LastHeard: ago(17 * second)}, ConnectionLost, "without a goodbye"},
		"reset":              {inspect.Ended{Reason: "transport error", By: "network", Detail: "connection reset by peer"}, ConnectionLost, "reset by peer"},
		"cut in a handler":   {inspect.Ended{Reason: "transport close", By: "network", Handler: "pay", HandlerRuns: 9 * second}, BlockedHandler, `"pay"`},
		"network gone":       {inspect.Ended{Reason: "ping timeout", By: "network", PingSent: ago(20 * second), LastHeard: ago(45 * second), Unacked: 2}, PingTimeout, "doesn't confirm"},
		"frozen page":        {inspect.Ended{Reason: "ping timeout", By: "network", PingSent: ago(20 * second), LastHeard: ago(45 * second)}, PingTimeout, "confirms all bytes"},
		"stopped polling":    {inspect.Ended{Reason: "ping timeout", By: "network", Transport: "polling"}, PingTimeout, "stopped polling"},
		"slow":               {inspect.Ended{Reason: "transport error", By: "server", Limit: "MaxQueueBytes", Queue: 17 << 20, Sending: "news"}, SlowClient, `17 MB waited for it`},
		"limit":              {inspect.Ended{Reason: "forced close", By: "server", Limit: "MaxRooms", Detail: "socketio: 3 exceeds Config.MaxRooms (2)"}, Limit, "3 exceeds Config.MaxRooms (2)"},
		"blocked":            {inspect.Ended{Reason: "forced close", By: "server", Limit: "MaxPendingBytes", Handler: "pay", HandlerRuns: 9 * second}, BlockedHandler, `"pay" has run for 9s`},
		"too many events":    {inspect.Ended{Reason: "forced close", By: "server", Limit: "MaxPendingBytes", Detail: "d"}, Limit, "MaxPendingBytes"},
		"malformed":          {inspect.Ended{Reason: "forced close", By: "server", Detail: "packet: wrong payload for its type"}, Breach, "wrong payload"},
		"parse error":        {inspect.Ended{Reason: "parse error", By: "client", Detail: "x"}, Breach, "rules of the protocol"},
		"moved":              {inspect.Ended{Reason: "forced close", By: "server", Detail: "engineio: session moved to another server"}, Moved, "rebalance"},
		"drain":              {inspect.Ended{Reason: "server shutting down", By: "server"}, Drained, "worker was stopped"},
		"AllowRequest":       {inspect.Ended{Reason: "refused", By: "app", Detail: "AllowRequest: no"}, RefusedByApp, `AllowRequest refused the handshake: "no"`},
		"middleware":         {inspect.Ended{Reason: "refused", By: "app", Detail: "no", Namespaces: []string{"/x"}, Alive: true}, RefusedByApp, `middleware of the namespace /x`},
		"no such namespace":  {inspect.Ended{Reason: "refused", By: "server", Namespaces: []string{"/x"}, Alive: true}, Refused, "no namespace /x"},
		"wrong protocol":     {inspect.Ended{Reason: "refused", By: "client", Detail: "Unsupported protocol version"}, Refused, "Unsupported protocol version"},
		"of another version": {inspect.Ended{Reason: "eaten by a whale"}, Unknown, "whale"},
	} {
		c.e.At, c.e.SID = end, "abcdefghijkl"
		d := Diagnose(Facts{ID: "abcdefghijklmnopqrst", Ended: []inspect.Ended{c.e}})
		if d.Cause != c.cause || !strings.Contains(d.Text, c.says) {
			t.Errorf("%s: %s: %q; want %s, %q", name, d.Cause, d.Text, c.cause, c.says)
		}
	}
}

func TestProxyIsFoundByOthers(t *testing.T) {
	cut := func(sid string, quiet time.Duration) inspect.Ended {
		return inspect.Ended{SID: sid, Reason: "transport close", By: "network", At: end, LastHeard: ago(quiet)}
	}
	e := cut("a", 17*time.Second)
	f := Facts{ID: "aaaa", Ended: []inspect.Ended{e}, Others: []inspect.Ended{e, cut("b", 17100*time.Millisecond), cut("c", 40*time.Second)}}
	if d := Diagnose(f); d.Cause != ConnectionLost {
		t.Errorf("one other: %s", d.Cause)
	}
	f.Others = append(f.Others, cut("d", 16500*time.Millisecond))
	if d := Diagnose(f); d.Cause != ProxyTimeout || !strings.Contains(d.Text, "2 other sessions") {
		t.Errorf("two others: %s, %q", d.Cause, d.Text)
	}
}

func TestWithoutRecords(t *testing.T) {
	const sid = "wrkrABCDEFGHIJKLMNOP"
	lives := []inspect.Process{{Role: "worker", Worker: "wrkr"}, {Role: "router"}}
	restarted := []Restart{{inspect.Process{Name: "worker-1", Host: "h"}, "signal: killed"}}
	for name, c := range map[string]struct {
		f     Facts
		cause Cause
		says  string
	}{
		"nothing is known": {Facts{ID: sid}, Unknown, "No process knows"},
		"a living worker":  {Facts{ID: sid, Processes: lives, Restarts: restarted}, Unknown, "No process knows"},
		"a dead worker":    {Facts{ID: sid, Processes: lives[1:], Restarts: restarted}, LostWorker, "wrkr"},
		"a dead worker that a router knows": {Facts{ID: "x", Processes: lives, Decisions: []inspect.Decision{{SID: "s", Worker: "dead", Status: 200}}},
			LostWorker, "dead"},
		"a Node worker": {Facts{ID: "x", Processes: lives, Decisions: []inspect.Decision{{SID: "s", Worker: "wrkr", Status: 200}}}, Unknown, "No worker has a record"},
		"turned away":   {Facts{ID: "10.0.0.1", Decisions: []inspect.Decision{{Kind: "handshake", Status: 503, Way: "refused", Why: "address"}}}, TurnedAway, "its address had"},
		"connected":     {Facts{ID: sid, Clients: []inspect.Client{{Transport: "polling"}}}, Connected, "by polling"},
		"an answer to a late request": {Facts{ID: sid, Ended: []inspect.Ended{{Reason: "refused", Detail: "Session ID unknown", By: "client", At: end}}},
			Unknown, "No process knows"},
	} {
		d := Diagnose(c.f)
		if d.Cause != c.cause || !strings.Contains(strings.ReplaceAll(d.Text, "client's", "its"), c.says) || c.cause != Connected && d.Remedy == "" {
			t.Errorf("%s: %s: %q, %q; want %s, %q", name, d.Cause, d.Text, d.Remedy, c.cause, c.says)
		}
	}
}

// TestPrintSteersNoTerminal: clients choose the names of events, and apps their errors.
func TestPrintSteersNoTerminal(t *testing.T) {
	evil := "\x1b]0;owned\a\x9b2J\u202e" + strings.Repeat("x ", 100)
	d := Diagnose(Facts{ID: "abcd", Ended: []inspect.Ended{{
		At: end, Reason: evil, By: evil, Handler: evil, Address: evil, Transport: evil, Router: evil, Namespaces: []string{evil}, Detail: evil,
		Process: inspect.Process{Host: evil, Name: evil},
	}}})
	var b strings.Builder
	if err := d.Print(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) || len([]rune(line)) > 101 {
			t.Errorf("line %q", line)
		}
	}
}
