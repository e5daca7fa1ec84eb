//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// The systems in which a WebSocket goes through a router's hands, and nginx in the same places.
const (
	relayPlain = "Rp"
	nginxPlain = "Np"
	relayFront = "Rf"
	nginxFront = "Nf"
	relayInner = "Ri"
	nginxInner = "Ni"
)

// relayed is the quantity of routers that relay.
const relayed quantity = "CPU µs of relays"

var (
	relaysPlain = []string{relayPlain, nginxPlain}
	relaysFront = []string{relayFront, nginxFront}
	relaysInner = []string{relayInner, nginxInner}
	relays      = slices.Concat(relaysPlain, relaysFront, relaysInner)
)

// overTLS begins the address of an entry that speaks TLS.
const overTLS = "tls:"

// relay starts a worker and what relays its clients' WebSockets: two hosts, the first of which has
// a router only; one host whose clients use TLS; or two hosts with TLS to the first and between
// both. Nginx takes the place of each router.
func (f *fleet) relay(s *system) (err error) {
	var env []string
	cert, key := "", ""
	if !slices.Contains(relaysPlain, s.key) {
		if cert, key, err = f.certificate(); err != nil {
			return err
		}
		env = []string{"SIDEREAL_TLS_CERT=" + cert, "SIDEREAL_TLS_KEY=" + key}
	}
	if strings.HasPrefix(s.key, "N") {
		return f.nginxRelay(s, cert, key)
	}
	url, err := f.redis(s)
	if err != nil {
		return err
	}
	entry := freeAddr()
	if s.key == relayFront {
		err = f.up(s, entry, "host-1", url, 1, env...)
	} else if err = f.up(s, freeAddr(), "host-2", url, 1, env...); err == nil {
		err = s.start("host-1", append(hostEnv(entry, "host-1", url), env...), f.sidereal, "router")
	}
	if cert != "" {
		entry = overTLS + entry
	}
	s.entries = append(s.entries, entry)
	return err
}

//go:embed nginx-relay.conf
var nginxRelayConf string

func (f *fleet) nginxRelay(s *system, cert, key string) error {
	worker := freeAddr()
	env := []string{"SIDEREAL_ADDR=" + worker, "SIDEREAL_REDIS_URL=", "REDIS_URL=", "SIDEREAL_LOG_LEVEL=warn"}
	if err := s.start("worker", env, f.self, roleApp); err != nil {
		return err
	}
	next, hops := "http://"+worker, 1
	if s.key == nginxInner {
		hops = 2
	}
	for range hops {
		conf := struct {
			Dir, Listen, Cert, Key, Next string
			Root                         bool
		}{Listen: freeAddr(), Cert: cert, Key: key, Next: next, Root: os.Geteuid() == 0}
		var err error
		if conf.Dir, err = os.MkdirTemp(f.dir, "nginx"); err != nil {
			return err
		}
		var text strings.Builder
		if err := template.Must(template.New("nginx").Parse(nginxRelayConf)).Execute(&text, conf); err != nil {
			return err
		}
		path := filepath.Join(conf.Dir, "nginx.conf")
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			return err
		}
		if err := s.start("nginx", nil, "nginx", "-e", "stderr", "-p", conf.Dir, "-c", path); err != nil {
			return err
		}
		s.entries = []string{conf.Listen}
		if next = "http://" + conf.Listen; cert != "" {
			s.entries[0], next = overTLS+conf.Listen, "https://"+conf.Listen
		}
	}
	return nil
}

// certificate makes a certificate of its own authority.
func (f *fleet) certificate() (cert, key string, err error) {
	cert, key = filepath.Join(f.dir, "cert.pem"), filepath.Join(f.dir, "key.pem")
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			return "", "", err
		}
	}
	return cert, key, nil
}

// relayedTable compares what routers and nginx need for the same relays.
func relayedTable(b *strings.Builder, results []*result) {
	some := of(results, relayed)
	if len(some) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Relayed WebSockets\n\nCPU time in µs per echo of the processes that relay, all of them: our routers, and nginx in the same\n"+
		"places before the same worker. Messages have 128 B; 10,000 a second over 200 sockets.\n\n"+
		"| relayed echo | routers | nginx | routers ÷ nginx |\n|---|--:|--:|--:|\n")
	for _, r := range some {
		fmt.Fprintf(b, "| %s |", r.title)
		keys := r.keys() // nginx first
		for _, of := range [][2]string{{keys[1], "router"}, {keys[0], "nginx"}} {
			median, low, high := spread(r.values(of[0], of[1]))
			fmt.Fprintf(b, " **%s** (%s–%s) |", short(median), short(low), short(high))
		}
		median, low, high := spread(r.ratios(keys[1], "router", keys[0], "nginx"))
		fmt.Fprintf(b, " %.2f (%.2f–%.2f) |\n", median, low, high)
	}
}
