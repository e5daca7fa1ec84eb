package pm2

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxNodes limits the values that aliases may multiply a YAML file into.
const maxNodes = 100_000

// readYAML reads the first document of a YAML file.
func readYAML(file, src string) (value, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(src), &doc); err != nil {
		return nil, yamlError(file, err)
	}
	if doc.Kind == 0 {
		return nil, &SyntaxError{File: file, Rule: "the file is empty"}
	}
	r := yamlReader{file: file}
	return r.value(&doc, 0)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s*)?line (\d+): (.*)`)

func yamlError(file string, err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1]) // digits
		return &SyntaxError{File: file, Line: line, Rule: m[2]}
	}
	return &SyntaxError{File: file, Rule: err.Error()}
}

// yamlReader turns YAML's nodes into values. Dates stay the text that they were.
type yamlReader struct {
	file  string
	nodes int
}

func (r *yamlReader) value(n *yaml.Node, depth int) (value, error) {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, &SyntaxError{File: r.file, Line: n.Line, Rule: "the file is too deep or too large"}
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return r.value(n.Content[0], depth+1)
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]value, 0, len(n.Content))
		for _, e := range n.Content {
			v, err := r.value(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return r.mapping(n, depth)
	}
	return r.scalar(n)
}

func (r *yamlReader) mapping(n *yaml.Node, depth int) (value, error) {
	o := newObject()
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		v, err := r.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if key.ShortTag() == "!!merge" {
			r.merge(o, v)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			return nil, &SyntaxError{File: r.file, Line: key.Line, Rule: "a key must be text"}
		}
		o.set(key.Value, v)
	}
	return o, nil
}

// merge adds the keys of << that the mapping doesn't have itself.
func (r *yamlReader) merge(o *object, v value) {
	switch v := v.(type) {
	case *object:
		for _, key := range v.keys {
			if _, known := o.get(key); !known {
				o.set(key, v.values[key])
			}
		}
	case []value:
		for _, e := range v {
			r.merge(o, e)
		}
	}
}

func (r *yamlReader) scalar(n *yaml.Node) (value, error) {
	var err error
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err = n.Decode(&b)
		return b, r.wrap(n, err)
	case "!!int", "!!float":
		var f float64
		err = n.Decode(&f)
		if errors.Is(err, strconv.ErrRange) {
			f, err = math.Inf(1), nil
		}
		return f, r.wrap(n, err)
	}
	return n.Value, nil
}

func (r *yamlReader) wrap(n *yaml.Node, err error) error {
	if err == nil {
		return nil
	}
	return &SyntaxError{File: r.file, Line: n.Line, Rule: fmt.Sprintf("can't read %q", n.Value)}
}
