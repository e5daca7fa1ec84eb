//go:build linux

package main

import (
	"fmt"
	"strings"
)

// target is one of the design's numbers to reach.
type target struct {
	what   string
	item   string // the result that answers it
	figure func(*result) (float64, bool)
	most   float64 // 0: none
	least  float64
	format string
}

// ratio compares the CPU of two systems, or of parts of them.
func ratio(top, topPart, bottom, bottomPart string) func(*result) (float64, bool) {
	return func(r *result) (float64, bool) {
		ratios := r.ratios(top, topPart, bottom, bottomPart)
		median, _, _ := spread(ratios)
		return median, len(ratios) > 0
	}
}

// absolute is a system's own figure, or that of one of its parts.
func absolute(key, part string) func(*result) (float64, bool) {
	return func(r *result) (float64, bool) {
		median, _, _ := spread(r.values(key, part))
		return median, len(r.samples[key]) > 0
	}
}

// perRelayed is what the routers of both hosts hold for each connection that passes through both.
func perRelayed(r *result) (float64, bool) {
	if r.relayed == 0 || len(r.samples[twoHosts]) == 0 {
		return 0, false
	}
	m := r.samples[twoHosts][0]
	return m.parts["router"] * float64(m.units) / float64(r.relayed), true
}

func routerAndWorker(r *result) (float64, bool) {
	if len(r.samples[host]) == 0 {
		return 0, false
	}
	m := r.samples[host][0]
	return m.parts["router"] + m.parts["worker"], true
}

// weighed is what a host weighs with so many connections.
func weighed(n int) func(*result) (float64, bool) {
	return func(r *result) (float64, bool) {
		m := r.samples[crowdHost][0]
		return m.parts[heldMemory] + m.parts[heldKernel], m.units == n
	}
}

// beyond is by how much one system's figure exceeds another's.
func beyond(key, than string) func(*result) (float64, bool) {
	return func(r *result) (float64, bool) {
		above, below := r.values(key, ""), r.values(than, "")
		var over []float64
		for i := range min(len(above), len(below)) {
			over = append(over, above[i]-below[i])
		}
		median, _, _ := spread(over)
		return median, len(over) > 0
	}
}

// beyondMedian is by how much the median of one system's figures exceeds that of another's.
func beyondMedian(key, than string) func(*result) (float64, bool) {
	return func(r *result) (float64, bool) {
		above, _, _ := spread(r.values(key, ""))
		below, _, _ := spread(r.values(than, ""))
		return above - below, len(r.samples[key]) > 0 && len(r.samples[than]) > 0
	}
}

