// Package rebalance moves sessions from hosts that have more than their share to those that have
// less (ADR 0035).
//
// [Make] plans: it is a pure function of the directory's table. [Once] orders the workers to carry
// a plan out, for `sidereal rebalance`. [Auto] watches and does the same by itself, for
// SIDEREAL_REBALANCE=auto. Workers close the sessions, routers keep new ones away from the hosts
// that move some, and package directory carries the orders.
package rebalance
