package columnar

import "github.com/apache/arrow/go/v15/arrow"

// Bounds is what is known of a column's values in a row group or a file.
type Bounds struct {
	// Range has a lower and an upper bound of the values that are neither null nor NaN. They
	// need not be values of the column. It is nil if they are not known.
	Range arrow.Array
	// Nulls is how many values are null, Rows how many rows there are; -1 is unknown.
	Nulls, Rows int64
}

// Unbounded are the bounds of a column of which nothing is known.
var Unbounded = Bounds{Nulls: -1, Rows: -1}

// AllNull reports whether no value is known to be other than null.
func (b Bounds) AllNull() bool { return b.Rows >= 0 && b.Nulls == b.Rows }

// Bounded is a File that knows bounds of the values in its row groups.
type Bounded interface {
	File
	// Groups returns how many row groups there are.
	Groups() int
	// Bounds returns the bounds of a column in a row group.
	Bounds(group int, path []int) Bounds
}