var targets = []target{
	{"worker ÷ floor, echo open loop", "echo-open", ratio(ours, "", floor, ""), 1.15, 0, "%.2f ×"},
	{"worker ÷ floor, echo closed loop", "echo-closed", ratio(ours, "", floor, ""), 1.4, 0, "%.2f ×"},
	{"worker ÷ floor, fan-out 1 → 1,000", "fan-out", ratio(ours, "", floor, ""), 1.15, 0, "%.2f ×"},
	{"worker ÷ limit, echo at 10,000/s", "echo-open", ratio(ours, "", limit, ""), 1.25, 0, "%.2f ×"},
	{"the same, echo at 1,000/s", "echo-slow", ratio(ours, "", limit, ""), 1.8, 0, "%.2f ×"},
	{"the same, echo closed loop", "echo-closed", ratio(ours, "", limit, ""), 1.25, 0, "%.2f ×"},
	{"the same, fan-out 1 → 1,000", "fan-out", ratio(ours, "", limit, ""), 1.25, 0, "%.2f ×"},
	{"the same, 1,000 broadcasts a second to rooms of 10", "rooms-open", ratio(ours, "", limit, ""), 1.5, 0, "%.2f ×"},
	{"worker ÷ floor, 1,000 broadcasts a second to rooms of 10", "rooms-open", ratio(ours, "", floor, ""), 0.9, 0, "%.2f ×"},
	{"worker ÷ Bun, echo at 10,000/s", "echo-open", ratio(ours, "", bun, ""), 0.7, 0, "%.2f ×"},
	{"the same, echo closed loop", "echo-closed", ratio(ours, "", bun, ""), 0.7, 0, "%.2f ×"},
	{"the same, fan-out 1 → 1,000", "fan-out", ratio(ours, "", bun, ""), 0.7, 0, "%.2f ×"},
	{"the same, rooms of 10", "rooms", ratio(ours, "", bun, ""), 0.7, 0, "%.2f ×"},
	{"the same, connects", "connect", ratio(ours, "", bun, ""), 0.7, 0, "%.2f ×"},
	{"the same, polling requests", "poll-request", ratio(ours, "", bun, ""), 0.7, 0, "%.2f ×"},
	{"the same, sessions that upgrade", "upgrade", ratio(ours, "", bun, ""), 0.7, 0, "%.2f ×"},
	{"time until the upgrade beyond Bun's", "upgrade-time", beyondMedian(ours, bun), 0, 0, "%.1f ms"},
	{"Node ÷ worker, many small emits in one turn", "burst", ratio(node, "", ours, ""), 0, 5, "%.1f ×"},
	{"nginx + 2 Node + Redis ÷ our host, echo at 10,000/s", "echo-open", ratio(nodeHost, "", host, ""), 0, 1.8, "%.2f ×"},
	{"the same, echo closed loop", "echo-closed", ratio(nodeHost, "", host, ""), 0, 2.5, "%.2f ×"},
	{"the same, fan-out", "fan-out", ratio(nodeHost, "", host, ""), 0, 2.5, "%.2f ×"},
	{"the same, polling requests, first aim", "poll-request", ratio(nodeHost, "", host, ""), 0, 1.25, "%.2f ×"},
	{"the same, polling requests, second aim", "poll-request", ratio(nodeHost, "", host, ""), 0, 1.8, "%.2f ×"},
	{"the same, connects", "connect", ratio(nodeHost, "", host, ""), 0, 3, "%.2f ×"},
	{"router ÷ nginx, CPU per polling request", "poll-request", ratio(host, "router", nodeHost, "nginx"), 1, 0, "%.2f ×"},
	{"router, CPU per upgrade handed over, connect and close included", "connect", absolute(host, "router"), 50, 0, "%.0f µs"},
	{"router, CPU per message of a passed socket (its beats included)", "echo-closed", absolute(host, "router"), 0.05, 0, "%.3f µs"},
	{"PSS of an idle WebSocket in a worker, no goroutine", idleItem, absolute(ours, ""), 3 << 10, 0, "%.0f B"},
	{"the same once garbage is collected", idleItem + "-collected", absolute(ours, ""), 3 << 10, 0, "%.0f B"},
	{"PSS in the router per WebSocket handed over (target 0; a fixed 64 B for its pools)", idleItem + "-collected", absolute(host, "router"), 64, 0, "%.0f B"},
	{"PSS in both routers per relayed WebSocket", "relay", perRelayed, 8 << 10, 0, "%.0f B"},
	{"router ÷ nginx, CPU per relayed echo, plain", "relayed-echo", ratio(relayPlain, "router", nginxPlain, "nginx"), 0.5, 0, "%.2f ×"},
	{"the same, TLS from the client", "relayed-echo-tls", ratio(relayFront, "router", nginxFront, "nginx"), 0.5, 0, "%.2f ×"},
	{"the same, TLS from the client and between hosts", "relayed-echo-inner", ratio(relayInner, "router", nginxInner, "nginx"), 0.5, 0, "%.2f ×"},
	{"PSS of a parked poll, router and worker together", "poll-parked", routerAndWorker, 40 << 10, 0, "%.0f B"},
	{"150,000 idle WebSockets on one host, kernel's memory included", heldItem, weighed(150_000), 2048, 0, "%.0f MiB"},
	{"adapter ÷ Node, a message received and queued for one socket", "other-one", ratio(oursTwo, "", nodeTwo, ""), 0.3, 0, "%.2f ×"},
	{"the same, for 1,000 sockets", "other-thousand", ratio(oursTwo, "", nodeTwo, ""), 0.3, 0, "%.2f ×"},
	{"the same, for nobody here", "other-skip", ratio(oursTwo, "", nodeTwo, ""), 0.2, 0, "%.2f ×"},
	{"message to a client of another server, 99th percentile, beyond the bare loop's", latencyItem, beyond(oursTwo, bareTwo), 500, 0, "%.0f µs"},
	{"start of `sidereal up` to the first message", "start", absolute(host, ""), 300, 0, "%.0f ms"},
}

func targetsTable(b *strings.Builder, results []*result) {
	byName := map[string]*result{}
	for _, r := range results {
		byName[r.name] = r
	}
	var rows strings.Builder
	missed := 0
	for _, t := range targets {
		r := byName[t.item]
		if r == nil {
			continue
		}
		figure, ok := t.figure(r)
		if !ok {
			continue
		}
		limit, met := "at most "+fmt.Sprintf(t.format, t.most), figure <= t.most
		if t.least > 0 {
			limit, met = "at least "+fmt.Sprintf(t.format, t.least), figure >= t.least
		}
		if !met {
			missed++
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", t.what, limit, fmt.Sprintf(t.format, figure), pick(met, "met", "**missed**"))
	}
	if rows.Len() > 0 {
		fmt.Fprintf(b, "\n## Against the targets\n\n%d missed in this run.\n\n| what | target | measured | |\n|---|--:|--:|---|\n%s", missed, rows.String())
	}
}
