//go:build e2e && soak

package e2e

// rebalanceSoak has TestRebalanceFillsAHostThatJoins move the sessions of 1,000 clients.
const rebalanceSoak = true
