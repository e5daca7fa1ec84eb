package sidereal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// alerts is deploy/alerts.yaml.
type alerts struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

// TestAlerts: each alert is about metrics that exist, links to a section of the runbook that exists,
// and promtool finds it right and raises it when it should.
func TestAlerts(t *testing.T) {
	const file, runbook = "deploy/alerts.yaml", "docs/runbook.md"
	decoder := yaml.NewDecoder(strings.NewReader(read(t, file)))
	decoder.KnownFields(true)
	var all alerts
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	metrics := registered(t)
	sections := map[string]bool{}
	for line := range strings.Lines(read(t, runbook)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			sections[anchorOf(title)] = false
		}
	}
	tests := read(t, "deploy/testdata/alerts.yaml")
	for _, group := range all.Groups {
		for _, r := range group.Rules {
			knownMetrics(t, file+", "+r.Alert, r.Expr, metrics)
			page, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#")
			if _, ok := sections[anchor]; !ok || !strings.HasSuffix(page, "/blob/main/"+runbook) {
				t.Errorf("%s: %s links to %q, which no section of %s is", file, r.Alert, r.Annotations["runbook_url"], runbook)
			}
			sections[anchor] = true
			if r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s: %s has no summary or severity", file, r.Alert)
			}
			if !strings.Contains(tests, "alertname: "+r.Alert+"\n") {
				t.Errorf("deploy/testdata/alerts.yaml doesn't test %s", r.Alert)
			}
		}
	}
	for section, linked := range sections {
		if !linked {
			t.Errorf("%s: no alert links to #%s", runbook, section)
		}
	}
	promtool(t, "check", "rules", file)
	promtool(t, "test", "rules", "deploy/testdata/alerts.yaml")
}

// anchorOf is the anchor that GitHub makes of a heading.
func anchorOf(title string) string {
	title = strings.ToLower(strings.TrimSpace(title))
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(title, ""), " ", "-")
}

// promtool runs Prometheus's tool.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(testkit.Need(t, "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

var (
	// metricName is a name of a metric, and what follows it: a brace if the metric has matchers.
	metricName = regexp.MustCompile(`\b((?:sidereal|process|go|nodejs)_[a-z_]+[a-z])\b`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
	equals     = regexp.MustCompile(`\b([a-z_]+)(?:=|!=)"([^"$]*)"`)
	selected   = regexp.MustCompile(`(sidereal_[a-z_]+)\{([^}]*)\}`)
)

// elsewhere are metrics of Prometheus's client in every process.
var elsewhere = []string{"process_open_fds", "process_max_fds", "process_cpu_seconds_total", "process_resident_memory_bytes", "go_goroutines"}

// added are labels that Prometheus or the host's scrape adds.
var added = []string{"instance", "job", "process"}

// knownMetrics checks that an expression is about metrics, labels and values that exist.
func knownMetrics(t *testing.T, where, expr string, metrics map[string]*metric) {
	t.Helper()
	found := 0
	for _, name := range metricName.FindAllString(quoted.ReplaceAllString(expr, `""`), -1) {
		found++
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if cut := strings.TrimSuffix(name, suffix); metrics[cut] != nil && metrics[cut].kind == "histogram" {
				base = cut
			}
		}
		if metrics[base] == nil && !slices.Contains(elsewhere, base) {
			t.Errorf("%s: nothing registers %s", where, name)
		}
	}
	if found == 0 {
		t.Errorf("%s: %q is about no metric", where, expr)
	}
	doc := read(t, "docs/metrics.md")
	for _, m := range selected.FindAllStringSubmatch(expr, -1) {
		row := regexp.MustCompile("(?m)^\\| `" + m[1] + "` \\|.*").FindString(doc)
		for _, matcher := range equals.FindAllStringSubmatch(m[2], -1) {
			label, value := matcher[1], matcher[2]
			if slices.Contains(added, label) {
				continue
			}
			if !strings.Contains(row, "`"+label+"`") || value != "" && !strings.Contains(row, value) {
				t.Errorf("%s: docs/metrics.md doesn't give %s the label %s=%q", where, m[1], label, value)
			}
		}
	}
}

// dashboard is what Grafana requires of a dashboard's JSON, as far as ours use it. Fields that it
// doesn't know are mistakes here.
type dashboard struct {
	ID                   *int                      `json:"id"`
	UID                  string                    `json:"uid"`
	Title                string                    `json:"title"`
	Description          string                    `json:"description"`
	Tags                 []string                  `json:"tags"`
	Timezone             string                    `json:"timezone"`
	Editable             bool                      `json:"editable"`
	GraphTooltip         int                       `json:"graphTooltip"`
	SchemaVersion        int                       `json:"schemaVersion"`
	Version              int                       `json:"version"`
	Refresh              string                    `json:"refresh"`
	Time                 struct{ From, To string } `json:"time"`
	Timepicker           struct{}                  `json:"timepicker"`
	FiscalYearStartMonth int                       `json:"fiscalYearStartMonth"`
	LiveNow              bool                      `json:"liveNow"`
	Annotations          struct{ List []struct{} } `json:"annotations"`
	Links                []struct {
		Type, Title, Icon, URL, Tooltip                string
		Tags                                           []string
		AsDropdown, IncludeVars, KeepTime, TargetBlank bool
	} `json:"links"`
	Templating struct{ List []variable } `json:"templating"`
	Panels     []gpanel                  `json:"panels"`
}

