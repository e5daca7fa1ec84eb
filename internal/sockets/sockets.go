// Package sockets opens the listening sockets of a host: those that its settings name, or those
// that systemd hands over.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/systemd"
)

// Names of systemd's sockets (FileDescriptorName= of their units). A socket of any other name is
// for clients.
const (
	redirectName = "redirect"
	adminName    = "admin"
)

// Sockets are the listening sockets of a router.
type Sockets struct {
	Public   []*net.TCPListener // at least one
	Redirect *net.TCPListener   // sends clients of plain HTTP to HTTPS; nil for none
	Admin    net.Listener       // from systemd; nil for none
}

// Open takes over systemd's sockets, and listens on the addresses that the settings name where
// systemd has none.
func Open(ctx context.Context, door config.Door, tls config.TLS, redirect config.Redirect) (s Sockets, err error) {
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	given, err := systemd.Sockets()
	if err != nil {
		return s, err
	}
	for _, g := range given {
		l, ok := g.Listener.(*net.TCPListener)
		switch {
		case g.Name == adminName:
			s.Admin = g.Listener
		case !ok:
			return s, &config.ValueError{Variable: "LISTEN_FDS", Value: g.Name, Rule: "must be a socket that listens on TCP"}
		case g.Name == redirectName:
			s.Redirect = l
		default:
			s.Public = append(s.Public, l)
		}
	}
	if len(s.Public) == 0 {
		l, err := Listen(ctx, "SIDEREAL_ADDR", door.Addr)
		if err != nil {
			return s, err
		}
		s.Public = append(s.Public, l)
	}
	switch {
	case s.Redirect != nil && tls.TLSCert == "":
		return s, &config.ValueError{Variable: "SIDEREAL_TLS_CERT", Rule: "must be set: systemd gives a socket named redirect"}
	case s.Redirect == nil && redirect.RedirectAddr != "":
		s.Redirect, err = Listen(ctx, "SIDEREAL_REDIRECT_ADDR", redirect.RedirectAddr)
	}
	return s, err
}

// Addr is the address where clients and other hosts come in.
func (s Sockets) Addr() net.Addr { return s.Public[0].Addr() }

// All returns the sockets that a router serves, and which of them is the redirect's: its number
// from 1, or 0 for none.
func (s Sockets) All() (all []*net.TCPListener, redirect int) {
	if s.Redirect == nil {
		return s.Public, 0
	}
	all = append(s.Public[:len(s.Public):len(s.Public)], s.Redirect)
	return all, len(all)
}

// Close closes the sockets that a router serves.
func (s Sockets) Close() {
	all, _ := s.All()
	for _, l := range all {
		l.Close()
	}
}

// Listen opens the address that a variable names.
func Listen(ctx context.Context, variable, addr string) (*net.TCPListener, error) {
	l, err := supervisor.Listen(ctx, addr)
	if err != nil {
		return nil, problem(variable, addr, err)
	}
	return l, nil
}

// ListenAdmin opens the admin port of SIDEREAL_ADMIN_ADDR; nil if it is off. If the operator did
// not choose the address and it is in use, ListenAdmin takes the next free port.
func ListenAdmin(ctx context.Context, addr string, chosen bool, log *slog.Logger) (net.Listener, error) {
	if config.IsOff(addr) {
		return nil, nil
	}
	l, err := admin.Listen(ctx, addr, !chosen)
	if err != nil {
		return nil, problem("SIDEREAL_ADMIN_ADDR", addr, err)
	}
	if l.Addr().String() != addr && !chosen {
		log.Info("admin port is in use; using another one", "taken", addr, "addr", l.Addr().String())
	}
	return l, nil
}

// problem says in one line why an address can't be listened on.
func problem(variable, addr string, err error) error {
	e := &config.ValueError{Variable: variable, Value: addr}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Rule = "is in use by another process"
	case errors.Is(err, syscall.EACCES):
		e.Rule = "is not permitted: only root may listen on ports below 1024"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Rule = "must be an address of this host"
	default:
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		e.Rule = fmt.Sprintf("can't be listened on: %v", err)
	}
	return e
}
