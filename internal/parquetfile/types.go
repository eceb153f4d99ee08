package parquetfile

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/parquet-go/parquet-go/format"

	"iterable-segment-export/internal/arrowfile"
	"iterable-segment-export/internal/columnar"
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
	logicalInterval  = -1 // not in LogicalType
)

// Units of time, by their numbers in TimeUnit.
const (
	millis = 1
	micros = 2
	nanos  = 3
)

// meaning is a logical type with a detail: the unit of a time, or 1 for signed integers.
type meaning struct {
	logical int16
	detail  int64
}

// fromConverted are the logical types of the older ConvertedType.
var fromConverted = map[int32]meaning{
	0: {logicalString, 0}, 1: {logicalMap, 0}, 2: {logicalMap, 0}, 3: {logicalList, 0}, 4: {logicalEnum, 0}, 5: {logicalDecimal, 0}, 6: {logicalDate, 0},
	7: {logicalTime, millis}, 8: {logicalTime, micros}, 9: {logicalTimestamp, millis}, 10: {logicalTimestamp, micros},
	11: {logicalInteger, 0}, 12: {logicalInteger, 0}, 13: {logicalInteger, 0}, 14: {logicalInteger, 0},
	15: {logicalInteger, 1}, 16: {logicalInteger, 1}, 17: {logicalInteger, 1}, 18: {logicalInteger, 1},
	19: {logicalJSON, 0}, 21: {logicalInterval, 0},
}

// meaning returns the logical type of the element. It sets the scale and precision of a
// decimal.
func (e *element) meaning() (m meaning) {
	unit := func(u format.TimeUnit) int64 {
		if u.Value == nil {
			return 0
		}
		return int64(u.Value.FieldID())
	}
	if e.Logical.Value != nil {
		m.logical = e.Logical.Value.FieldID()
	}
	switch t := e.Logical.Value.(type) {
	case nil:
		if e.Converted != nil {
			return fromConverted[*e.Converted]
		}
	case *format.DecimalType:
		e.Scale, e.Precision = t.Scale, t.Precision
	case *format.TimeType:
		m.detail = unit(t.Unit)
	case *format.TimestampType:
		m.detail = unit(t.Unit)
	case *format.IntType:
		if t.IsSigned {
			m.detail = 1
		}
	}
	return m
}

// stored is a physical type with its meaning.
type stored struct {
	physical parquet.Type
	meaning
}

// leafTypes are the Arrow types of leaves. A leaf that is not here has the type of its
// physical type.
var leafTypes = map[stored]struct {
	dt      arrow.DataType
	convert converter
}{
	{parquet.Types.Boolean, meaning{0, 0}}:                          {arrow.FixedWidthTypes.Boolean, booleans},
	{parquet.Types.Int32, meaning{0, 0}}:                            {arrow.PrimitiveTypes.Int32, nil},
	{parquet.Types.Int32, meaning{logicalInteger, 0}}:               {arrow.PrimitiveTypes.Uint32, nil},
	{parquet.Types.Int32, meaning{logicalDate, 0}}:                  {arrow.FixedWidthTypes.Date32, nil},
	{parquet.Types.Int32, meaning{logicalTime, millis}}:             {arrow.FixedWidthTypes.Time32ms, nil},
	{parquet.Types.Int64, meaning{0, 0}}:                            {arrow.PrimitiveTypes.Int64, nil},
	{parquet.Types.Int64, meaning{logicalInteger, 0}}:               {arrow.PrimitiveTypes.Uint64, nil},
	{parquet.Types.Int64, meaning{logicalTime, micros}}:             {arrow.FixedWidthTypes.Time64us, nil},
	{parquet.Types.Int64, meaning{logicalTime, nanos}}:              {arrow.FixedWidthTypes.Time64ns, nil},
	{parquet.Types.Int64, meaning{logicalTimestamp, millis}}:        {arrow.FixedWidthTypes.Timestamp_ms, nil},
	{parquet.Types.Int64, meaning{logicalTimestamp, micros}}:        {arrow.FixedWidthTypes.Timestamp_us, nil},
	{parquet.Types.Int64, meaning{logicalTimestamp, nanos}}:         {arrow.FixedWidthTypes.Timestamp_ns, nil},
	{parquet.Types.Int96, meaning{0, 0}}:                            {arrow.FixedWidthTypes.Timestamp_us, int96s(false)},
	{parquet.Types.Float, meaning{0, 0}}:                            {arrow.PrimitiveTypes.Float32, nil},
	{parquet.Types.Double, meaning{0, 0}}:                           {arrow.PrimitiveTypes.Float64, nil},
	{parquet.Types.ByteArray, meaning{0, 0}}:                        {arrow.BinaryTypes.Binary, nil},
	{parquet.Types.ByteArray, meaning{logicalString, 0}}:            {arrow.BinaryTypes.String, nil},
	{parquet.Types.ByteArray, meaning{logicalEnum, 0}}:              {arrow.BinaryTypes.String, nil},
	{parquet.Types.ByteArray, meaning{logicalJSON, 0}}:              {arrow.BinaryTypes.String, nil},
	{parquet.Types.FixedLenByteArray, meaning{logicalUUID, 16}}:     {arrow.BinaryTypes.String, uuids},
	{parquet.Types.FixedLenByteArray, meaning{logicalFloat16, 2}}:   {arrow.FixedWidthTypes.Float16, asStored},
	{parquet.Types.FixedLenByteArray, meaning{logicalInterval, 12}}: {arrow.FixedWidthTypes.MonthDayNanoInterval, intervals},
}

