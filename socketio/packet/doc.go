// Package packet reads and writes the bytes of the Socket.IO protocol, revision 5.
package packet
