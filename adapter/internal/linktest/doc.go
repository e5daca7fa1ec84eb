// Package linktest has what the tests of the adapter's packages share: servers to run, and a
// [Local] that remembers what it was told. It doesn't import link, so link's own tests can use it.
package linktest