// types maps the leaves of a file to Arrow's types.
type types struct {
	// julian reports whether dates before 1582-10-15 are in the Julian calendar, as Hive
	// and Spark before version 3 write them; julian96 is the same for INT96.
	julian, julian96 bool
	// hints are the types of top-level columns in the writer's own schema, by name.
	hints map[string]arrow.DataType
}

// hints are the numbers that writers store types as which Parquet lacks, or has only in
// other units. Only the writer's own schema has the type.
var hints = map[arrow.Type]arrow.DataType{
	arrow.DURATION: arrow.PrimitiveTypes.Int64, arrow.TIMESTAMP: arrow.PrimitiveTypes.Int64, arrow.DATE64: arrow.PrimitiveTypes.Int64, arrow.TIME64: arrow.PrimitiveTypes.Int64,
	arrow.TIME32: arrow.PrimitiveTypes.Int32, arrow.INTERVAL_MONTHS: arrow.PrimitiveTypes.Int32,
}

// newTypes reads the metadata that change the meaning of values.
func newTypes(metadata []keyValue) types {
	t, set := types{hints: map[string]arrow.DataType{}}, map[string]string{}
	for _, kv := range metadata {
		set[kv.Key] = kv.Value
	}
	version, bySpark := set[keySpark]
	_, legacy := set[keyLegacy]
	_, legacy96 := set[keyLegacy96]
	_, old := set[keySparkTypes]
	switch {
	case bySpark: // Spark's DataSourceUtils.datetimeRebaseSpec and int96RebaseSpec
		t.julian = legacy || before(version, 3, 0)
		t.julian96 = legacy96 || before(version, 3, 1)
	case old: // Spark writes its version since 2.4.6
		t.julian, t.julian96 = true, true
	}
	if set[keyHive] == "false" {
		t.julian, t.julian96 = true, true
	}
	t.arrowHints(set[keyArrow])
	var s sparkType
	if json.Unmarshal([]byte(set[keySparkTypes]), &s) == nil {
		for _, f := range s.Fields {
			t.hints[f.Name] = sparkHint(f.Type, 0)
		}
	}
	return t
}

// before reports whether a version is before major.minor.
func before(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err == nil && err2 == nil && (a < major || a == major && b < minor)
}

// arrowHints reads the Arrow schema that some writers store in the footer. It ignores a
// schema that can't be read.
func (t *types) arrowHints(encoded string) {
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		data, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	if err != nil || encoded == "" {
		return
	}
	fields, err := arrowfile.ReadSchema(data)
	if err != nil {
		return
	}
	for _, f := range fields {
		t.hints[f.Name] = f.Type
	}
}

// sparkType is a nested type in Spark's JSON.
type sparkType struct {
	Fields []struct {
		Name string
		Type json.RawMessage
	}
	ElementType, KeyType, ValueType json.RawMessage
}

