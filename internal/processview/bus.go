package processview

import (
	"encoding/json"
	"io"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

// Bus writes an event of PM2's bus as one line of JSON, with PM2's keys.
func Bus(w io.Writer, e *daemon.BusEvent) error {
	of := map[string]any{"pm_id": e.Process.ID, "name": e.Process.Name, "namespace": e.Process.Namespace}
	data := map[string]any{"at": millis(e.At), "process": of}
	switch {
	case e.Change != "":
		app := daemon.AppStatus{App: e.App}
		data["event"], data["manually"], data["process"] = e.Change, e.Manual, environment(&e.Process, &app)
	case e.Text != "":
		of["rev"], data["data"] = nil, e.Text
	case e.Data != nil:
		data["data"] = e.Data
	default:
		data["raw"] = e.Message
	}
	if e.Dropped > 0 {
		data["dropped"] = e.Dropped
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(map[string]any{"event": e.Event, "data": data})
}