type datasource struct{ Type, UID string }

type variable struct {
	Name, Label, Type, Definition, Regex string
	Datasource                           *datasource
	Query                                json.RawMessage
	Refresh, Sort, Hide                  int
	Multi, IncludeAll                    bool
	AllValue                             *string
	Current                              struct{}
	Options                              []struct{}
}

type gpanel struct {
	ID                       int
	Type, Title, Description string
	Collapsed                bool
	Panels                   []struct{} // of a row that is collapsed
	Datasource               *datasource
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		Datasource                            datasource
		EditorMode, Expr, LegendFormat, RefID string
		Range                                 bool
	}
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Min, Max   *float64
			Thresholds struct {
				Mode  string
				Steps []struct {
					Color string
					Value *float64
				}
			}
			Custom *struct {
				DrawStyle, ShowPoints  string
				LineWidth, FillOpacity int
				Stacking               struct{ Mode, Group string }
			}
		}
		Overrides []struct{}
	}
	Options json.RawMessage
}

// units are those of Grafana's that the dashboards use.
var units = []string{"short", "reqps", "ops", "Bps", "bytes", "s", "percentunit"}

// TestDashboards: Grafana can read the dashboards, each expression is PromQL about metrics that
// exist, and panels don't lie on each other.
func TestDashboards(t *testing.T) {
	files, err := filepath.Glob("deploy/grafana/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	metrics := registered(t)
	uids, exprs := map[string]string{}, map[string]bool{}
	for _, file := range files {
		decoder := json.NewDecoder(bytes.NewReader([]byte(read(t, file))))
		decoder.DisallowUnknownFields()
		var d dashboard
		if err := decoder.Decode(&d); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if d.ID != nil || len(d.UID) == 0 || len(d.UID) > 40 || d.Title == "" || d.SchemaVersion < 36 || uids[d.UID] != "" {
			t.Errorf("%s: id %v, uid %q (also of %q), title %q, schema %d", file, d.ID, d.UID, uids[d.UID], d.Title, d.SchemaVersion)
		}
		uids[d.UID] = file
		variables := map[string]bool{"__rate_interval": true}
		for _, v := range d.Templating.List {
			variables[v.Name] = true
			if v.Type == "query" {
				knownMetrics(t, file+", variable "+v.Name, v.Definition, metrics)
			}
		}
		ids, cells := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			where := fmt.Sprintf("%s, panel %d %q", file, p.ID, p.Title)
			if ids[p.ID] || p.ID == 0 || p.Title == "" || p.GridPos.W == 0 || p.GridPos.H == 0 || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: an id twice, or no title, or outside of the 24 columns: %+v", where, p.GridPos)
			}
			ids[p.ID] = true
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					if cells[at] != "" {
						t.Fatalf("%s lies on %s", where, cells[at])
					}
					cells[at] = where
				}
			}
			if p.Type == "row" {
				continue
			}
			if !slices.Contains([]string{"timeseries", "stat"}, p.Type) || !slices.Contains(units, p.FieldConfig.Defaults.Unit) || len(p.Targets) == 0 {
				t.Errorf("%s: type %q, unit %q, %d targets", where, p.Type, p.FieldConfig.Defaults.Unit, len(p.Targets))
			}
			if steps := p.FieldConfig.Defaults.Thresholds.Steps; len(steps) == 0 || steps[0].Value != nil {
				t.Errorf("%s: the first threshold isn't the base", where)
			}
			refs := map[string]bool{}
			for _, target := range p.Targets {
				if refs[target.RefID] || target.RefID == "" || target.Datasource != (datasource{"prometheus", "${datasource}"}) {
					t.Errorf("%s: reference %q, datasource %v", where, target.RefID, target.Datasource)
				}
				refs[target.RefID] = true
				knownMetrics(t, where, target.Expr, metrics)
				for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
					if !variables[m[1]] {
						t.Errorf("%s: no variable $%s", where, m[1])
					}
				}
				exprs[regexp.MustCompile(`\$\{?\w+\}?`).ReplaceAllString(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"), ".*")] = true
			}
		}
	}
	promtool(t, "check", "rules", rulesOf(t, slices.Sorted(maps.Keys(exprs))))
}

// rulesOf writes expressions as rules, which promtool can check.
func rulesOf(t *testing.T, exprs []string) string {
	t.Helper()
	type rule struct{ Record, Expr string }
	type group struct {
		Name  string
		Rules []rule
	}
	var g group
	g.Name = "dashboards"
	for i, expr := range exprs {
		g.Rules = append(g.Rules, rule{fmt.Sprintf("expression:%d", i), expr})
	}
	raw, err := yaml.Marshal(map[string][]group{"groups": {g}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