// sparkHint returns the Arrow type of one of Spark's types if it contains intervals. Those
// of days to seconds are stored as microseconds.
func sparkHint(text json.RawMessage, depth int) arrow.DataType {
	var name string
	if json.Unmarshal(text, &name) == nil {
		switch parts := strings.Fields(name); {
		case len(parts) < 2 || parts[0] != "interval":
			return arrow.Null
		case parts[1] == "year" || parts[1] == "month":
			return arrow.FixedWidthTypes.MonthInterval
		}
		return arrow.FixedWidthTypes.Duration_us
	}
	var s sparkType
	if depth > columnar.MaxNesting || json.Unmarshal(text, &s) != nil {
		return arrow.Null
	}
	switch {
	case s.ElementType != nil:
		return arrow.ListOf(sparkHint(s.ElementType, depth+1))
	case s.ValueType != nil:
		return arrow.MapOf(sparkHint(s.KeyType, depth+1), sparkHint(s.ValueType, depth+1))
	}
	var fields []arrow.Field
	for _, f := range s.Fields {
		fields = append(fields, arrow.Field{Name: f.Name, Type: sparkHint(f.Type, depth+1)})
	}
	return arrow.StructOf(fields...)
}

// member returns the hint for the member of a struct, or for the items of a list.
func member(hint arrow.DataType, name string) arrow.DataType {
	switch dt := hint.(type) {
	case *arrow.StructType:
		if f, ok := dt.FieldByName(name); ok {
			return f.Type
		}
	case arrow.ListLikeType:
		return dt.Elem()
	}
	return nil
}

// leaf returns the Arrow type of a leaf, and the converter of its physical values. It
// ignores a logical type that is unknown or does not fit the physical one.
func (t *types) leaf(e *element, hint arrow.DataType) (arrow.DataType, converter, error) {
	physical, l := parquet.Type(*e.Physical), e.meaning()
	if physical < 0 || physical > parquet.Types.FixedLenByteArray {
		return nil, nil, fmt.Errorf("unknown physical type %d", physical)
	}
	if physical == parquet.Types.FixedLenByteArray && e.Length <= 0 {
		return nil, nil, fmt.Errorf("its values have %d bytes", e.Length)
	}
	s := stored{physical, l}
	switch l.logical {
	case logicalNull:
		return arrow.Null, nulls, nil
	case logicalDecimal:
		if convert := decimals[physical]; convert != nil {
			return decimal(e, convert)
		}
	case logicalUUID, logicalFloat16, logicalInterval:
		s.detail = int64(e.Length)
	}
	known, ok := leafTypes[s]
	if !ok {
		known = leafTypes[stored{physical: physical}]
	}
	if d, ok := hint.(*arrow.DictionaryType); ok {
		hint = d.ValueType
	}
	switch {
	case hint != nil && known.dt != nil && hints[hint.ID()] == known.dt:
		return hint, nil, nil
	case hint == arrow.BinaryTypes.String && !ok && physical == parquet.Types.FixedLenByteArray && e.Length == 16:
		return hint, uuids, nil
	case !ok && physical == parquet.Types.FixedLenByteArray:
		return &arrow.FixedSizeBinaryType{ByteWidth: int(e.Length)}, nil, nil
	case t.julian96 && physical == parquet.Types.Int96:
		return known.dt, int96s(true), nil
	case t.julian && known.dt == arrow.FixedWidthTypes.Date32:
		return known.dt, julianDays, nil
	}
	if dt, ok := known.dt.(*arrow.TimestampType); ok && t.julian && known.convert == nil {
		return dt, julianStamps(dt.Unit), nil
	}
	return known.dt, known.convert, nil
}

// decimal returns the type of a decimal, which has at most 76 digits in Arrow.
func decimal(e *element, convert converter) (arrow.DataType, converter, error) {
	const most128, most256 = 38, 76
	switch {
	case e.Precision < 0 || e.Scale < 0 || e.Scale > most256 || e.Precision > most256:
		return nil, nil, fmt.Errorf("its decimals have %d digits, %d of them after the point", e.Precision, e.Scale)
	case e.Precision > most128:
		return &arrow.Decimal256Type{Precision: e.Precision, Scale: e.Scale}, convert, nil
	}
	return &arrow.Decimal128Type{Precision: e.Precision, Scale: e.Scale}, convert, nil
}
