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

// schema is a compiled JSON Schema with its text, which contains the valid keys.
type schema struct {
	compiled *jsonschema.Schema
	text     any
}

var (
	connectionsSchema = sync.OnceValue(func() *schema { return compile("connections.schema.json", schemas.ConnectionsSchema) })
	exportsSchema     = sync.OnceValue(func() *schema { return compile("exports.schema.json", schemas.ExportsSchema) })
)

// compile panics if a schema does not compile, since it is part of the program.
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
		e := explainer{schema: s, doc: doc, problems: p, done: map[string]bool{}, meant: map[string]bool{}}
		e.explain(invalid)
	} else if err != nil {
		p.add(position{}, "the file can't be validated: %v", err)
	}
}

// explainer turns a validation error into problems.
type explainer struct {
	*schema
	*problems
	doc *document
	// done are the pointers of values that have a problem, meant those that a misspelt
	// key probably stands for.
	done, meant map[string]bool
}

// explain adds a problem for each leaf of a validation error; the other nodes only repeat
// that something below them is wrong.
func (x *explainer) explain(e *jsonschema.ValidationError) {
	// Misspelt keys come first, since what they stand for is not missing.
	for _, misspelt := range []bool{true, false} {
		for _, cause := range e.Causes {
			if _, is := cause.ErrorKind.(*kind.AdditionalProperties); is == misspelt {
				x.explain(cause)
			}
		}
	}
	path := e.InstanceLocation
	if len(e.Causes) > 0 || x.done[pointer(path)] {
		return
	}
	at, subject := x.doc.at(path...), subject(path)
	pattern, _ := x.lookup(e.SchemaURL, "patternErrorMessage").(string)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		x.explainUnknown(k, e)
		return
	case *kind.Required:
		for _, key := range k.Missing {
			if !x.meant[pointer(child(path, key))] {
				x.add(at, "%s has no %s", owner(path), key)
			}
		}
		return
	case *kind.Enum:
		x.explainEnum(k, e.SchemaURL, at, subject)
	case *kind.Type:
		if pattern != "" && k.Got != "null" {
			x.add(at, "%s %s", subject, pattern)
		} else {
			x.add(at, "%s", wrongType(k, path, subject))
		}
	case *kind.MinLength:
		x.add(at, "%s is empty", subject)
	case *kind.MaxLength:
		x.add(at, "%s has %d characters; at most %d are allowed", subject, k.Got, k.Want)
	case *kind.MaxItems:
		x.add(at, "%s has %d entries; at most %d are allowed", subject, k.Got, k.Want)
	case *kind.MinItems:
		x.add(at, "%s is an empty list", subject)
	case *kind.Minimum:
		x.add(at, "%s is %s; the minimum is %s", subject, number(k.Got), number(k.Want))
	case *kind.Maximum:
		x.add(at, "%s is %s; the maximum is %s", subject, number(k.Got), number(k.Want))
	case *kind.ExclusiveMinimum:
		x.add(at, "%s is %s; it must be above %s", subject, number(k.Got), number(k.Want))
	case *kind.Pattern:
		x.add(at, "%s %s", subject, pattern)
	case *kind.Format:
		x.add(at, "%s must be a date and time with a time zone, such as 2026-03-01T09:00:00Z", subject)
	default:
		x.add(at, "%s is not valid", subject)
	}
	x.done[pointer(path)] = true
}

// explainUnknown reports keys that the schema does not have.
func (x *explainer) explainUnknown(k *kind.AdditionalProperties, e *jsonschema.ValidationError) {
	path := e.InstanceLocation
	properties, _ := x.lookup(e.SchemaURL, "properties").(map[string]any)
	valid := slices.Sorted(maps.Keys(properties))
	for _, key := range slices.Sorted(slices.Values(k.Properties)) {
		x.done[pointer(child(path, key))] = true
		near := spelling.Nearest(key, valid)
		if len(near) > 0 {
			x.meant[pointer(child(path, near[0]))] = true
		}
		shown := quote(key)
		if len(near) == 0 && owner(path) == "apiKey" {
			shown = "this" // it may be the key itself
		}
		x.add(x.doc.atKey(child(path, key)...), "%s is not a setting of %s%s", shown, owner(path), spelling.DidYouMean(key, valid))
	}
}

