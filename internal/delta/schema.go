package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/parquetfile"
)

// Column is a column of a table, or a member of a struct in one.
type Column struct {
	Name string
	// Physical is the column's name in the files and in partition values. ID is its field
	// ID there, 0 if columns are found by name.
	Physical string
	ID       int32
	// Partition reports whether the column's values are those of the files' partitions.
	Partition bool
	// Absent is the number of files for which the log has no value of a partition column,
	// not even null. Old versions of delta-rs leave out nulls, so they are read as null.
	Absent int
	// Type is the name of the type, such as "long", "struct", "array" or "map".
	Type string
	// Members are the members of a struct; Element is the element of an array, or the
	// value of a map.
	Members []Column
	Element *Column
}

// parseColumns reads a schema in JSON. mode is the column mapping: name, id, or none if the
// files have the same names.
func parseColumns(text, mode string) ([]Column, error) {
	root, err := parseType([]byte(text), mode, 0)
	if err != nil || root.Type != "struct" {
		return nil, errors.New("the schema in the Delta log is damaged; write the table again")
	}
	return root.Members, nil
}

const maxDepth = 64

var errSchema = errors.New("not a schema")

func parseType(data []byte, mode string, depth int) (c Column, err error) {
	if depth > maxDepth {
		return c, errSchema
	}
	if json.Unmarshal(data, &c.Type) == nil {
		return c, nil
	}
	var t struct {
		Type                   string
		ElementType, ValueType json.RawMessage
		Fields                 []struct {
			Name     string
			Type     json.RawMessage
			Metadata struct {
				Physical string `json:"delta.columnMapping.physicalName"`
				ID       int32  `json:"delta.columnMapping.id"`
			}
		}
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return c, err
	}
	c.Type = t.Type
	for _, f := range t.Fields {
		m, err := parseType(f.Type, mode, depth+1)
		if err != nil {
			return c, err
		}
		m.Name, m.Physical = f.Name, f.Name
		if mode == "id" {
			m.ID = f.Metadata.ID
		}
		if (mode == "id" || mode == "name") && f.Metadata.Physical != "" {
			m.Physical = f.Metadata.Physical
		}
		c.Members = append(c.Members, m)
	}
	inner := t.ElementType
	if t.Type == "map" {
		inner = t.ValueType
	}
	if inner != nil {
		e, err := parseType(inner, mode, depth+1)
		if err != nil {
			return c, err
		}
		c.Element = &e
	}
	return c, nil
}

// ConstantType returns the type of the arrays of Constant, null for a type that they don't
// have.
func (c *Column) ConstantType() arrow.DataType {
	switch {
	case c.Type == "byte", c.Type == "short", c.Type == "integer", c.Type == "long":
		return arrow.PrimitiveTypes.Int64
	case c.Type == "float":
		return arrow.PrimitiveTypes.Float32
	case c.Type == "double":
		return arrow.PrimitiveTypes.Float64
	case c.Type == "boolean":
		return arrow.FixedWidthTypes.Boolean
	case c.Type == "date":
		return arrow.FixedWidthTypes.Date32
	case strings.HasPrefix(c.Type, "decimal("):
		d := &arrow.Decimal128Type{}
		if _, err := fmt.Sscanf(c.Type, "decimal(%d,%d)", &d.Precision, &d.Scale); err == nil {
			return d
		}
	case strings.HasPrefix(c.Type, "timestamp"):
		return arrow.FixedWidthTypes.Timestamp_us
	case c.Type == "string", c.Type == "binary", strings.HasPrefix(c.Type, "varchar"), strings.HasPrefix(c.Type, "char"):
		return arrow.BinaryTypes.String
	}
	return arrow.Null
}

