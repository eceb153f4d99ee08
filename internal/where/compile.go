package where

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/schemas"
)

// Bounds on the size of a condition.
const (
	mostNested = 16
	mostParts  = 500
)

// Filter is a compiled condition. It is for one goroutine.
type Filter struct {
	root node
	out  []truth
}

// Columns returns the columns that a condition names, each once.
func Columns(c *schemas.Condition) []string {
	var out []string
	var add func(c *schemas.Condition)
	add = func(c *schemas.Condition) {
		if c.Column != "" && !slices.Contains(out, c.Column) {
			out = append(out, c.Column)
		}
		for i := range c.All {
			add(&c.All[i])
		}
		for i := range c.Any {
			add(&c.Any[i])
		}
		if c.Not != nil {
			add(c.Not)
		}
	}
	if c != nil {
		add(c)
	}
	return out
}

// Check checks a condition as far as that is possible without the types of its columns.
func Check(c *schemas.Condition) error {
	_, err := Compile(c, nil, time.Now())
	return err
}

// Error is what is wrong with a condition. It never contains the values that the condition
// compares with.
type Error struct {
	// Column is the column at fault, or empty.
	Column string
	Err    error
}

func (e *Error) Error() string {
	if e.Column == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("column %q: %v", e.Column, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Compile compiles a condition. types has the type of each column that Columns returns, in
// the same order; nil leaves the types unchecked. now is what moments are relative to.
func Compile(c *schemas.Condition, types []arrow.DataType, now time.Time) (*Filter, error) {
	p := compiler{columns: Columns(c), types: types, now: now}
	root, err := p.condition(c, 0)
	return &Filter{root: root}, err
}

type compiler struct {
	columns []string
	types   []arrow.DataType
	now     time.Time
	parts   int
}

func (p *compiler) condition(c *schemas.Condition, depth int) (node, error) {
	if p.parts++; p.parts > mostParts || depth > mostNested {
		return nil, &Error{Err: fmt.Errorf("a condition can have at most %d parts, nested at most %d deep", mostParts, mostNested)}
	}
	forms := 0
	for _, set := range []bool{c.Column != "", c.All != nil, c.Any != nil, c.Not != nil} {
		if set {
			forms++
		}
	}
	if forms != 1 {
		return nil, &Error{Column: c.Column, Err: errors.New("a condition has either a column with an operator, or one of all, any and not")}
	}
	if c.Column != "" {
		return p.comparisons(c)
	}
	if p.hasOperator(c) {
		return nil, &Error{Err: errors.New("an operator needs a column; put it beside its column, inside all, any or not")}
	}
	if c.Not != nil {
		inner, err := p.condition(c.Not, depth+1)
		return not{inner}, err
	}
	var parts []node
	for _, list := range [][]schemas.Condition{c.All, c.Any} {
		for i := range list {
			n, err := p.condition(&list[i], depth+1)
			if err != nil {
				return nil, err
			}
			parts = append(parts, n)
		}
	}
	if len(parts) == 0 {
		return nil, &Error{Err: errors.New("all and any need at least one condition")}
	}
	return &several{parts: parts, any: c.Any != nil}, nil
}

func (p *compiler) hasOperator(c *schemas.Condition) bool {
	return c.Is != nil || c.IsNull != nil || c.Before+c.After != "" || c.In != nil || c.NotIn != nil ||
		c.Equals+c.NotEquals+c.LessThan+c.AtLeast != ""
}

// comparisons compiles a condition on one column, whose operators must all hold.
func (p *compiler) comparisons(c *schemas.Condition) (node, error) {
	if !p.hasOperator(c) {
		return nil, &Error{Column: c.Column, Err: errors.New("the condition has no operator; use is, equals, notEquals, in, notIn, lessThan, atLeast, before, after or isNull")}
	}
	column := slices.Index(p.columns, c.Column)
	var parts []node
	if c.IsNull != nil {
		var n node = isNull{column}
		if !*c.IsNull {
			n = not{n}
		}
		parts = append(parts, n)
	}
	if c.Is != nil {
		if err := p.allow("is", columnar.KindBoolean, column, columnar.KindBoolean); err != nil {
			return nil, err
		}
		parts = append(parts, is{column, *c.Is})
	}
	for _, o := range []struct {
		name   string
		op     operator
		values []schemas.Literal
	}{
		{"equals", equals, literals(c.Equals)}, {"in", equals, c.In}, {"notEquals", notEquals, literals(c.NotEquals)},
		{"notIn", notEquals, c.NotIn}, {"lessThan", less, literals(c.LessThan)}, {"atLeast", atLeast, literals(c.AtLeast)},
	} {
		if o.values == nil {
			continue
		}
		n, err := p.comparison(o.name, o.op, column, o.values)
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
	}
	for _, o := range []struct {
		name, text string
		op         operator
	}{{"before", c.Before, less}, {"after", c.After, greater}} {
		if o.text == "" {
			continue
		}
		t, err := parseMoment(o.text, p.now)
		if err != nil {
			return nil, &Error{Column: c.Column, Err: fmt.Errorf("%s: %w", o.name, err)}
		}
		if err := p.allow(o.name, columnar.KindTimestamp, column, columnar.KindDate, columnar.KindTimestamp); err != nil {
			return nil, err
		}
		parts = append(parts, &comparison{column: column, op: o.op, literals: []literal{{moment: t}}})
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return &several{parts: parts}, nil
}

// literals returns the literal as a list, nil if it is not set.
func literals(l schemas.Literal) []schemas.Literal {
	if l == "" {
		return nil
	}
	return []schemas.Literal{l}
}

var errAddress = errors.New("a value is an e-mail address; the condition can be seen by viewers and in Temporal, so put addresses into a suppression list or a file, not into the condition")

// isAddress reports whether a text is an e-mail address.
func isAddress(text string) bool {
	_, reason := email.Normalize([]byte(text), nil, email.Options{AllowUnknownTLD: true})
	return reason == ""
}

// CheckPeople returns an error if a condition names people by one of the columns that
// identify them.
func CheckPeople(c *schemas.Condition, identifiers ...string) error {
	named := len(c.Equals) > 0 || len(c.NotEquals) > 0 || len(c.In) > 0 || len(c.NotIn) > 0
	if named && slices.ContainsFunc(identifiers, func(id string) bool { return id != "" && strings.EqualFold(id, c.Column) }) {
		return &Error{Column: c.Column, Err: errors.New("it identifies people, and the condition can be seen by viewers and in Temporal; only isNull, lessThan and atLeast can be used with it")}
	}
	for _, list := range [][]schemas.Condition{c.All, c.Any} {
		for i := range list {
			if err := CheckPeople(&list[i], identifiers...); err != nil {
				return err
			}
		}
	}
	if c.Not != nil {
		return CheckPeople(c.Not, identifiers...)
	}
	return nil
}

// comparison compiles one operator with its values.
func (p *compiler) comparison(name string, op operator, column int, values []schemas.Literal) (node, error) {
	n := &comparison{column: column, op: op}
	fail := func(err error) (node, error) {
		return nil, &Error{Column: p.columns[column], Err: fmt.Errorf("%s: %w", name, err)}
	}
	if len(values) == 0 {
		return fail(errors.New("the list is empty"))
	}
	date := p.types != nil && columnar.KindOf(p.types[column]) == columnar.KindDate && (op == equals || op == notEquals)
	for _, v := range values {
		var l literal
		text, isText := v.Text()
		of := columnar.KindText
		switch {
		case isText && date:
			t, err := time.Parse(time.DateOnly, text)
			if err != nil {
				return fail(errors.New("the column has dates; write them like 2026-03-01"))
			}
			l.moment, of = t, columnar.KindDate
		case v.IsBoolean():
			return fail(errors.New("a condition compares with a text or a number; use is: true or is: false"))
		case isText && isAddress(text):
			return fail(errAddress)
		case isText:
			l.text = []byte(text)
		default:
			var err error
			if l.number, err = parseNumber(v); err != nil {
				return fail(err)
			}
			of = columnar.KindNumber
		}
		if err := p.allow(name, of, column, of); err != nil {
			return nil, err
		}
		n.literals = append(n.literals, l)
	}
	if first := n.literals[0].number != nil; slices.ContainsFunc(n.literals, func(l literal) bool { return (l.number != nil) != first }) {
		return fail(errors.New("the list mixes texts and numbers"))
	}
	slices.SortFunc(n.literals, literal.compare)
	return n, nil
}

// allow returns an error if an operator with a value of one kind does not go with the type of
// the column.
func (p *compiler) allow(name string, of columnar.Kind, column int, kinds ...columnar.Kind) error {
	if p.types == nil {
		return nil
	}
	have := columnar.KindOf(p.types[column])
	if have == columnar.KindNull || slices.Contains(kinds, have) {
		return nil
	}
	hint := ""
	switch {
	case have == columnar.KindBoolean:
		hint = "; use is: true or is: false"
	case have == columnar.KindText && of == columnar.KindNumber:
		hint = "; put the number in quotes"
	case have == columnar.KindNumber && of == columnar.KindText:
		hint = "; write the number without quotes"
	case have == columnar.KindTimestamp, have == columnar.KindDate:
		hint = "; use before and after"
	case have != columnar.KindText && have != columnar.KindNumber:
		hint = "; only isNull can be used with it"
	}
	return &Error{Column: p.columns[column], Err: fmt.Errorf("its type %s can't be compared by %s with %s%s", p.types[column], name, of, hint)}
}
