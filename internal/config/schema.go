package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/schemas"
)

// schema is a compiled JSON Schema with its text, which error messages take
// valid keys from.
type schema struct {
	compiled *jsonschema.Schema
	text     any
}

var (
	connectionsSchema = sync.OnceValue(func() *schema { return compile("connections.schema.json", schemas.ConnectionsSchema) })
	exportsSchema     = sync.OnceValue(func() *schema { return compile("exports.schema.json", schemas.ExportsSchema) })
)

// compile panics where a schema does not compile: it is part of the program.
func compile(name string, text []byte) *schema {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, parsed); err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
	return &schema{compiled: c.MustCompile(name), text: parsed}
}

// check adds what the schema has against the document to the problems.
func (s *schema) check(doc *document, p *problems) {
	err := s.compiled.Validate(doc.root)
	if invalid, ok := err.(*jsonschema.ValidationError); ok {
		s.explain(invalid, doc, p)
	} else if err != nil {
		p.add(position{}, "the file can't be checked: %v", err)
	}
}

// explain adds a problem for each leaf of a validation error: what is above a
// leaf only repeats that something below is wrong.
func (s *schema) explain(e *jsonschema.ValidationError, doc *document, p *problems) {
	// Misspelt keys come first: what one of them was meant to be is not missing.
	for _, misspelt := range []bool{true, false} {
		for _, cause := range e.Causes {
			if _, is := cause.ErrorKind.(*kind.AdditionalProperties); is == misspelt {
				s.explain(cause, doc, p)
			}
		}
	}
	if len(e.Causes) > 0 {
		return
	}
	path := e.InstanceLocation
	if doc.bad[pointer(path)] {
		return // that was said already
	}
	at, subject := doc.at(path...), subject(path)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		s.explainUnknown(k, e, doc, p)
		return
	case *kind.Required:
		for _, key := range k.Missing {
			if !doc.has(child(path, key)...) {
				p.add(at, "%s has no %s", owner(path), key)
			}
		}
		return
	case *kind.Enum:
		s.explainEnum(k, e.SchemaURL, at, subject, p)
	case *kind.Type:
		if says, ok := s.lookup(e.SchemaURL, "patternErrorMessage").(string); ok && k.Got != "null" {
			p.add(at, "%s %s", subject, says)
		} else {
			p.add(at, "%s", wrongType(k, path, subject))
		}
	case *kind.MinLength:
		p.add(at, "%s is empty", subject)
	case *kind.MaxLength:
		p.add(at, "%s is %d characters long; %d is the most", subject, k.Got, k.Want)
	case *kind.MinItems:
		p.add(at, "%s is an empty list", subject)
	case *kind.Minimum:
		p.add(at, "%s is %s; the least is %s", subject, number(k.Got), number(k.Want))
	case *kind.Maximum:
		p.add(at, "%s is %s; the most is %s", subject, number(k.Got), number(k.Want))
	case *kind.ExclusiveMinimum:
		p.add(at, "%s is %s; it must be above %s", subject, number(k.Got), number(k.Want))
	case *kind.Pattern:
		says, _ := s.lookup(e.SchemaURL, "patternErrorMessage").(string)
		p.add(at, "%s %s", subject, says)
	case *kind.Format:
		p.add(at, "%s must be a date and time with its zone, such as 2026-03-01T09:00:00Z", subject)
	default:
		p.add(at, "%s is not valid", subject)
	}
	doc.bad[pointer(path)] = true
}

// explainUnknown reports keys that the schema does not know.
func (s *schema) explainUnknown(k *kind.AdditionalProperties, e *jsonschema.ValidationError, doc *document, p *problems) {
	path, valid := e.InstanceLocation, s.keys(e.SchemaURL)
	for _, key := range slices.Sorted(slices.Values(k.Properties)) {
		at := doc.atKey(child(path, key)...)
		doc.bad[pointer(child(path, key))] = true
		near := spelling.Nearest(key, valid)
		if len(near) > 0 {
			doc.meant[pointer(child(path, near[0]))] = true
		}
		shown := quote(key)
		if len(near) == 0 && owner(path) == "apiKey" {
			shown = "this" // it may be the key itself
		}
		p.add(at, "%s is no setting of %s%s", shown, owner(path), spelling.DidYouMean(key, valid))
	}
}