// Constant returns an array of one element with the value of a partition column. A nil or
// empty text is null.
func (c *Column) Constant(text *string) (arrow.Array, error) {
	if text == nil || *text == "" {
		return array.NewNull(1), nil
	}
	dt := c.ConstantType()
	if dt.ID() == arrow.NULL {
		return nil, fmt.Errorf("partition column %q: this program can't read type %s", c.Name, c.Type)
	}
	value, err := columnar.Constant(dt, *text)
	if err != nil {
		return nil, fmt.Errorf("partition column %q has a value that does not fit its type %s", c.Name, c.Type)
	}
	return value, nil
}

// Member implements parquetfile.Shape.
func (c *Column) Member(f arrow.Field) (name string, s parquetfile.Shape) {
	for i := range c.Members {
		if m := &c.Members[i]; m.In([]arrow.Field{f}) == 0 {
			return m.Name, m
		}
	}
	return "", nil
}

// Item implements parquetfile.Shape.
func (c *Column) Item() parquetfile.Shape {
	if c.Element == nil {
		return nil
	}
	return c.Element
}

// In returns the index of the column among the fields of a file, by its ID or its physical
// name, or -1 if the file is older than the column.
func (c *Column) In(fields []arrow.Field) int {
	if c.ID != 0 {
		for i, f := range fields {
			if id, ok := f.Metadata.GetValue(parquetfile.FieldID); ok && id == strconv.Itoa(int(c.ID)) {
				return i
			}
		}
		return -1
	}
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for i, f := range fields {
			if same(f.Name, c.Physical) {
				return i
			}
		}
	}
	return -1
}

// Widened returns the type in the table for values of a file, which has the types of the
// time when it was written. It returns nil if they need no conversion: whole numbers of
// different sizes are treated alike.
func (c *Column) Widened(dt arrow.DataType) arrow.DataType {
	name, _, _ := strings.Cut(c.Type, "(")
	id := dt.ID()
	whole := 0 // digits of a whole number
	if arrow.IsInteger(id) {
		whole = 10
		if dt.(arrow.FixedWidthDataType).BitWidth() > 32 {
			whole = 19
		}
	}
	same := true // for all other types
	switch name {
	case "byte", "short", "integer", "long":
		same = whole > 0
	case "float":
		same = id == arrow.FLOAT32
	case "double":
		if whole == 10 || id == arrow.FLOAT32 {
			return arrow.PrimitiveTypes.Float64
		}
		same = id == arrow.FLOAT64
	case "decimal":
		wide, before, scale := &arrow.Decimal128Type{}, int32(whole), int32(0) // digits before and after the point
		_, err := fmt.Sscanf(c.Type, "decimal(%d,%d)", &wide.Precision, &wide.Scale)
		if d, ok := dt.(*arrow.Decimal128Type); ok {
			before, scale = d.Precision-d.Scale, d.Scale
		}
		same = (whole > 0 || id == arrow.DECIMAL128) && before <= wide.Precision-wide.Scale && scale <= wide.Scale
		if same && err == nil && !arrow.TypeEqual(dt, wide) {
			return wide
		}
	case "string", "varchar", "char", "binary":
		same = arrow.IsBaseBinary(id) || id == arrow.FIXED_SIZE_BINARY
	case "boolean":
		same = id == arrow.BOOL
	case "date":
		same = id == arrow.DATE32
	case "timestamp":
		same = id == arrow.TIMESTAMP
	case "timestamp_ntz":
		if id == arrow.DATE32 {
			return &arrow.TimestampType{Unit: arrow.Microsecond}
		}
		same = id == arrow.TIMESTAMP
	case "struct":
		same = id == arrow.STRUCT
	case "array":
		same = id == arrow.LIST
	case "map":
		same = id == arrow.MAP
	}
	if same || id == arrow.NULL {
		return nil
	}
	return &columnar.Unsupported{Why: fmt.Errorf("its type is %s in the table and %s in a file, which this program can't convert; write the table's files again, as dropping its feature \"typeWidening\" does (ALTER TABLE … DROP FEATURE)", c.Type, dt)}
}
