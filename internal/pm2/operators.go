package pm2

import (
	"math"
	"strings"
)

// precedence of the operators; the first two don't mix in JavaScript, which is of no matter here.
var precedence = map[string]int{
	"||": 1, "??": 1, "&&": 2, "===": 3, "!==": 3, "==": 3, "!=": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}

// operation reads operands and operators that bind stronger than above.
func (p *parser) operation(above int) (value, error) {
	left, err := p.unary()
	for err == nil && p.tok.kind == tokenPunct && precedence[p.tok.text] > above {
		op := p.tok.text
		if err := p.advance(); err != nil {
			return nil, err
		}
		var right value
		if right, err = p.operation(precedence[op]); err == nil {
			left, err = p.operate(op, left, right)
		}
	}
	return left, err
}

func (p *parser) operate(op string, a, b value) (value, error) {
	switch op {
	case "||":
		if truthy(a) {
			return a, nil
		}
		return b, nil
	case "&&":
		if truthy(a) {
			return b, nil
		}
		return a, nil
	case "??":
		if _, none := a.(undefined); none || a == nil {
			return b, nil
		}
		return a, nil
	case "===", "==":
		return same(a, b), nil
	case "!==", "!=":
		return !same(a, b), nil
	}
	x, first := a.(float64)
	y, second := b.(float64)
	if first && second {
		return arithmetic(op, x, y), nil
	}
	if op == "+" && isText(a) && isText(b) {
		return text(a) + text(b), nil
	}
	return nil, p.fail("%s needs two numbers", op)
}

func arithmetic(op string, x, y float64) float64 {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		return x / y
	}
	return math.Mod(x, y)
}

func isText(v value) bool {
	switch v.(type) {
	case string, float64, bool:
		return true
	}
	return false
}

// same compares simple values; objects are never the same.
func same(a, b value) bool {
	switch a.(type) {
	case nil, bool, float64, string, undefined:
		return a == b
	}
	return false
}

func truthy(v value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	}
	return true
}

func (p *parser) unary() (value, error) {
	op := p.tok.text
	if p.tok.kind != tokenPunct || !strings.Contains("+-!", op) {
		return p.postfix()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail("more than %d levels are nested", maxDepth)
	}
	defer func() { p.depth-- }()
	if err := p.advance(); err != nil {
		return nil, err
	}
	v, err := p.unary()
	if err != nil {
		return nil, err
	}
	if op == "!" {
		return !truthy(v), nil
	}
	n, ok := v.(float64)
	if !ok {
		return nil, p.fail("%s needs a number", op)
	}
	if op == "-" {
		return -n, nil
	}
	return n, nil
}
