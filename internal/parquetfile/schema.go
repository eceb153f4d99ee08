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

// node is a column or a part of one: a leaf, whose values are stored in the file, or a
// struct or list that is assembled from its leaves by their levels. A map is a list of
// structs.
type node struct {
	name     string
	id       *int32 // field ID
	dt       arrow.DataType
	nullable bool
	levels   file.LevelInfo
	children []*node

	chunk   int // of a leaf: its index among the columns of a row group
	descr   *schema.Column
	convert converter // nil if Arrow has the same values
}

func (n *node) isLeaf() bool { return len(n.children) == 0 }

func (n *node) isList() bool {
	switch n.dt.(type) {
	case *arrow.ListType, *arrow.MapType:
		return true
	}
	return false
}

// tree builds the columns from the schema, which is a tree stored as a list.
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
	root := t.advance()
	if root.Physical != nil {
		return nil, errThrift
	}
	out := make([]*node, root.Children)
	for i := range out {
		out[i] = t.node(file.LevelInfo{NullSlotUsage: 1}, t.types.hints[t.peek().Name])
	}
	return out, nil
}

// checkTree returns an error if the tree is incomplete or too deep for recursion.
func checkTree(elements []element) error {
	// left holds the number of remaining children of each open group.
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
		// The root is a level, and a list has two.
		if len(left) > 2*columnar.MaxNesting+1 {
			return fmt.Errorf("its columns are nested more than %d levels deep; flatten them", columnar.MaxNesting)
		}
	}
	if len(left) != 0 || len(elements) == 0 {
		return errThrift
	}
	return nil
}

// advance returns the next element, and moves to the one after it.
func (t *tree) advance() *element {
	t.next++
	return &t.schema[t.next-1]
}

// peek returns the next element.
func (t *tree) peek() *element { return &t.schema[t.next] }

// node builds the next element and all below it. hint is the type in the writer's own
// schema, or nil.
func (t *tree) node(levels file.LevelInfo, hint arrow.DataType) *node {
	e := t.advance()
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

// inner builds the leaf or struct of an element, without its repetition.
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
	// It stays a struct if a member is not supported, so that the others can be mapped
	// by their paths.
	if n.dt = arrow.StructOf(fields...); children == 0 {
		n.dt = &columnar.Unsupported{Why: errors.New("it is a group without columns")}
	}
}

// listOf builds a list. items builds its items.
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

// items builds the items of a list with an annotation, by the rules of parquet-format's
// LogicalTypes.md, which include those for old files.
func (t *tree) items(list *element, levels file.LevelInfo, hint arrow.DataType) *node {
	e := *t.advance()
	e.Repetition = required // its repetition is the list's
	if e.Physical != nil || e.Children != 1 || e.Name == "array" || e.Name == list.Name+"_tuple" || t.peek().Repetition == repeated {
		return t.inner(&e, levels, hint)
	}
	return t.node(levels, hint)
}

func (t *tree) mapOf(e *element, levels file.LevelInfo, nullable bool, hint arrow.DataType) *node {
	n := t.listOf(e, levels, nullable, func(levels file.LevelInfo) *node {
		kv := *t.advance()
		kv.Repetition = required
		return t.inner(&kv, levels, hint)
	})
	if entry, ok := n.children[0].dt.(*arrow.StructType); ok && columnar.Supported(n.dt) == nil {
		n.dt = arrow.MapOf(entry.Field(0).Type, entry.Field(1).Type)
	}
	return n
}

// FieldID is the key of a column's ID in the metadata of its field.
const FieldID = "PARQUET:field_id"

// field returns the node as a field, with its ID in Arrow's metadata.
func (n *node) field() arrow.Field {
	f := arrow.Field{Name: n.name, Type: n.dt, Nullable: n.nullable}
	if n.id != nil {
		f.Metadata = arrow.NewMetadata([]string{FieldID}, []string{strconv.Itoa(int(*n.id))})
	}
	return f
}

// Shape is a column's schema in a table: its current names, members and types, which can
// differ from those in an older file.
type Shape interface {
	// Member returns the name and shape of a struct's member in the table; the shape is
	// nil if the table lacks the member.
	Member(f arrow.Field) (name string, s Shape)
	// Item returns the shape of a list's items or of a map's values; nil if they are the
	// same in the file.
	Item() Shape
	// Widened returns the type in the table; nil if it is the same in the file, or is a
	// struct, list or map in both. It is a columnar.Unsupported if the file's can't become it.
	Widened(dt arrow.DataType) arrow.DataType
}

// Reshape changes a top-level column to its shape in the table, except for its own name.
func (f *File) Reshape(column int, s Shape) arrow.Field {
	f.columns[column].reshape(s)
	f.Fields[column] = f.columns[column].field()
	return f.Fields[column]
}

func (n *node) reshape(s Shape) {
	if s == nil || columnar.Supported(n.dt) != nil && n.isLeaf() {
		return
	}
	wide := s.Widened(n.dt)
	if wide != nil && columnar.Supported(wide) != nil {
		n.dt = wide
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
		if kept == nil { // its levels are needed; it is not in the struct's type
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
		if wide != nil {
			n.convert, n.dt = widening(n.dt, n.convert), wide
		}
	}
}

// leaves returns the leaves of the node.
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

// describe returns Arrow's description of a leaf. It has only the physical type; the
// converter knows the logical one.
func describe(e *element, levels file.LevelInfo) (*schema.Column, error) {
	n, err := schema.NewPrimitiveNode("value", parquet.Repetitions.Required, parquet.Type(*e.Physical), -1, e.Length)
	if err != nil {
		return nil, err
	}
	return schema.NewColumn(n, levels.DefLevel, levels.RepLevel), nil
}
