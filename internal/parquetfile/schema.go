package parquetfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/schema"

	"iterable-segment-export/internal/columnar"
)

// Values of FieldRepetitionType.
const (
	required = 0
	optional = 1
	repeated = 2
)

// node is a column or a part of one: a leaf, whose values lie in the file, or a
// struct or list that is put together from its leaves by their levels. A map is
// a list of structs.
type node struct {
	name     string
	id       *int32 // field ID
	dt       arrow.DataType
	nullable bool
	levels   file.LevelInfo
	children []*node

	chunk   int // of a leaf: its number among the columns of a row group
	descr   *schema.Column
	convert converter // nil where the values are as Arrow has them
}

func (n *node) isLeaf() bool { return len(n.children) == 0 }

func (n *node) isList() bool {
	switch n.dt.(type) {
	case *arrow.ListType, *arrow.MapType:
		return true
	}
	return false
}

// tree builds the columns from the schema, which is a tree written as a list.
type tree struct {
	schema []element
	types  types
	next   int // element
	leaf   int
}

// columns returns the top-level columns.
func (t *tree) columns() ([]*node, error) {
	if err := checkTree(t.schema); err != nil {
		return nil, err
	}
	root := t.take()
	if root.Physical != nil {
		return nil, errThrift
	}
	out := make([]*node, root.Children)
	for i := range out {
		out[i] = t.node(file.LevelInfo{NullSlotUsage: 1}, t.types.hints[t.peek().Name])
	}
	return out, nil
}

// checkTree makes sure that the tree is whole and not nested too deep, before it
// is followed by recursion.
func checkTree(elements []element) error {
	// left holds, for each open group, the children still to come.
	var left []int32
	for i, e := range elements {
		if i > 0 {
			if len(left) == 0 {
				return errThrift
			}
			left[len(left)-1]--
		}
		if e.Children < 0 || int(e.Children) > len(elements) || e.Physical != nil && e.Children > 0 {
			return errThrift
		}
		if e.Children > 0 {
			left = append(left, e.Children)
		}
		for len(left) > 0 && left[len(left)-1] == 0 {
			left = left[:len(left)-1]
		}
		// The root is a level of its own, and a list takes two.
		if len(left) > 2*columnar.MaxNesting+1 {
			return fmt.Errorf("its columns are nested more than %d levels deep; flatten them", columnar.MaxNesting)
		}
	}
	if len(left) != 0 || len(elements) == 0 {
		return errThrift
	}
	return nil
}

func (t *tree) take() *element {
	t.next++
	return &t.schema[t.next-1]
}

// peek returns the element that take would.
func (t *tree) peek() *element { return &t.schema[t.next] }

// node builds the next element and all below it. hint is the type that the writer
// remarked on, nil where it did not.
func (t *tree) node(levels file.LevelInfo, hint arrow.DataType) *node {
	e := t.take()
	if e.Repetition == repeated { // a list without an annotation
		return t.listOf(e, levels, false, func(levels file.LevelInfo) *node { return t.inner(e, levels, member(hint, "")) })
	}
	isOptional := e.Repetition == optional
	if isOptional {
		levels.IncrementOptional()
	}
	kind := e.meaning().logical
	if e.Physical != nil || e.Children != 1 || t.peek().Repetition != repeated || kind != logicalList && kind != logicalMap {
		return t.inner(e, levels, hint)
	}
	if item := t.peek(); kind == logicalMap && item.Physical == nil && item.Children == 2 {
		return t.mapOf(e, levels, isOptional, member(hint, ""))
	}
	return t.listOf(e, levels, isOptional, func(levels file.LevelInfo) *node { return t.items(e, levels, member(hint, "")) })
}

// inner builds what the element is but for its repetition: a leaf or a struct.
func (t *tree) inner(e *element, levels file.LevelInfo, hint arrow.DataType) *node {
	n := &node{name: strings.Clone(e.Name), id: e.ID, nullable: e.Repetition == optional, levels: levels, chunk: -1}
	if e.Physical == nil {
		t.structOf(n, int(e.Children), levels, hint)
		return n
	}
	n.chunk = t.leaf
	t.leaf++
	var err error
	if n.dt, n.convert, err = t.types.leaf(e, hint); err == nil {
		n.descr, err = describe(e, levels)
	}
	if err != nil {
		n.dt = &columnar.Unsupported{Why: err}
	}
	return n
}

func (t *tree) structOf(n *node, children int, levels file.LevelInfo, hint arrow.DataType) {
	var fields []arrow.Field
	for range children {
		c := t.node(levels, member(hint, t.peek().Name))
		n.children = append(n.children, c)
		fields = append(fields, c.field())
	}
	// It stays a struct where a member is not supported, so that the others can be
	// mapped by their paths.
	if n.dt = arrow.StructOf(fields...); children == 0 {
		n.dt = &columnar.Unsupported{Why: errors.New("it is a group without columns")}
	}
}