// explainEnum reports a word that is none of those that the schema lists.
func (s *schema) explainEnum(k *kind.Enum, location string, at position, subject string, p *problems) {
	valid := make([]string, len(k.Want))
	for i, w := range k.Want {
		valid[i] = fmt.Sprint(w)
	}
	got, isText := k.Got.(string)
	says, hasText := s.lookup(location, "errorMessage").(string)
	switch {
	case !isText:
		p.add(at, "%s must be %s", subject, spelling.Either(valid))
	case hasText && len(spelling.Nearest(got, valid)) == 0:
		p.add(at, "%s can't be %s; %s", subject, quote(got), says)
	default:
		p.add(at, "%s can't be %s%s", subject, quote(got), spelling.DidYouMean(got, valid))
	}
}

// wrongType explains that a value is, say, a list where text is wanted. It never
// repeats the value.
func wrongType(k *kind.Type, path []string, subject string) string {
	last := ""
	if len(path) > 0 {
		last = path[len(path)-1]
	}
	switch {
	case last == "apiKey" && k.Got != "null":
		return "apiKey must say where the key is, as {env: VARIABLE} or {file: PATH}; the key itself must not stand in this file" +
			" (if it did, and others can read the file, make a new key in Iterable)"
	case k.Got == "null":
		return subject + " has no value; give it one, or take the line out"
	case slices.Contains(k.Want, "string") && (k.Got == "number" || k.Got == "boolean"):
		return subject + " must be text; put it in quotes"
	case (slices.Contains(k.Want, "number") || slices.Contains(k.Want, "integer")) && k.Got == "string":
		return subject + " must be " + typeNames[k.Want[0]] + ", without quotes"
	}
	want := make([]string, len(k.Want))
	for i, w := range k.Want {
		want[i] = typeNames[w]
	}
	if k.Got == "number" { // where a whole number is wanted
		return fmt.Sprintf("%s must be %s", subject, spelling.Either(want))
	}
	return fmt.Sprintf("%s must be %s, not %s", subject, spelling.Either(want), typeNames[k.Got])
}

// typeNames are the types of JSON in words for people who write YAML.
var typeNames = map[string]string{
	"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
	"array": "a list", "object": "a group of settings (key: value)", "null": "empty",
}

// subject names a value by its key: "mode", "connections[1]".
func subject(path []string) string {
	name := ""
	for i, p := range slices.Backward(path) {
		n, err := strconv.Atoi(p)
		if err != nil || i == 0 {
			return quotePlain(p) + name
		}
		name = fmt.Sprintf(", item %d", n+1) + name
	}
	return "the file" + name
}

// owner names the group of settings at a path: "this connection", "limits".
func owner(path []string) string {
	if len(path) == 0 {
		return "the file"
	}
	last := path[len(path)-1]
	if _, err := strconv.Atoi(last); err == nil && len(path) > 1 {
		return "this " + strings.TrimSuffix(path[len(path)-2], "s")
	}
	return quotePlain(last)
}

// quotePlain gives a key without quotes, as it stands in the file.
func quotePlain(key string) string {
	q := quote(key)
	if inside, err := strconv.Unquote(q); err == nil {
		return inside
	}
	return q
}

func number(r *big.Rat) string {
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// keys lists the settings that a place in the schema knows.
func (s *schema) keys(location string) []string {
	properties, _ := s.lookup(location, "properties").(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// lookup finds a keyword's value at a place in the schema's text; nil where
// there is none.
func (s *schema) lookup(location, keyword string) any {
	_, fragment, _ := strings.Cut(location, "#")
	v := s.text
	for step := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if step == "" {
			continue
		}
		step, err := url.PathUnescape(step)
		if err != nil {
			return nil
		}
		// No key of the schemas has a / or a ~ in it, which would be escaped.
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	object, _ := v.(map[string]any)
	return object[keyword]
}

// read parses a file, checks it against its schema, and decodes it into a value
// of package schemas. Where something is wrong, what is sound is decoded all the
// same, so that it can be looked at for further problems; without a document
// there is nothing to look at.
func (s *schema) read(data []byte, into any, p *problems) *document {
	doc := parse(data, p)
	if doc == nil {
		return nil
	}
	s.check(doc, p)
	if doc.bad[""] {
		return nil
	}
	text, err := json.Marshal(doc.sound())
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		p.add(position{}, "the file can't be used: %s", strings.TrimPrefix(err.Error(), "json: "))
		return nil
	}
	return doc
}
