package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var anyCertificate = &tls.Config{InsecureSkipVerify: true} // the scripts compare them

// certify writes a new certificate and its key to name.crt and name.key.
func certify(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{args[0]}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	ts.Check(err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}

// serves waits until the address shows the certificate in the file.
func serves(ts *testscript.TestScript, _ bool, args []string) {
	want, _ := pem.Decode([]byte(ts.ReadFile(args[1])))
	await(ts, func(ctx context.Context) error {
		c, err := (&tls.Dialer{Config: anyCertificate}).DialContext(ctx, "tcp", args[0])
		if err != nil {
			return err
		}
		defer c.Close()
		if string(c.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw) != string(want.Bytes) {
			return errors.New("it shows another certificate")
		}
		return nil
	})
}

// redirects asks an address as the host of a name, and looks where it is sent.
func redirects(ts *testscript.TestScript, _ bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+args[0]+"/page", nil)
	ts.Check(err)
	req.Host, req.Close = args[1], true
	res, err := (&http.Transport{}).RoundTrip(req)
	ts.Check(err)
	res.Body.Close()
	if got := res.Header.Get("Location"); got != args[2] {
		ts.Fatalf("%s, to %q", res.Status, got)
	}
}
