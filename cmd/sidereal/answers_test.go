package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Commands that ask a host end with 1 and a line or two, whatever answers at its admin port.
func TestWrongAnswersAtTheAdminPort(t *testing.T) {
	endless := strings.Repeat("[", 1<<16)
	answers := map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"404":     http.NotFound,
		"500": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "out of order", http.StatusInternalServerError)
		},
		"a page":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"no end":   func(w http.ResponseWriter, _ *http.Request) { repeat(w, endless) },
		"half":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"workers":[{"id":`) },
		"a number": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "7") },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := httptest.NewServer(answer)
			defer host.Close()
			addr := strings.TrimPrefix(host.URL, "http://")
			for _, args := range [][]string{{"healthcheck"}, {"cluster"}, {"cluster", "--json"}, {"trace", "uPjqAAAAAAAAAAAAAAAA"}, {"trace", "--json", "uPjqAAAAAAAAAAAAAAAA"}} {
				if args[0] == "healthcheck" && name != "nothing" && name != "404" && name != "500" && name != "a page" {
					continue // any 200 is a yes
				}
				cmd := exec.CommandContext(t.Context(), "sidereal", append(args, "--admin-addr", addr)...)
				cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
				var out, said bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &said
				err := cmd.Run()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 1 {
					t.Errorf("%v: %v; printed %q", args, err, out.String())
				}
				if text := said.String(); !strings.HasPrefix(text, "sidereal: ") || strings.Count(text, "\n") > 3 || len(text) > 1000 || out.Len() > 0 {
					t.Errorf("%v: said %q, printed %.200q", args, text, out.String())
				}
			}
		})
	}
}

func repeat(w io.Writer, text string) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}
