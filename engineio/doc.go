// Package engineio is an Engine.IO v4 server.
package engineio
