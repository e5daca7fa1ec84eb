package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// send gives a text to processes: a line of their input. Workers of a Node cluster, whose input
// nobody reads, get it as a message.
func (d *Daemon) send(entries []*entry, text string) error {
	var errs []error
	for _, e := range entries {
		if err := d.sendTo(e, text); err != nil {
			errs = append(errs, &Failure{Code: config.ExitFailed, Text: fmt.Sprintf("%s (id %d): %v", e.app.name, e.id, err)})
		}
	}
	return joined(errs)
}

// sendMessage gives Node processes a message: process.on("message").
func (d *Daemon) sendMessage(entries []*entry, message json.RawMessage) error {
	if !json.Valid(message) {
		return &Failure{Code: config.ExitUsage, Text: "the message isn't JSON"}
	}
	var errs []error
	for _, e := range entries {
		err := d.host.Processes.Send(e.place, message)
		if errors.Is(err, supervisor.ErrNoChannel) {
			err = errors.New("does not run, or takes no messages")
		}
		if err != nil {
			errs = append(errs, &Failure{Code: config.ExitFailed, Text: fmt.Sprintf("%s (id %d): %v", e.app.name, e.id, err)})
		}
	}
	return joined(errs)
}

func (d *Daemon) sendTo(e *entry, text string) error {
	var err error
	if e.app.kind == host.NodeCluster {
		message, failed := json.Marshal(text)
		if failed != nil {
			return failed
		}
		err = d.host.Processes.Send(e.place, message)
	} else {
		err = d.host.Processes.Input(e.place, []byte(text+"\n"))
	}
	switch {
	case errors.Is(err, supervisor.ErrNoChannel), errors.Is(err, supervisor.ErrNoInput):
		return errors.New("does not run, or has closed its input")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("does not read its input")
	}
	return err
}
