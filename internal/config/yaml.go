package config

import (
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

// Bounds on what a file may hold, far above what people write: they keep a
// hostile file from taking the worker's memory.
const (
	maxFile     = 1 << 20 // bytes
	maxDepth    = 64      // levels of nesting
	maxBrackets = 1000    // levels of brackets, as brackets counts them
	maxNodes    = 50_000  // values, those that aliases repeat counted each time
)

// position is a place in a file, from 1.
type position struct{ line, column int }

// parse reads YAML. What it can't read is added to the problems.
func parse(data []byte, p *problems) (doc *document) {
	// The YAML library is not ours: a file that it stumbles over must not end the
	// worker.
	defer func() {
		if r := recover(); r != nil {
			p.add(position{}, "the YAML parser can't make sense of this file; check its quotes, brackets and indentation")
			doc = nil
		}
	}()
	switch {
	case len(data) > maxFile:
		p.add(position{}, "the file is %d bytes long; a configuration of more than %d is not read", len(data), maxFile)
		return nil
	case !utf8.Valid(data):
		p.add(position{}, "the file is not text in UTF-8; save it as UTF-8")
		return nil
	}
	if brackets(data) > maxBrackets {
		p.add(position{}, "this is nested too deeply")
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
		p.add(place(bodies[1]), "a second document starts here; put everything into one, without a line ---")
		return nil
	}
	c := converter{
		problems: p, anchors: map[string]ast.Node{},
		doc: &document{values: map[string]position{}, keys: map[string]position{}, bad: map[string]bool{}, meant: map[string]bool{}},
	}
	c.doc.root = c.value(bodies[0], nil)
	return c.doc
}

// brackets is how deeply a file's brackets are nested, those in quotes and
// comments included. The lexer's time grows with its square.
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

// tooDeep refuses nesting without end before the parser meets it, whose time and
// memory grow with the square of the depth. Nesting by indentation needs no check:
// maxFile leaves no room for the indentation.
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
			p.add(positionOf(t), "this is nested too deeply")
			return true
		}
	}
	return false
}

func addSyntaxError(err error, tokens token.Tokens, p *problems) {
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		p.add(position{}, "this is not YAML")
		return
	}
	// The library's messages name no text of the file, except for these.
	text, _, quotes := strings.Cut(syntax.GetMessage(), `"`)
	if quotes {
		text = strings.TrimSpace(text)
	}
	if advice, ok := syntaxAdvice[syntax.GetMessage()]; ok {
		text = advice
	}
	at := positionOf(syntax.GetToken())
	for _, t := range tokens {
		// The parser stumbles over what follows the *, not over the * itself.
		if t.Type == token.AliasType && t.Position.Line == at.line && t.Position.Column <= at.column {
			at, text = positionOf(t), starAdvice
			break
		}
	}
	p.add(at, "this is not YAML: %s", text)
}

// starAdvice is for cron expressions and globs, which YAML takes for references.
const starAdvice = `text that starts with * has to be in quotes, such as "*/5 * * * *"`

// syntaxAdvice says in plainer words what the YAML library found.
var syntaxAdvice = map[string]string{
	"non-map value is specified": `a line here is no "key: value"; check the indentation, and that a space follows the colon`,
	"unexpected key name":        `a line here is no "key: value"; check the indentation, and that a space follows the colon`,
	"value is not allowed in this context. map key-value is pre-defined": "this does not fit what stands above it; check the indentation",
	"value is not allowed in this context":                               "this does not fit what stands above it; check the indentation",
	"found character '\t' that cannot start any token":                   "a tab is used for indentation; use spaces",
	"found a tab character where an indentation space is expected":       "a tab is used for indentation; use spaces",
	"could not find flow mapping end token '}'":                          "the { here has no } to close it",
	"sequence end token ']' not found":                                   "the [ here has no ] to close it",
	"',' or '}' must be specified":                                       "a comma or } is missing before this",
	"',' or ']' must be specified":                                       "a comma or ] is missing before this",
	"could not find end character of double-quoted text":                 `the " here has no second one to close it`,
	"could not find end character of single-quoted text":                 "the ' here has no second one to close it",
	"mapping value is not allowed in this context":                       "a second colon here; put text that has a colon in it in quotes",
	`'@' is a reserved character`:                                        `text that starts with @ has to be in quotes, such as "@daily"`,
}

func positionOf(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// place is where a node starts.
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

// converter turns a YAML tree into JSON values.
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
			c.problems.add(place(n), "the file holds too much from here on, or repeats itself too often")
		}
		c.doc.bad[pointer(path)] = true
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
		v := c.value(n.Value, path) // before it is known: an anchor can't hold itself
		c.anchors[n.Name.GetToken().Value] = n.Value
		return v
	case *ast.AliasNode:
		target, ok := c.anchors[n.Value.GetToken().Value]
		if !ok {
			return c.refuse(n, path, starAdvice)
		}
		return c.value(target, path)
	default:
		return c.scalar(n, path)
	}
}

func (c *converter) scalar(n ast.Node, path []string) any {
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
		return c.refuse(n, path, "tags such as !!str are not used here; put text in quotes in place of a tag")
	default:
		return c.refuse(n, path, "this is not understood here; write plain text, a number, a list or key: value")
	}
	return c.refuse(n, path, "this number is out of range")
}

// refuse reports a value that can't be used.
func (c *converter) refuse(n ast.Node, path []string, why string) any {
	c.doc.bad[pointer(path)] = true
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
			c.problems.add(place(v.Key), "%s stands here a second time; the first is in line %d", quote(key), c.doc.atKey(at...).line)
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
		c.problems.add(place(n), "<< (merging) is not supported; write the keys out")
	default:
		c.problems.add(place(n), "a key must be plain text")
	}
	return "", false
}
