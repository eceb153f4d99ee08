package where

import (
	"sort"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/columnar"
)

// truth is a truth value of SQL. As numbers, and is the minimum, or the maximum.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// node is a part of a compiled condition.
type node interface {
	// rows writes the truth for each row.
	rows(columns []arrow.Array, out []truth) error
	// may reports whether the truth can be yes, and whether it can be no, for any row
	// within the bounds.
	may(bounds func(column int) columnar.Bounds) (canYes, canNo bool)
}

// Rows reports which of the n rows match. The columns are those of Columns, in the same order.
func (f *Filter) Rows(columns []arrow.Array, n int) ([]bool, error) {
	f.out = resized(f.out, n)
	if err := f.root.rows(columns, f.out); err != nil {
		return nil, err
	}
	match := make([]bool, n)
	for i, t := range f.out {
		match[i] = t == yes
	}
	return match, nil
}

// May reports whether any row within the bounds can match.
func (f *Filter) May(bounds func(column int) columnar.Bounds) bool {
	can, _ := f.root.may(bounds)
	return can
}

func resized(s []truth, n int) []truth {
	if cap(s) < n {
		return make([]truth, n)
	}
	return s[:n]
}

// several is all or any of its parts.
type several struct {
	parts []node
	any   bool
	out   []truth // of a part
}

func (s *several) rows(columns []arrow.Array, out []truth) error {
	if err := s.parts[0].rows(columns, out); err != nil {
		return err
	}
	s.out = resized(s.out, len(out))
	for _, p := range s.parts[1:] {
		if err := p.rows(columns, s.out); err != nil {
			return err
		}
		for i, t := range s.out {
			if s.any {
				out[i] = max(out[i], t)
			} else {
				out[i] = min(out[i], t)
			}
		}
	}
	return nil
}

func (s *several) may(bounds func(int) columnar.Bounds) (canYes, canNo bool) {
	canYes, canNo = !s.any, s.any
	for _, p := range s.parts {
		y, n := p.may(bounds)
		if s.any {
			canYes, canNo = canYes || y, canNo && n
		} else {
			canYes, canNo = canYes && y, canNo || n
		}
	}
	return canYes, canNo
}

type not struct{ node }

func (n not) rows(columns []arrow.Array, out []truth) error {
	err := n.node.rows(columns, out)
	for i, t := range out {
		out[i] = yes - t
	}
	return err
}

func (n not) may(bounds func(int) columnar.Bounds) (canYes, canNo bool) {
	canNo, canYes = n.node.may(bounds)
	return canYes, canNo
}

type isNull struct{ column int }

func (n isNull) rows(columns []arrow.Array, out []truth) error {
	v := valuesOf(columns[n.column])
	for i := range out {
		_, ok := v.at(i)
		out[i] = truthOf(!ok)
	}
	return nil
}

func (n isNull) may(bounds func(int) columnar.Bounds) (canYes, canNo bool) {
	b := bounds(n.column)
	return b.Nulls != 0, b.Nulls < 0 || b.Rows < 0 || b.Nulls < b.Rows
}

type is struct {
	column int
	want   bool
}

func (n is) rows(columns []arrow.Array, out []truth) error {
	v := valuesOf(columns[n.column])
	values, _ := v.arr.(*array.Boolean)
	for i := range out {
		out[i] = unknown
		if at, ok := v.at(i); ok && values != nil {
			out[i] = truthOf(values.Value(at) == n.want)
		}
	}
	return nil
}

func (n is) may(bounds func(int) columnar.Bounds) (canYes, canNo bool) {
	b := bounds(n.column)
	values, ok := valuesOf(b.Range).arr.(*array.Boolean)
	switch {
	case b.AllNull():
		return false, false
	case !ok:
		return true, true
	}
	lower, upper := values.Value(0), values.Value(1)
	return lower == n.want || upper == n.want, lower != n.want || upper != n.want
}

// operator is how a value is compared with the literals.
type operator int

const (
	equals    operator = iota // any of them
	notEquals                 // all of them
	less
	atLeast
	greater
)

// comparison compares a column with literals, which are in ascending order.
type comparison struct {
	column   int
	op       operator
	literals []literal
	compare  []comparer // of the array, by literal
}

// bind prepares for the values of an array. It reports whether there are any.
func (n *comparison) bind(arr arrow.Array) (bool, error) {
	if arr.DataType().ID() == arrow.NULL {
		return false, nil
	}
	n.compare = n.compare[:0]
	for _, l := range n.literals {
		c, err := newComparer(arr, l)
		if err != nil {
			return false, err
		}
		n.compare = append(n.compare, c)
	}
	return true, nil
}

func (n *comparison) rows(columns []arrow.Array, out []truth) error {
	v := valuesOf(columns[n.column])
	known, err := n.bind(v.arr)
	if err != nil {
		return err
	}
	for i := range out {
		out[i] = unknown
		if at, ok := v.at(i); ok && known {
			out[i] = n.truth(at)
		}
	}
	return nil
}

// truth returns the truth for a value.
func (n *comparison) truth(i int) truth {
	c, ok := n.compare[0](i)
	if !ok {
		return unknown
	}
	if len(n.compare) > 1 && c > 0 {
		// The first literal that is not below the value.
		k := sort.Search(len(n.compare)-1, func(k int) bool { c, _ := n.compare[k](i); return c <= 0 })
		c, _ = n.compare[k](i)
	}
	switch n.op {
	case equals:
		return truthOf(c == 0)
	case notEquals:
		return truthOf(c != 0)
	case less:
		return truthOf(c < 0)
	case atLeast:
		return truthOf(c >= 0)
	default:
		return truthOf(c > 0)
	}
}

func (n *comparison) may(bounds func(int) columnar.Bounds) (canYes, canNo bool) {
	b := bounds(n.column)
	if b.AllNull() {
		return false, false
	}
	if b.Range == nil {
		return true, true
	}
	v := valuesOf(b.Range)
	low, ok := v.at(0)
	high, ok2 := v.at(1)
	if known, err := n.bind(v.arr); err != nil || !known || !ok || !ok2 {
		return true, true
	}
	within, alone := false, false // a literal within the bounds, and one that is both
	var lower, upper int
	for _, compare := range n.compare {
		lower, ok = compare(low)
		upper, ok2 = compare(high)
		if !ok || !ok2 || lower > upper {
			return true, true
		}
		within = within || lower <= 0 && upper >= 0
		alone = alone || lower == 0 && upper == 0
	}
	switch n.op {
	case equals:
		return within, !alone
	case notEquals:
		return !alone, within
	case less:
		return lower < 0, upper >= 0
	case atLeast:
		return upper >= 0, lower < 0
	default:
		return upper > 0, lower <= 0
	}
}

// values are the values of an array, whatever its encoding.
type values struct {
	arr arrow.Array
	at  func(i int) (at int, ok bool) // the place of row i in arr; ok is false for null
}

func valuesOf(arr arrow.Array) values {
	switch a := arr.(type) {
	case nil:
		return values{}
	case *array.Null: // whose IsNull is false
		return values{arr, func(int) (int, bool) { return 0, false }}
	case *array.Dictionary:
		inner := valuesOf(a.Dictionary())
		return values{inner.arr, func(i int) (int, bool) {
			if a.IsNull(i) {
				return 0, false
			}
			return inner.at(a.GetValueIndex(i))
		}}
	}
	return values{arr, func(i int) (int, bool) { return i, !arr.IsNull(i) }}
}
