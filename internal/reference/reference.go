// Package reference generates the pages of docs/ that list settings and commands, from the
// JSON Schemas, the worker's settings and the starter's commands. Tests compare the pages
// with it. UPDATE_DOCS=1 writes them.
package reference

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Compare fails the test unless the file contains exactly text. With UPDATE_DOCS set it
// writes the file.
func Compare(t *testing.T, file, text string) {
	t.Helper()
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, []byte(text)) {
		t.Errorf("%s is stale; update it with: UPDATE_DOCS=1 go test ./worker ./starter", file)
	}
}

// Schema returns the settings of one entry of a JSON Schema's list as a Markdown table, in
// the schema's order, with the type, the default and the meaning. It is an error if a
// setting has no description.
func Schema(schema []byte, entry string) (string, error) {
	var root yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(schema, &root, yaml.UseOrderedMap()); err != nil {
		return "", err
	}
	s := walker{defs: get(root, "$defs")}
	fmt.Fprintf(&s.out, "| setting | type | default | meaning |\n| --- | --- | --- | --- |\n")
	s.properties("", root)
	text := strings.ReplaceAll(s.out.String(), "| `"+entry+"[].", "| `")
	begin := strings.Index(text, "| `"+entry+"` |")
	end := begin + strings.Index(text[begin:], "\n") + 1
	text = text[:begin] + text[end:] // the row of the list itself
	if len(s.bare) > 0 {
		return "", fmt.Errorf("without a description: %s", strings.Join(s.bare, ", "))
	}
	return text, nil
}

type walker struct {
	defs yaml.MapSlice
	out  strings.Builder
	bare []string // paths without a description
	// within are the definitions that the present setting is a part of: one that refers to
	// itself is described once.
	within map[string]bool
}

func (s *walker) properties(path string, node yaml.MapSlice) {
	if ref, _ := value(node, "$ref").(string); ref != "" {
		if s.within[ref] {
			return
		}
		if s.within == nil {
			s.within = map[string]bool{}
		}
		s.within[ref] = true
		defer delete(s.within, ref)
	}
	required := map[string]bool{}
	for _, name := range list(node, "required") {
		required[name] = true
	}
	for _, p := range get(node, "properties") {
		name := p.Key.(string)
		s.setting(path+name, s.resolved(p.Value.(yaml.MapSlice)), required[name])
	}
}

// resolved returns a node with the definition that it refers to.
func (s *walker) resolved(node yaml.MapSlice) yaml.MapSlice {
	ref, _ := value(node, "$ref").(string)
	if ref == "" {
		return node
	}
	return append(node[:len(node):len(node)], get(s.defs, strings.TrimPrefix(ref, "#/$defs/"))...)
}

func (s *walker) setting(path string, node yaml.MapSlice, required bool) {
	description, _ := value(node, "description").(string)
	if description == "" {
		s.bare = append(s.bare, path)
	}
	otherwise := ""
	if d := value(node, "default"); d != nil {
		otherwise = "`" + strings.Trim(strings.ReplaceAll(fmt.Sprint(d), " ", "`, `"), "[]") + "`"
	} else if required {
		otherwise = "*required*"
	}
	fmt.Fprintf(&s.out, "| `%s` | %s | %s | %s |\n", path, s.kind(node), otherwise, strings.ReplaceAll(description, "|", "\\|"))
	s.properties(path+".", node)
	if otherwise := s.resolved(get(node, "else")); otherwise != nil {
		s.properties(path+".", otherwise)
	}
	if items := s.resolved(get(node, "items")); items != nil {
		s.properties(path+"[].", items)
	}
}

// kind describes the values of a setting.
func (s *walker) kind(node yaml.MapSlice) string {
	if values := list(node, "enum"); len(values) > 0 {
		return "`" + strings.Join(values, "`, `") + "`"
	}
	if pattern, _ := value(node, "patternErrorMessage").(string); strings.Contains(pattern, "length of time") {
		return "length of time"
	}
	var kinds []string
	switch k := value(node, "type").(type) {
	case string:
		kinds = []string{k}
	default:
		kinds = list(node, "type")
	}
	text := strings.Join(kinds, " or ")
	if items := s.resolved(get(node, "items")); items != nil && text == "array" {
		if of := s.kind(items); of != "object" {
			return "list of " + of
		}
		return "list"
	}
	var bounds []string
	for _, b := range []struct{ key, words string }{{"minimum", "%v or more"}, {"exclusiveMinimum", "above %v"}, {"maximum", "at most %v"}, {"maxLength", "at most %v characters"}} {
		if v := value(node, b.key); v != nil && fmt.Sprint(v) != "9007199254740991" {
			bounds = append(bounds, fmt.Sprintf(b.words, v))
		}
	}
	if len(bounds) > 0 {
		text += ", " + strings.Join(bounds, ", ")
	}
	return strings.NewReplacer("array", "list", "string", "text", "boolean", "true or false").Replace(text)
}

func value(node yaml.MapSlice, key string) any {
	for _, item := range node {
		if item.Key == key {
			return item.Value
		}
	}
	return nil
}

func get(node yaml.MapSlice, key string) yaml.MapSlice {
	m, _ := value(node, key).(yaml.MapSlice)
	return m
}

func list(node yaml.MapSlice, key string) (texts []string) {
	values, _ := value(node, key).([]any)
	for _, v := range values {
		texts = append(texts, fmt.Sprint(v))
	}
	return texts
}

// Commands returns the documentation of a program's commands, with examples and flags.
func Commands(root *cobra.Command) string {
	var out strings.Builder
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		describe(&out, c)
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				describe(&out, sub)
			}
		}
	}
	return out.String()
}

func describe(out *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(out, "## %s\n\n%s\n\n```text\n%s\n", c.CommandPath(), cmp.Or(strings.TrimSpace(c.Long), c.Short+"."), c.UseLine())
	for _, alias := range c.Aliases {
		fmt.Fprintf(out, "%s %s  (another name)\n", c.Parent().CommandPath(), alias)
	}
	if c.Example != "" {
		fmt.Fprintf(out, "\n%s\n", c.Example)
	}
	out.WriteString("```\n\n")
	var rows strings.Builder
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if kind != "" {
			name += " " + strings.ToUpper(kind)
		}
		otherwise := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && f.DefValue != "0s" {
			otherwise = " (default `" + f.DefValue + "`)"
		}
		fmt.Fprintf(&rows, "| %s` | %s%s |\n", name, strings.ReplaceAll(usage, "|", "\\|"), otherwise)
	})
	if rows.Len() > 0 {
		fmt.Fprintf(out, "| flag | |\n| --- | --- |\n%s\n", rows.String())
	}
}
