// Package soak lets a crowd of clients come and go at a real `sidereal up` for minutes, in every
// way that clients have, and holds that nothing of them stays: once they are gone, each process is
// as large, and as idle, as it was before.
//
// `make soak` runs it: for 10 minutes with 5,000 clients, or for SOAK_TIME with SOAK_CLIENTS.
package soak
