package parquetfile

import (
	"errors"
	"fmt"
	"strconv"

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

// Members of LogicalType, by their numbers in parquet.thrift.
const (
	logicalString    = 1
	logicalMap       = 2
	logicalList      = 3
	logicalEnum      = 4
	logicalDecimal   = 5
	logicalDate      = 6
	logicalTime      = 7
	logicalTimestamp = 8
	logicalInteger   = 10
	logicalNull      = 11
	logicalJSON      = 12
	logicalUUID      = 14
	logicalFloat16   = 15
)

// Values of ConvertedType, from before there were logical types.
const (
	convertedString    = 0
	convertedMap       = 1
	convertedKeyValue  = 2
	convertedList      = 3
	convertedEnum      = 4
	convertedDecimal   = 5
	convertedDate      = 6
	convertedTimeMS    = 7
	convertedTimeUS    = 8
	convertedStampMS   = 9
	convertedStampUS   = 10
	convertedUint8     = 11
	convertedInt64     = 18
	convertedJSON      = 19
	convertedInterval  = 21
	convertedNotSet    = -1
	secondsOfJulianDay = 24 * 60 * 60
)

// node is a column or a part of one: a leaf, whose values lie in the file, or a
// struct or list that is put together from its leaves by their levels. A map is
// a list of structs.
type node struct {
	name     string
	id       int32 // field ID, -1 where not set
	dt       arrow.DataType
	nullable bool
	levels   file.LevelInfo
	children []*node

	chunk int // of a leaf: its number among the columns of a row group
	column
}

// column is what reading a leaf takes.
type column struct {
	descr   *schema.Column
	fixed   int // bytes of a value of fixed length, which is read as one of any length
	convert converter
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
	footer *footer
	types  types
	next   int // element
	leaf   int
}

// columns returns the top-level columns.
func (t *tree) columns() ([]*node, error) {
	if err := checkTree(t.footer.schema); err != nil {
		return nil, err
	}
	root := t.take()
	if root.physical != group {
		return nil, errThrift
	}
	out := make([]*node, root.children)
	for i := range out {
		out[i] = t.node(file.LevelInfo{NullSlotUsage: 1}, "")
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
		if e.children < 0 || int(e.children) > len(elements) || e.physical != group && e.children > 0 {
			return errThrift
		}
		if e.children > 0 {
			left = append(left, e.children)
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

func (t *tree) take() element {
	e := t.footer.schema[t.next]
	t.next++
	return e
}

func (t *tree) peek(ahead int) element { return t.footer.schema[t.next+ahead] }

// node builds the next element and all below it.
func (t *tree) node(levels file.LevelInfo, parent string) *node {
	e := t.take()
	path := e.name
	if parent != "" {
		path = parent + "." + e.name
	}
	if e.repetition == repeated { // a list without an annotation
		return t.listOf(e, levels, false, func(levels file.LevelInfo) *node { return t.inner(e, levels, path) })
	}
	if e.repetition == optional {
		levels.IncrementOptional()
	}
	if e.physical == group {
		switch {
		case e.isMap() && t.looksLikeMap(e):
			return t.mapOf(e, levels, path)
		case (e.isList() || e.isMap()) && e.children == 1 && t.peek(0).repetition == repeated:
			return t.listOf(e, levels, e.repetition == optional, func(levels file.LevelInfo) *node { return t.items(e, levels, path) })
		}
	}
	return t.inner(e, levels, path)
}

func (e element) isList() bool {
	return e.logical.member == logicalList || e.logical.member == 0 && e.converted == convertedList
}

func (e element) isMap() bool {
	return e.logical.member == logicalMap || e.logical.member == 0 && (e.converted == convertedMap || e.converted == convertedKeyValue)
}

func (t *tree) looksLikeMap(e element) bool {
	return e.children == 1 && t.peek(0).physical == group && t.peek(0).repetition == repeated && t.peek(0).children == 2
}

// inner builds what the element is but for its repetition: a leaf or a struct.
func (t *tree) inner(e element, levels file.LevelInfo, path string) *node {
	n := &node{name: e.name, id: e.id, nullable: e.repetition == optional, levels: levels, chunk: -1}
	if e.physical == group {
		t.structOf(n, int(e.children), levels, path)
		return n
	}
	n.chunk = t.leaf
	t.leaf++
	var err error
	if n.dt, n.column, err = t.types.leaf(e, levels, path); err != nil {
		n.dt = &columnar.Unsupported{Why: err}
	}
	return n
}

func (t *tree) structOf(n *node, children int, levels file.LevelInfo, path string) {
	var fields []arrow.Field
	var bad error
	for range children {
		c := t.node(levels, path)
		n.children = append(n.children, c)
		fields = append(fields, c.field())
		if u, ok := c.dt.(*columnar.Unsupported); ok && bad == nil {
			bad = fmt.Errorf("field %s of it: %w", c.name, u.Why)
		}
	}
	if n.dt = arrow.StructOf(fields...); children == 0 {
		bad = errors.New("it is a group without columns")
	}
	n.blame(bad)
}

// blame makes a node unsupported. A struct stays one, so that its other members
// can be mapped by their paths; reading it as a whole finds the bad member.
func (n *node) blame(err error) {
	if err != nil && len(n.children) == 0 {
		n.dt = &columnar.Unsupported{Why: err}
	}
}

// listOf builds a list whose items are made by the function.
func (t *tree) listOf(e element, levels file.LevelInfo, nullable bool, items func(file.LevelInfo) *node) *node {
	n := &node{name: e.name, id: e.id, nullable: nullable, chunk: -1}
	above := levels.IncrementRepeated()
	item := items(levels)
	n.children = []*node{item}
	n.dt = arrow.ListOf(item.dt)
	if u, ok := item.dt.(*columnar.Unsupported); ok {
		n.dt = u
	}
	n.levels = levels
	n.levels.RepeatedAncestorDefLevel = above
	return n
}

// items builds the items of a list with an annotation. The rules are those of
// parquet-format's LogicalTypes.md for files of all ages.
func (t *tree) items(list element, levels file.LevelInfo, path string) *node {
	e := t.take()
	path += "." + e.name
	e.repetition = required // its repetition is the list's
	if e.physical != group || e.children != 1 || e.name == "array" || e.name == list.name+"_tuple" || t.peek(0).repetition == repeated {
		return t.inner(e, levels, path)
	}
	return t.node(levels, path)
}

func (t *tree) mapOf(e element, levels file.LevelInfo, path string) *node {
	n := t.listOf(e, levels, e.repetition == optional, func(levels file.LevelInfo) *node {
		kv := t.take()
		kv.repetition = required
		return t.inner(kv, levels, path+"."+kv.name)
	})
	if entry, ok := n.children[0].dt.(*arrow.StructType); ok {
		n.dt = arrow.MapOf(entry.Field(0).Type, entry.Field(1).Type)
	}
	return n
}

// field returns the node as a field, with its ID under the name that Arrow gives it.
func (n *node) field() arrow.Field {
	f := arrow.Field{Name: n.name, Type: n.dt, Nullable: n.nullable}
	if n.id >= 0 {
		f.Metadata = arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{strconv.Itoa(int(n.id))})
	}
	return f
}

// unsupported returns why the node or a part of it can't be read.
func (n *node) unsupported() error {
	if u, ok := n.dt.(*columnar.Unsupported); ok {
		return u.Why
	}
	for _, c := range n.children {
		if err := c.unsupported(); err != nil {
			return err
		}
	}
	return nil
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
func describe(physical parquet.Type, levels file.LevelInfo) (*schema.Column, error) {
	n, err := schema.NewPrimitiveNode("value", parquet.Repetitions.Required, physical, -1, -1)
	if err != nil {
		return nil, err
	}
	return schema.NewColumn(n, levels.DefLevel, levels.RepLevel), nil
}
