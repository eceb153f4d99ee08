package config

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a file, far above what is needed: they protect the worker's memory from a
// hostile file.
const (
	maxFile     = 1 << 20 // bytes
	maxDepth    = 64      // levels of nesting
	maxBrackets = 1000    // levels of brackets, as brackets counts them
	maxNodes    = 50_000  // values, with those of an alias counted each time
)

// position is a line and a column, counted from 1.
type position struct{ line, column int }

// parse parses YAML. It adds problems with the syntax to p.
func parse(data []byte, p *problems) (doc *document) {
	// A panic of the YAML library must not end the worker.
	defer func() {
		if r := recover(); r != nil {
			p.add(position{}, "the YAML parser failed; check the quotes, brackets and indentation")
			doc = nil
		}
	}()
	switch {
	case len(data) > maxFile:
		p.add(position{}, "the file has %d bytes or more; the limit is %d", len(data), maxFile)
		return nil
	case !utf8.Valid(data):
		p.add(position{}, "the file is not UTF-8 text; save it as UTF-8")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // Windows editors write this byte order mark
	if brackets(data) > maxBrackets {
		p.add(position{}, "the file is nested too deeply")
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if tooDeep(tokens, p) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		addSyntaxError(err, tokens, p)
		return nil
	}
	return convert(file, p)
}

func convert(file *ast.File, p *problems) *document {
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
		p.add(position{}, "the file is empty")
		return nil
	case 1:
	default:
		p.add(place(bodies[1]), "a second document begins here; use one document, without a line ---")
		return nil
	}
	c := converter{
		problems: p, anchors: map[string]ast.Node{},
		doc: &document{values: map[string]position{}, keys: map[string]position{}},
	}
	c.doc.root = c.value(bodies[0], nil)
	return c.doc
}

// brackets returns the depth of a file's brackets, including those in quotes and comments.
// The lexer's time grows with its square.
func brackets(data []byte) int {
	depth, deepest := 0, 0
	for _, b := range data {
		switch b {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return deepest
}

// tooDeep refuses deep nesting before the parser sees it: the parser's time and memory grow
// with the square of the depth. maxFile bounds nesting by indentation.
func tooDeep(tokens token.Tokens, p *problems) bool {
	depth, line, inLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType:
			inLine++
		}
		if depth > maxDepth || inLine > maxDepth {
			p.add(positionOf(t), "the file is nested too deeply")
			return true
		}
	}
	return false
}

func addSyntaxError(err error, tokens token.Tokens, p *problems) {
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		p.add(position{}, "not valid YAML")
		return
	}
	// Text of the file is in quotes, and is not repeated.
	text, _, quotes := strings.Cut(syntax.GetMessage(), `"`)
	if quotes {
		text = strings.TrimSpace(text)
	}
	if advice, ok := syntaxAdvice[syntax.GetMessage()]; ok {
		text = advice
	}
	at := positionOf(syntax.GetToken())
	for _, t := range tokens {
		// The parser fails at what follows the *, not at the * itself.
		if t.Type == token.AliasType && t.Position.Line == at.line && t.Position.Column <= at.column {
			at, text = positionOf(t), starAdvice
			break
		}
	}
	p.add(at, "not valid YAML: %s", text)
}

// starAdvice is for cron expressions and globs, which YAML reads as aliases.
const starAdvice = `text that starts with * must be in quotes, such as "*/5 * * * *"`

// syntaxAdvice replaces messages of the YAML library that do not say what to do.
var syntaxAdvice = map[string]string{
	"non-map value is specified": `this line is not "key: value"; check the indentation, and that a space follows the colon`,
	"unexpected key name":        `this line is not "key: value"; check the indentation, and that a space follows the colon`,
	"value is not allowed in this context. map key-value is pre-defined": "this does not fit the lines above; check the indentation",
	"value is not allowed in this context":                               "this does not fit the lines above; check the indentation",
	"found character '\t' that cannot start any token":                   "a tab is used for indentation; use spaces",
	"found a tab character where an indentation space is expected":       "a tab is used for indentation; use spaces",
	"mapping value is not allowed in this context":                       "a second colon; put text that contains a colon in quotes",
	`'@' is a reserved character`:                                        `text that starts with @ must be in quotes, such as "@daily"`,
}

func positionOf(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// place returns the position of a node.
func place(n ast.Node) position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return place(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return place(n.Key)
	case *ast.SequenceNode:
		return positionOf(n.Start)
	}
	return positionOf(n.GetToken())
}

// converter turns a YAML tree into JSON values. goccy/go-yaml does so too, but without
// positions, and without a bound on what aliases repeat.
type converter struct {
	problems *problems
	doc      *document
	anchors  map[string]ast.Node
	nodes    int
	full     bool // maxNodes was reported
}

func (c *converter) value(n ast.Node, path []string) any {
	if c.nodes++; c.nodes > maxNodes || len(path) > maxDepth {
		if !c.full {
			c.full = true
			c.problems.add(place(n), "the file is too large from here on, or has too many aliases")
		}
		return nil
	}
	if n == nil {
		return nil
	}
	c.doc.values[pointer(path)] = place(n)
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.object(n.Values, path)
	case *ast.MappingValueNode:
		return c.object([]*ast.MappingValueNode{n}, path)
	case *ast.SequenceNode:
		values := make([]any, len(n.Values))
		for i, v := range n.Values {
			values[i] = c.value(v, child(path, strconv.Itoa(i)))
		}
		return values
	case *ast.AnchorNode:
		v := c.value(n.Value, path) // before the anchor is known, so that it can't contain itself
		c.anchors[n.Name.GetToken().Value] = n.Value
		return v
	case *ast.AliasNode:
		target, ok := c.anchors[n.Value.GetToken().Value]
		if !ok {
			return c.refuse(n, starAdvice)
		}
		return c.value(target, path)
	default:
		return c.scalar(n)
	}
}

func (c *converter) scalar(n ast.Node) any {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode:
		return n.Value
	case *ast.FloatNode:
		if !math.IsInf(n.Value, 0) {
			return n.Value
		}
	case *ast.NullNode:
		return nil
	case *ast.InfinityNode, *ast.NanNode:
	case *ast.TagNode:
		return c.refuse(n, "tags such as !!str are not supported; put text in quotes instead")
	default:
		return c.refuse(n, "this is not supported; write plain text, a number, a list or key: value")
	}
	return c.refuse(n, "the number is out of range")
}

// refuse adds a problem for a value that can't be used.
func (c *converter) refuse(n ast.Node, why string) any {
	c.problems.add(place(n), "%s", why)
	return nil
}

func (c *converter) object(values []*ast.MappingValueNode, path []string) any {
	object := make(map[string]any, len(values))
	for _, v := range values {
		key, ok := c.key(v.Key)
		if !ok {
			continue
		}
		at := child(path, key)
		if _, twice := object[key]; twice {
			c.problems.add(place(v.Key), "%s is set a second time; the first is in line %d", quote(key), c.doc.atKey(at...).line)
			continue
		}
		c.doc.keys[pointer(at)] = place(v.Key)
		object[key] = c.value(v.Value, at)
	}
	return object
}

func (c *converter) key(n ast.MapKeyNode) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return n.GetToken().Value, true
	case *ast.MergeKeyNode:
		c.problems.add(place(n), "<< (merging) is not supported; write the keys")
	default:
		c.problems.add(place(n), "a key must be plain text")
	}
	return "", false
}
