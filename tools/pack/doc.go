// Pack makes the packages of a release from its binaries: for npm, Debian and RPM, of one version.
// The same binaries give the same bytes. It is a module of its own, so that the product's has no
// library for packages.
//
//	go run . -version 1.2.3 -date 2026-11-21T10:36:02Z -out ../../dist linux/amd64=../../bin/sidereal
//
// It writes OUT/npm/*.tgz, and OUT/*.deb and OUT/*.rpm for the binaries of Linux.
package main
