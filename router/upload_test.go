package router

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

// echoLines is an app that answers each line of a body as it comes.
func echoLines(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	control.EnableFullDuplex()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		fmt.Fprintf(w, "%s!\n", lines.Text())
		control.Flush()
	}
}

// Each line is sent once the answer to the one before has come, so an answer that waits for the
// body's end never comes.
func TestAnswerWhileTheBodyComes(t *testing.T) {
	for _, c := range []struct {
		name   string
		https  bool
		proto  int
		remote bool
	}{
		{"plain", false, 1, false},
		{"plain, at another host", false, 1, true},
		{"TLS", true, 1, false},
		{"TLS, at another host", true, 1, true},
		{"HTTP/2", true, 2, false},
		{"HTTP/2, at another host", true, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var change func(*Config)
			base := "http://"
			if c.https {
				change, base = secured(t), "https://"
			}
			workers := []int{1, 0}
			if c.remote {
				workers = []int{0, 1}
			}
			d := directory.NewStatic()
			hosts := cluster(t, d, change, workers...)
			if c.https {
				behindDoors(d)
			}
			for _, h := range hosts {
				for _, w := range h.workers {
					w.answers(echoLines)
				}
			}
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(c.proto == 1)
			transport.Protocols.SetHTTP2(c.proto == 2)
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: transport, Timeout: patience}
			for range 3 { // what is kept of one request serves the next
				talk(t, client, base+hosts[0].addr+"/talk")
			}
			if c.proto == 1 && !c.https {
				own := httptest.NewServer(hosts[0].Router)
				defer own.Close()
				talk(t, client, own.URL+"/talk")
			}
		})
	}
}

func talk(t *testing.T, client *http.Client, url string) {
	t.Helper()
	body, say := io.Pipe()
	defer say.Close()
	go fmt.Fprintln(say, "first") // the head is sent with it
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answers := bufio.NewReader(resp.Body)
	for said := "first"; len(said) < bufio.MaxScanTokenSize; said = strings.Repeat(said, 4) {
		if said != "first" {
			if _, err := fmt.Fprintln(say, said); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := answers.ReadString('\n'); got != said+"!\n" {
			t.Fatalf("%d bytes were answered with %d, %v", len(said), len(got), err)
		}
	}
	say.Close()
	if rest, err := io.ReadAll(answers); len(rest) > 0 || err != nil {
		t.Errorf("after the end came %q, %v", rest, err)
	}
}

// A large body that is answered as it comes fills every buffer on the way, in both directions.
func TestLargeBodyIsAnsweredAsItComes(t *testing.T) {
	const size = 20 << 20
	h, _ := one(t, 1, nil)
	for _, w := range h.workers {
		w.answers(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			io.Copy(w, r.Body)
		})
	}
	c := dialTo(t, h.addr)
	go c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
	if resp, body := c.answer("POST"); resp.StatusCode != 200 || len(body) != size {
		t.Errorf("%s with %d bytes, want %d", resp.Status, len(body), size)
	}
}

// A client that leaves in the midst of its body takes its request along, whether the answer has
// begun or not.
func TestClientLeavesItsUpload(t *testing.T) {
	for _, begun := range []bool{false, true} {
		t.Run(fmt.Sprintf("answered: %t", begun), func(t *testing.T) {
			left := make(chan error, 1)
			r, _ := scripted(t, func(c net.Conn, br *bufio.Reader) {
				req, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				if begun {
					io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
				}
				_, err = io.Copy(io.Discard, req.Body)
				left <- err
			})
			c := dialTo(t, r.addr)
			c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n%s", strings.Repeat("x", 100_000))
			if begun {
				line, err := c.br.ReadString('\n')
				if !strings.HasPrefix(line, "HTTP/1.1 200") {
					t.Fatal(line, err)
				}
			}
			c.Close()
			if err := <-left; err != io.ErrUnexpectedEOF {
				t.Errorf("the worker's body ended with %v", err)
			}
		})
	}
}
