// Package why says why a client was disconnected or refused, from what the processes of an app have
// recorded. It asks nobody: `sidereal why` collects the facts.
package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// Facts are what all processes know about an id.
type Facts struct {
	ID        string             // a sid, a socket's id, the begin of one, or a client's address
	Ended     []inspect.Ended    // records about the id
	Decisions []inspect.Decision // of routers about it
	Clients   []inspect.Client   // that are connected with it
	Others    []inspect.Ended    // the last sessions that ended, whatever their id
	Processes []inspect.Process  // that live
	Restarts  []Restart          // of children of supervisors
}

// Restart is a process that was started again.
type Restart struct {
	Process inspect.Process
	LastEnd string // why the process before it ended
}

// Diagnosis is the answer.
type Diagnosis struct {
	ID    string `json:"id"`
	State string `json:"state"` // connected, ended, refused, unknown
	Cause Cause  `json:"cause"`
	// Text says what happened, Remedy what to do about it.
	Text     string   `json:"text"`
	Remedy   string   `json:"remedy,omitempty"`
	Evidence []string `json:"evidence,omitempty"`

	Ended     []inspect.Ended    `json:"ended,omitempty"`
	Clients   []inspect.Client   `json:"clients,omitempty"`
	Decisions []inspect.Decision `json:"decisions,omitempty"`
}

// Cause is a likely cause, in one word or two.
type Cause string

// The causes.
const (
	Connected      Cause = "connected"
	ClientLeft     Cause = "client left"
	AppDisconnect  Cause = "app disconnected"
	ProxyTimeout   Cause = "proxy idle timeout"
	ConnectionLost Cause = "connection lost"
	PingTimeout    Cause = "ping timeout"
	SlowClient     Cause = "slow client"
	BlockedHandler Cause = "blocked handler"
	Limit          Cause = "limit"
	Breach         Cause = "protocol breach"
	Drained        Cause = "drain"
	Moved          Cause = "rebalance"
	LostWorker     Cause = "lost worker"
	RefusedByApp   Cause = "refused by the app"
	Refused        Cause = "refused"
	TurnedAway     Cause = "turned away by a router"
	Unknown        Cause = "unknown"
)

// Diagnose finds the likely cause.
func Diagnose(f Facts) Diagnosis {
	slices.SortStableFunc(f.Ended, func(a, b inspect.Ended) int { return b.At.Compare(a.At) })
	slices.SortStableFunc(f.Decisions, func(a, b inspect.Decision) int { return b.At.Compare(a.At) })
	d := Diagnosis{ID: f.ID, Ended: f.Ended, Clients: f.Clients, Decisions: f.Decisions}
	switch e := f.main(); {
	case e != nil:
		d.State = "ended"
		d.explain(&f, e)
		d.addEvidence(&f, e)
	case len(f.Clients) > 0:
		d.connected(&f)
	default:
		d.withoutRecord(&f)
	}
	return d
}

// main returns the record that answers: of the session, unless a socket ended or was refused before
// it; nil if there is none, or the client is connected and the record says nothing against it.
func (f *Facts) main() (e *inspect.Ended) {
	for i := range f.Ended {
		one := &f.Ended[i]
		if one.Reason == refused && one.Detail == unknownSID {
			continue // an answer to a request that came after the end
		}
		if e == nil || e.Alive && !one.Alive && one.At.After(e.At) {
			e = one
		}
	}
	if e != nil && len(f.Clients) > 0 && f.Clients[0].Connected.After(e.At) {
		return nil
	}
	return e
}

const (
	refused    = "refused"
	unknownSID = "Session ID unknown"
)

// long is a handler's time from which on it's worth a word.
const long = time.Second

func (d *Diagnosis) say(cause Cause, text, remedy string) {
	d.Cause, d.Text, d.Remedy = cause, text, remedy
}

