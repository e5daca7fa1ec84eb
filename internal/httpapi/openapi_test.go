package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// schema is as much of a JSON schema as the description uses.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 string
	Properties           map[string]schema
	Required             []string
	AdditionalProperties *bool
}

type openAPIDocument struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Parameters  []struct{ Name, In string }
		RequestBody struct {
			Content map[string]struct {
				Schema  schema
				Example json.RawMessage
			}
		}
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

func (d *openAPIDocument) resolve(s schema) schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// TestOpenAPI compares the description with what the handlers do: paths, methods, members,
// parameters, examples and answers.
func TestOpenAPI(t *testing.T) {
	f := crowded(t, crowd{"/", 3})
	got := f.do(t, http.MethodGet, openAPIPath, "", func(r *http.Request) { r.Header.Del("Authorization") })
	var doc openAPIDocument
	if err := json.Unmarshal([]byte(got.Text), &doc); err != nil || got.Code != http.StatusOK || doc.OpenAPI != "3.1.0" {
		t.Fatal(got.Code, err, doc.OpenAPI)
	}
	if described, served := slices.Sorted(maps.Keys(doc.Paths)), slices.Sorted(maps.Keys(routes())); !slices.Equal(described, served) {
		t.Errorf("described %v\nserved    %v", described, served)
	}
	for path, methods := range doc.Paths {
		of := routes()[path]
		described, ok := methods[strings.ToLower(of.method)]
		if !ok || len(methods) != 1 || described.OperationID != of.operation {
			t.Errorf("%s: %+v", path, methods)
			continue
		}
		if body, ok := described.RequestBody.Content["application/json"]; ok {
			s := doc.resolve(body.Schema)
			if s.AdditionalProperties == nil || *s.AdditionalProperties {
				t.Errorf("%s: unknown members are refused", path)
			}
			if a := f.post(t, path, string(body.Example)); a.Code != http.StatusAccepted {
				t.Errorf("%s: the example gets %d %s", path, a.Code, a.Text)
			}
			for name := range s.Properties {
				if a := f.post(t, path, `{"`+name+`":{}}`); a.kind() != "wrong-type" || a.Member != "/"+name {
					if name != "args" { // it is read after the event's name is known
						t.Errorf("%s: %s isn't checked: %d %s", path, name, a.Code, a.Text)
					}
				}
			}
			for _, name := range s.Required {
				if a := f.post(t, path, `{}`); a.kind() != "missing-member" || a.Member != "/"+name {
					t.Errorf("%s: %s isn't required: %d %s", path, name, a.Code, a.Text)
				}
			}
			if all := members(of.operation); !slices.Equal(all, slices.Sorted(maps.Keys(s.Properties))) {
				t.Errorf("%s: the handler reads %v, the description has %v", path, all, slices.Sorted(maps.Keys(s.Properties)))
			}
		}
		var parameters []string
		for _, p := range described.Parameters {
			if p.In == "query" {
				parameters = append(parameters, p.Name)
			}
		}
		if want := reads[of.operation].parameters; !slices.Equal(parameters, want) {
			t.Errorf("%s: parameters %v, want %v", path, parameters, want)
		}
		if of.method == http.MethodGet && !of.open {
			answer := f.do(t, http.MethodGet, path, "", nil)
			conforms(t, path, answer.Text, doc.resolve(described.Responses["200"].Content["application/json"].Schema))
		}
	}
	conforms(t, "answers", f.post(t, "/v1/emit", `{"event":"ask","timeout":20}`).Text, doc.Components.Schemas["answers"])
	conforms(t, "problem", f.post(t, "/v1/emit", `{"evnt":1}`).Text, doc.Components.Schemas["problem"])
	for kind := range kinds {
		p := newProblem(kind, "detail").at("/member")
		p.Outcome, p.Request = unknown, "id"
		text, err := json.Marshal(p)
		if err != nil || p.Status < 400 || p.Title == "" {
			t.Errorf("%s: %+v %v", kind, p, err)
		}
		conforms(t, kind, string(text), doc.Components.Schemas["problem"])
	}
}

// members are the members that an operation accepts, of all that any has.
func members(operation string) (known []string) {
	for _, name := range []string{"args", "close", "event", "except", "join", "leave", "namespace", "op", "rooms", "sockets", "timeout", "volatile"} {
		_, fault := parsers[operation]([]byte(`{"`+name+`":{}}`), false)
		if fault == nil || fault.Type != "urn:sidereal:problem:unknown-member" && name != "op" {
			known = append(known, name)
		}
	}
	return known
}

// conforms checks that an answer has the members of its schema and no others.
func conforms(t *testing.T, what, text string, s schema) {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Errorf("%s: %s: %v", what, text, err)
	}
	for name := range answer {
		if _, ok := s.Properties[name]; !ok {
			t.Errorf("%s: %s isn't described", what, name)
		}
	}
	for _, name := range s.Required {
		if _, ok := answer[name]; !ok {
			t.Errorf("%s: %s is missing in %s", what, name, text)
		}
	}
}
