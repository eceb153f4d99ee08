package segment

import (
	"errors"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/delta"
	"iterable-segment-export/internal/parquetfile"
)

// projected is a file with the segment's columns: some are not stored in the file, such
// as a partition's, and others have other names there.
type projected struct {
	columnar.File
	fields []arrow.Field
	from   []origin // by field
}

// origin is the source of a column.
type origin struct {
	column int         // its index in the file; -1 if the column is constant
	value  arrow.Array // the single element of a constant
}

func (p *projected) stored(field arrow.Field, column int) {
	p.fields = append(p.fields, field)
	p.from = append(p.from, origin{column: column})
}

func (p *projected) constant(name string, value arrow.Array) {
	dt := value.DataType()
	if dt.ID() != arrow.NULL {
		dt = constantType(dt)
	}
	p.fields = append(p.fields, arrow.Field{Name: name, Type: dt, Nullable: true})
	p.from = append(p.from, origin{column: -1, value: value})
}

// constantType returns the type of a column with one value in all rows.
func constantType(dt arrow.DataType) arrow.DataType {
	return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: dt}
}

// Described implements columnar.File.
func (p *projected) Described() *columnar.Description {
	d := *p.File.Described()
	d.Fields = p.fields
	return &d
}

// inner returns the paths to the columns in the file, nil for constants.
func (p *projected) inner(paths [][]int) [][]int {
	out := make([][]int, len(paths))
	for i, path := range paths {
		if path != nil && p.from[path[0]].column >= 0 {
			out[i] = append([]int{p.from[path[0]].column}, path[1:]...)
		}
	}
	return out
}

// Groups implements columnar.Bounded.
func (p *projected) Groups() int {
	if b, ok := p.File.(columnar.Bounded); ok {
		return b.Groups()
	}
	return 1
}

// Bounds implements columnar.Bounded. A constant bounds itself.
func (p *projected) Bounds(group int, path []int) columnar.Bounds {
	bounds := columnar.Unbounded
	if bounded, ok := p.File.(columnar.Bounded); ok {
		bounds = bounded.Bounds(group, p.inner([][]int{path})[0])
	} else {
		bounds.Rows = p.File.Described().Rows
	}
	value := p.from[path[0]].value
	switch {
	case value == nil:
	case value.DataType().ID() == arrow.NULL || value.IsNull(0):
		bounds.Nulls = bounds.Rows
	default:
		bounds.Range, bounds.Nulls = repeated(value, 2), 0
	}
	return bounds
}

// Check implements columnar.File.
func (p *projected) Check(paths [][]int) error { return p.File.Check(p.inner(paths)) }

// Open implements columnar.File.
func (p *projected) Open(src *columnar.Source, paths [][]int, opts Options) (columnar.Batches, error) {
	b, err := p.File.Open(src, p.inner(paths), opts)
	if err != nil {
		return nil, err
	}
	return &projectedBatches{Batches: b, file: p, paths: paths}, nil
}

type projectedBatches struct {
	columnar.Batches
	file  *projected
	paths [][]int
}

// Next implements columnar.Batches.
func (b *projectedBatches) Next() ([]arrow.Array, int, error) {
	columns, n, err := b.Batches.Next()
	if err != nil || columns == nil {
		return nil, n, err
	}
	for i, path := range b.paths {
		if path == nil {
			continue
		}
		if value := b.file.from[path[0]].value; value != nil && value.DataType().ID() != arrow.NULL {
			columns[i].Release()
			columns[i] = repeated(value, n)
		}
	}
	return columns, n, nil
}

// repeated returns an array of n times the same value.
func repeated(value arrow.Array, n int) arrow.Array {
	index := []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, n))}
	data := array.NewDataWithDictionary(constantType(value.DataType()), n, index, 0, 0, value.Data().(*array.Data))
	defer data.Release()
	return array.MakeFromData(data)
}

// asTable returns a file of a Delta table with the table's columns.
func asTable(f columnar.File, t *delta.Table, file *delta.File) (*projected, error) {
	p := &projected{File: f}
	fields := f.Described().Fields
	if len(fields) > 0 && !hasIDs(fields) && slices.ContainsFunc(t.Columns, func(c delta.Column) bool { return c.ID != 0 && !c.Partition }) {
		return nil, errors.New("its columns have no IDs, and the Delta table finds columns by ID (delta.columnMapping.mode); write the file again")
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		at := -1
		if !c.Partition {
			at = c.In(fields)
		}
		switch {
		case c.Partition:
			value, err := c.Constant(file.Partition[c.Physical])
			if err != nil {
				return nil, err
			}
			p.constant(c.Name, value)
		case at < 0: // the file is older than the column
			p.constant(c.Name, array.NewNull(1))
		default:
			field := fields[at]
			if parquet, ok := f.(*parquetfile.File); ok {
				field = parquet.Reshape(at, c)
			}
			field.Name = c.Name
			p.stored(field, at)
		}
	}
	return p, nil
}

func hasIDs(fields []arrow.Field) bool {
	return slices.ContainsFunc(fields, func(f arrow.Field) bool { return f.Metadata.FindKey(parquetfile.FieldID) >= 0 })
}

// partitioned adds the columns of a file's partitions. They replace columns of the same
// name in the file, as in Hive and Spark.
func partitioned(f columnar.File, values []partitionValue) columnar.File {
	if len(values) == 0 {
		return f
	}
	p := &projected{File: f}
	for i, field := range f.Described().Fields {
		if !hasPartition(values, field.Name) {
			p.stored(field, i)
		}
	}
	for _, v := range values {
		p.constant(v.name, v.value)
	}
	return p
}
