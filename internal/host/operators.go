package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// errNoRouter reports that no app has a door, and so no router that could answer.
var errNoRouter = errors.New("no app of this daemon has a router")

// Ready returns nil if the router of every app that has a door is ready, and otherwise what keeps
// clients from the apps.
func (h *Host) Ready(ctx context.Context) error {
	var errs []error
	for _, d := range h.deployments() {
		state, router := d.State(), d.Router()
		switch {
		case state.Gone:
		case len(state.Problems) > 0:
			errs = append(errs, errors.New(strings.Join(state.Problems, "; ")))
		case router != nil:
			if err := router.Ready(ctx); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", d.app.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Overview is the cluster as the first router that answers sees it: apps of one name share what
// they know.
func (h *Host) Overview(ctx context.Context) (any, error) {
	err := errNoRouter
	for _, d := range h.deployments() {
		router := d.Router()
		if router == nil {
			continue
		}
		var found json.RawMessage
		if err = router.Cluster(ctx, &found); err == nil {
			return found, nil
		}
	}
	return nil, err
}

// Trace is the answer of the first router that knows an owner of the sid, or else of any router.
func (h *Host) Trace(ctx context.Context, sid string) (found any, err error) {
	err = errNoRouter
	for _, d := range h.deployments() {
		router := d.Router()
		if router == nil {
			continue
		}
		var raw json.RawMessage
		if failed := router.Trace(ctx, sid, &raw); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		var known struct{ Worker json.RawMessage }
		if found = raw; json.Unmarshal(raw, &known) == nil && known.Worker != nil {
			break
		}
	}
	if found != nil {
		err = nil
	}
	return found, err
}
