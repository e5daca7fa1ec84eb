// Package outside builds complete deployments from the public packages of Sidereal, as a program in
// another module does. It is a module of its own, so that the compiler refuses internal packages.
// `make test` runs it against a real Redis; `make check` vets it.
package outside
