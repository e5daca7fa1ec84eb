package daemon

import (
	"slices"
	"testing"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

func TestTargetsMeanWhatFitsFirst(t *testing.T) {
	l := Listing{Processes: []Process{
		{ID: 0, Name: "api-one", Namespace: "web"}, {ID: 1, Name: "api-two", Namespace: "web"},
		{ID: 2, Name: "1", Namespace: "api-one"}, {ID: 3, Name: "jobs/night", Namespace: "default"},
	}}
	for text, want := range map[string][]int{
		"all": {0, 1, 2, 3}, "1": {1}, "api-one": {0}, "web": {0, 1}, "none": nil, "": nil, "9": nil,
		"/api-.*/": {0, 1}, "/^(1|api-two)$/": {1, 2}, `/jobs\/n/`: {3}, "/jobs/n/": {3}, "/none/": nil, "//": nil,
	} {
		found, err := l.Find(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		var got []int
		for _, p := range found {
			got = append(got, p.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	_, err := l.Find("/api(/")
	fails(t, err, 2, "/api(/", "missing closing")
}

func TestVerbsTakeExpressions(t *testing.T) {
	r := runDaemon(t)
	var apps []pm2.App
	for _, name := range []string{"api-one", "api-two", "other"} {
		apps = append(apps, interpreted(t, app(t, name, "reader"), "sh"))
	}
	r.must(r.start(StartNew, apps...))
	r.must(r.act(Action{Verb: Stop, Targets: []string{"/^api-/"}}))
	if got := statuses(r.list()); !slices.Equal(got, []Status{Stopped, Stopped, Online}) {
		t.Errorf("%v", got)
	}
	_, err := r.act(Action{Verb: Stop, Targets: []string{"/nobody/"}})
	fails(t, err, 1, "/nobody/: no process")
	_, err = r.act(Action{Verb: Stop, Targets: []string{"/(/"}})
	fails(t, err, 2, "/(/")
}

func TestSendWritesToTheInput(t *testing.T) {
	r := runDaemon(t)
	a := interpreted(t, app(t, "reads", "reader"), "sh")
	a.Instances = 2
	r.must(r.start(StartNew, a))
	r.must(r.act(Action{Verb: Send, Targets: []string{"1"}, Text: `"hello" you`}))
	l := r.list()
	fileEventually(t, l.Processes[1].OutFile, `read "hello" you`)
	r.must(r.act(Action{Verb: Send, Targets: []string{"1"}, Text: "close"}))
	fileEventually(t, l.Processes[1].OutFile, "closed")
	_, err := r.act(Action{Verb: Send, Targets: []string{"1"}, Text: "more"})
	fails(t, err, 1, "reads (id 1)", "has closed its input")
	r.must(r.act(Action{Verb: Stop, Targets: []string{"0"}}))
	_, err = r.act(Action{Verb: Send, Targets: []string{"0"}, Text: "more"})
	fails(t, err, 1, "reads (id 0)", "does not run")
}
