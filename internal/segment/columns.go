package segment

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/spelling"
	"iterable-segment-export/internal/where"
	"iterable-segment-export/schemas"
)

// Role is the purpose of a column.
type Role int

// Roles of a Column.
const (
	Email Role = iota
	UserID
	Field
	By
	ForEach
	Where
)

// Columns are the columns that an export maps.
type Columns struct {
	// Email and UserID identify a profile; one of them may be empty.
	Email, UserID string
	// Fields are the data fields.
	Fields schemas.Fields
	// By is the column that orders rows about the same profile; empty if none does.
	By string
	// ForEach is the column whose values have a list each; empty if none does.
	ForEach string
	// Where selects rows, all if it is nil. Now is what its moments are relative to.
	Where *schemas.Condition
	Now   time.Time
	// Everything reads the rows too that can't match Where by the statistics of their files.
	Everything bool
}

// Column is a mapped column of a segment.
type Column struct {
	// Name is the column's name or path in the segment's first file that has it.
	Name string
	Role Role
	// Field is the mapping of a data field, with As filled in; only for the role Field.
	Field schemas.Field
	// Type is the column's type in the first file in which it is not the null type.
	// In other files its type is of the same kind; each record's schema has the exact
	// one.
	Type arrow.DataType

	asked    string
	optional bool // a file may lack it
}

// asText returns the columns whose values in names of partitions are kept as text: those
// that identify a profile, and those with a configured type. With type number they are
// parsed: 03 is a number, but its text would not be one.
func (c Columns) asText() []string {
	out := []string{c.Email, c.UserID}
	for _, f := range c.Fields.List {
		if f.Column != "" && f.Type != "" && f.Type != "number" {
			out = append(out, f.Column)
		}
	}
	return out
}

// wanted returns the columns that a mapping names; fields "all" are found in the files.
func (c Columns) wanted() ([]Column, error) {
	if c.Email == "" && c.UserID == "" {
		return nil, &columnar.Error{Type: schemas.ErrorBadExport, Err: errors.New("the export maps neither an e-mail column nor a user ID column; set email or userID")}
	}
	var out []Column
	if c.Email != "" {
		out = append(out, Column{Role: Email, asked: c.Email})
	}
	if c.UserID != "" {
		out = append(out, Column{Role: UserID, asked: c.UserID})
	}
	for _, f := range c.Fields.List {
		if f.Value != "" {
			continue // a constant
		}
		if f.Column == "" {
			return nil, &columnar.Error{Type: schemas.ErrorBadExport, Err: errors.New("a mapped field has no column; set column")}
		}
		out = append(out, Column{Role: Field, asked: f.Column, Field: f})
	}
	if c.By != "" {
		out = append(out, Column{Role: By, asked: c.By})
	}
	if c.ForEach != "" {
		out = append(out, Column{Role: ForEach, asked: c.ForEach})
	}
	for _, name := range where.Columns(c.Where) {
		out = append(out, Column{Role: Where, asked: name})
	}
	return out, nil
}

// resolve finds the column that a name or a dotted path refers to. It returns indices
// into the fields and their children. An exact match is preferred; otherwise a single
// match that ignores case is used. A column whose name contains the dots is preferred to
// a path.
func resolve(fields []arrow.Field, asked string) ([]int, error) {
	exact := func(a, b string) bool { return a == b }
	parts := strings.Split(asked, ".")
	for _, same := range []func(a, b string) bool{exact, strings.EqualFold} {
		var found [][]int
		for i, f := range fields {
			if same(f.Name, asked) {
				found = append(found, []int{i})
			}
		}
		if len(found) == 0 && len(parts) <= columnar.MaxNesting {
			found = matches(fields, parts, same)
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			var names []string
			for _, f := range found[:min(len(found), 10)] {
				name, _ := columnar.At(fields, f)
				names = append(names, strconv.Quote(name))
			}
			return nil, columnar.ColumnError(schemas.ErrorColumn, asked, "the name matches more than one column: %s; write it exactly as the file does, or rename one of them", strings.Join(names, ", "))
		}
	}
	return nil, columnar.ColumnError(schemas.ErrorColumn, asked, "there is no such column%s the file has %s", guess(asked, fields), describe(fields))
}

// matches finds the paths through structs whose names, joined by dots, equal the parts.
// A name in the path may contain dots.
func matches(fields []arrow.Field, parts []string, same func(a, b string) bool) [][]int {
	var out [][]int
	for n := 1; n <= len(parts); n++ {
		name := strings.Join(parts[:n], ".")
		for i, f := range fields {
			if !same(f.Name, name) {
				continue
			}
			if n == len(parts) {
				out = append(out, []int{i})
				continue
			}
			if st, ok := f.Type.(*arrow.StructType); ok {
				for _, rest := range matches(st.Fields(), parts[n:], same) {
					out = append(out, append([]int{i}, rest...))
				}
			}
		}
	}
	return out
}

const (
	maxListed  = 60   // columns listed in an error
	maxGuessed = 1000 // columns compared with a misspelled name
)

