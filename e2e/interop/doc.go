// Package interop holds that servers of ours and Node's are one cluster: every operation, from
// either kind of server and from the emitters, with every kind of value, in every transport. What
// is right is what Node's servers do among themselves in the same run; where ours do something
// else, differences_test.go says why.
//
// `make interop` runs it and writes its results to docs/interop.md; `make test` runs it and holds
// that page to them.
package interop