// explain finds the cause in a record.
func (d *Diagnosis) explain(f *Facts, e *inspect.Ended) {
	switch {
	case e.Reason == refused:
		d.refused(e)
	case e.Limit == "MaxQueueBytes":
		d.say(SlowClient, fmt.Sprintf("The client was too slow: %s waited for it, more than MaxQueueBytes allows, and the server closed the session.", size(e.Queue)),
			"Send less to slow clients: use Volatile for events that later ones replace, send changes instead of whole states, or look at the client's network. A larger MaxQueueBytes only delays this.")
		if e.Sending != "" {
			d.Text += fmt.Sprintf(" The first event that waited is %q.", e.Sending)
		}
	case e.Limit == "MaxPendingBytes" && e.HandlerRuns >= long:
		d.say(BlockedHandler, fmt.Sprintf("The handler of %q has run for %s. Meanwhile the client sent more than MaxPendingBytes allows to wait, and the server closed the session.", e.Handler, span(e.HandlerRuns)),
			"Find out what the handler waits for: a lock, a database, another service. Give its calls a timeout, or do the work in Socket.Go.")
	case e.Limit != "":
		d.say(Limit, fmt.Sprintf("The client exceeded the limit %s, and the server closed the session: %s.", e.Limit, trimmed(e.Detail)),
			fmt.Sprintf("If the client is an honest one, raise %s in socketio.Config, or the setting of that name. Else the limit did its work.", e.Limit))
	case e.Reason == "server namespace disconnect":
		d.say(AppDisconnect, "The app disconnected the socket: it called Disconnect or DisconnectSockets, or an admin did.", "Look in the app's code for the call.")
		if e.Handler != "" {
			d.Text += fmt.Sprintf(" The handler of %q ran at that time.", e.Handler)
		}
	case e.Reason == "client namespace disconnect":
		d.say(ClientLeft, "The client left: its code called disconnect().", "Nothing is wrong on the server's side.")
	case e.Reason == "ping timeout":
		d.pingTimeout(e)
	case e.Reason == "server shutting down":
		d.say(Drained, "The worker was stopped: by a reload, a restart, a scale or an end of the host. It closed its sessions, and their clients connect to other workers by themselves.",
			"Nothing, if somebody deployed at that time. Else look in the supervisor's log for the reason of the restart.")
	case e.Reason == "forced close" && e.By == "server" && strings.Contains(e.Detail, "moved to another server"):
		d.say(Moved, "A rebalance moved the session: the host had more than its share, and the client connects to another one by itself.",
			"Nothing. Sockets in a room of socketio.Pinned stay where they are.")
	case e.Reason == "forced close" && e.By == "app":
		d.say(AppDisconnect, "The app closed the session: it called Session.Close, or Disconnect with closeTransport.", "Look in the app's code for the call.")
	case e.Reason == "transport close" && e.By == "client":
		d.clientClosed(e)
	case e.Reason == "transport close", e.Reason == "transport error" && e.By == "network":
		d.connectionLost(f, e)
	case e.Reason == "transport error", e.Reason == "parse error", e.Reason == "forced close":
		d.say(Breach, fmt.Sprintf("The client broke the rules of the protocol, and the server closed the session: %s.", trimmed(e.Detail)),
			"Look at the client's library and version: Socket.IO 3 and 4 are served. A proxy that changes WebSocket frames does this, too.")
	default:
		d.say(Unknown, fmt.Sprintf("The session ended with the reason %q.", e.Reason), "")
	}
}

func (d *Diagnosis) refused(e *inspect.Ended) {
	d.State = refused
	switch {
	case strings.HasPrefix(e.Detail, "AllowRequest: "):
		d.say(RefusedByApp, fmt.Sprintf("The app's AllowRequest refused the handshake: %q.", strings.TrimPrefix(e.Detail, "AllowRequest: ")),
			"The client showed no credentials that the app accepts, or came from a page that it doesn't. Compare with what AllowRequest checks.")
	case e.By == "app":
		d.say(RefusedByApp, fmt.Sprintf("A middleware of the namespace %s refused the socket: %q.", first(e.Namespaces), e.Detail),
			"Look at what the middleware (Namespace.Use) checks, and at the auth value that the client sends.")
	case e.By == "server":
		d.say(Refused, fmt.Sprintf("The server has no namespace %s.", first(e.Namespaces)),
			"Compare the client's URL with the namespaces of the app. The path after the host in io(url) is the namespace.")
	default:
		d.say(Refused, fmt.Sprintf("The worker refused the request: %s.", trimmed(e.Detail)),
			"The client doesn't speak Engine.IO 4, or something on the way changes its requests.")
	}
}

func (d *Diagnosis) pingTimeout(e *inspect.Ended) {
	text := "The client didn't answer a ping in time."
	if !e.PingSent.IsZero() {
		text = fmt.Sprintf("The client didn't answer the ping that was sent %s before the end.", span(e.At.Sub(e.PingSent)))
	}
	remedy := "Single cases are normal: devices sleep and networks end. If many clients do this at the same time, look at the network between them and the host."
	switch {
	case e.Transport == "polling":
		text += " It has stopped polling."
	case e.Unacked > 0:
		text += " Its end of the connection doesn't confirm the bytes that are sent to it: its network, its machine, or a proxy on the way is gone."
	case !e.LastHeard.IsZero():
		text += " Its end of the connection confirms all bytes, so the network works, and the client's program doesn't run: a frozen or suspended page, a blocked event loop, or a proxy that holds the connection open."
		remedy = "Look at the client: a page in the background may be suspended, and long work on its main thread keeps it from answering. A larger PingTimeout tolerates more."
	}
	d.say(PingTimeout, text, remedy)
}