// describe lists columns for an error, members of structs by their paths.
func describe(fields []arrow.Field) string {
	if len(fields) == 0 {
		return "no columns"
	}
	var names []string
	more := 0
	var add func(prefix string, fields []arrow.Field, depth int)
	add = func(prefix string, fields []arrow.Field, depth int) {
		for _, f := range fields {
			if len(names) == maxListed {
				more++
				continue
			}
			name := prefix + columnar.Shortened(f.Name, 100)
			names = append(names, fmt.Sprintf("%q", name))
			if st, ok := f.Type.(*arrow.StructType); ok && depth < 4 {
				add(name+".", st.Fields(), depth+1)
			}
		}
	}
	add("", fields, 0)
	out := "the columns " + strings.Join(names, ", ")
	if more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// guess returns a suggestion of similar names for an error.
func guess(asked string, fields []arrow.Field) string {
	var names []string
	for _, f := range fields[:min(len(fields), maxGuessed)] {
		names = append(names, columnar.Shortened(f.Name, 100))
	}
	if g := spelling.Guess(asked, names); g != "" {
		return g
	}
	return ";"
}

// pandasIndex matches the columns that pandas writes its row labels to.
var pandasIndex = regexp.MustCompile(`^__index_level_\d+__$`)

// resolver finds the mapped columns over a segment's files.
type resolver struct {
	columns []Column
	all     bool
	first   []string // by column: the file with its Type

	warnings []string
}

func (r *resolver) warn(text string) {
	if !slices.Contains(r.warnings, text) {
		r.warnings = append(r.warnings, text)
	}
}

func newResolver(want Columns) (*resolver, error) {
	columns, err := want.wanted()
	if err != nil {
		return nil, err
	}
	return &resolver{columns: columns, all: want.Fields.All, first: make([]string, len(columns))}, nil
}

// add resolves the columns in another file, and checks that their types are compatible
// with those in the files before.
func (r *resolver) add(file string, fields []arrow.Field) error {
	paths, err := r.paths(fields)
	if err != nil {
		return err
	}
	if r.all {
		if paths, err = r.addAll(fields, paths); err != nil {
			return err
		}
	}
	for i, path := range paths {
		if path == nil {
			continue
		}
		name, f := columnar.At(fields, path)
		if err := r.merge(i, file, name, f); err != nil {
			return err
		}
	}
	return nil
}

// addAll adds the top-level columns that are new in this file and do not identify the
// profile.
func (r *resolver) addAll(fields []arrow.Field, paths [][]int) ([][]int, error) {
	taken := map[int]bool{}
	for i, p := range paths {
		if len(p) == 1 && r.columns[i].Role <= Field {
			taken[p[0]] = true
		}
	}
	seen := map[string]bool{}
	for i, f := range fields {
		if taken[i] {
			continue
		}
		if pandasIndex.MatchString(f.Name) {
			r.warn(fmt.Sprintf("column %q is an index that pandas wrote and was left out of fields: all; list the fields to send it", f.Name))
			continue
		}
		if seen[f.Name] {
			return nil, columnar.ColumnError(schemas.ErrorColumn, f.Name, "more than one column has this name; rename one, or list the fields to send instead of \"all\"")
		}
		seen[f.Name] = true
		r.columns = append(r.columns, Column{Role: Field, asked: f.Name, optional: true, Field: schemas.Field{Column: f.Name}})
		r.first = append(r.first, "")
		paths = append(paths, []int{i})
	}
	return paths, nil
}

func (r *resolver) merge(i int, file, name string, f arrow.Field) error {
	c := &r.columns[i]
	if why := columnar.Supported(f.Type); why != nil {
		return columnar.ColumnError(schemas.ErrorColumn, name, "unsupported type: %w; leave the column out of the mapping, or write it with another type", why)
	}
	if c.Role == By && !ordered(f.Type) {
		return columnar.ColumnError(schemas.ErrorColumn, name, "its type %s does not order rows; dedupe.by needs a date, a timestamp or a number", f.Type)
	}
	if c.Role == ForEach && !identifies(UserID, f.Type) {
		return columnar.ColumnError(schemas.ErrorColumn, name, "its type %s can't name lists; forEach needs text or whole numbers", f.Type)
	}
	if c.Role < Field && !identifies(c.Role, f.Type) {
		what := "an e-mail address: it needs text"
		if c.Role == UserID {
			what = "a user ID: it needs text or whole numbers"
		}
		return columnar.ColumnError(schemas.ErrorColumn, name, "its type %s can't hold %s", f.Type, what)
	}
	switch {
	case c.Type == nil:
		c.Name = name
		if c.Role == Field && c.Field.As == "" {
			c.Field.As = f.Name
		}
	case columnar.KindOf(c.Type) == columnar.KindNull:
	case columnar.KindOf(f.Type) == columnar.KindNull:
		return nil
	case columnar.KindOf(c.Type) != columnar.KindOf(f.Type), columnar.KindOf(f.Type) == columnar.KindOther && !arrow.TypeEqual(c.Type, f.Type):
		return columnar.ColumnError(schemas.ErrorColumn, name, "its type is %s here and %s in file %s; the files of a segment must agree on it", f.Type, c.Type, r.first[i])
	default:
		return nil
	}
	c.Type, r.first[i] = f.Type, file
	return nil
}

// paths resolves the columns in one file; a path is nil if the file lacks an optional
// column.
func (r *resolver) paths(fields []arrow.Field) ([][]int, error) {
	out := make([][]int, len(r.columns))
	var byName map[string]int
	for i, c := range r.columns {
		if c.optional {
			if byName == nil {
				byName = make(map[string]int, len(fields))
				for j, f := range fields {
					byName[f.Name] = j
				}
			}
			if j, ok := byName[c.asked]; ok {
				out[i] = []int{j}
			}
			continue
		}
		path, err := resolve(fields, c.asked)
		if err != nil {
			return nil, err
		}
		out[i] = path
	}
	return out, nil
}
