package main

import (
	"context"
	"net"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/systemd"
)

// Names by which systemd's sockets are told apart: FileDescriptorName= of their units. Any other is a door's.
const (
	socketRedirect = "redirect"
	socketAdmin    = "admin"
)

// doors are the listening sockets of a host: its own, or those that systemd holds for it.
type doors struct {
	public   []*net.TCPListener // at least one
	redirect *net.TCPListener   // nil: none
	admin    net.Listener       // nil: none was given
}

// openDoors takes over systemd's sockets and listens on what the settings name and it did not give.
func openDoors(ctx context.Context, door config.Door, tls config.TLS, redirect config.Redirect) (d doors, err error) {
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	given, err := systemd.Sockets()
	if err != nil {
		return d, err
	}
	for _, s := range given {
		l, ok := s.Listener.(*net.TCPListener)
		switch {
		case s.Name == socketAdmin:
			d.admin = s.Listener
		case !ok:
			return d, &config.ValueError{Variable: "LISTEN_FDS", Value: s.Name, Rule: "must be a socket that listens on TCP"}
		case s.Name == socketRedirect:
			d.redirect = l
		default:
			d.public = append(d.public, l)
		}
	}
	if len(d.public) == 0 {
		l, err := supervisor.Listen(ctx, door.Addr)
		if err != nil {
			return d, listenError("SIDEREAL_ADDR", door.Addr, err)
		}
		d.public = append(d.public, l)
	}
	switch {
	case d.redirect != nil && tls.TLSCert == "":
		return d, &config.ValueError{Variable: "SIDEREAL_TLS_CERT", Rule: "must be set: systemd gives a socket named redirect"}
	case d.redirect == nil && redirect.RedirectAddr != "":
		if d.redirect, err = supervisor.Listen(ctx, redirect.RedirectAddr); err != nil {
			return d, listenError("SIDEREAL_REDIRECT_ADDR", redirect.RedirectAddr, err)
		}
	}
	return d, nil
}

// addr is where clients and other hosts come in.
func (d doors) addr() net.Addr { return d.public[0].Addr() }

// all are the sockets that a router serves, the redirect's last.
func (d doors) all() []*net.TCPListener {
	if d.redirect == nil {
		return d.public
	}
	return append(d.public[:len(d.public):len(d.public)], d.redirect)
}

// redirected is which of all sends clients of plain HTTP on, from 1; 0: none does.
func (d doors) redirected() int {
	if d.redirect == nil {
		return 0
	}
	return len(d.public) + 1
}

func (d doors) close() {
	for _, l := range d.all() {
		l.Close()
	}
}
