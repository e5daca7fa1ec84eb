package router

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long certificates' folders have to be quiet before the files are read: a
	// certificate and its key are written one after the other.
	settleTime = 200 * time.Millisecond
	// lookTime is how often the files are read without any news, for file systems that send none.
	lookTime = time.Minute
)

// KeyPair names the PEM files of a certificate, followed by its chain, and of its key.
type KeyPair struct{ Cert, Key string }

// Certificates are what a door shows to clients, read from files that may change at any time. Safe
// for concurrent use.
type Certificates struct {
	pairs   []KeyPair
	current atomic.Pointer[shown]

	mu    sync.Mutex          // guards the rest
	tried [][sha256.Size]byte // what each pair's files held when they were last read
	certs []tls.Certificate   // what was last good of each pair
}

// Protocols that TLS clients may agree on.
const (
	protoH1 = "http/1.1"
	protoH2 = "h2"
)

// shown is what clients are shown: with one request at a time, or with HTTP/2 too.
type shown struct{ single, multiplexed *tls.Config }

// OpenCertificates reads the pairs. A client is shown the first whose names have the one that it
// asks for (SNI), or the first of all.
func OpenCertificates(pairs ...KeyPair) (*Certificates, error) {
	if len(pairs) == 0 {
		return nil, errors.New("router: no certificate is configured")
	}
	c := &Certificates{pairs: pairs, tried: make([][sha256.Size]byte, len(pairs)), certs: make([]tls.Certificate, len(pairs))}
	if _, err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. A pair that is no good is reported once, and its old certificate
// stays. Connections go on with what they have.
func (c *Certificates) Reload() (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var problems []error
	for i, p := range c.pairs {
		cert, certErr := os.ReadFile(p.Cert)
		key, keyErr := os.ReadFile(p.Key)
		err := errors.Join(certErr, keyErr)
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s%s%v", len(cert), cert, key, err))
		if sum == c.tried[i] {
			continue
		}
		c.tried[i] = sum
		var pair tls.Certificate
		if err == nil {
			pair, err = tls.X509KeyPair(cert, key)
		}
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("router: certificate %s, key %s: %w", p.Cert, p.Key, err))
		case !sameChain(pair, c.certs[i]):
			c.certs[i], changed = pair, true
		}
	}
	if changed {
		// Without versions and ciphers of ours: Go's defaults are modern, and stay so with its
		// updates.
		certs := slices.Clone(c.certs)
		c.current.Store(&shown{
			single:      &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{protoH1}, Certificates: certs},
			multiplexed: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{protoH2, protoH1}, Certificates: certs},
		})
	}
	return changed, errors.Join(problems...)
}

func sameChain(a, b tls.Certificate) bool {
	return len(a.Certificate) == len(b.Certificate) && bytes.Equal(bytes.Join(a.Certificate, nil), bytes.Join(b.Certificate, nil))
}

// cover reports whether a certificate has the name or, in brackets if it is of version 6, the
// address.
func (c *Certificates) cover(host string) bool {
	return c != nil && slices.ContainsFunc(c.current.Load().single.Certificates, func(t tls.Certificate) bool {
		return t.Leaf.VerifyHostname(host) == nil
	})
}

// reload is Reload with its log line.
func (c *Certificates) reload(log *slog.Logger) {
	changed, err := c.Reload()
	if err != nil {
		log.Error("reload certificates; the previous ones stay in use", "error", err)
	}
	if changed {
		log.Info("certificates changed")
	}
}

// watch reloads when the files change, until ctx ends. It looks at folders, not at files: these are
// replaced, by renaming or by turning a link somewhere on the way to them, as Kubernetes does with
// ..data.
func (c *Certificates) watch(ctx context.Context, log *slog.Logger) {
	var events chan fsnotify.Event // nil: no news
	var failed chan error
	add := func(string) error { return nil }
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn(unwatchedCertificates, "error", err)
	} else {
		events, failed, add = w.Events, w.Errors, w.Add
		defer w.Close()
	}
	said := c.follow(add, log, "")
	settled := time.NewTimer(lookTime)
	defer settled.Stop()
	for {
		select {
		case <-events:
			settled.Reset(settleTime)
		case err := <-failed: // too much news
			log.Debug("lost file events of certificates; reading the files again", "error", err)
			settled.Reset(settleTime)
		case <-settled.C:
			c.reload(log)
			said = c.follow(add, log, said)
			settled.Reset(lookTime)
		case <-ctx.Done():
			return
		}
	}
}

const unwatchedCertificates = "can't watch the certificates' folders; the router reads the files once a minute and on SIGHUP"

// follow watches the folders that the files are in, by their names and in fact. One that can't be
// watched is left out, and named in the log; said is what was logged last.
func (c *Certificates) follow(add func(folder string) error, log *slog.Logger, said string) string {
	var errs []error
	folders := map[string]bool{}
	watch := func(file string) {
		dir := filepath.Dir(file)
		if folders[dir] {
			return
		}
		folders[dir] = true
		if err := add(dir); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", dir, err))
		}
	}
	for _, p := range c.pairs {
		for _, file := range []string{p.Cert, p.Key} {
			watch(file)
			if real, err := filepath.EvalSymlinks(file); err == nil { // reload says what is wrong with the file
				watch(real)
			}
		}
	}
	err := errors.Join(errs...)
	if err == nil {
		return ""
	}
	if err.Error() != said {
		log.Warn(unwatchedCertificates, "error", err)
	}
	return err.Error()
}

// ReloadCertificates reads the certificates' files again, now.
func (r *Router) ReloadCertificates() {
	if r.cfg.Certificates != nil {
		r.cfg.Certificates.reload(r.log)
	}
}
