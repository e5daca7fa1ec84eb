//go:build linux

package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// The systems that do what the router does, as far as they can be told to, before the same workers.
const (
	nginxTags   = "S"
	haproxyTags = "T"
)

// routed is the quantity of routers before the same workers.
const routed quantity = "CPU µs of a routed system"

var routers = []string{host, nginxTags, haproxyTags}

//go:embed nginx-tags.conf
var nginxTagsConf string

//go:embed haproxy.cfg
var haproxyConf string

// routedWorker is one behind a balancer: the sids that it makes begin with its id.
type routedWorker struct{ ID, Addr string }

// routed starts two workers on one Redis, and a balancer that finds the owner of a sid by its tag.
// It knows the ids of these workers, and would have to be configured anew for others.
func (f *fleet) routed(s *system) error {
	listen := s.entry()
	url, err := f.redis(s)
	if err != nil {
		return err
	}
	conf := struct {
		Dir, Listen string
		Root        bool
		Workers     []routedWorker
	}{f.dir, listen, os.Geteuid() == 0, nil}
	for i := range 2 {
		w := routedWorker{Addr: freeAddr()}
		env := []string{
			"SIDEREAL_ADDR=" + w.Addr, "SIDEREAL_ADVERTISE=" + w.Addr, "SIDEREAL_REDIS_URL=" + url, "REDIS_URL=", "SIDEREAL_LOG_LEVEL=warn",
			fmt.Sprintf("SIDEREAL_HOST_NAME=host-%d", i+1), fmt.Sprintf("GOMAXPROCS=%d", supervisor.Share(2)), // as on a host of two
		}
		if err := s.start("worker", env, f.self, roleApp); err != nil {
			return err
		}
		if err := s.await(context.Background(), w.Addr, 0); err != nil {
			return err
		}
		if w.ID, err = tagOf(w.Addr); err != nil {
			return err
		}
		conf.Workers = append(conf.Workers, w)
	}
	text, file := nginxTagsConf, filepath.Join(f.dir, "nginx-tags.conf")
	command := []string{"nginx", "-e", "stderr", "-p", f.dir, "-c", file}
	if s.key == haproxyTags {
		text, file = haproxyConf, filepath.Join(f.dir, "haproxy.cfg")
		command = []string{"haproxy", "-db", "-f", file}
	}
	var b strings.Builder
	if err := template.Must(template.New(s.key).Parse(text)).Execute(&b, conf); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return s.start(command[0], nil, command[0], command[1:]...)
}

// tagOf is what a worker's sids begin with.
func tagOf(addr string) (string, error) {
	c, err := dialHTTP(context.Background(), addr, 0)
	if err != nil {
		return "", err
	}
	defer c.conn.Close()
	sid, err := pollOpen(c)
	if err != nil || len(sid) < 4 {
		return "", fmt.Errorf("sid %q: %w", sid, err)
	}
	_, err = c.do(sid, "1")
	return sid[:4], err
}

// routedTable compares routers.
func routedTable(b *strings.Builder, results []*result) {
	some := of(results, routed)
	if len(some) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Routers before the same workers\n\nCPU time in µs of all processes, and of the router alone. S and T have the two workers' ids in their\n"+
		"configuration and route by the first four characters of a sid. D finds workers, and their ends, by\nitself.\n\n"+
		"| work | per | D | S: nginx | T: HAProxy | S ÷ D | T ÷ D | router of D | nginx | HAProxy | router ÷ nginx | router ÷ HAProxy |\n"+
		"|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	parts := map[string]string{host: "router", nginxTags: "nginx", haproxyTags: "haproxy"}
	for _, r := range some {
		fmt.Fprintf(b, "| %s | %s |", r.title, r.unit)
		for _, key := range routers {
			median, low, high := spread(r.values(key, ""))
			fmt.Fprintf(b, " **%s** (%s–%s) |", short(median), short(low), short(high))
		}
		for _, key := range routers[1:] {
			median, _, _ := spread(r.ratios(key, "", host, ""))
			fmt.Fprintf(b, " %.2f |", median)
		}
		for _, key := range routers {
			median, _, _ := spread(r.values(key, parts[key]))
			fmt.Fprintf(b, " %s |", short(median))
		}
		for _, key := range routers[1:] {
			median, _, _ := spread(r.ratios(host, "router", key, parts[key]))
			fmt.Fprintf(b, " %.2f |", median)
		}
		b.WriteString("\n")
	}
}
