package harness

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// StartNginx starts nginx before two hosts, with deploy/balancer.conf as it is shipped, and returns
// its URL.
func StartNginx(t testing.TB, hosts [2]*Host) string {
	t.Helper()
	program, dir, addr := testkit.Need(t, "nginx"), t.TempDir(), Loopback(t)
	var b strings.Builder
	if os.Geteuid() == 0 {
		b.WriteString("user root;\n")
	}
	fmt.Fprintf(&b, "daemon off; pid %s/pid; error_log stderr error; worker_processes 2; events { worker_connections 2000; }\n", dir)
	b.WriteString("http { access_log off;\n")
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	b.WriteString(shipped(t, "balancer.conf", "listen 80;", "listen "+addr+";", "host-a:8080", hosts[0].Addr, "host-b:8080", hosts[1].Addr))
	b.WriteString("}\n")
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return serving(t, addr, Start(t, "nginx", dir, nil, program, "-e", "stderr", "-p", dir, "-c", conf))
}

// StartHAProxy starts HAProxy before two hosts, with deploy/haproxy.cfg as it is shipped, and
// returns its URL. secure has it speak TLS to the hosts.
func StartHAProxy(t testing.TB, hosts [2]*Host, secure bool) string {
	t.Helper()
	program, dir, addr := testkit.Need(t, "haproxy"), t.TempDir(), Loopback(t)
	more := ""
	if secure {
		more = " ssl verify none"
	}
	conf := filepath.Join(dir, "haproxy.cfg")
	text := shipped(t, "haproxy.cfg", "bind :80", "bind "+addr, "host-a:8080", hosts[0].Addr+more, "host-b:8080", hosts[1].Addr+more, "maxconn 20000", "maxconn 500")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return serving(t, addr, Start(t, "haproxy", dir, nil, program, "-db", "-f", conf))
}

// shipped is a file of deploy/ with each first text replaced by the one behind it.
func shipped(t testing.TB, name string, replaced ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Root(), "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replaced); i += 2 {
		if !strings.Contains(string(b), replaced[i]) {
			t.Fatalf("deploy/%s has no %q", name, replaced[i])
		}
	}
	return strings.NewReplacer(replaced...).Replace(string(b))
}

// serving waits until the proxy passes requests on to hosts that are ready.
func serving(t testing.TB, addr string, p *Process) string {
	t.Helper()
	url := "http://" + addr
	testkit.UntilFor(t, Patience, p.Name, func() bool {
		answer, err := http.Get(url + "/socket.io/?EIO=4&transport=polling&sid=nobody")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		_, err = io.Copy(io.Discard, answer.Body)
		return err == nil && answer.StatusCode == http.StatusBadRequest
	})
	return url
}