// explainEnum reports a value that is not one of those that the schema lists.
func (x *explainer) explainEnum(k *kind.Enum, location string, at position, subject string) {
	valid := make([]string, len(k.Want))
	for i, w := range k.Want {
		valid[i] = fmt.Sprint(w)
	}
	got, isText := k.Got.(string)
	message, has := x.lookup(location, "errorMessage").(string)
	switch {
	case !isText:
		x.add(at, "%s must be %s", subject, spelling.Either(valid))
	case has && len(spelling.Nearest(got, valid)) == 0:
		x.add(at, "%s can't be %s; %s", subject, quote(got), message)
	default:
		x.add(at, "%s can't be %s%s", subject, quote(got), spelling.DidYouMean(got, valid))
	}
}

// wrongType returns the message for a value of the wrong type. It does not repeat the value.
func wrongType(k *kind.Type, path []string, subject string) string {
	last := ""
	if len(path) > 0 {
		last = path[len(path)-1]
	}
	switch {
	case last == "apiKey" && k.Got != "null":
		return "apiKey must name the place of the key, as {env: VARIABLE} or {file: PATH}; the key itself must not be in this file" +
			" (if it was, and others can read the file, create a new key in Iterable)"
	case k.Got == "null":
		return subject + " has no value; set one, or remove the line"
	case k.Got == "boolean" && slices.ContainsFunc(path, func(p string) bool { return p == "where" }):
		return subject + " can't be true or false; use is: true or is: false, or put the value in quotes if the column has text"
	case slices.Contains(k.Want, "string") && (k.Got == "number" || k.Got == "boolean"):
		return subject + " must be text; put it in quotes"
	case (slices.Contains(k.Want, "number") || slices.Contains(k.Want, "integer")) && k.Got == "string":
		return subject + " must be " + typeNames[k.Want[0]] + ", without quotes"
	}
	want := make([]string, len(k.Want))
	for i, w := range k.Want {
		want[i] = typeNames[w]
	}
	if k.Got == "number" { // but not a whole number
		return fmt.Sprintf("%s must be %s", subject, spelling.Either(want))
	}
	return fmt.Sprintf("%s must be %s, not %s", subject, spelling.Either(want), typeNames[k.Got])
}

// typeNames are the types of JSON in words for a YAML file.
var typeNames = map[string]string{
	"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
	"array": "a list", "object": "a group of settings (key: value)", "null": "empty",
}

// subject returns the name of a value, such as "mode" or "connections, item 2".
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

// owner returns the name of a group of settings, such as "this connection" or "limits".
func owner(path []string) string {
	if len(path) == 0 {
		return "the file"
	}
	last := path[len(path)-1]
	if _, err := strconv.Atoi(last); err == nil && len(path) > 1 {
		if path[len(path)-2] == "suppress" {
			return "this suppression list"
		}
		return "this " + strings.TrimSuffix(path[len(path)-2], "s")
	}
	return quotePlain(last)
}

// quotePlain returns a key without quotes, as it is in the file.
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

// lookup returns the value of a keyword at a location in the schema, nil if there is none.
func (s *schema) lookup(location, keyword string) any {
	_, fragment, _ := strings.Cut(location, "#")
	var path []string
	for step := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		// No key of the schemas contains a / or a ~, which would be escaped.
		if step, err := url.PathUnescape(step); err == nil && step != "" {
			path = append(path, step)
		}
	}
	return get(s.text, append(path, keyword)...)
}

// read parses a file, validates it, and decodes it into a value of package schemas. It
// returns nil if there are problems.
func (s *schema) read(data []byte, into any, p *problems) *document {
	doc := parse(data, p)
	if len(p.list) > 0 {
		return nil
	}
	if s.check(doc, p); len(p.list) > 0 {
		return nil
	}
	text, err := json.Marshal(doc.root)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		p.add(position{}, "the file can't be used: %s", strings.TrimPrefix(err.Error(), "json: "))
		return nil
	}
	return doc
}
