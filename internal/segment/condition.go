package segment

import (
	"errors"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/delta"
	"iterable-segment-export/internal/where"
	"iterable-segment-export/schemas"
)

// condition is a segment's condition, compiled for one file after the other. A nil one
// matches all rows.
type condition struct {
	condition  *schemas.Condition
	now        time.Time
	names      []string
	from       int  // the place of its first column among the segment's
	everything bool // nothing is ruled out by statistics
	types      []arrow.DataType
	filter     *where.Filter
}

func newCondition(want Columns, columns []Column) *condition {
	if want.Where == nil {
		return nil
	}
	names := where.Columns(want.Where)
	return &condition{condition: want.Where, now: want.Now, names: names, from: len(columns) - len(names), everything: want.Everything}
}

// compiled returns the filter for columns of these types.
func (c *condition) compiled(types []arrow.DataType) (*where.Filter, error) {
	if c.filter != nil && slices.EqualFunc(types, c.types, func(a, b arrow.DataType) bool { return arrow.TypeEqual(a, b) }) {
		return c.filter, nil
	}
	filter, err := where.Compile(c.condition, types, c.now)
	var bad *where.Error
	if errors.As(err, &bad) {
		return nil, columnar.ColumnError(schemas.ErrorColumn, bad.Column, "where: %w", bad.Err)
	}
	c.filter, c.types = filter, types
	return filter, err
}

// in returns the filter for a file, and its columns' paths there.
func (c *condition) in(fields []arrow.Field, paths [][]int) (*where.Filter, [][]int, error) {
	paths = paths[c.from : c.from+len(c.names)]
	types := make([]arrow.DataType, len(paths))
	for i, path := range paths {
		_, f := columnar.At(fields, path)
		types[i] = f.Type
	}
	filter, err := c.compiled(types)
	return filter, paths, err
}

// matcher evaluates the condition for the records of one file.
type matcher struct {
	*condition
	filter *where.Filter
	read   [][]int     // paths of the columns to read
	shared map[int]int // columns that are not read, since another one is the same
}

// matcher returns the matcher of a file, and which columns it reads: those of the condition, or
// of forEach, that are mapped too are read once.
func (r *reading) matcher(f columnar.File, paths [][]int) (m matcher, err error) {
	m = matcher{condition: r.condition, read: slices.Clone(paths), shared: map[int]int{}}
	for i, c := range r.Columns {
		if !r.wants(c.Role) {
			m.read[i] = nil
		}
	}
	for i, c := range r.Columns {
		if c.Role != Where && c.Role != ForEach || m.read[i] == nil {
			continue
		}
		path := m.read[i]
		m.read[i] = nil
		if same := slices.IndexFunc(m.read, func(p []int) bool { return slices.Equal(p, path) }); same >= 0 {
			m.shared[i] = same
		} else {
			m.read[i] = path
		}
	}
	for i, same := range m.shared {
		for next, ok := m.shared[same]; ok; next, ok = m.shared[same] {
			same = next
		}
		m.shared[i] = same
	}
	if m.condition == nil {
		return m, nil
	}
	m.filter, _, err = m.in(f.Described().Fields, paths)
	return m, err
}

// rows reports which rows of a record match, nil for all.
func (m matcher) rows(columns []arrow.Array, n int) ([]bool, error) {
	for i, same := range m.shared {
		columns[i].Release()
		columns[i] = columns[same]
		columns[same].Retain()
	}
	if m.condition == nil {
		return nil, nil
	}
	return m.filter.Rows(columns[m.from:m.from+len(m.names)], n)
}

// ruleOut finds the row groups of a file in which no row can match.
func (s *Segment) ruleOut(info *fileInfo, f columnar.File, paths [][]int) error {
	if s.condition == nil {
		return nil
	}
	filter, paths, err := s.condition.in(f.Described().Fields, paths)
	if err != nil {
		return err
	}
	bounded, ok := f.(columnar.Bounded)
	if !ok || s.condition.everything {
		return nil
	}
	skip, all := make([]bool, bounded.Groups()), bounded.Groups() > 0
	for g := range skip {
		skip[g] = !filter.May(func(i int) columnar.Bounds { return bounded.Bounds(g, paths[i]) })
		all = all && skip[g]
	}
	if info.out = all && f.Described().Rows >= 0; !info.out && slices.Contains(skip, true) {
		info.skip = skip
	}
	return nil
}

// ruleOutByLog finds the files of a Delta table in which no row can match, by the statistics
// in its log. They are not opened.
func (s *Segment) ruleOutByLog() error {
	c, t := s.condition, s.located.table
	if c == nil || t == nil {
		return nil
	}
	fields := make([]arrow.Field, len(t.Columns))
	for i, column := range t.Columns {
		fields[i].Name, fields[i].Type = column.Name, arrow.Null
	}
	columns, types := make([]*delta.Column, len(c.names)), make([]arrow.DataType, len(c.names))
	for i, name := range c.names {
		types[i] = arrow.Null
		if path, err := resolve(fields, name); err == nil { // else a file says what is wrong, or has the member of a struct
			columns[i] = &t.Columns[path[0]]
			types[i] = columns[i].ConstantType()
		}
	}
	filter, err := c.compiled(types)
	if err != nil || c.everything {
		return err
	}
	for i := range t.Files {
		st := t.Files[i].Statistics()
		if st == nil {
			continue
		}
		may := filter.May(func(i int) columnar.Bounds {
			if columns[i] == nil {
				return columnar.Unbounded
			}
			return st.Bounds(columns[i])
		})
		if !may {
			s.files[i].out, s.files[i].rows, s.files[i].unopened = true, st.Rows, true
		}
	}
	return nil
}

// skip counts rows that are not read, from first on.
func (r *reading) skip(first, n int64, deleted *roaring64.Bitmap) {
	r.skipped.Rows += n
	if deleted != nil && n > 0 {
		gone := deleted.Rank(uint64(first + n - 1))
		if first > 0 {
			gone -= deleted.Rank(uint64(first - 1))
		}
		r.skipped.Rows -= int64(gone)
	}
}

// leaveOut counts the rows of a file that is not read.
func (r *reading) leaveOut(info *fileInfo) {
	r.skipped.Files++
	r.skipped.Rows += info.rows
	if info.data != nil {
		r.skipped.Rows -= info.data.Deleted()
	}
}

// Skipped returns what the last Read did not have to read. It is complete when the reading
// has ended.
func (s *Segment) Skipped() schemas.Skipped { return s.skipped }
