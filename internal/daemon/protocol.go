package daemon

import (
	"encoding/json"
	"time"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

// protocolVersion is in every path. It changes when a daemon and a command of different versions
// would misunderstand each other.
const protocolVersion = 1

// Status is the state of a process, in PM2's words.
type Status string

// The states of a process.
const (
	Launching Status = "launching"       // started, not ready yet
	Online    Status = "online"          //
	Stopping  Status = "stopping"        // told to end
	Stopped   Status = "stopped"         // by command, or by an exit that was wanted
	Errored   Status = "errored"         // crashed too often, or could not be started or killed
	Waiting   Status = "waiting restart" // between two processes
)

// Process is the present state of one process of an app.
type Process struct {
	ID        int          `json:"id"` // pm_id
	Name      string       `json:"name"`
	Namespace string       `json:"namespace"`
	App       string       `json:"app"`      // key in Listing.Apps
	Instance  int          `json:"instance"` // NODE_APP_INSTANCE: the lowest free number of the name
	Mode      pm2.ExecMode `json:"mode"`
	UniqueID  string       `json:"uniqueID"`

	Status     Status    `json:"status"`
	Reason     string    `json:"reason,omitempty"`   // of Errored, and of the last end
	PID        int       `json:"pid,omitempty"`      // 0: none runs
	Created    time.Time `json:"created"`            // first start, or last restart by command
	Started    time.Time `json:"started,omitzero"`   // of the process that runs, or ran last
	Restarts   int       `json:"restarts"`           // by command or not, since reset, as PM2 counts
	Unstable   int       `json:"unstable"`           // ends within min_uptime, among the last max_restarts
	ExitCode   *int      `json:"exitCode,omitempty"` // of the last end; -1: a signal
	CPU        float64   `json:"cpu"`                // percent of one core since the last look, at least 200 ms ago
	Memory     int64     `json:"memory"`             // resident bytes
	Worker     string    `json:"worker,omitempty"`   // its id in the directory
	Port       int       `json:"port,omitempty"`     // of its own, given by us
	Adapters   int       `json:"adapters,omitempty"` // Socket.IO servers that set none and got ours
	OutFile    string    `json:"outFile,omitempty"`  // as in App, with the id where it has one; empty: none
	ErrorFile  string    `json:"errorFile,omitempty"`
	LogFile    string    `json:"logFile,omitempty"`
	PIDFile    string    `json:"pidFile,omitempty"`
	ReloadedAt time.Time `json:"reloadedAt,omitzero"`
}

// AppStatus is the state of an app and its services.
type AppStatus struct {
	App       pm2.App   `json:"app"`
	Directory string    `json:"directory"`       // its SIDEREAL_APP
	Doors     []string  `json:"doors,omitempty"` // addresses that its router serves
	Redis     string    `json:"redis,omitempty"` // "embedded", or the URL without secrets
	Problems  []string  `json:"problems,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"` // clients reach it all the same
	Services  []Service `json:"services,omitempty"`
}

// Service is a process of Sidereal: a router, a node host or the embedded Redis.
type Service struct {
	Name     string    `json:"name"`
	Status   Status    `json:"status"`
	PID      int       `json:"pid,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Restarts int       `json:"restarts"`
	Memory   int64     `json:"memory"`
	CPU      float64   `json:"cpu"`
}

// Listing has everything that the daemon runs, processes by id.
type Listing struct {
	Processes []Process            `json:"processes"`
	Apps      map[string]AppStatus `json:"apps"` // by Process.App
	Services  []Service            `json:"services,omitempty"`
}

// Info describes a daemon.
type Info struct {
	Protocol int               `json:"protocol"`
	Version  string            `json:"version"`
	PID      int               `json:"pid"`
	Started  time.Time         `json:"started"`
	Home     string            `json:"home"`
	Admin    string            `json:"admin,omitempty"` // address of its /metrics
	Settings map[string]string `json:"settings"`        // its own, by variable, secrets hidden
}

// StartMode says how Start treats apps that the daemon already has.
type StartMode string

// The modes.
const (
	StartNew     StartMode = "new"     // running: an error; stopped: started. What `start script` does
	StartRestart StartMode = "restart" // restarted with the new settings. What `start file` and startOrRestart do
	StartReload  StartMode = "reload"  // reloaded with the new settings. What startOrReload does
	StartForce   StartMode = "force"   // started once more beside the running ones. What `start -f` does
)

// Start is a request to run apps. It ends when all processes are online or have failed.
type Start struct {
	Apps []pm2.App `json:"apps"`
	// Of are the keys of the listed apps that become Apps, in their order. They may get other names.
	// Without keys, an app becomes the one of its name.
	Of       []string  `json:"of,omitempty"`
	Mode     StartMode `json:"mode"`
	Parallel int       `json:"parallel,omitempty"` // StartReload: see Action
	// Settings are the command's own, by variable, as in Info. The daemon warns about those that
	// differ from its own.
	Settings map[string]string `json:"settings,omitempty"`
}

// Verb says what an Action does to processes.
type Verb string

// The verbs. All but Scale take any number of targets.
const (
	Stop       Verb = "stop"       // end, but stay in the list
	Restart    Verb = "restart"    // stop, then start; stopped ones are started
	Reload     Verb = "reload"     // a new one up before the old one drains
	Delete     Verb = "delete"     // stop, and forget
	Reset      Verb = "reset"      // counters to 0
	Scale      Verb = "scale"      // Count instances of one app
	Signal     Verb = "signal"     // send Action.Signal
	Send       Verb = "send"       // send Action.Text: a line of its input, but a message for Node workers of a cluster
	Message    Verb = "message"    // send Action.Message to Node processes
	Flush      Verb = "flush"      // empty the log files
	ReloadLogs Verb = "reloadLogs" // open the log files anew
)

// Action is a command about listed processes.
type Action struct {
	Verb Verb `json:"verb"`
	// Targets are ids, names, namespaces, or "all". A target without a process is an error, after the
	// daemon has acted on the others.
	Targets []string `json:"targets"`
	// Env, with Restart and Reload, is added to the processes' environments (--update-env).
	Env map[string]string `json:"env,omitempty"`
	// Parallel, with Reload, is the number of processes of an app that may be replaced at a time.
	// 0 means one.
	Parallel int             `json:"parallel,omitempty"`
	Unwatch  bool            `json:"unwatch,omitempty"` // Stop: end the watch of the apps' files, too
	Count    string          `json:"count,omitempty"`   // Scale: "4", "+2", "-1"
	Signal   string          `json:"signal,omitempty"`  // as pm2.ParseSignal reads it
	Text     string          `json:"text,omitempty"`    // Send
	Message  json.RawMessage `json:"message,omitempty"` // Message: any JSON
}

// Event is one event during a command.
type Event struct {
	// Level is "info", "warn" or "error". An event with an error doesn't end the command; the
	// command returns its own error.
	Level string `json:"level"`
	Text  string `json:"text"`           // a line for people, without the process' name
	ID    *int   `json:"id,omitempty"`   // of the process, if it is about one
	Name  string `json:"name,omitempty"` // of the process or app, if it is about one
	Step  string `json:"step,omitempty"` // "launched", "online", "stopped", "reloaded", "deleted", "failed"
	Done  *Done  `json:"done,omitempty"` // the last one has only this; callers don't see it
}

// Done is the outcome of a command.
type Done struct {
	Code  int    `json:"code"`            // exit code for the command: 0, 1 failed, 2 wrong usage or configuration
	Error string `json:"error,omitempty"` // one or more lines
}

// Failure is a command that the daemon didn't finish.
type Failure struct {
	Code int    // exit code: 1 failed, 2 wrong usage or configuration
	Text string // one or more lines
}

func (f *Failure) Error() string { return f.Text }

// ExitCode returns the exit code for a program that ends with this error.
func (f *Failure) ExitCode() int { return f.Code }

// LogRequest is a request for lines of processes' output.
type LogRequest struct {
	Targets []string `json:"targets,omitempty"` // as in Action; none: all, and the daemon's own
	Lines   int      `json:"lines"`             // how many past ones of each file
	Follow  bool     `json:"follow"`            // and then those to come, until the context ends
	Out     bool     `json:"out"`               // neither: both
	Err     bool     `json:"err"`
}

// LogLine is one line of output.
type LogLine struct {
	ID     int       `json:"id"` // -1: not of a process in the list
	Name   string    `json:"name"`
	Stream string    `json:"stream"` // "out" or "err"
	Time   time.Time `json:"time"`   // when it was written; zero for past ones, whose files may say
	Text   string    `json:"text"`   // without the line break; past ones as they stand in the file
	File   string    `json:"file,omitempty"`
	// Dropped is the number of lines of this stream that were skipped before this one, because
	// the reader was too slow.
	Dropped int64 `json:"dropped,omitempty"`
}

// BusEvent is one event of PM2's bus.
type BusEvent struct {
	Event string    `json:"event"` // "log:out", "log:err", "process:event", "process:msg", or the type of a message
	At    time.Time `json:"at"`

	Process Process `json:"process"` // with "log:*" and messages, only its id, name and namespace
	App     pm2.App `json:"app"`     // with "process:event"

	Change  string          `json:"change,omitempty"`  // of "process:event": "start", "online", "exit", "restart" and so on
	Manual  bool            `json:"manual,omitempty"`  // a command did it
	Text    string          `json:"text,omitempty"`    // of "log:*": a line with its end
	Data    json.RawMessage `json:"data,omitempty"`    // of a message with a type
	Message json.RawMessage `json:"message,omitempty"` // of "process:msg": the message itself
	// Dropped is the number of events before this one that were skipped, because the reader was too
	// slow.
	Dropped int64 `json:"dropped,omitempty"`
}

// Saved is the result of Save.
type Saved struct {
	Apps      int    `json:"apps"`
	Processes int    `json:"processes"`
	File      string `json:"file"`
	Kept      bool   `json:"kept,omitempty"` // the list is empty, and the saved one stays as it was
}