// listOf builds a list whose items are made by the function.
func (t *tree) listOf(e *element, levels file.LevelInfo, nullable bool, items func(file.LevelInfo) *node) *node {
	n := &node{name: strings.Clone(e.Name), id: e.ID, nullable: nullable, chunk: -1}
	above := levels.IncrementRepeated()
	item := items(levels)
	n.children = []*node{item}
	n.dt = arrow.ListOf(item.dt)
	if why := columnar.Supported(item.dt); why != nil {
		n.dt = &columnar.Unsupported{Why: why}
	}
	n.levels = levels
	n.levels.RepeatedAncestorDefLevel = above
	return n
}

// items builds the items of a list with an annotation. The rules are those of
// parquet-format's LogicalTypes.md for files of all ages.
func (t *tree) items(list *element, levels file.LevelInfo, hint arrow.DataType) *node {
	e := *t.take()
	e.Repetition = required // its repetition is the list's
	if e.Physical != nil || e.Children != 1 || e.Name == "array" || e.Name == list.Name+"_tuple" || t.peek().Repetition == repeated {
		return t.inner(&e, levels, hint)
	}
	return t.node(levels, hint)
}

func (t *tree) mapOf(e *element, levels file.LevelInfo, nullable bool, hint arrow.DataType) *node {
	n := t.listOf(e, levels, nullable, func(levels file.LevelInfo) *node {
		kv := *t.take()
		kv.Repetition = required
		return t.inner(&kv, levels, hint)
	})
	if entry, ok := n.children[0].dt.(*arrow.StructType); ok {
		n.dt = arrow.MapOf(entry.Field(0).Type, entry.Field(1).Type)
	}
	return n
}

// field returns the node as a field, with its ID under the name that Arrow gives it.
func (n *node) field() arrow.Field {
	f := arrow.Field{Name: n.name, Type: n.dt, Nullable: n.nullable}
	if n.id != nil {
		f.Metadata = arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{strconv.Itoa(int(*n.id))})
	}
	return f
}

// Shape is how a table sees a column of its files: under which names, without what it
// has no more, and in the types that it has now.
type Shape interface {
	// Member returns the name of a struct's member in the table, and the shape of it,
	// nil where the table does not have it.
	Member(f arrow.Field) (name string, s Shape)
	// Item returns the shape of a list's items, or of a map's values; nil where the
	// table sees them as they are.
	Item() Shape
	// Widened returns the type of a leaf's values in the table, nil where it is theirs.
	Widened(dt arrow.DataType) arrow.DataType
}

// Reshape makes a top-level column what the table sees of it, but for its own name.
func (f *File) Reshape(column int, s Shape) arrow.Field {
	f.columns[column].reshape(s)
	f.Fields[column] = f.columns[column].field()
	return f.Fields[column]
}

func (n *node) reshape(s Shape) {
	if s == nil {
		return
	}
	switch n.dt.(type) {
	case *arrow.StructType:
		var fields []arrow.Field
		var kept []*node
		for _, c := range n.children {
			name, inner := s.Member(c.field())
			if inner == nil {
				continue
			}
			c.reshape(inner)
			c.name = name
			kept, fields = append(kept, c), append(fields, c.field())
		}
		if kept == nil { // for its levels, and not shown
			kept = n.children[:1]
		}
		n.children, n.dt = kept, arrow.StructOf(fields...)
	case *arrow.ListType:
		n.children[0].reshape(s.Item())
		if n.dt = arrow.ListOf(n.children[0].dt); columnar.Supported(n.children[0].dt) != nil {
			n.dt = n.children[0].dt
		}
	case *arrow.MapType:
		key, value := n.children[0].children[0], n.children[0].children[1]
		value.reshape(s.Item())
		if n.dt = arrow.MapOf(key.dt, value.dt); columnar.Supported(value.dt) != nil {
			n.dt = value.dt
		}
	default:
		if wide := s.Widened(n.dt); wide != nil && n.isLeaf() && columnar.Supported(n.dt) == nil {
			n.convert = widening(n.dt, n.convert)
			n.dt = wide
		}
	}
}

// leaves returns the leaves that make up the node.
func (n *node) leaves() []*node {
	if n.isLeaf() {
		return []*node{n}
	}
	var out []*node
	for _, c := range n.children {
		out = append(out, c.leaves()...)
	}
	return out
}

// describe makes Arrow's description of a leaf, which knows only its physical
// type: what that means is for the converter.
func describe(e *element, levels file.LevelInfo) (*schema.Column, error) {
	n, err := schema.NewPrimitiveNode("value", parquet.Repetitions.Required, parquet.Type(*e.Physical), -1, e.Length)
	if err != nil {
		return nil, err
	}
	return schema.NewColumn(n, levels.DefLevel, levels.RepLevel), nil
}
