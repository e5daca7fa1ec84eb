package admin

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// hostile serves a child's socket as somebody may who can run a program as an app's user.
func hostile(t *testing.T, dir, child string, h http.HandlerFunc) *Client {
	t.Helper()
	l := published(t, dir, child)
	s := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-ended
	})
	return NewSocketClient(Socket(dir, child))
}

// endless is an answer without an end, which counts what is taken of it.
func endless(taken *int64, piece string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for {
			n, err := io.WriteString(w, piece)
			*taken += int64(n)
			if err != nil {
				return
			}
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	var into any
	for path, ask := range map[string]func(*Client) error{
		"/status": func(c *Client) error {
			_, err := c.Status(t.Context())
			return err
		},
		"/cluster": func(c *Client) error { return c.Cluster(t.Context(), &into) },
		"/trace":   func(c *Client) error { return c.Trace(t.Context(), "x", &into) },
		"/metrics": func(c *Client) error {
			_, err := scrape(c)
			return err
		},
	} {
		var taken int64
		served := make(chan struct{})
		c := hostile(t, t.TempDir(), "worker-1", func(w http.ResponseWriter, r *http.Request) {
			defer close(served)
			endless(&taken, "["+strings.Repeat(" ", 1<<16))(w, r)
		})
		if err := ask(c); !errors.Is(err, errTooLong) {
			t.Errorf("%s: %v", path, err)
		}
		<-served
		if taken > 2*maxAnswer {
			t.Errorf("%s: %d bytes were taken", path, taken)
		}
	}
}

// A length is a claim. The decoder makes room for it before it reads.
func TestClaimedLengthsAreNotBelieved(t *testing.T) {
	good := family("good", dto.MetricType_GAUGE, &dto.Metric{Gauge: &dto.Gauge{Value: proto.Float64(1)}})
	var raw strings.Builder
	if _, err := protodelim.MarshalTo(&raw, good); err != nil {
		t.Fatal(err)
	}
	for _, claim := range []uint64{1 << 20, 1 << 40, 1<<63 + 1, 1<<64 - 1} {
		c := hostile(t, t.TempDir(), "worker-1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", asProtobuf)
			w.Write(binary.AppendUvarint([]byte(raw.String()), claim))
		})
		out, err := scrape(c)
		if !errors.Is(err, errFraming) || len(out) != 1 {
			t.Errorf("%d: %d families, %v", claim, len(out), err)
		}
	}
}

func family(name string, kind dto.MetricType, metrics ...*dto.Metric) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Help: proto.String("A test's."), Type: &kind, Metric: metrics}
}

// A child can't spoil, or pretend, what the others say.
func TestHostileMetricsSpoilNoOthers(t *testing.T) {
	pair := func(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
	one := &dto.Gauge{Value: proto.Float64(1)}
	for name, sent := range map[string]*dto.MetricFamily{
		"another process":  family("sessions", dto.MetricType_GAUGE, &dto.Metric{Label: []*dto.LabelPair{pair("process", "worker-2")}, Gauge: one}),
		"a label twice":    family("sessions", dto.MetricType_GAUGE, &dto.Metric{Label: []*dto.LabelPair{pair("a", "1"), pair("a", "2")}, Gauge: one}),
		"no value":         family("sessions", dto.MetricType_GAUGE, &dto.Metric{}),
		"our own's type":   family("restarts", dto.MetricType_COUNTER, &dto.Metric{Counter: &dto.Counter{Value: proto.Float64(1)}}),
		"histogram, empty": family("sessions", dto.MetricType_HISTOGRAM, &dto.Metric{}),
	} {
		dir := t.TempDir()
		hostile(t, dir, "worker-1", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", asProtobuf)
			if _, err := protodelim.MarshalTo(w, sent); err != nil {
				t.Error(err)
			}
		})
		serve(t, Config{Gatherer: gauge("sessions", "transport", "polling", 2)}, published(t, dir, "worker-2"))
		all := Aggregate(gauge("restarts", "name", "x", 9), dir, func() []string { return []string{"worker-1", "worker-2"} })
		w := httptest.NewRecorder()
		promhttp.HandlerFor(all, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		got := w.Body.String()
		for _, want := range []string{`restarts{name="x",process="supervisor"} 9`, `sessions{process="worker-2",transport="polling"} 2`} {
			if !slices.Contains(strings.Split(got, "\n"), want) {
				t.Errorf("%s: %s is missing in\n%s", name, want, got)
			}
		}
		if strings.Count(got, `process="worker-2"`) != 1 || strings.Contains(got, `a="1"`) {
			t.Errorf("%s:\n%s", name, got)
		}
		decoder := expfmt.NewDecoder(strings.NewReader(got), expfmt.NewFormat(expfmt.TypeTextPlain))
		for {
			if err := decoder.Decode(&dto.MetricFamily{}); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v in\n%s", name, err, got)
				break
			}
		}
	}
}

// A reason is shown in a terminal.
func TestReasonsSteerNoTerminal(t *testing.T) {
	c := hostile(t, t.TempDir(), "router", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "\x1b]0;owned\a\x9b2J\r no worker:\u202e\nnöne\n"+strings.Repeat("x", 1<<20))
	})
	want := ".]0;owned.\ufffd2J. no worker:.\nnöne\nxxx"
	var into any
	err := c.Cluster(t.Context(), &into)
	var answer *AnswerError
	if !errors.As(err, &answer) || !strings.HasPrefix(answer.Why, want) || len(answer.Why) > maxReason+8 {
		t.Errorf("got %.80q", err)
	}
	if err := c.Ready(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %.80q", err)
	}
}
