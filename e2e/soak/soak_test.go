//go:build soak && linux

package soak

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

const (
	defaultTime    = 10 * time.Minute
	defaultClients = 5000

	// warmUp is the part of the time that passes before the first measurement: code is loaded by
	// then, pools, tables and the heap have the size that the crowd needs.
	warmUp = 5
)

// TestSoak: what a crowd leaves behind does not grow with the time that it stays.
func TestSoak(t *testing.T) {
	total, clients := harness.Setting(t, "SOAK_TIME", defaultTime, time.ParseDuration), harness.Setting(t, "SOAK_CLIENTS", defaultClients, strconv.Atoi)
	host := harness.StartHost(t, harness.HostConfig{Name: "soak", Workers: 2})
	c := &crowd{url: host.URL, clients: clients}
	fresh := measure(t, host)

	c.stay(t, total/warmUp)
	before := settle(t, host, fresh, nil)
	t.Logf("after %v of warming up: %s\n%s", total/warmUp, c, before)

	c.stay(t, total-total/warmUp)
	after := settle(t, host, fresh, before)
	t.Logf("after %v: %s\n%s", total, c, after)
	c.judge(t)
	if restarts := sum(host.Metrics(), "sidereal_supervisor_restarts_total"); restarts != 0 {
		t.Errorf("%v processes ended under the crowd", restarts)
	}
	if panics := sum(host.Metrics(), "sidereal_socketio_panics_total"); panics != 0 {
		t.Errorf("%v panics", panics)
	}
}

// stay has the crowd come, live for d and go.
func (c *crowd) stay(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	c.run(ctx, d/10)
}
