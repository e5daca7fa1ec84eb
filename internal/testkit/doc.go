// Package testkit holds what tests of several packages share: a real Redis per test that can be
// killed, stopped and started again, an in-memory one, free ports, and waiting for a condition by
// events instead of by time.
//
// A real Redis needs redis-server. Without it those tests are skipped, so that plain `go test
// ./...` needs nothing but Go; with TESTKIT_REQUIRE=1, as `make test` sets it, they fail instead:
// nothing is left out unseen there.
package testkit