func (d *Diagnosis) clientClosed(e *inspect.Ended) {
	text := "The client closed the connection in an orderly way."
	if e.CloseCode == 1001 {
		text = "The client went away: its page was closed, or the user followed a link."
	}
	if e.HandlerRuns >= long {
		d.say(BlockedHandler, text+fmt.Sprintf(" The handler of its event %q had run for %s then: the client may have given up.", e.Handler, span(e.HandlerRuns)),
			"Find out what the handler waits for, and give its calls a timeout.")
		return
	}
	d.say(ClientLeft, text, "Nothing is wrong on the server's side.")
}

// idleSlack is how far apart idle times of one timeout may be.
const idleSlack = 1500 * time.Millisecond

// idle returns how long nothing passed before a connection was cut.
func idle(e *inspect.Ended) (d time.Duration, known bool) {
	quiet := e.LastHeard
	if e.LastSent.After(quiet) {
		quiet = e.LastSent
	}
	if quiet.IsZero() {
		return 0, false
	}
	return e.At.Sub(quiet), true
}

func (d *Diagnosis) connectionLost(f *Facts, e *inspect.Ended) {
	quiet, known := idle(e)
	alike := 0
	for i := range f.Others {
		o := &f.Others[i]
		other, ok := idle(o)
		if o.SID != e.SID && o.Reason == e.Reason && o.By == "network" && ok && (other-quiet).Abs() < idleSlack {
			alike++
		}
	}
	const shortest = 4 * time.Second
	regular := (quiet - quiet.Round(5*time.Second)).Abs() < 700*time.Millisecond
	switch {
	case known && quiet >= shortest && (regular || alike >= 2):
		text := fmt.Sprintf("The connection was cut without a goodbye after %s in which nothing passed: most likely by the idle timeout of a proxy or load balancer.", span(quiet))
		if alike > 0 {
			text += fmt.Sprintf(" %d other sessions ended after the same time.", alike)
		}
		d.say(ProxyTimeout, text, fmt.Sprintf("Raise the proxy's idle timeout above PingInterval (nginx: proxy_read_timeout, HAProxy: timeout tunnel), or lower SIDEREAL_PING_INTERVAL below %s.", span(quiet)))
	case e.HandlerRuns >= long:
		d.say(BlockedHandler, fmt.Sprintf("The connection was cut while the handler of %q had run for %s: the client, or something on its way, may have given up.", e.Handler, span(e.HandlerRuns)),
			"Find out what the handler waits for, and give its calls a timeout.")
	default:
		text := "The connection was cut without a goodbye: the client's program ended, its network changed, or a proxy on the way closed it."
		if e.Detail != "" {
			text += fmt.Sprintf(" The error was %q.", e.Detail)
		}
		d.say(ConnectionLost, text, "Single cases are normal. If many end at the same time, look at proxies and routers on the way.")
	}
}

// connected describes clients that are there.
func (d *Diagnosis) connected(f *Facts) {
	c := &f.Clients[0]
	d.State = "connected"
	d.say(Connected, fmt.Sprintf("The client is connected, since %s: by %s, from %s, to %s on %s.", stamp(c.Connected), c.Transport, c.Address, place(&c.Process), c.Process.Host), "")
	if c.Queue > 64<<10 {
		d.Remedy = fmt.Sprintf("%s wait for it: it may be too slow.", size(c.Queue))
	}
}

