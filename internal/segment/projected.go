package segment

import (
	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/delta"
)

// projected is a file as its segment has it: with columns that do not lie in the
// file, such as a partition's, or that have other names there.
type projected struct {
	columnar.File
	fields []arrow.Field
	from   []origin // by field
}

// origin says where a column comes from.
type origin struct {
	column int         // of the file; -1 where the column is constant
	value  arrow.Array // of a constant, its one element
	shape  *shape      // nil where the column is taken as it is
}

func (p *projected) stored(field arrow.Field, column int, s *shape) {
	if s != nil {
		field.Type = s.dt
	}
	p.fields = append(p.fields, field)
	p.from = append(p.from, origin{column: column, shape: s})
}

func (p *projected) constant(name string, value arrow.Array) {
	dt := value.DataType()
	if dt.ID() != arrow.NULL {
		dt = constantType(dt)
	}
	p.fields = append(p.fields, arrow.Field{Name: name, Type: dt, Nullable: true})
	p.from = append(p.from, origin{column: -1, value: value})
}

// constantType is the type of a column that has one value in all its rows.
func constantType(dt arrow.DataType) arrow.DataType {
	return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: dt}
}

// Described implements columnar.File.
func (p *projected) Described() *columnar.Description {
	d := *p.File.Described()
	d.Fields = p.fields
	return &d
}

// inner are the paths to the columns in the file, nil for constants.
func (p *projected) inner(paths [][]int) [][]int {
	out := make([][]int, len(paths))
	for i, path := range paths {
		if path == nil || p.from[path[0]].column < 0 {
			continue
		}
		o := p.from[path[0]]
		out[i] = append([]int{o.column}, o.shape.path(path[1:])...)
	}
	return out
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
	if err != nil {
		return nil, 0, err
	}
	for i, path := range b.paths {
		if path == nil {
			continue
		}
		o := b.file.from[path[0]]
		switch {
		case o.value != nil && o.value.DataType().ID() != arrow.NULL:
			columns[i].Release()
			columns[i] = repeated(o.value, n)
		case o.column >= 0:
			if s := o.shape.at(path[1:]); s != nil {
				data := s.apply(columns[i].Data())
				columns[i].Release()
				columns[i] = array.MakeFromData(data)
				data.Release()
			}
		}
	}
	return columns, n, nil
}

// repeated is an array that has one value n times.
func repeated(value arrow.Array, n int) arrow.Array {
	index := []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, n))}
	data := array.NewDataWithDictionary(constantType(value.DataType()), n, index, 0, 0, value.Data().(*array.Data))
	defer data.Release()
	return array.MakeFromData(data)
}

// shape is how a column of structs differs in a file: the names of its members, and
// members that the table has no more.
type shape struct {
	dt    arrow.DataType
	keep  []int    // of a struct: the file's number of each member
	inner []*shape // by member, or of the items
}

// shapeOf returns how a file's type is to be seen as the table's column, nil where
// it is the same.
func shapeOf(dt arrow.DataType, c *delta.Column, byID bool) *shape {
	if c == nil {
		return nil
	}
	switch dt := dt.(type) {
	case *arrow.StructType:
		s := &shape{}
		var fields []arrow.Field
		for i, f := range dt.Fields() {
			for m := range c.Members {
				member := &c.Members[m]
				if member.In([]arrow.Field{f}, byID) < 0 {
					continue
				}
				inner := shapeOf(f.Type, member, byID)
				if f.Name = member.Name; inner != nil {
					f.Type = inner.dt
				}
				fields, s.keep, s.inner = append(fields, f), append(s.keep, i), append(s.inner, inner)
				break
			}
		}
		s.dt = arrow.StructOf(fields...)
		return s
	case *arrow.ListType:
		if inner := shapeOf(dt.Elem(), c.Element, byID); inner != nil {
			return &shape{dt: arrow.ListOf(inner.dt), inner: []*shape{inner}}
		}
	case *arrow.MapType:
		if inner := shapeOf(dt.ItemType(), c.Element, byID); inner != nil {
			m := arrow.MapOf(dt.KeyType(), inner.dt)
			entries := &shape{dt: m.Elem(), keep: []int{0, 1}, inner: []*shape{nil, inner}}
			return &shape{dt: m, inner: []*shape{entries}}
		}
	}
	return nil
}

// path is a path through the column in the file.
func (s *shape) path(path []int) []int {
	if s == nil || len(path) == 0 {
		return path
	}
	return append([]int{s.keep[path[0]]}, s.inner[path[0]].path(path[1:])...)
}

// at is the shape of what lies at a path.
func (s *shape) at(path []int) *shape {
	for ; s != nil && len(path) > 0; path = path[1:] {
		s = s.inner[path[0]]
	}
	return s
}

// apply makes an array of the shape of the file's.
func (s *shape) apply(data arrow.ArrayData) arrow.ArrayData {
	if s == nil {
		data.Retain()
		return data
	}
	var children []arrow.ArrayData
	if s.keep == nil {
		children = append(children, s.inner[0].apply(data.Children()[0]))
	}
	for i, k := range s.keep {
		children = append(children, s.inner[i].apply(data.Children()[k]))
	}
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	return array.NewData(s.dt, data.Len(), data.Buffers(), children, data.NullN(), data.Offset())
}

// asTable sees a file of a Delta table as the table has it.
func asTable(f columnar.File, t *delta.Table, file *delta.File) (*projected, error) {
	p := &projected{File: f}
	fields := f.Described().Fields
	for i := range t.Columns {
		c := &t.Columns[i]
		at := -1
		if !c.Partition {
			at = c.In(fields, t.ByID)
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
			field.Name = c.Name
			p.stored(field, at, shapeOf(field.Type, c, t.ByID))
		}
	}
	return p, nil
}

// partitioned adds the columns of the folders that a file lies in. They come before
// columns of the same name in the file, as in Hive and Spark.
func partitioned(f columnar.File, values []partitionValue) columnar.File {
	if len(values) == 0 {
		return f
	}
	p := &projected{File: f}
	for i, field := range f.Described().Fields {
		if !hasPartition(values, field.Name) {
			p.stored(field, i, nil)
		}
	}
	for _, v := range values {
		p.constant(v.name, v.value)
	}
	return p
}
