package service

import (
	"context"

	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/router"
)

// routerFacts are what a router answers operators.
type routerFacts struct {
	inspect.Sampled
	decisions *inspect.DecisionLog
}

// Decisions returns the router's last decisions.
func (f *routerFacts) Decisions(_ context.Context, q inspect.Query) (inspect.Page[inspect.Decision], error) {
	return f.decisions.Page(f.Process(), q), nil
}

// noted keeps the router's decisions in l.
func noted(l *inspect.DecisionLog) func(router.Decision) {
	return func(d router.Decision) {
		l.Add(&inspect.Decided{
			At: d.Began.Add(d.Took), Took: d.Took, Method: d.Method, Kind: d.Kind, SID: d.SID, Client: d.Client, Source: sourceOf(d.Source),
			Worker: d.Worker, Way: d.Way, Why: d.Reason, Status: d.Status, Tries: d.Tries,
		})
	}
}

// sourceOf returns a decision's source in the words of inspect.Decision.
func sourceOf(source string) string {
	switch source {
	case "table":
		return "redis"
	case "balanced":
		return "balance"
	case "unknown", "":
		return "none"
	}
	return source
}