// withoutRecord explains an id of which no worker has a record.
func (d *Diagnosis) withoutRecord(f *Facts) {
	d.State = "unknown"
	if w := f.goneWorker(); w != "" {
		d.State = "ended"
		text := fmt.Sprintf("The worker %s that had the session is gone, and with it all that it knew: it was killed, has crashed, or was replaced.", w)
		for _, r := range f.Restarts {
			d.Evidence = append(d.Evidence, fmt.Sprintf("%s of %s was started again %s; the process before it ended with %q", r.Process.Name, r.Process.Host, stamp(r.Process.Started), r.LastEnd))
		}
		d.say(LostWorker, text, "Look in the supervisor's log for the end of the worker (a crash, the kernel's out-of-memory killer, kill -9), and in the worker's log before it. Clients connect to another worker by themselves.")
		return
	}
	for i := range f.Decisions {
		if one := &f.Decisions[i]; one.Status >= 400 && one.Way == refused {
			d.State = refused
			d.turnedAway(one)
			return
		}
	}
	d.say(Unknown, "No process knows this id.", "It can mean: the id is mistyped; the session ended so long ago that 2,048 others have ended since; the process that had it has ended since; the client belongs to another app or cluster; or its server isn't one of ours.")
	if len(f.Decisions) > 0 {
		one := &f.Decisions[0]
		d.Text = fmt.Sprintf("No worker has a record of this id. The router of %s sent its last request to the worker %s %s.", one.Process.Host, one.Worker, stamp(one.At))
		d.Remedy = "Node workers keep no records. Look in the app's log for the time of that request."
	}
}

// tagged is the length of the worker's id at the front of a sid.
const tagged = 4

// goneWorker returns the worker that had the session, if it doesn't live any more.
func (f *Facts) goneWorker() string {
	lives := func(id string) bool {
		return slices.ContainsFunc(f.Processes, func(p inspect.Process) bool { return p.Worker == id })
	}
	for i := range f.Decisions {
		if w := f.Decisions[i].Worker; w != "" && f.Decisions[i].SID != "" && !lives(w) {
			return w
		}
	}
	for _, d := range f.Decisions {
		if d.Worker != "" {
			return ""
		}
	}
	if len(f.Restarts) > 0 && len(f.ID) == 20 && !lives(f.ID[:tagged]) {
		return f.ID[:tagged]
	}
	return ""
}

// away explains the router's limits.
var away = map[string]string{
	"in_flight":   "the workers had too many handshakes to answer",
	"rate":        "the workers had as many handshakes as they take in a second",
	"address":     "the client's address had as many handshakes as it may have in a second",
	"connections": "the router held as many connections as it may",
	"requests":    "the worker had too many unanswered requests",
	"descriptors": "the router was short of file descriptors",
}

func (d *Diagnosis) turnedAway(one *inspect.Decision) {
	why := one.Why
	if text := away[why]; text != "" {
		why = text
	}
	d.say(TurnedAway, fmt.Sprintf("The router of %s refused a %s with status %d: %s.", one.Process.Host, one.Kind, one.Status, why),
		"See docs/traffic.md for the router's limits, and `sidereal cluster` for workers that aren't ready. Clients try again by themselves.")
}

// addEvidence lists what else is known.
func (d *Diagnosis) addEvidence(f *Facts, e *inspect.Ended) {
	add := func(format string, args ...any) { d.Evidence = append(d.Evidence, fmt.Sprintf(format, args...)) }
	add("ended %s: %q, by %s", stamp(e.At), e.Reason, e.By)
	if e.Process.Host != "" {
		add("on %s of %s", place(&e.Process), e.Process.Host)
	}
	if e.Transport != "" && e.Address != "" {
		add("%s from %s, open for %s", e.Transport, e.Address, span(e.At.Sub(e.Opened)))
	}
	if e.Router != "" {
		add("it came through the router %s", e.Router)
	}
	if !e.PingSent.IsZero() {
		answer := "not answered"
		if e.PongSeen.After(e.PingSent) || e.PongSeen.Equal(e.PingSent) {
			answer = fmt.Sprintf("answered %s later", span(e.PongSeen.Sub(e.PingSent)))
		}
		add("last ping %s before the end, %s", span(e.At.Sub(e.PingSent)), answer)
	}
	if !e.LastHeard.IsZero() {
		add("last bytes from the client %s before the end", span(e.At.Sub(e.LastHeard)))
	}
	if e.Queue > 0 {
		add("%s waited for the client", size(e.Queue))
	}
	if e.Handler != "" {
		add("the handler of %q ran for %s", e.Handler, span(e.HandlerRuns))
	}
}

func place(p *inspect.Process) string {
	if p.Worker == "" {
		return p.Name
	}
	return fmt.Sprintf("%s (%s)", p.Name, p.Worker)
}

func first(list []string) string {
	if len(list) == 0 {
		return "?"
	}
	return list[0]
}

// trimmed is an error's text without its package.
func trimmed(text string) string {
	for _, prefix := range []string{"socketio: ", "engineio: ", "packet: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return strings.TrimSuffix(text, ".")
}

func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func stamp(t time.Time) string { return "at " + t.Format("2006-01-02 15:04:05") }

func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%d MB", n>>20)
}
